"""The sections of a policy, each checked by itself."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AwareDatetime,
    Field,
    field_validator,
    model_validator,
)

from darkroom.sections import PartSection, Section

MEBIBYTE = 2**20
HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
KEY = re.compile(r"^sha256:[0-9a-f]{64}$")
ADDRESS = r"^https?://[^/?#@\s]+(/[^?#\s]*)?$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"


class ModelSection(Section):
    """What is guarded.

    Attributes:
        model: Under this name budgets are kept; models in one store are apart.
        zone: Whose midnight begins a day.
        shadow: Whether to decide and record, but change and refuse nothing.
        prefix: What every path begins with and no route has, where a proxy in front keeps it.
        request_id: The header in which a request's identifier comes and goes; empty for none.
        gives_up: What this policy takes away on purpose, such as ``budget daily``, ``shadow`` or
            ``defense rounding``; without it, a policy that protects less than the one before is
            refused.
    """

    model: str = Field(pattern=NAME)
    zone: str = "UTC"
    shadow: bool = False
    prefix: str = Field(default="", pattern=r"^(/[A-Za-z0-9._~-]+)*$")
    request_id: str = "x-request-id"
    gives_up: list[str] = Field(default_factory=list)

    @field_validator("request_id")
    @classmethod
    def _header(cls, value: str) -> str:
        return checked_header(value) if value else value

    @field_validator("zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is no time zone such as 'UTC' or 'Europe/Berlin'") from None
        return value


class UpstreamSection(Section):
    """The model's server, for the reverse proxy.

    Attributes:
        url: Scheme, host and port, perhaps a path in front of all others.
        headers_from_env: Headers that are sent to it, and for each the environment variable with
            its value, such as its own key.
        forward: Request headers that reach it besides those of the format.
        answer_headers: Headers of its answers that reach the client; none unless named.
        seconds: How long it may take for an answer.
    """

    url: str | None = Field(default=None, pattern=ADDRESS)
    headers_from_env: dict[str, str] = Field(default_factory=dict)
    forward: list[str] = Field(default_factory=list)
    answer_headers: list[str] = Field(default_factory=list)
    seconds: float = Field(default=60.0, gt=0, le=3600)

    @field_validator("forward", "answer_headers")
    @classmethod
    def _headers(cls, value: list[str]) -> list[str]:
        return [checked_header(one) for one in value]


class LimitSection(Section):
    """What bounds memory and time.

    Attributes:
        body: The most bytes of a request.
        answer: The most bytes of an answer.
        at_once: The most requests in hand at once.
        read_seconds: How long a client may take to send a request.
        send_seconds: How long a client may take to take a piece of an answer.
        stop_seconds: How long requests in hand may go on after the guard was told to end.
    """

    body: int = Field(default=8 * MEBIBYTE, ge=1, le=1024 * MEBIBYTE)
    answer: int = Field(default=8 * MEBIBYTE, ge=1, le=1024 * MEBIBYTE)
    at_once: int = Field(default=64, ge=1, le=100_000)
    read_seconds: float = Field(default=30.0, gt=0, le=3600)
    send_seconds: float = Field(default=30.0, gt=0, le=3600)
    stop_seconds: int = Field(default=10, ge=0, le=3600)


class StoreSection(Section):
    """Where budgets are kept.

    Attributes:
        kind: ``sqlite`` for one host; ``redis`` or ``postgres`` for several that share budgets.
        path: The file of ``sqlite``.
        url_env: For the others, the environment variable with the address.
        block: The most rows that a worker leases at once; a crash forfeits what is left of them.
        patience: Seconds to wait for the store.
        trust_durability: For a Redis that does not tell its settings: take it for durable.
        create: Whether the guard begins a ledger where there is none. A ledger that was lost then
            counts no more: ``darkroom guard init`` begins one on purpose.
    """

    kind: Literal["sqlite", "redis", "postgres"] = "sqlite"
    path: Path = Path("guard.sqlite")
    url_env: str | None = None
    block: int = Field(default=2048, ge=1, le=100_000)
    patience: float = Field(default=2.0, gt=0, le=60)
    trust_durability: bool = False
    create: bool = False

    @model_validator(mode="after")
    def _address(self) -> Self:
        if (self.kind == "sqlite") != (self.url_env is None):
            raise ValueError("url_env goes with redis and postgres, which need it")
        return self


class KeySection(Section):
    """One of a client's API keys, with the time in which it counts.

    Attributes:
        hash: Made by ``darkroom guard key``.
        since: From when on; always, when left out. With an offset, as ``2026-11-29T06:00:00Z``.
        until: Until when; for ever, when left out.
    """

    hash: str = Field(pattern=KEY.pattern)
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since should be before until")
        return self

    def counts_at(self, time: float) -> bool:
        """Tells whether it counts at a moment, in seconds since 1970."""
        begun = self.since is None or self.since.timestamp() <= time
        return begun and (self.until is None or time < self.until.timestamp())


class ClientSection(Section):
    """One who may ask.

    Attributes:
        name: Budgets are kept under it, whatever key it comes with.
        key: The hash of an API key, made by ``darkroom guard key``.
        keys: Several of them, each with the time in which it counts, so that one takes another's
            place without a second budget.
        subject: The subject of a client certificate, as the proxy that checks it writes it.
        user: The name in a trusted header.
        groups: Those it belongs to, for budgets that clients share.
    """

    name: str = Field(pattern=NAME)
    key: str | None = None
    keys: list[KeySection] = Field(default_factory=list)
    subject: str | None = Field(default=None, min_length=1)
    user: str | None = Field(default=None, min_length=1)
    groups: list[Annotated[str, Field(pattern=NAME)]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _known_by_something(self) -> Self:
        if not self.keys and self.key is None and self.subject is None and self.user is None:
            raise ValueError("give a key, a subject or a user")
        if self.key is not None and not KEY.fullmatch(self.key):
            raise ValueError("key is no hash; make one with: darkroom guard key")
        return self

    @property
    def every_key(self) -> list[KeySection]:
        """All of its keys, the one without times first."""
        return [*([] if self.key is None else [KeySection(hash=self.key)]), *self.keys]


class TrustSection(Section):
    """Who may say who a client is.

    Attributes:
        proxies: Networks whose headers are believed, such as ``10.0.0.0/8``.
        subject_header: Has the subject of the client's certificate.
        user_header: Has the user's name.
    """

    proxies: list[str] = Field(min_length=1)
    subject_header: str | None = None
    user_header: str | None = None

    @field_validator("proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        return [str(ipaddress.ip_network(one)) for one in value]

    @field_validator("subject_header", "user_header")
    @classmethod
    def _headers(cls, value: str | None) -> str | None:
        return None if value is None else checked_header(value)


class DefenseSection(PartSection):
    """An output defence, with parameters of its own.

    Attributes:
        models: Of several models, those whose answers it changes; all when left out.
    """

    models: list[str] | None = None

    def concerns(self, model: str | None) -> bool:
        """Tells whether it changes a model's answers; ``None`` is the only one."""
        return self.models is None or model in self.models


class OutputsSection(Section):
    """What may leave at all, after all defences.

    Attributes:
        top_k: The most classes of a row whose confidence is told.
        labels_only: Whether to tell the winning class alone.
    """

    top_k: int | None = Field(default=None, ge=1)
    labels_only: bool = False


class DetectorSection(Section):
    """Watches for traffic that looks like model inversion.

    Attributes:
        path: What :meth:`darkroom.guard.detector.detector.Detector.save` wrote.
        tighten: Output defences that replace the policy's while there is an alarm; none to alert
            alone. What can be seen behind them is of the same kind, so that an answer's form does
            not tell of an alarm.
    """

    path: Path
    tighten: list[DefenseSection] = Field(default_factory=list)


class LogSection(Section):
    """The audit log: a line of JSON a decision, without inputs and answers.

    Attributes:
        path: The file.
        scores: Whether it has each row's class and confidence as the model gave them, so that
            budgets of classes and detectors can be tried on it.
    """

    path: Path
    scores: bool = False


class MetricsSection(Section):
    """Prometheus metrics, on an address of their own: they tell what clients spend.

    Attributes:
        host: Where to listen.
        port: There.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=9464, ge=0, le=65535)


class OpenTelemetrySection(Section):
    """Spans and metrics for OpenTelemetry, sent where its environment variables say.

    Attributes:
        spans: Whether each request is a span.
        metrics: Whether requests, rows and tokens are counted.
        parents: Whether a client's trace is gone on with, for clients that are trusted: theirs
            decides whether a request is traced. Otherwise each request begins a trace, with a link
            to the client's.
        service: What the guard is called where ``OTEL_SERVICE_NAME`` does not say.
    """

    spans: bool = True
    metrics: bool = True
    parents: bool = False
    service: str = Field(default="darkroom-guard", min_length=1)


def checked_header(name: str) -> str:
    """Returns the name of a header in lower case.

    Raises:
        ValueError: If it is none.
    """
    lower = name.lower()
    if not HEADER.fullmatch(lower):
        raise ValueError(f"{name!r} is no name of a header")
    return lower
