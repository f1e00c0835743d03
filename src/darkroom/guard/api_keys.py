"""API keys: made here, kept as hashes alone."""

from __future__ import annotations

import hashlib
import secrets


def new_key() -> tuple[str, str]:
    """Makes an API key with 256 random bits, and the hash of it that a policy holds.

    A hash without salt and without stretching is enough, because nobody can guess such a key.
    """
    key = f"dk_{secrets.token_urlsafe(32)}"
    return key, hashed(key)


def hashed(key: str) -> str:
    """Returns the hash of an API key.

    >>> hashed("dk_example")[:20]
    'sha256:9c85cfe0efedb'
    """
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}"
