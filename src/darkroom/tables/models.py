"""How an audit trains models of tables, and what that guarantees of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from darkroom.auditing.record import Bound, Chance, Privacy
from darkroom.errors import MissingExtraError, PlanError, TargetError, one_line
from darkroom.imports import load_skops
from darkroom.statistics.reconstruction_bound import Mechanism, reconstruction_bound
from darkroom.tables.record import TableCell
from darkroom.tables.subject import TableSubject
from darkroom.tables.targets.sklearn import SklearnTableTarget, UntrainedTableTarget
from darkroom.tables.training.base import UndefendedTable
from darkroom.tables.training.columns import PublicTable
from darkroom.tables.training.course import TableCourse
from darkroom.training.defense import Advance, Trained, TrainingDefense
from darkroom.training.models import Trainer


@dataclass(frozen=True)
class TableTrainer(Trainer[TableSubject, Any, TableCell]):
    """Fits an estimator on the private rows that ``trained_on`` selects.

    Attributes:
        subject: The estimator, an ``UntrainedTableTarget``, and all rows.
        seed: The run's: of estimators without a seed of their own, and of noise.
        trusted: Types in the estimator that skops does not know to be safe.
    """

    control: ClassVar[TrainingDefense[Any, Any]] = UndefendedTable()
    suffix: ClassVar[str] = "skops"

    subject: TableSubject
    seed: int
    trusted: tuple[str, ...] = ()

    def words(self) -> list[Any]:
        """Returns nothing more; see :meth:`Trainer.words`."""
        return []

    def course(self, advance: Advance) -> TableCourse:
        """Returns estimator and rows; see :meth:`Trainer.course`."""
        data, schema = self.subject.data, self._target.schema
        return TableCourse(
            model=self._target.estimator,
            inputs=schema.decode(data.members.rows),
            response=schema.response.decode(data.members.response),
            public=PublicTable(
                schema.names,
                tuple(column.values for column in schema.columns),
                schema.response.values,
                data.public.rows,
                data.public.response,
            ),
            seed=self.seed,
            advance=advance,
        )

    def train(self, defense: TrainingDefense[Any, Any], advance: Advance) -> Trained[Any]:
        """Fits with a defence; see :meth:`Trainer.train`.

        Raises:
            TargetError: If the estimator does not take the rows.
        """
        try:
            return super().train(defense, advance)
        except (ValueError, TypeError) as error:
            raise TargetError(
                f"target {self._target.name} cannot be trained ({one_line(error)}): check what "
                "[target] load returns"
            ) from error

    def dump(self, model: Any) -> bytes:
        """Returns the estimator as skops, which runs no code when it is read.

        Raises:
            MissingExtraError: If skops is not installed.
            PlanError: If the estimator has parts that skops does not know to be safe.
        """
        io = _skops()
        content: bytes = io.dumps(model)
        found = io.get_untrusted_types(data=content)
        unknown = sorted(set(found) - set(self._known(found)))
        if unknown:
            names = ", ".join(f'"{name}"' for name in unknown)
            raise PlanError(
                f"target {self._target.name} has parts that are not known to be safe to read "
                f"again: if you trust them, set [target] trusted = [{names}]"
            )
        return content

    def load(self, defense: TrainingDefense[Any, Any], file: Path) -> TableSubject:  # noqa: ARG002
        """Reads the estimator; see :meth:`Trainer.load`."""
        estimator = load_skops(file, self._known(_skops().get_untrusted_types(file=file)))
        target = SklearnTableTarget(estimator, self._target.schema, name=self._target.name)
        return replace(self.subject, target=target)

    def bound(self, privacy: Privacy, cell: TableCell) -> Bound | None:
        """Bounds how often any attack is right about a member; see :meth:`Trainer.bound`.

        The model without the row is one that was trained on other rows, so the chance without is
        how often the attack is right about others.
        """
        others = cell.details.others
        if others is None:
            return None
        baseline = others.success.attack.estimate
        if privacy.delta == 0:
            grown = math.exp(privacy.epsilon)
            row = min(1.0, grown * baseline, 1 - (1 - baseline) / grown)
        elif 0 < baseline < 1:
            noise = Mechanism(privacy.noise_multiplier, privacy.sample_rate, privacy.steps)
            row = reconstruction_bound(baseline, noise)
        else:
            row = 1.0
        chance = Chance(about="row", examples=1, most=row)
        return Bound(baseline=baseline, chances=(chance,), exceeded=cell.success.low > row)

    @property
    def _target(self) -> UntrainedTableTarget:
        target = self.subject.target
        assert isinstance(target, UntrainedTableTarget), "the plan has checked this"
        return target

    def _known(self, types: Sequence[str]) -> list[str]:
        """Returns the types that are scikit-learn's, our own, or trusted by the plan."""
        own = ("sklearn.", "darkroom.tables.training.estimators.")
        return [name for name in types if name.startswith(own) or name in self.trusted]


def _skops() -> Any:
    try:
        from skops import io
    except ImportError as error:
        raise MissingExtraError("skops", "vision") from error
    return io
