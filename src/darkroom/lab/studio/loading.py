"""A plan's model, photos, priors and judges, loaded one after another beside the page."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.auditing.progress import Reporter
from darkroom.errors import DarkroomError, PlanError, one_line
from darkroom.files import claim
from darkroom.lab.live.processors import alone
from darkroom.lab.studio.stages import Loading, PageReporter, Stage

if TYPE_CHECKING:
    from darkroom.defenses.pipeline import Pipeline
    from darkroom.images.cell_plan import ImageCellPlan
    from darkroom.images.job import ImageJob
    from darkroom.images.judging import Bench
    from darkroom.images.subject import Subject
    from darkroom.lab.studio.trainings import TrainingName
    from darkroom.vision.judges.ranks import Floats
    from darkroom.vision.priors.base import ImagePrior


WAIT = 0.2
"""Seconds after which one that waits for another says so."""

AT_ONCE, AT_LAST = 1.0, 10.0
"""Seconds in which an attack must begin for judges to leave it the processors, and how long."""


@dataclass(frozen=True)
class Known:
    """A fitted prior, and what it was asked for by.

    Attributes:
        cell: An attack with it.
        prior: Itself.
    """

    cell: ImageCellPlan
    prior: ImagePrior


class Studio(Loading["ImageJob"]):
    """What attacks on the page work with.

    It is loaded once for all pages, in threads of its own: the model and the photos, then the
    judges. Priors are fitted when somebody first asks for them.

    Attributes:
        judges_stage: What is being done for the judges.
        begun: Whether anybody began an attack.
        shown: Whether a picture of one was shown, or it ended.
    """

    def __init__(self, plan: Callable[[Reporter], Path]) -> None:
        """Loads nothing yet.

        Args:
            plan: Returns the plan of an audit of images, after making what it names.
        """
        super().__init__()
        self._plan = plan
        self.judges_stage = Stage("Waiting for the model")
        self.begun, self.shown = threading.Event(), threading.Event()
        self._bench: Bench | None = None
        self._known: dict[str, Known] = {}
        self._guesses: dict[str, Floats | None] = {}
        self._trained: dict[str, ImageJob] = {}
        self._accuracies: dict[tuple[str, str], float | None] = {}
        self._fitting, self._asking = threading.Lock(), threading.Lock()

    def open(self, reporter: Reporter) -> ImageJob:
        """Loads the model and the photos; see :meth:`Loading.open`."""
        path = self._plan(reporter)
        self.tell(Stage("Loading the model"))
        from darkroom.images.job import load_job
        from darkroom.images.plan import ImagePlan
        from darkroom.kinds import read_plan

        plan = read_plan(path)
        if not isinstance(plan, ImagePlan):
            raise PlanError(f"{path}: the lab shows audits of images: give a plan with images")
        if plan.training:
            raise PlanError(f"{path}: the lab trains no models: leave out [[training]]")
        job = load_job(plan, path, reporter)
        # What is kept there must not keep a later audit of the same plan out.
        claim(plan.run_folder, "choose another [run] name or out")
        return replace(job, plan_file=path.resolve())

    def go_on(self, job: ImageJob) -> None:
        """Trains the judges; see :meth:`Loading.go_on`."""

        def tell(stage: Stage) -> None:
            self.judges_stage = stage

        self.judges_stage = Stage("Judges begin in a moment")
        # Whoever begins at once sees a picture first: judges learn on all processors.
        if self.begun.wait(AT_ONCE):
            self.judges_stage = Stage("Waiting for the first picture")
            self.shown.wait(AT_LAST)
        try:
            self._bench = job.bench(job.subject, None, PageReporter(tell))
            for known in list(self._known.values()):
                self.guessed(known)
            self.judges_stage = Stage()
        except DarkroomError as error:
            self.judges_stage = Stage(f"There are no judges: {error}")
        except Exception as error:  # the page goes on without votes, and says so
            traceback.print_exc()
            self.judges_stage = Stage(f"There are no judges: {one_line(error)}")

    @property
    def subject(self) -> Subject:
        """The target and the truth; raises as :attr:`job`."""
        return self.job.subject

    @property
    def bench(self) -> Bench | None:
        """The judges; ``None`` while they learn."""
        return self._bench

    def known(self, name: str, tell: Callable[[Stage], None]) -> Known:
        """Returns a prior, fitted by whoever asks first.

        Args:
            name: The prior's.
            tell: Told how far it is.

        Raises:
            DarkroomError: If it cannot be fitted.
        """
        from darkroom.vision.priors.build import PRIORS

        job = self.job
        with waited_for(self._fitting, "Waiting for what another attack prepares", tell):
            if name not in self._known:
                cell = replace(job.cells()[0], prior=PRIORS.make(name, {}))
                reporter = PageReporter(tell)
                with reporter.stage("Learning how faces differ") as advance:
                    self._known[name] = Known(cell, job.fit_prior(cell, job.subject, advance))
                self.guessed(self._known[name])  # begins to find out
            return self._known[name]

    def trained(self, name: TrainingName, tell: Callable[[Stage], None]) -> ImageJob:
        """Returns the audit of the same model trained with a defence, by whoever asks first.

        Args:
            name: The training defence; ``none`` for the model as it is.
            tell: Told how far it is.

        Raises:
            DarkroomError: If it cannot be trained.
        """
        if name == "none":
            return self.job
        with waited_for(self._fitting, "Waiting for what another attack prepares", tell):
            if name not in self._trained:
                from darkroom.lab.studio.trained import trained_job

                self._trained[name] = trained_job(self.job, name, PageReporter(tell))
            return self._trained[name]

    def accuracy(self, name: TrainingName, job: ImageJob, defense: Pipeline) -> float | None:
        """Returns how often a model is right about photos that it has not seen.

        Args:
            name: How it was trained.
            job: Its audit.
            defense: What changes its answers.

        Returns:
            ``None`` where there are no such photos, or a server would have to be asked.
        """
        if self.is_remote:
            return None
        key = name, defense.name
        if key not in self._accuracies:
            from darkroom.images.utility import utility

            fitted = job.subject.fitted(defense)
            self._accuracies[key] = utility(job.subject, fitted).accuracy
        return self._accuracies[key]

    @property
    def is_remote(self) -> bool:
        """Whether others serve the model, so that each question costs somebody something."""
        return self.job.subject.target.served

    @contextmanager
    def turn(self, tell: Callable[[Stage], None]) -> Iterator[None]:
        """Lets one attack at a time ask a served model, so that each row is on the right bill."""
        if not self.is_remote:
            yield
            return
        with waited_for(self._asking, "Waiting for another attack on the same server", tell):
            yield

    def guessed(self, known: Known) -> Floats | None:
        """Returns the expected log2 of each goal's rank for draws of a prior, without the model.

        It is found out beside the page when it is first asked for; ``None`` until then.
        """
        name, bench = known.cell.prior.name, self._bench
        if bench is not None and name not in self._guesses:
            self._guesses[name] = None

            def find() -> None:
                found = bench.guessed(known.cell.prior, known.prior, self.subject, known.cell.seed)
                self._guesses[name] = found.log_ranks

            threading.Thread(target=alone(find), name="guesses", daemon=True).start()
        return self._guesses.get(name)


@contextmanager
def waited_for(lock: threading.Lock, words: str, tell: Callable[[Stage], None]) -> Iterator[None]:
    """Holds a lock; who no longer wants it while waiting need not wait.

    Args:
        lock: The lock.
        words: What it waits for.
        tell: Told that it waits; may raise to give up.
    """
    while not lock.acquire(timeout=WAIT):
        tell(Stage(words))
    try:
        yield
    finally:
        lock.release()
