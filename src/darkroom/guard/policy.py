"""The guard's policy: who may ask, how much, and what may be answered; written in TOML."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.registry import TABLE_DEFENSES, make_pipeline
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.errors import PlanError, nearest
from darkroom.guard.budget_sections import BudgetSection, RouteSection, ServedModelSection
from darkroom.guard.sections import (
    ClientSection,
    DefenseSection,
    DetectorSection,
    LimitSection,
    LogSection,
    MetricsSection,
    ModelSection,
    OpenTelemetrySection,
    OutputsSection,
    StoreSection,
    TrustSection,
    UpstreamSection,
)
from darkroom.sections import PartSection, Section, explain, read_toml

VARIABLE = "DARKROOM_GUARD__"
"""Variables of the environment that begin so stand for a policy's keys."""


class Policy(Section):
    """All of it."""

    guard: ModelSection
    upstream: UpstreamSection = UpstreamSection()
    limits: LimitSection = LimitSection()
    store: StoreSection = StoreSection()
    client: Annotated[list[ClientSection], Field(min_length=1)]
    trust: TrustSection | None = None
    budget: list[BudgetSection] = Field(default_factory=list)
    model: list[ServedModelSection] = Field(default_factory=list)
    route: list[RouteSection] = Field(default_factory=list)
    wire: list[PartSection] = Field(default_factory=list)
    defense: list[DefenseSection] = Field(default_factory=list)
    outputs: OutputsSection = OutputsSection()
    detector: DetectorSection | None = None
    log: LogSection | None = None
    metrics: MetricsSection | None = None
    opentelemetry: OpenTelemetrySection | None = None
    _folder: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what in ("name", "subject", "user"):
            _no_twins(f"client.{what}", [getattr(one, what) for one in self.client])
        _no_twins("client.key", [key.hash for one in self.client for key in one.every_key])
        _no_twins("budget.name", [one.name for one in self.budget])
        _no_twins("model.name", [one.name for one in self.model])
        _no_twins("route.name", [one.name for one in self.route])
        self._require_known()
        headers = self.trust and (self.trust.subject_header, self.trust.user_header)
        for position, what in enumerate(("subject", "user")):
            given = any(getattr(one, what) is not None for one in self.client)
            if given and not (headers and headers[position]):
                raise ValueError(f"clients with a {what} need [trust] {what}_header and proxies")
        return self

    def _require_known(self) -> None:
        """Refuses budgets and defences of what the policy does not have.

        Raises:
            ValueError: If there is one.
        """
        known = {
            "client": {one.name for one in self.client},
            "group": {name for one in self.client for name in one.groups},
            "model": {one.name for one in self.model},
            "route": {one.name for one in self.route},
        }
        for budget in self.budget:
            concerned = {
                "client": budget.clients,
                "group": budget.groups,
                "model": budget.models,
                "route": budget.routes,
            }
            for what, names in concerned.items():
                for name in names or ():
                    if name not in known[what]:
                        raise ValueError(f"budget {budget.name}: no {what} is called {name!r}")
        tighten = [] if self.detector is None else self.detector.tighten
        for defense in (*self.defense, *tighten):
            for name in defense.models or ():
                if name not in known["model"]:
                    raise ValueError(f"defence {defense.name}: no model is called {name!r}")

    @property
    def zone(self) -> ZoneInfo:
        """Whose midnight begins a day."""
        return ZoneInfo(self.guard.zone)

    @property
    def served(self) -> list[str | None]:
        """The models: ``None`` stands for the only one."""
        return [one.name for one in self.model] or [None]

    def pipelines(self) -> dict[str | None, Pipeline]:
        """Makes each model's output defences, the same objects that an audit uses.

        Raises:
            PlanError: If one does not exist, has a wrong parameter, or names what is missing.
        """
        return {model: self._pipeline(self.defense, model) for model in self.served}

    def tightened(self) -> dict[str | None, Pipeline]:
        """Makes those that are in force while the detector alarms; none where it only alerts.

        Raises:
            PlanError: As :meth:`pipelines`, or if an answer's form would tell of the alarm.
        """
        if self.detector is None or not self.detector.tighten:
            return {}
        usual = self.pipelines()
        made = {model: self._pipeline(self.detector.tighten, model) for model in usual}
        for model, tight in made.items():
            leaves = usual[model].effect.leaves
            if tight.effect.leaves != leaves:
                raise PlanError(
                    f"detector.tighten leaves {tight.effect.leaves} where the policy leaves "
                    f"{leaves}: whoever is alarmed about would see it"
                )
        return made

    def answers(self) -> str:
        """Says in one line which output defences are in force."""
        made = {model: chain.name for model, chain in self.pipelines().items()}
        if len({*made.values()}) == 1:
            return next(iter(made.values()))
        return "; ".join(f"{model}: {name}" for model, name in made.items())

    def _pipeline(self, sections: list[DefenseSection], model: str | None) -> Pipeline:
        concerned = [one for one in sections if one.concerns(model)]
        found = make_pipeline(concerned, self._folder, registry=TABLE_DEFENSES)
        made = list(found.defenses)
        if self.outputs.top_k is not None:
            made.append(TopK(self.outputs.top_k))
        if self.outputs.labels_only:
            made.append(LabelOnly())
        return Pipeline(tuple(made))

    def warnings(self) -> list[str]:
        """Says what is allowed, but hardly meant."""
        said = []
        free = [one.name for one in self.client if not self._limited(one)]
        if free and not any(one.per == "model" for one in self.budget):
            said.append(f"no budget concerns {', '.join(free)}: they may ask as often as they like")
        elif routes := self._routes_alone():
            said.append(f"all budgets concern routes ({', '.join(routes)}): other paths are free")
        if any(one.name == "openai" for one in self.wire) and any(map(self._texts, self.budget)):
            said.append("a budget counts classes, which openai has not: answers are withheld")
        bare = [model for model, chain in self.pipelines().items() if not chain.defenses]
        if bare:
            whose = f" for {', '.join(filter(None, bare))}" if any(bare) else ""
            said.append(f"no output defence{whose}: all confidences leave as they are")
        if self.guard.shadow:
            said.append("shadow = true: nothing is refused, nothing is changed")
        return said

    def _routes_alone(self) -> list[str]:
        """Names the routes without which no budget would count anything."""
        if any(one.routes is None for one in self.budget):
            return []
        return list(dict.fromkeys(name for one in self.budget for name in one.routes or ()))

    def _texts(self, budget: BudgetSection) -> bool:
        """Tells whether a budget counts classes where the format of OpenAI may answer."""
        if budget.per != "class" or budget.models is None:
            return budget.per == "class"
        paths = [path for one in self.model if one.name in budget.models for path in one.paths]
        return any("*" in path or path.endswith("/completions") for path in paths)

    def _limited(self, client: ClientSection) -> bool:
        """Tells whether a budget of clients or of groups concerns a client."""
        return any(
            client.name in one.clients
            if one.clients is not None
            else bool(set(client.groups).intersection(one.groups or client.groups))
            if one.groups is not None or one.per == "group"
            else one.per == "client"
            for one in self.budget
        )


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
        policy.pipelines()
        policy.tightened()
    except ValidationError as error:
        raise PlanError(
            f"{where}: {explain(error, Policy, secret=('client', 'upstream', 'model'))}"
        ) from error
    except PlanError as error:
        raise PlanError(f"{where}: {error}") from error
    return policy


def read_policy(path: Path) -> Policy:
    """Reads a policy; the files that it names are relative to its folder.

    Keys are taken from the environment first, as :func:`with_environment` says.

    Raises:
        PlanError: If it cannot be read, or something in it is wrong.
    """
    policy = parse_policy(with_environment(read_toml(path), os.environ), str(path), path.parent)
    moved: dict[str, Section] = {}
    for name in ("store", "log", "detector"):
        section = getattr(policy, name)
        if section is not None:
            moved[name] = section.model_copy(update={"path": path.parent / section.path})
    return policy.model_copy(update=moved)


def with_environment(table: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Puts what the environment says in the place of a policy's keys.

    ``DARKROOM_GUARD__LIMITS__AT_ONCE=128`` stands for ``at_once = 128`` in ``[limits]``. A value is
    read as TOML where it is TOML, and else taken as text. Tables of which there are several, such
    as clients and budgets, come from the file alone.

    Args:
        table: The policy's words.
        environment: Variables by name.

    Raises:
        PlanError: If a variable names no key.

    >>> with_environment({"limits": {"body": 9}}, {"DARKROOM_GUARD__LIMITS__AT_ONCE": "128"})
    {'limits': {'body': 9, 'at_once': 128}}
    """
    made = dict(table)
    for variable in sorted(name for name in environment if name.startswith(VARIABLE)):
        section, _, key = variable.removeprefix(VARIABLE).lower().partition("__")
        keys = _keys_of(section)
        if key not in keys:
            known = [f"{VARIABLE}{section}__{one}".upper() for one in keys or ("guard", "limits")]
            raise PlanError(f"environment: {variable} names no key: {nearest(variable, known)}")
        held = made.get(section)
        made[section] = {
            **(held if isinstance(held, dict) else {}),
            key: _read(environment[variable]),
        }
    return made


def _keys_of(section: str) -> list[str]:
    """Returns the keys of a table of which a policy has one; none for other tables."""
    if section not in Policy.model_fields:
        return []
    annotation = Policy.model_fields[section].annotation
    if get_origin(annotation) is list:
        return []
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return list(kind.model_fields)
    return []


def _read(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _no_twins(what: str, values: list[str | None]) -> None:
    seen = [value for value in values if value is not None]
    twins = {value for value in seen if seen.count(value) > 1}
    if twins:
        shown = "" if what == "client.key" else f": {min(twins)!r}"
        raise ValueError(f"{what} is given twice{shown}")
