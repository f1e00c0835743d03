"""The guard behind nginx itself, with the configuration of the docs: TLS, certificates, probes."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS, Hand, Model, policy_table
from tests.guard.gateways import gateway
from tests.guard.test_proxy import served
from tests.support.needs import absent

from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.sqlite import SqliteStore

FRONT = Path(__file__).parents[2] / "examples/guard/front"
AROUND = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {server}
}}
"""

pytestmark = pytest.mark.medium


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


def certificates(folder: Path) -> None:
    """Makes an authority, the server's certificate and that of a client, carol."""
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    authority = ("-CA", "clients-ca.pem", "-CAkey", "ca.key")
    own = ("-x509", "-subj", "/CN=tests", "-keyout", "ca.key", "-out", "clients-ca.pem")
    openssl(folder, *new, *own)
    for name, subject in (("server", "/CN=model.example"), ("carol", "/O=Example/CN=carol")):
        asked = ("-x509", *authority, "-subj", subject, "-addext", "subjectAltName=IP:127.0.0.1")
        openssl(folder, *new, *asked, "-keyout", f"{name}.key", "-out", f"{name}.pem")


@contextlib.contextmanager
def nginx(folder: Path, guard: str, port: int) -> Iterator[str]:
    """Runs nginx with the configuration of the docs, but for ports and folders."""
    text = (FRONT / "nginx.conf").read_text()
    for old, new in (
        ("127.0.0.1:8000", guard.removeprefix("http://")),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/etc/nginx/tls", str(folder)),
    ):
        assert old in text
        text = text.replace(old, new)
    path = folder / "nginx.conf"
    path.write_text(AROUND.format(folder=folder, server=text))
    command = [str(shutil.which("nginx")), "-p", str(folder), "-c", str(path), "-e", "stderr"]
    with gateway(command, port):
        yield f"https://127.0.0.1:{port}"


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def front(tmp_path: Path, model: Model) -> Iterator[str]:
    if shutil.which("nginx") is None:
        absent("nginx is absent: apt-get install nginx-light")
    table = policy_table(
        trust={"proxies": ["127.0.0.1/32"], "subject_header": "x-client-subject"},
    )
    table["client"].append({"name": "carol", "subject": "CN=carol,O=Example"})
    store = SqliteStore("tiny", tmp_path / "g.sqlite", create=True, clock=Hand())
    certificates(tmp_path)
    guard = Guard(model, parse_policy(table, "policy"), store=store)
    with served(guard) as url, nginx(tmp_path, url, free_port()) as front:
        yield front


def asking(url: str, folder: Path, *, certificate: str | None = None) -> httpx.Client:
    trusting = ssl.create_default_context(cafile=str(folder / "server.pem"))
    trusting.load_verify_locations(str(folder / "clients-ca.pem"))
    if certificate is not None:
        trusting.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    return httpx.Client(base_url=url, verify=trusting, trust_env=False)


def test_nginx_tells_who_has_a_certificate_and_believes_nobody_else(
    front: str, tmp_path: Path, model: Model
) -> None:
    body = {"inputs": [[1.0, 0, 0, 0]]}
    with asking(front, tmp_path, certificate="carol") as carol:
        answers = [carol.post("/predict", json=body) for _ in range(12)]
    assert [one.status_code for one in answers] == [200] * 10 + [429] * 2
    assert set(answers[0].json()) == {"scores"}
    assert answers[0].headers["ratelimit"].startswith('"daily";r=9')
    assert model.rows == 10
    with asking(front, tmp_path) as other:
        told = {"x-client-subject": "CN=carol,O=Example"}
        assert other.post("/predict", json=body, headers=told).status_code == 401
        key = {"x-api-key": KEYS["alice"]}
        assert other.post("/predict", json=body, headers=key).status_code == 200
        # Whoever has both is the client of the certificate or of the key, never of a mere claim.
        both = other.post("/predict", json=body, headers={**key, **told})
        assert both.headers["ratelimit"].startswith('"daily";r=8')
        assert other.get("/-/ready").status_code == 404
    assert model.rows == 12


def test_nginx_passes_bodies_as_they_are_and_asks_once(
    front: str, tmp_path: Path, model: Model
) -> None:
    with asking(front, tmp_path) as client:
        key = {"x-api-key": KEYS["bob"]}
        rows = [[0.125, 1, 2, 3]] * 9
        answer = client.post("/predict", json={"inputs": rows}, headers=key)
        assert (answer.status_code, len(answer.json()["scores"])) == (200, 9)

        async def failing(send: object) -> None:
            raise OSError

        model.answer = failing
        asked = len(model.seen)
        assert client.post("/predict", json={"inputs": rows[:1]}, headers=key).status_code == 502
        assert len(model.seen) == asked + 1
