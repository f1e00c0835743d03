"""Maximum a posteriori with the confidence in what happened as the likelihood."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from darkroom.access import Access
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.tables.attacks.base import Posterior, Records, TableAttack, normalized
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.counts import TablePrior
from darkroom.tables.schema import Rows
from darkroom.tables.targets.view import TableView

Values = NDArray[np.float64]

LEAST = 1e-12
"""A confidence is taken to be at least this, so that what was asked is told from what was not."""

DOUBT = 1e-3
"""Confidences nearer than this to 0 or 1 say hardly more."""

STEEPEST = 4.0
RIDGE = 0.005

MOST_RECORDS = 5000
"""What a confidence says is learned from so many records at most."""


class Evidence(NamedTuple):
    """How much a confidence speaks for a candidate: a log-likelihood ratio up to a constant.

    Attributes:
        slopes: By how much it grows with each feature of a confidence, ``(features,)``.
    """

    slopes: Values

    @classmethod
    def of(cls, told: Values, asked: Values, before: Posterior) -> Evidence:
        """Finds the evidence with which candidates are as confident as the truth is told to be.

        Weighed by it, the candidates of all records have on average the features that true rows
        have (maximum entropy; Jaynes 1957). That compares candidates within each record, however
        much surer the model is of one record than of another, and needs the average over true rows
        alone. It never decreases with confidence. Records that the model has not seen cannot be
        made as confident as those that it has; there it is as steep as it may be.

        Args:
            told: Confidences of true rows, ``(rows,)``, one or more.
            asked: Of all candidates of records, ``(records, candidates)``.
            before: How probable each candidate was before, ``(records, candidates)``.
        """
        step = -(-len(asked) // MOST_RECORDS)
        features = _features(asked[::step])
        aim = _features(told).mean(axis=0)
        usual, spread = features.mean(axis=(0, 1)), features.std(axis=(0, 1))
        spread = np.where(spread > 1e-9, spread, np.inf)
        features, aim = (features - usual) / spread, (aim - usual) / spread
        prior = np.log(before[::step].clip(1e-300, None))

        def loss(slopes: Values) -> tuple[float, Values]:
            logarithms = prior + features @ slopes
            total = logsumexp(logarithms, axis=1, keepdims=True)
            found = np.einsum("nk,nkf->f", np.exp(logarithms - total), features) / len(features)
            value = total.mean() - slopes @ aim + RIDGE / 2 * slopes @ slopes
            return float(value), found - aim + RIDGE * slopes

        begin = np.zeros(len(aim))
        found = minimize(loss, begin, jac=True, bounds=[(0, STEEPEST)] * len(aim)).x
        return cls(np.asarray(found / spread))

    def weigh(self, confidences: Values) -> Values:
        """Returns the logarithms of likelihoods up to a constant, of the same shape."""
        return np.asarray(_features(confidences) @ self.slopes)


def _features(confidences: Values) -> Values:
    """Returns how far confidences are from 0 and from 1, on logarithmic scales, ``(..., 2)``."""
    return np.stack([np.log(confidences + DOUBT), -np.log(1 - confidences + DOUBT)], axis=-1)


@dataclass(frozen=True)
class ScoreMapAttack(TableAttack):
    """The most probable value, given how sure the model is of what truly happened.

    The model is asked with each candidate, and its confidence in the true response speaks for the
    candidate. How much it does follows from how sure the model is of true rows on average, which
    the attacker knows of the rows on which errors are measured, as ``map`` knows the confusion
    matrix: see :class:`Evidence`. So a model that is a little surer of the rows it has seen gives
    them away, though it never changes its prediction.

    The confidence as a likelihood is of Fredrikson, Jha & Ristenpart 2015, section 4. Differences
    from it: the likelihood is fitted where the paper takes the confidence itself, which says far
    less of a model that has learned its rows by heart; and unknown columns are averaged over.

    Attributes:
        repeats: How often the same is asked where noise is fresh, as far as the budget goes.
        draws: Values of unknown columns that are averaged over, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str] = "score-map"
    access: ClassVar[Access] = Access.SCORES
    paper: ClassVar[str] = "Fredrikson, Jha & Ristenpart 2015 (CCS), with a fitted likelihood"
    classifiers_only: ClassVar[bool] = True
    weighs_scores: ClassVar[bool] = True

    repeats: int = 16
    draws: int = 64
    memory: int = 1 << 26

    def __post_init__(self) -> None:
        """Refuses values that make no attack.

        Raises:
            PlanError: If a number is out of its range.
        """
        super().__post_init__()
        if self.repeats < 1:
            raise PlanError(f"attack {self.name}: repeats must be 1 or more")

    def asks(self, effect: Effect) -> int:
        """Returns how often the same is asked; see :meth:`TableAttack.asks`."""
        return 1 if effect.deterministic else self.repeats

    def expected_queries(self, candidates: Candidates, effect: Effect = UNCHANGED) -> int:
        """Returns the rows a record that the attack spends at most; see the base."""
        return super().expected_queries(candidates) * self.asks(effect)

    def adaptation(self, view: TableView) -> tuple[str, ...]:
        """Says what is done about noise; see :meth:`TableAttack.adaptation`."""
        if view.effect.deterministic:
            return ()
        return (
            f"Answers to the same question may differ: each is asked {self.repeats} times, as far "
            "as the budget goes, and the confidences are averaged.",
        )

    def _check_errors(self, view: TableView, errors: Errors) -> None:  # noqa: ARG002
        if errors.told is None or not len(errors.told):
            raise PlanError(f"attack {self.name}: the model shows no confidences: use map")

    def conclude(
        self,
        view: TableView,
        prior: TablePrior,
        records: Records,
        errors: Errors,
        found: Posterior,
        *,
        rng: np.random.Generator,  # noqa: ARG002 - nothing is drawn
    ) -> Posterior:
        """Weighs confidences: what they mean is known when all are there."""
        self._check_errors(view, errors)
        assert errors.told is not None
        after = self.before(view, prior, records)
        asked = found.min(axis=1) > 0
        if asked.any():
            before = after[asked]
            evidence = Evidence.of(errors.told, found[asked], before)
            with np.errstate(divide="ignore"):
                logarithms = np.log(before) + evidence.weigh(found[asked])
            after[asked] = normalized(logarithms, before)
        return after

    def _weigh(
        self,
        view: TableView,
        rows: Rows,
        goals: NDArray[np.int64],
        response: NDArray[np.float64],
        errors: Errors,  # noqa: ARG002 - what they tell is weighed when all is asked
    ) -> NDArray[np.float64]:
        sums, times = view.scores(rows, goals), 1
        with suppress(BudgetExhausted):
            while times < self.asks(view.effect):
                sums = sums + view.scores(rows, goals)
                times += 1
        confidence = sums[np.arange(len(rows)), response.astype(np.int64)] / times
        return np.asarray(np.log(confidence.clip(LEAST, None)))

    def _found(
        self,
        before: Posterior,  # noqa: ARG002 - weighed at the end
        likelihood: NDArray[np.float64],
    ) -> Posterior:
        """Returns confidences, and 0 where nothing was asked: no posterior yet."""
        return np.exp(likelihood)
