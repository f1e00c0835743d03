"""What every attack on tables is: one question a row and candidate, answered all at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.effects import UNCHANGED, Effect
from darkroom.errors import PlanError
from darkroom.ledger import BudgetExhausted
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.counts import TablePrior, Unknown
from darkroom.tables.schema import Rows
from darkroom.tables.targets.view import TableView

Posterior = NDArray[np.float64]


class Records(NamedTuple):
    """What the attacker knows of the people it is after.

    Attributes:
        known: ``(n, columns)`` as the schema encodes them; NaN in columns it does not know.
        response: What truly happened to them, encoded as the schema's response, ``(n,)``.
    """

    known: Rows
    response: NDArray[np.float64]


class TableProgress(NamedTuple):
    """What an attack has after some queries.

    Attributes:
        queries: Rows charged to each record so far, int64 ``(records,)``.
        posterior: How probable each candidate is, float64 ``(records, candidates)``; every row
            sums to one. The guess is the largest.
    """

    queries: NDArray[np.int64]
    posterior: Posterior


class Asked(NamedTuple):
    """What was asked of some records that follow each other.

    Attributes:
        start: The first record.
        found: What the answers say of each candidate, ``(records of the block, candidates)``:
            posteriors, unless an attack concludes from those of all records.
    """

    start: int
    found: Posterior


class TableAttack(ABC):
    """A guess at the sensitive columns of each record, from what the model says to each candidate.

    All records times all candidates go through the model at once, in blocks that a memory bound
    allows; the answers do not depend on the blocks. Unknown columns that are not sensitive are
    summed over by the prior. Asking looks at each record by itself, so that records can be asked
    about apart, and :meth:`conclude` looks at all.

    Attributes:
        name: The word used in plans.
        access: The least access that the attack needs.
        paper: The source, in one line.
        classifiers_only: Whether regressors are refused.
        trees_only: Whether all models but those made of decision trees are.
        weighs_scores: Whether it looks at how sure the model is of true rows.
        calibrated: Whether its posteriors are meant as probabilities, and not as an order alone.
        draws: Values of unknown columns that are summed over, at most.
        memory: Bytes that a block may take.
    """

    name: ClassVar[str]
    access: ClassVar[Access]
    paper: ClassVar[str] = ""
    classifiers_only: ClassVar[bool] = False
    trees_only: ClassVar[bool] = False
    weighs_scores: ClassVar[bool] = False
    calibrated: ClassVar[bool] = True
    draws: int = 64
    memory: int = 1 << 26

    def __post_init__(self) -> None:
        """Refuses values that make no attack.

        Raises:
            PlanError: If a number is out of its range.
        """
        if self.draws < 1 or self.memory < 1:
            raise PlanError(f"attack {self.name}: draws and memory must be 1 or more")

    def expected_queries(
        self,
        candidates: Candidates,
        effect: Effect = UNCHANGED,  # noqa: ARG002 - for those that ask again
    ) -> int:
        """Returns the rows a record that the attack spends at most.

        Args:
            candidates: The values of the sensitive columns.
            effect: What the output defences do that the attacker knows of.
        """
        return len(candidates) * (self.draws if candidates.schema.unknown else 1)

    def asks(self, effect: Effect) -> int:  # noqa: ARG002 - for those that ask again
        """Returns how often the same is asked.

        Args:
            effect: What the output defences do that the attacker knows of.
        """
        return 1

    def adaptation(self, view: TableView) -> tuple[str, ...]:  # noqa: ARG002 - for those that adapt
        """Says, in sentences, what the attack does about what the view withholds.

        Args:
            view: The target as the attacker sees it; nothing is asked of it.
        """
        return ()

    @final
    def run(
        self,
        view: TableView,
        prior: TablePrior,
        records: Records,
        errors: Errors,
        *,
        rng: np.random.Generator,
    ) -> Iterator[TableProgress]:
        """Attacks all records: first the prior's own answer, then the attack's.

        Args:
            view: The target as the attacker sees it. Its ledger counts records by their position.
            prior: What the attacker knows beforehand.
            records: What it knows of each.
            errors: How the model errs.
            rng: The only source of randomness.

        Yields:
            Progress; the last is the answer. Records for which the budget does not reach keep the
            prior's answer.

        Raises:
            PlanError: If the view allows too little, or the model is of a kind that the attack is
                not for.
        """
        self._check(view, prior, records)
        self._check_errors(view, errors)
        before = self.before(view, prior, records)
        yield TableProgress(view.ledger.spent, before)
        found = before.copy()
        # How sure the model is of true rows is for who looks at all records.
        for block in self.ask(view, prior, records, errors._replace(told=None), rng=rng):
            found[block.start : block.start + len(block.found)] = block.found
        after = self.conclude(view, prior, records, errors, found, rng=rng.spawn(1)[0])
        yield TableProgress(view.ledger.spent, after)

    def before(self, view: TableView, prior: TablePrior, records: Records) -> Posterior:
        """Returns what the attacker believes before it asks, ``(records, candidates)``."""
        parts = self._parts(view, prior, records)
        return np.concatenate([prior.probabilities(records.known[part]) for part in parts])

    def ask(
        self,
        view: TableView,
        prior: TablePrior,
        records: Records,
        errors: Errors,
        *,
        rng: np.random.Generator,
    ) -> Iterator[Asked]:
        """Asks the model about records, each by itself: how they are divided changes nothing.

        Arguments and errors are those of :meth:`run`, but that nothing is told of how sure the
        model is of true rows.

        Yields:
            What is found of blocks that fit into memory, in order.
        """
        self._check(view, prior, records)
        seed = int(rng.integers(2**62))
        for part in self._parts(view, prior, records):
            # The same draws in every block: answers must not hang on how records are divided.
            drawn = prior.unknown(records.known[part], self.draws, np.random.default_rng(seed))
            yield Asked(part.start, self._block(view, prior, records, errors, part, drawn))

    def conclude(
        self,
        view: TableView,  # noqa: ARG002 - for those that look at all records
        prior: TablePrior,  # noqa: ARG002
        records: Records,  # noqa: ARG002
        errors: Errors,  # noqa: ARG002
        found: Posterior,
        *,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> Posterior:
        """Returns the posteriors of all records.

        Args:
            view: The target as the attacker sees it; nothing is asked of it any more.
            prior: What the attacker knows beforehand.
            records: All of them.
            errors: How the model errs.
            found: What :meth:`ask` found of each, ``(records, candidates)``.
            rng: The only source of randomness.

        Returns:
            ``(records, candidates)``; every row sums to one.
        """
        return found

    def _check_errors(self, view: TableView, errors: Errors) -> None:  # noqa: B027 - most take any
        """Refuses errors of which too little is known, before anything is asked."""

    def _check(self, view: TableView, prior: TablePrior, records: Records) -> None:
        if not view.access.includes(self.access):
            raise PlanError(
                f"attack {self.name} needs {self.access} but the view allows {view.access}: "
                "choose another attack or access"
            )
        if prior.candidates.schema != view.schema:
            raise PlanError(f"prior {prior.name} is of another table than the target's")
        if not len(records.known):
            raise PlanError(f"attack {self.name}: no records: give at least one record")
        if records.known.shape != (len(records.response), len(view.schema.columns)):
            raise PlanError(
                f"records of shape {list(records.known.shape)}: the target takes "
                f"{len(view.schema.columns)} columns, with a response for each row"
            )
        if self.classifiers_only and view.classes is None:
            raise PlanError(
                f"attack {self.name} is for classifiers, and the response "
                f"{view.schema.response.name!r} is numeric: use map"
            )

    def _parts(self, view: TableView, prior: TablePrior, records: Records) -> Iterator[slice]:
        """Yields blocks of records that fit into memory with all their candidates."""
        columns = len(view.schema.columns)
        # A row is there as numbers, as a table, as the model's own copies, and as scores.
        row = 8 * (8 * columns + 6 * (view.classes or 1) + 16)
        step = max(1, self.memory // (row * len(prior.candidates)))
        for start in range(0, len(records.known), step):
            yield slice(start, min(start + step, len(records.known)))

    def _block(
        self,
        view: TableView,
        prior: TablePrior,
        records: Records,
        errors: Errors,
        part: slice,
        unknown: Unknown,
    ) -> Posterior:
        """Returns what is found of one block, ``(records, candidates)``."""
        known, response = records.known[part], records.response[part]
        before = prior.probabilities(known)
        places = np.arange(part.start, part.stop)
        total = np.full(before.shape, -np.inf)
        for values, weights in zip(unknown.values, unknown.weights, strict=True):
            filled = known.copy()
            filled[:, unknown.positions] = values
            rows = prior.candidates.fill(filled)
            goals = np.repeat(places, len(prior.candidates))
            try:
                weighed = self._weigh(
                    view, rows, goals, np.repeat(response, len(prior.candidates)), errors
                )
            except BudgetExhausted:
                break
            with np.errstate(divide="ignore"):
                term = weighed.reshape(before.shape) + np.log(weights)[:, None]
            total = np.logaddexp(total, term)
        return self._found(before, total)

    @abstractmethod
    def _weigh(
        self,
        view: TableView,
        rows: Rows,
        goals: NDArray[np.int64],
        response: NDArray[np.float64],
        errors: Errors,
    ) -> NDArray[np.float64]:
        """Asks the model and returns the logarithm of each row's likelihood.

        Args:
            view: The target.
            rows: All candidates of all records of a block, ``(n, columns)``.
            goals: The record that each row is of, ``(n,)``.
            response: The true response of each row's record, ``(n,)``.
            errors: How the model errs.

        Returns:
            ``(n,)``, up to a constant for each record.
        """

    def _found(self, before: Posterior, likelihood: NDArray[np.float64]) -> Posterior:
        """Joins the prior ``(n, candidates)`` with the logarithms of likelihoods."""
        with np.errstate(divide="ignore"):
            logarithms = np.log(before) + likelihood
        return normalized(logarithms, before)


def normalized(logarithms: NDArray[np.float64], fallback: Posterior) -> Posterior:
    """Turns logarithms into probabilities; rows in which nothing is possible get the fallback.

    Args:
        logarithms: ``(n, candidates)``.
        fallback: ``(n, candidates)``.
    """
    top = logarithms.max(axis=1, keepdims=True)
    possible = np.isfinite(top)
    weights = np.exp(logarithms - np.where(possible, top, 0.0))
    total = weights.sum(axis=1, keepdims=True)
    return np.where(possible, weights / np.where(possible, total, 1.0), fallback)
