"""Keys are in no message, however a server or a library spells them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from darkroom.errors import TargetError
from darkroom.redaction import secrets_of, tells_of_a_secret, without
from darkroom.remote.credentials import require_no_key
from darkroom.remote.sections import ServedSection

KEY = 'aB3/x+ 9"=Zé'


@pytest.mark.parametrize(
    "spelling",
    [
        KEY,
        KEY.lower(),
        KEY.upper(),
        quote(KEY),
        quote(KEY, safe="").lower(),
        quote_plus(KEY),
        json.dumps(KEY)[1:-1],
        KEY.encode().hex(),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
    ],
)
def test_a_key_is_hidden_in_every_spelling(spelling: str) -> None:
    said = without(f"denied: {spelling}.", [KEY])
    assert spelling not in said
    assert said.startswith("denied: ***")


def test_basic_authentication_is_hidden_decoded_too() -> None:
    pair = base64.b64encode(b"alice:swordfish").decode()
    assert "swordfish" not in without("alice with swordfish: no", [pair])


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://guard:sw%2Fordfish@db/darkroom",
        "postgresql://guard:sw/ordfish@db/darkroom",
        "redis://:sw/ordfish@host:6379/0",
        "host=db user=guard password=sw/ordfish",
        "postgresql://db/darkroom?password=sw/ordfish",
    ],
)
def test_a_password_of_a_store_is_hidden(url: str) -> None:
    said = without(f"bad {url}: 'sw/ordfish', sw%2Fordfish", secrets_of(url))
    assert "ordfish" not in said


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("key", True),
        ("sig", True),
        ("code", True),
        ("subscription-key", True),
        ("Ocp-Apim-Subscription-Key", True),
        ("X-Auth-Token", True),
        ("Authorization", True),
        ("api-version", False),
        ("accept", False),
        ("encoding", False),
        ("x-design", False),
    ],
)
def test_which_names_tell_of_a_key(name: str, secret: bool) -> None:
    assert tells_of_a_secret(name) is secret


@pytest.mark.parametrize("name", ["key", "sig", "code", "subscription-key"])
def test_a_key_in_an_address_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(TargetError, match=rf'parameters_from_env = {{"{name}" = "VAR') as caught:
        require_no_key(f"https://host/score?api-version=1&{name}=swordfish")
    assert "swordfish" not in str(caught.value)
    with pytest.raises(TargetError):
        ServedSection(url=f"https://host/score?{name}=swordfish")
    require_no_key("https://host/score?api-version=1")
