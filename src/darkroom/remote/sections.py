"""The keys of ``[target]`` and ``[guarded]`` that every served model has, of whatever kind."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PrivateAttr, field_validator

from darkroom.errors import PlanError
from darkroom.redaction import tells_of_a_secret
from darkroom.remote.credentials import require_no_key, secret_headers, secret_parameters
from darkroom.remote.delivery import Delivery
from darkroom.sections import Section


class ServedSection(Section):
    """Where a model is served, and how it is asked.

    Attributes:
        url: The server, or one of its endpoints, as the protocol has it.
        concurrency: The most requests at once.
        timeout: Seconds for one attempt, from connecting to the last byte.
        retries: How often a request that may have reached the server is sent once more.
        patience: Seconds to wait for a server that is away or asks to be left alone.
        backoff: Seconds before the first retry.
        longest_answer: The most bytes of an answer.
        headers: Sent along. Keys do not belong here.
        headers_from_env: Header names, and for each the environment variable with its value.
        parameters_from_env: Parameters of the address that are keys, and for each the environment
            variable with its value.
        api_key_env: The environment variable with a key that is sent as a bearer token.
    """

    url: str
    concurrency: int = Field(default=4, ge=1, le=256)
    timeout: float = Field(default=30.0, gt=0, le=3600)
    retries: int = Field(default=6, ge=0, le=100)
    patience: float = Field(default=120.0, ge=0, le=30 * 86_400)
    backoff: float = Field(default=0.5, gt=0, le=60)
    longest_answer: int = Field(default=64 * 2**20, ge=1024)
    headers: dict[str, str] = Field(default_factory=dict)
    headers_from_env: dict[str, str] = Field(default_factory=dict)
    parameters_from_env: dict[str, str] = Field(default_factory=dict)
    api_key_env: str | None = None
    _pace: Path | None = PrivateAttr(default=None)

    def keep_pace(self, folder: Path) -> None:
        """Has all processes of a run ask at one pace.

        Args:
            folder: Where they tell one another.
        """
        self._pace = folder

    @field_validator("headers")
    @classmethod
    def _no_secret(cls, headers: dict[str, str]) -> dict[str, str]:
        for name in headers:
            if tells_of_a_secret(name):
                # A ValueError would have the value, which may be a key, shown in the message.
                raise PlanError(
                    f"target.headers.{name}: a plan holds no keys: put the value into an "
                    f'environment variable and set headers_from_env = {{"{name}" = "VARIABLE"}}'
                )
        return headers

    @field_validator("url", mode="before")
    @classmethod
    def _no_key(cls, url: object) -> object:
        if isinstance(url, str):
            require_no_key(url)
        return url

    def delivery(self, batch: int = 1, *, ends_with_limit: bool = False) -> Delivery:
        """Returns how the server is asked.

        Args:
            batch: The most rows in a request.
            ends_with_limit: See :class:`Delivery`.
        """
        return Delivery(
            batch=batch,
            concurrency=self.concurrency,
            timeout=self.timeout,
            retries=self.retries,
            patience=self.patience,
            backoff=self.backoff,
            longest_answer=self.longest_answer,
            ends_with_limit=ends_with_limit,
            pace=self._pace,
        )

    def secret_headers(self) -> dict[str, str]:
        """Reads keys from the environment.

        Raises:
            TargetError: If a variable is not set.
        """
        return secret_headers(self.api_key_env, self.headers_from_env)

    def secret_parameters(self) -> dict[str, str]:
        """Reads parameters of the address from the environment.

        Raises:
            TargetError: If a variable is not set.
        """
        return secret_parameters(self.parameters_from_env)
