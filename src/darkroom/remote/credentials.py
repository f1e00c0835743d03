"""Secrets of remote servers, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from darkroom.errors import TargetError
from darkroom.redaction import secret_parameter

_HEADERS = {
    "key": "x-goog-api-key",
    "code": "x-functions-key",
    "subscription-key": "Ocp-Apim-Subscription-Key",
}
"""The header in which a service takes what others put into the address."""


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


def require_no_key(url: str) -> None:
    """Refuses an address with a key in it, which would stand in every message, report and plan.

    Raises:
        TargetError: If there is one; the message does not repeat it.
    """
    found = secret_parameter(url)
    if found is not None:
        header = _HEADERS.get(found.lower(), "HEADER")
        place = url.partition("?")[0].rpartition("@")[2]
        raise TargetError(
            f"[target] url of {place} holds a key ({found}): put its value into an environment "
            f'variable and set headers_from_env = {{"{header}" = "VARIABLE"}}, with the header '
            "that the service takes it in"
        )


def _variable(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise TargetError(f"environment variable {name}, which the plan names, is not set: set it")
    return value
