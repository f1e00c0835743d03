"""One cell of a run on tables: an attack with a prior on members and on others, judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.auditing.naming import cell_key, cell_title
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.values import ValueNoise
from darkroom.ledger import Limit, QueryLedger
from darkroom.named import parameters_of
from darkroom.statistics.intervals import clopper_pearson
from darkroom.tables.attacks.base import Errors, TableAttack
from darkroom.tables.judging import TableBench, difference, judge_part, worst_off
from darkroom.tables.priors.build import TablePriorConfiguration
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.schema import Rows
from darkroom.tables.subject import TableSubject, Who
from darkroom.tables.targets.base import Predictions, TableTarget
from darkroom.tables.targets.view import TableView

Posterior = NDArray[np.float64]


@dataclass(frozen=True)
class TableCellPlan:
    """What decides a cell's result, beside the subject.

    Attributes:
        attack: The attack with its parameters.
        access: What a query returns to it.
        defense: The output defences that the answers pass.
        prior_name: The prior's name.
        prior: Its parameters.
        budget: Rows a record, or ``None``.
        seed: The run's seed.
        naive: Whether the attacker is not told of the defences.
    """

    attack: TableAttack
    access: Access
    defense: Pipeline
    prior_name: str
    prior: TablePriorConfiguration
    budget: int | None
    seed: int
    naive: bool = False

    @property
    def title(self) -> str:
        """What a progress bar calls it."""
        return cell_title(self.attack.name, self.prior_name, self.defense, naive=self.naive)

    def expected_queries(self, subject: TableSubject) -> int:
        """Returns the rows a record that the attack spends at most."""
        told = Pipeline() if self.naive else self.defense
        return self.attack.expected_queries(subject.candidates, told)

    def key(self, subject_digest: str, version: str) -> str:
        """Returns a hash of everything that decides the cell's result.

        Args:
            subject_digest: Of the target and all rows.
            version: Darkroom's, since another one may attack or judge otherwise.
        """
        # How much memory a block may take changes no answer.
        parameters = {
            name: value for name, value in parameters_of(self.attack).items() if name != "memory"
        }
        decisive = {
            "version": version,
            "subject": subject_digest,
            "attack": [self.attack.name, parameters],
            "access": self.access,
            "defense": [[one.name, one.decisive()] for one in self.defense.defenses],
            "prior": [self.prior_name, self.prior.model_dump(mode="json")],
            "budget": self.budget,
            "seed": self.seed,
            **({"naive": True} if self.naive else {}),
        }
        return cell_key(decisive)


class _Found(NamedTuple):
    """What the attack got of some rows: before it asked, in the end, and how much it asked."""

    before: Posterior
    after: Posterior
    queries: NDArray[np.int64]


def run_table_cell(
    key: str,
    plan: TableCellPlan,
    subject: TableSubject,
    prior: TablePrior,
    bench: TableBench,
    advance: Callable[[int, int], None],
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Attacks members and others, and judges what comes out.

    Args:
        key: The cell's.
        plan: What to run.
        subject: The target and the truth.
        prior: The fitted prior.
        bench: The baselines.
        advance: Told how many of the expected queries are spent.

    Returns:
        The cell as ``results.json`` has it, and the arrays for ``reconstructions.npz``.
    """
    began = time.monotonic()
    errors = subject.errors()
    found = {
        who: _attack(plan, subject, prior, errors, who, advance) for who in ("members", "others")
    }
    seconds = time.monotonic() - began
    members = judge_part(subject, bench, "members", found["members"].after, found["members"].before)
    others = judge_part(subject, bench, "others", found["others"].after, found["others"].before)
    assert members is not None
    asked = int(np.median(found["members"].queries))
    success = members["success"]["attack"]
    cell = {
        "key": key,
        "modality": "table",
        "target": subject.target.name,
        "defense": plan.defense.name,
        "attack": plan.attack.name,
        "attacker": "naive" if plan.naive else "adaptive",
        "access": str(plan.access),
        "prior": plan.prior_name,
        "goals": members["n"],
        "queries": {
            "per_goal_median": asked,
            "total": int(sum(one.queries.sum() for one in found.values())),
        },
        "success": success,
        "baseline": members["success"]["imputation"],
        "advantage": members["advantage"],
        "curve": [{"queries": asked, "success": success["estimate"]}] if asked else [],
        "confidence": {"median": None, "reached": None},
        "judges": {
            "accuracy": None,
            "false_positive_noise": None,
            "false_positive_adversarial": None,
            "false_positive_others": None,
        },
        "utility": _utility(subject, plan.defense),
        "seconds": seconds,
        "details": {
            **_details(plan, subject, bench, members, others),
            "difference": difference(members, others),
            "worst_off": worst_off(members),
        },
    }
    arrays: dict[str, NDArray[Any]] = {}
    for who, one in found.items():
        part = subject.part("members" if who == "members" else "others")
        arrays[f"{who}_rows"] = part.numbers
        arrays[f"{who}_posterior"] = one.after
        arrays[f"{who}_truth"] = subject.truth("members" if who == "members" else "others")
    return cell, arrays


def _attack(
    plan: TableCellPlan,
    subject: TableSubject,
    prior: TablePrior,
    errors: Errors,
    who: Who,
    advance: Callable[[int, int], None],
) -> _Found:
    records = subject.records(who)
    if subject.knows == "prediction" and plan.defense.defenses:
        # What the attacker knows of each record left the model behind the same defences.
        said = _defended(subject.target, subject.part(who).rows, plan.defense)
        records = records._replace(response=said)
        errors = errors if plan.naive else _noisier(errors, plan.defense)
    if not len(records.known):
        nothing = np.empty((0, len(subject.candidates)))
        return _Found(nothing, nothing, np.empty(0, np.int64))
    expected = plan.expected_queries(subject) * len(records.known)
    ledger = QueryLedger(
        len(records.known), Limit(per_goal=plan.budget), lambda spent: advance(spent, expected)
    )
    view = TableView(
        subject.target,
        plan.access,
        ledger,
        defense=plan.defense,
        noise=np.random.default_rng([plan.seed, 6]),
        told=not plan.naive,
    )
    rng = np.random.default_rng([plan.seed, 1])
    first, last = plan.attack.run(view, prior, records, errors, rng=rng)
    return _Found(first.posterior, last.posterior, last.queries)


def _utility(subject: TableSubject, defense: Pipeline) -> dict[str, Any]:
    """Returns what the model is worth behind a defence on rows that it was not trained on."""
    others, target = subject.data.others, subject.target
    if not len(others.rows):
        return {}
    plain = target.predict(others.rows)
    predictions = plain
    if defense.defenses:
        predictions = _defended(target, others.rows, defense)
    if target.classes is None:
        return {"mean_absolute_error": float(np.abs(predictions - others.response).mean())}
    right = int((predictions == others.response).sum())
    found = {"accuracy": clopper_pearson(right, len(predictions)).estimate}
    if defense.defenses:
        found["label_changes"] = float((predictions != plain).mean())
    return found


def _defended(target: TableTarget, rows: Rows, defense: Pipeline) -> Predictions:
    """Returns what the model says of rows behind defences, once."""
    view = TableView(target, Access.LABEL, QueryLedger(1), defense=defense)
    return view.predict(rows, np.zeros(len(rows), np.int64))


def _noisier(errors: Errors, defense: Pipeline) -> Errors:
    """Returns errors with the noise on what the attacker knows of a record."""
    for one in defense.defenses:
        if isinstance(one, ValueNoise):
            errors = errors.noisier(one.deviation)
    return errors


def _details(
    plan: TableCellPlan,
    subject: TableSubject,
    bench: TableBench,
    members: dict[str, Any],
    others: dict[str, Any] | None,
) -> dict[str, Any]:
    """Returns what the report shows beside the rates."""
    schema = subject.data.schema
    return {
        "threat_model": _threat_model(plan, subject),
        "attack": {
            "name": plan.attack.name,
            "parameters": parameters_of(plan.attack),
            "paper": plan.attack.paper,
        },
        "prior": {"name": plan.prior_name, "parameters": plan.prior.model_dump(mode="json")},
        "imputer": bench.imputer,
        "sensitive": list(schema.sensitive),
        "values": list(subject.candidates.labels) if subject.tolerance is None else [],
        "positive": subject.candidates.labels[subject.positive],
        "members": members,
        "others": others,
    }


_MEANS = {
    Access.WEIGHTS: "holds the model itself, its structure and its weights, and asks it",
    Access.SCORES: "sees every confidence that the model gives, and asks it",
    Access.TOP_K: "sees the model's highest confidences, and asks it",
    Access.LABEL: "sees nothing but what the model predicts, and asks it",
}


def _threat_model(plan: TableCellPlan, subject: TableSubject) -> list[str]:
    """Says in sentences what the attacker has."""
    schema, data = subject.data.schema, subject.data
    hidden = ", ".join((*schema.sensitive, *schema.unknown))
    most = plan.expected_queries(subject)
    budget = most if plan.budget is None else min(most, plan.budget)
    known = (
        f"what truly became of it ({schema.response.name})"
        if subject.knows == "response"
        else f"what the model says of it ({schema.response.name})"
    )
    knows = "is not told of, taking answers for the model's own" if plan.naive else "knows"
    behind = [f"Answers pass the defence {plan.defense.name}, which the attacker {knows}."]
    return [
        f"The attacker {_MEANS[plan.access]} at most {budget} times a record.",
        f"The attacker knows of each record every column but {hidden}, and {known}.",
        f"The attacker has {len(data.public.rows):,} other records with every column, knows the "
        f"prior made from them ({plan.prior_name}), and how often the model errs on "
        f"{'the rows it was trained on' if subject.errors_on == 'members' else 'other rows'}.",
        *(behind if plan.defense.defenses else []),
    ]
