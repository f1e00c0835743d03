"""Who may see the lab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.lab.conftest import TOKEN, Lab


def _get(lab: Lab, path: str = "/develop/studio", **headers: str) -> httpx.Response:
    return httpx.get(f"{lab.address}{path}", headers=headers)


@pytest.mark.medium
def test_nothing_is_shown_without_the_token(lab: Lab) -> None:
    for path in ("/", "/develop", "/develop/studio", "/static/lab.css", "/develop/people/0/photo"):
        answer = _get(lab, path)
        assert answer.status_code == 403
        assert "token" in answer.text
    assert _get(lab, "/develop?token=another").status_code == 403


@pytest.mark.medium
def test_the_token_opens_a_page_and_leaves_its_address(lab: Lab) -> None:
    answer = httpx.get(f"{lab.address}/develop?a=1&token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/develop?a=1")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    with httpx.Client(follow_redirects=True) as client:
        opened = client.get(lab.opened)
        assert opened.status_code == 200
        assert TOKEN not in str(opened.url)


@pytest.mark.parametrize("path", ["//example.org/", "/\\example.org/"])
def test_the_token_sends_nobody_elsewhere(lab: Lab, path: str) -> None:
    with httpx.Client() as client:
        request = client.build_request("GET", f"{lab.address}/")
        request.url = request.url.copy_with(raw_path=f"{path}?token={TOKEN}".encode())
        where = client.send(request).headers["location"]
    assert where.startswith("/")
    assert where[1] not in "/\\"


@contextmanager
def _opened(lab: Lab) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab.address) as client:
        client.get(f"/?token={TOKEN}")
        yield client


def test_a_page_elsewhere_cannot_use_the_lab(lab: Lab) -> None:
    """By another name of this machine (DNS rebinding), or from another origin."""
    with _opened(lab) as client:
        assert client.get("/develop/studio").status_code == 200
        host = lab.address.removeprefix("http://").replace("127.0.0.1", "example.org")
        assert client.get("/develop/studio", headers={"Host": host}).status_code == 403
        for origin in ("https://example.org", "null", "http://127.0.0.1:1"):
            answer = client.post("/develop/attacks", json={}, headers={"Origin": origin})
            assert answer.status_code == 403


def test_every_answer_forbids_scripts_from_elsewhere_and_inside(lab: Lab) -> None:
    with _opened(lab) as client:
        for path in ("/develop", "/develop/studio", "/static/develop.js", "/nowhere"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert headers["cache-control"] == "no-store"
        page = client.get("/develop").text
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("{", 422, "JSON"),
        ('{"people": []}', 422, "people"),
        ('{"people": [1, 1]}', 422, "each person once"),
        ('{"people": [1], "acces": "scores"}', 422, "acces"),
        ('{"people": [1], "seed": -1}', 422, "seed"),
        (f'{{"people": [{", ".join("1" * 9000)}]}}', 413, "bytes"),
    ],
)
def test_a_request_that_makes_no_sense_gets_a_sentence(
    lab: Lab, body: str, status: int, words: str
) -> None:
    with _opened(lab) as client:
        answer = client.post("/develop/attacks", content=body)
    assert answer.status_code == status
    sentence = answer.json()["sentence"]
    assert words in sentence
    assert "\n" not in sentence
