"""The guard's policy: who may ask, how much, and what may be answered; written in TOML."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from darkroom.defenses.pipeline import LabelOnly, OutputDefense, Pipeline, TopK, make_defense
from darkroom.errors import PlanError
from darkroom.guard.budgets.windows import Window, parse_window
from darkroom.sections import Section, explain, read_toml

MEBIBYTE = 2**20
HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
KEY = re.compile(r"sha256:[0-9a-f]{64}")
NAME = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"


class ModelSection(Section):
    """What is guarded.

    Attributes:
        model: Under this name budgets are kept; models in one store are apart.
        zone: Whose midnight begins a day.
        shadow: Whether to decide and record, but change and refuse nothing.
    """

    model: str = Field(pattern=NAME)
    zone: str = "UTC"
    shadow: bool = False

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

    url: str | None = Field(default=None, pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")
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
    """

    body: int = Field(default=8 * MEBIBYTE, ge=1, le=1024 * MEBIBYTE)
    answer: int = Field(default=8 * MEBIBYTE, ge=1, le=1024 * MEBIBYTE)
    at_once: int = Field(default=64, ge=1, le=100_000)
    read_seconds: float = Field(default=30.0, gt=0, le=3600)


class StoreSection(Section):
    """Where budgets are kept.

    Attributes:
        kind: ``sqlite`` for one host; ``redis`` or ``postgres`` for several that share budgets.
        path: The file of ``sqlite``.
        url_env: For the others, the environment variable with the address.
        block: The most rows that a worker leases at once; a crash forfeits what is left of them.
        patience: Seconds to wait for the store.
        trust_durability: For a Redis that does not tell its settings: take it for durable.
    """

    kind: Literal["sqlite", "redis", "postgres"] = "sqlite"
    path: Path = Path("guard.sqlite")
    url_env: str | None = None
    block: int = Field(default=2048, ge=1, le=100_000)
    patience: float = Field(default=2.0, gt=0, le=60)
    trust_durability: bool = False

    @model_validator(mode="after")
    def _address(self) -> Self:
        if (self.kind == "sqlite") != (self.url_env is None):
            raise ValueError("url_env goes with redis and postgres, which need it")
        return self


class ClientSection(Section):
    """One who may ask.

    Attributes:
        name: Budgets are kept under it.
        key: The hash of an API key, made by ``darkroom guard key``.
        subject: The subject of a client certificate, as the proxy that checks it writes it.
        user: The name in a trusted header.
    """

    name: str = Field(pattern=NAME)
    key: str | None = None
    subject: str | None = Field(default=None, min_length=1)
    user: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _known_by_something(self) -> Self:
        if self.key is None and self.subject is None and self.user is None:
            raise ValueError("give a key, a subject or a user")
        if self.key is not None and not KEY.fullmatch(self.key):
            raise ValueError("key is no hash; make one with: darkroom guard key")
        return self


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


class BudgetSection(Section):
    """A budget in rows.

    Attributes:
        name: Shown in ``RateLimit`` fields.
        per: Whose rows are counted together.
        rows: The most of them in a window.
        window: ``day`` for a calendar day, or a sliding window such as ``1h``. A burst is a short
            window.
        clients: For ``per = "client"``, whom it concerns; everybody when left out.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    per: Literal["client", "class", "model"] = "client"
    rows: int = Field(ge=1, le=10**12)
    window: str = "day"
    clients: list[str] | None = None

    @field_validator("window")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_window(value)
        return value

    @model_validator(mode="after")
    def _of_clients(self) -> Self:
        if self.clients is not None and self.per != "client":
            raise ValueError("clients goes with per = 'client'")
        return self

    @property
    def span(self) -> Window:
        """The window."""
        return parse_window(self.window)


class NamedSection(BaseModel):
    """A wire format or an output defence by name, with parameters of its own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """All keys but the name."""
        return dict(self.model_extra or {})


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
    tighten: list[NamedSection] = Field(default_factory=list)


class LogSection(Section):
    """The audit log: a line of JSON a decision, without inputs and answers.

    Attributes:
        path: The file.
    """

    path: Path


class MetricsSection(Section):
    """Prometheus metrics, on an address of their own: they tell what clients spend.

    Attributes:
        host: Where to listen.
        port: There.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=9464, ge=0, le=65535)


class Policy(Section):
    """All of it."""

    guard: ModelSection
    upstream: UpstreamSection = UpstreamSection()
    limits: LimitSection = LimitSection()
    store: StoreSection = StoreSection()
    client: Annotated[list[ClientSection], Field(min_length=1)]
    trust: TrustSection | None = None
    budget: list[BudgetSection] = Field(default_factory=list)
    wire: list[NamedSection] = Field(default_factory=list)
    defense: list[NamedSection] = Field(default_factory=list)
    outputs: OutputsSection = OutputsSection()
    detector: DetectorSection | None = None
    log: LogSection | None = None
    metrics: MetricsSection | None = None
    _folder: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what in ("name", "key", "subject", "user"):
            _no_twins(f"client.{what}", [getattr(one, what) for one in self.client])
        _no_twins("budget.name", [one.name for one in self.budget])
        names = {one.name for one in self.client}
        for budget in self.budget:
            for name in budget.clients or ():
                if name not in names:
                    raise ValueError(f"budget {budget.name}: no client is called {name!r}")
        headers = self.trust and (self.trust.subject_header, self.trust.user_header)
        for position, what in enumerate(("subject", "user")):
            given = any(getattr(one, what) is not None for one in self.client)
            if given and not (headers and headers[position]):
                raise ValueError(f"clients with a {what} need [trust] {what}_header and proxies")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Whose midnight begins a day."""
        return ZoneInfo(self.guard.zone)

    def pipeline(self) -> Pipeline:
        """Makes the output defences, the same objects that an audit uses.

        Raises:
            PlanError: If one does not exist, has a wrong parameter, or names what is missing.
        """
        return self._pipeline(self.defense)

    def tightened(self) -> Pipeline | None:
        """Makes those that are in force while the detector alarms; ``None`` where it only alerts.

        Raises:
            PlanError: As :meth:`pipeline`, or if an answer's form would tell of the alarm.
        """
        if self.detector is None or not self.detector.tighten:
            return None
        made = self._pipeline(self.detector.tighten)
        if made.leaves != self.pipeline().leaves:
            raise PlanError(
                f"detector.tighten leaves {made.leaves} where the policy leaves "
                f"{self.pipeline().leaves}: whoever is alarmed about would see it"
            )
        return made

    def _pipeline(self, sections: list[NamedSection]) -> Pipeline:
        made: list[OutputDefense] = [
            make_defense(one.name, one.parameters, self._folder) for one in sections
        ]
        if self.outputs.top_k is not None:
            made.append(TopK(self.outputs.top_k))
        if self.outputs.labels_only:
            made.append(LabelOnly())
        return Pipeline(tuple(made))

    def warnings(self) -> list[str]:
        """Says what is allowed, but hardly meant."""
        said = []
        limited = {name for one in self.budget if one.per == "client" for name in one.clients or ()}
        everybody = any(one.per == "client" and one.clients is None for one in self.budget)
        free = [one.name for one in self.client if one.name not in limited and not everybody]
        if free and not any(one.per == "model" for one in self.budget):
            said.append(f"no budget concerns {', '.join(free)}: they may ask as often as they like")
        if any(one.per == "class" for one in self.budget) and any(
            one.name == "openai" for one in self.wire
        ):
            said.append("a budget counts classes, which openai has not: answers are withheld")
        if not self.pipeline().defenses:
            said.append("no output defence: all confidences leave as they are")
        if self.guard.shadow:
            said.append("shadow = true: nothing is refused, nothing is changed")
        return said


def checked_header(name: str) -> str:
    """Returns the name of a header in lower case.

    Raises:
        ValueError: If it is none.
    """
    lower = name.lower()
    if not HEADER.fullmatch(lower):
        raise ValueError(f"{name!r} is no name of a header")
    return lower


def parse_policy(table: dict[str, Any], where: str, folder: Path | None = None) -> Policy:
    """Checks a policy's words.

    Args:
        table: The words.
        where: Where they stand, for the message.
        folder: What the paths in it start from; the working folder if left out.

    Raises:
        PlanError: If a key or value is wrong; the message names the place and, for an unknown
            key, the nearest known one.
    """
    try:
        policy = Policy.model_validate(table)
        policy._folder = folder or Path()
        policy.pipeline()
        policy.tightened()
    except ValidationError as error:
        raise PlanError(f"{where}: {explain(error, Policy, secret=('client',))}") from error
    except PlanError as error:
        raise PlanError(f"{where}: {error}") from error
    return policy


def read_policy(path: Path) -> Policy:
    """Reads a policy; the files that it names are relative to its folder.

    Raises:
        PlanError: If it cannot be read, or something in it is wrong.
    """
    policy = parse_policy(read_toml(path), str(path), path.parent)
    moved: dict[str, Section] = {}
    for name in ("store", "log", "detector"):
        section = getattr(policy, name)
        if section is not None:
            moved[name] = section.model_copy(update={"path": path.parent / section.path})
    return policy.model_copy(update=moved)


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


def _no_twins(what: str, values: list[str | None]) -> None:
    seen = [value for value in values if value is not None]
    twins = {value for value in seen if seen.count(value) > 1}
    if twins:
        shown = "" if what == "client.key" else f": {min(twins)!r}"
        raise ValueError(f"{what} is given twice{shown}")
