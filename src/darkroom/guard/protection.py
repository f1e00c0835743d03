"""What a policy protects, and what a policy that takes its place would take away.

A file that was cut off while it was written, or that lost a table, is often still valid TOML. So a
policy that protects less than the one before it is refused, unless it says by name what it gives
up. A number that the new policy writes out counts as said.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from darkroom.errors import PlanError
from darkroom.guard.budget_sections import BudgetSection, spans
from darkroom.guard.policy import Policy
from darkroom.guard.sections import DefenseSection
from darkroom.sections import PartSection

KEPT_BACK = frozenset(
    [
        *("classes", "row_shape", "output", "signature", "top_k", "top_logprobs", "defenses"),
        *("limits", "completions", "numbers", "context", "person"),
    ]
)
"""Keys of wire formats without which more may be asked for, or leaves."""


class Protection(BaseModel):
    """What a policy protects.

    Attributes:
        shadow: Whether nothing is refused and changed.
        clients: Who may ask.
        budgets: As the policy has them.
        defenses: For each output defence in order, its name and its keys.
        top_k: The most classes told of a row.
        labels_only: Whether labels alone leave.
        detector: Whether traffic is watched.
        tightened: Whether an alarm tightens outputs.
        wires: For each format, what it is called and its keys that keep something back.
        groups: Of each client, where there are any.
        models: Those of several, under whose names rows and classes are counted.
        routes: The paths of each route that a budget concerns.
        served: Of each of several models, its paths, and what requests call it.
        own: Of models with a defence that others have not, all of theirs, as in ``defenses``, which
            has those of all models.
    """

    model_config = ConfigDict(frozen=True)

    shadow: bool
    clients: list[str]
    budgets: list[BudgetSection]
    defenses: list[tuple[str, list[str]]]
    top_k: int | None
    labels_only: bool
    detector: bool
    tightened: bool
    wires: list[tuple[str, list[str]]]
    groups: dict[str, list[str]] = Field(default_factory=dict)
    models: list[str] = Field(default_factory=list)
    routes: dict[str, list[str]] = Field(default_factory=dict)
    served: list[tuple[str, list[str], list[str]]] = Field(default_factory=list)
    own: dict[str, list[tuple[str, list[str]]]] = Field(default_factory=dict)

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Returns what a policy protects."""
        return cls(
            shadow=policy.guard.shadow,
            clients=[one.name for one in policy.client],
            budgets=policy.budget,
            defenses=[_defense(one) for one in policy.defense if one.models is None],
            own={
                one.name: [_defense(each) for each in policy.defense if each.concerns(one.name)]
                for one in policy.model
                if any(each.models and one.name in each.models for each in policy.defense)
            },
            top_k=policy.outputs.top_k,
            labels_only=policy.outputs.labels_only,
            detector=policy.detector is not None,
            tightened=policy.detector is not None and bool(policy.detector.tighten),
            wires=[
                (_called(one), sorted(KEPT_BACK & one.parameters.keys())) for one in policy.wire
            ],
            groups={one.name: one.groups for one in policy.client if one.groups},
            models=[one.name for one in policy.model],
            routes={one.name: one.paths for one in policy.route},
            served=[(one.name, one.paths, one.names) for one in policy.model],
        )

    @property
    def text(self) -> str:
        """It in JSON, with what the policy says and no more."""
        return self.model_dump_json(exclude_unset=True)

    def lost_in(self, new: Protection) -> list[str]:
        """Names what a policy in this one's place would not protect any more.

        Args:
            new: What that policy protects.
        """
        lost = ["shadow"] if new.shadow and not self.shadow else []
        lost += [f"budget {one.name}" for one in self.budgets if not self._covered(one, new)]
        lost += [f"model {name}" for name in self.models if name not in new.models]
        lost += [f"model {name}.paths" for name in self._moved(new)]
        lost += [f"route {name}.paths" for name in self._narrowed(new)]
        lost += self._undefended(new)
        if self.labels_only and not new.labels_only:
            lost.append("outputs.labels_only")
        if self.top_k is not None and new.top_k is None and not new.labels_only:
            lost.append("outputs.top_k")
        if self.detector and not new.detector:
            lost.append("detector")
        elif self.tightened and not new.tightened:
            lost.append("detector.tighten")
        for name in dict.fromkeys(name for name, _ in self.wires):
            old, same = _keys_of(self, name), _keys_of(new, name)
            # Of formats with one name, each that lacks a key answers without it.
            lost += [
                f"wire {name}.{key}"
                for key in dict.fromkeys(key for keys in old for key in keys)
                if sum(key not in keys for keys in same) > sum(key not in keys for keys in old)
            ]
        return lost

    def _undefended(self, new: Protection) -> list[str]:
        """Names defences that a model has no more."""
        lost = {
            model: _fewer(self.own.get(model, self.defenses), new.own.get(model, new.defenses))
            for model in new.models or self.models or [""]
        }
        first, *others = lost.values()
        common = [one for one in first if all(one in each for each in others)]
        return [f"defense {one}" for one in common] + [
            f"model {model}.defense {one}"
            for model, each in lost.items()
            for one in each
            if one not in common
        ]

    def _narrowed(self, new: Protection) -> list[str]:
        """Names routes that budgets still concern, and that have lost a path."""
        counted = {name for one in new.budgets for name in one.routes or ()}
        return [
            name
            for name, paths in self.routes.items()
            if name in counted
            and not all(
                any(spans(wide, path) for wide in new.routes.get(name, ())) for path in paths
            )
        ]

    def _moved(self, new: Protection) -> list[str]:
        """Names models some of whose requests another model would have."""
        return [
            name
            for name, paths, names in self.served
            if name in new.models
            and any(
                new._before(name, path, called) - self._before(name, path, called)
                for path in paths
                for called in (*names,) or (None,)
            )
        ]

    def _before(self, model: str, path: str, called: str | None) -> set[str]:
        """Returns the models that have some requests of a path before one model has them all.

        Args:
            model: The one.
            path: In which ``*`` stands for any characters.
            called: What they call their model; ``None`` for whatever they may.
        """
        found: set[str] = set()
        for name, paths, names in self.served:
            said = not names or called in names
            if name == model:
                if said and any(spans(one, path) for one in paths):
                    break
            elif (said or called is None) and any(
                spans(one, path) or spans(path, one) for one in paths
            ):
                found.add(name)
        return found

    def _covered(self, old: BudgetSection, new: Protection) -> bool:
        """Tells whether a budget is still held, or its numbers were changed on purpose."""
        holding = [one for one in new.budgets if _holds(one, old)]
        if old.per == "class" and not self.models and new.models:
            return False  # whose classes are counted apart from now on, and begin at none
        if old.per in ("class", "model", "person"):
            return bool(holding)
        held = {pair for pair in self._held(old) if pair[0] in new.clients}
        return not held or any(held <= new._held(one) for one in holding)

    def _held(self, budget: BudgetSection) -> set[tuple[str, str]]:
        """Returns the clients that a budget concerns, each with the group that it counts them in.

        The group is empty where each client is counted by itself.
        """
        if budget.clients is not None:
            return {(client, "") for client in budget.clients}
        if budget.groups is None and budget.per == "client":
            return {(client, "") for client in self.clients}
        return {
            (client, group if budget.per == "group" else "")
            for client, groups in self.groups.items()
            for group in groups
            if budget.groups is None or group in budget.groups
        }


def require_no_less(old: Protection, new: Protection, gives_up: Iterable[str]) -> None:
    """Refuses a policy that protects less than the one before, and does not say so.

    Args:
        old: What is protected now.
        new: What would be.
        gives_up: What the new policy names.

    Raises:
        PlanError: If something is lost that it does not name.
    """
    lost = [one for one in old.lost_in(new) if one not in set(gives_up)]
    if lost:
        named = ", ".join(f'"{one}"' for one in lost)
        raise PlanError(
            f"it would protect less than the policy before: it has no more {', '.join(lost)}; "
            f"if that is meant, write [guard] gives_up = [{named}]"
        )


def announcement(policy: Policy) -> str:
    """Says in one line what is protected from now on, in which process."""
    budgets = [f"{one.name} {one.rule}" for one in policy.budget]
    watched = "watched by a detector" if policy.detector is not None else "no detector"
    return (
        f"{policy.guard.model}: in force in process {os.getpid()}: {len(policy.client)} client(s); "
        f"budgets: {'; '.join(budgets) or 'NONE'}; answers: {policy.answers()}; {watched}"
        f"{'; SHADOW: nothing is refused or changed' if policy.guard.shadow else ''}"
    )


def _called(part: PartSection) -> str:
    """Returns what tells a part from others of its kind."""
    name = part.name or part.load or type(part.part).__name__
    route = part.parameters.get("route")
    return f"{name} {route}" if route is not None else name


def _defense(section: DefenseSection) -> tuple[str, list[str]]:
    return _called(section), sorted(section.parameters)


def _keys_of(protection: Protection, name: str) -> list[list[str]]:
    """Returns the keys of each format with a name."""
    return [keys for called, keys in protection.wires if called == name]


def _fewer(old: list[tuple[str, list[str]]], new: list[tuple[str, list[str]]]) -> list[str]:
    """Names parts that are there no more, and keys that they have no more."""
    lost: list[str] = []
    left = list(new)
    for name, keys in old:
        same = next((one for one in left if one[0] == name), None)
        if same is None:
            lost.append(name)
            continue
        left.remove(same)
        lost += [f"{name}.{key}" for key in keys if key not in same[1]]
    return lost


def _holds(new: BudgetSection, old: BudgetSection) -> bool:
    """Tells whether a budget counts what another does, and is no looser unless it says so."""
    if (new.per, new.unit) != (old.per, old.unit):
        return False
    if not (_within(old.models, new.models) and _within(old.routes, new.routes)):
        return False
    looser = new.span.seconds < old.span.seconds
    if new.name != old.name:
        return new.limit <= old.limit and not looser
    return not looser or "window" in new.model_fields_set


def _within(old: list[str] | None, new: list[str] | None) -> bool:
    return new is None or (old is not None and set(old) <= set(new))
