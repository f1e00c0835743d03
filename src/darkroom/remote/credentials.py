"""Secrets of remote servers, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from darkroom.errors import TargetError


def secret_headers(api_key_env: str | None, headers_from_env: Mapping[str, str]) -> dict[str, str]:
    """Reads keys from environment variables, so that no plan holds them.

    Args:
        api_key_env: The variable with a key that is sent as a bearer token.
        headers_from_env: Header names, and for each the variable with its whole value.

    Raises:
        TargetError: If a variable is not set.
    """
    found = {header: _variable(name) for header, name in headers_from_env.items()}
    if api_key_env is not None:
        found["authorization"] = f"Bearer {_variable(api_key_env)}"
    return found


def _variable(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise TargetError(f"environment variable {name}, which the plan names, is not set: set it")
    return value
