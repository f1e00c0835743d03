"""Keeping keys out of messages, also where a server sends them back in another spelling."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

_TELLING = re.compile(
    r"key|token|secret|passw|pwd|auth|cookie|credential|signature|^(sig|code|sas|jwt|session.*)$",
    re.IGNORECASE,
)
_SHORTEST = 4
"""Characters below which only the very word is hidden: its other spellings are anybody's words."""


def tells_of_a_secret(name: str) -> bool:
    """Tells whether what stands under a name, of a header or in an address, may be a key.

    >>> tells_of_a_secret("Ocp-Apim-Subscription-Key"), tells_of_a_secret("api-version")
    (True, False)
    """
    return _TELLING.search(name) is not None


def secret_parameter(url: str) -> str | None:
    """Returns the first parameter of an address whose name tells of a key; ``None`` for none.

    >>> secret_parameter("http://host/score?api-version=1&sig=abc")
    'sig'
    """
    query = url.partition("?")[2].partition("#")[0]
    names = (name for name, _ in parse_qsl(query, keep_blank_values=True))
    return next((name for name in names if tells_of_a_secret(name)), None)


def without(text: str, secrets: Iterable[str]) -> str:
    """Returns a text with every spelling of some secrets hidden.

    >>> without("no such key: SWORDFISH%2F1", ["swordfish/1"])
    'no such key: ***'
    """
    words = {spelling for secret in secrets for spelling in _spellings(secret)}
    if not words:
        return text
    # The longest first, since one may hold another.
    ordered = sorted(words, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, ordered)), "***", text, flags=re.IGNORECASE)


def _spellings(secret: str) -> Iterator[str]:
    """Yields how a secret may come back: quoted, escaped, encoded, or decoded."""
    if not secret:
        return
    yield secret
    if len(secret) < _SHORTEST:
        return
    content = secret.encode()
    encoded = base64.b64encode(content).decode()
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret), unquote(secret))
    yield from (json.dumps(secret)[1:-1], repr(secret)[1:-1], content.hex())
    yield from (encoded, encoded.rstrip("="), base64.urlsafe_b64encode(content).decode())
    try:
        decoded = base64.b64decode(content, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    if decoded.isprintable() and len(decoded) >= _SHORTEST:
        yield decoded
        yield from (part for part in decoded.split(":", 1) if len(part) >= _SHORTEST)


def secrets_of(url: str) -> list[str]:
    """Returns what of an address of a database may not be shown: the address, user and password."""
    found = [url]
    # Written in Python rather than parsed, since a password may hold what no address should.
    authority = url.partition("://")[2]
    userinfo = authority.rpartition("@")[0]
    found += [userinfo, *userinfo.split(":", 1)]
    try:
        query = urlsplit(url).query
    except ValueError:
        query = url.partition("?")[2]
    found += [value for name, value in parse_qsl(query) if tells_of_a_secret(name)]
    found += re.findall(r"password\s*=\s*'?([^\s']+)", url)
    return [one for one in found if one]
