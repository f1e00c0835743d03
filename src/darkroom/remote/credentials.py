"""Secrets of remote servers, from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

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


def secret_parameters(parameters_from_env: Mapping[str, str]) -> dict[str, str]:
    """Reads parameters of an address from environment variables.

    Args:
        parameters_from_env: Their names, and for each the variable with its value, plain or as an
            address has it.

    Raises:
        TargetError: If a variable is not set.
    """
    return {name: _variable(variable) for name, variable in parameters_from_env.items()}


def as_query(parameters: Mapping[str, str]) -> str:
    """Returns parameters as they stand in an address; a value that has its escapes keeps them.

    >>> as_query({"code": "a/b==", "sig": "a%2Fb%3D"})
    'code=a%2Fb%3D%3D&sig=a%2Fb%3D'
    """
    return "&".join(f"{quote(name, safe='')}={_quoted(one)}" for name, one in parameters.items())


_ESCAPED = re.compile(r"(?:[\w.~-]|%[0-9a-f]{2})+", re.ASCII | re.IGNORECASE)
"""A value that needs no escape, or has all it needs."""


def _quoted(value: str) -> str:
    return value if _ESCAPED.fullmatch(value) else quote(value, safe="")


def require_no_key(url: str) -> None:
    """Refuses an address with a key in it, which would stand in every message, report and plan.

    Raises:
        TargetError: If there is one; the message does not repeat it.
    """
    found = secret_parameter(url)
    if found is not None:
        header = _HEADERS.get(found.lower())
        place = url.partition("?")[0].rpartition("@")[2]
        instead = f', or headers_from_env = {{"{header}" = "VARIABLE"}}' if header else ""
        raise TargetError(
            f"[target] url of {place} holds a key ({found}): take it out, put its value into an "
            f'environment variable, and set parameters_from_env = {{"{found}" = "VARIABLE"}}'
            f"{instead}"
        )


def _variable(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise TargetError(f"environment variable {name}, which the plan names, is not set: set it")
    return value
