"""One attack on the page: it runs in a thread of its own, and is asked what it sees."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.lab.develop.appraisal import (
    Appraiser,
    Confidences,
    Pixels,
    Verdict,
    as_pixels,
    confidences_of,
)
from darkroom.lab.develop.choices import Choice, pipeline
from darkroom.lab.develop.events import (
    Attacking,
    Ended,
    Event,
    Frame,
    Milestone,
    Preparing,
    Shown,
)
from darkroom.lab.develop.parts import Parts, assemble
from darkroom.lab.live.work import Ending, LiveWork
from darkroom.lab.studio.loading import Known
from darkroom.lab.studio.stages import Stage

if TYPE_CHECKING:
    from darkroom.images.subject import Subject
    from darkroom.lab.studio.loading import Studio

JUDGED_EVERY = 0.3
"""Seconds from one question to the judges to the next, between milestones."""

LOOKED_AT = 24
"""Pictures a person of a batch among which the best is shown, where the attack is slowed down."""

REST = 40
"""How many times as long as they took judges rest while the attack runs as fast as it can: they
share its processors."""

UNJUDGED = 5.0
"""Seconds that an attack runs as fast as it can before judges look at anything."""


class _Mark(NamedTuple):
    """A milestone as the attack's thread leaves it.

    Attributes:
        queries: Rows charged to each person.
        pixels: The best so far, ``(people, channels, height, width)``.
        confidences: What a served model says of it; one that is here is asked when it is shown.
    """

    queries: tuple[int, ...]
    pixels: Pixels
    confidences: Confidences | None = None


class LiveAttack(LiveWork[Event, Ended]):
    """An attack that somebody watches.

    Attributes:
        choice: What was asked for.
    """

    what: ClassVar[str] = "attack"

    def __init__(self, studio: Studio, choice: Choice) -> None:
        """Begins nothing yet.

        Args:
            studio: The model and the judges.
            choice: What to do.
        """
        super().__init__()
        self.choice, self._studio = choice, studio
        self._parts: Parts | None = None
        self._subject: Subject = studio.subject
        self._known: Known | None = None
        self._appraiser: Appraiser | None = None
        self._accuracy: float | None = None
        self._preparing: Stage | None = None
        self._marks: list[_Mark] = []
        self._shown_marks, self._last_frame = 0, (-1, False)
        self._verdicts: list[Verdict] | None = None
        self._judged_next, self._marks_turn = 0.0, False
        self._began: float | None = None

    def end(self, ending: Ending) -> Ended:
        """Says how long it took; see :meth:`LiveWork.end`."""
        self._studio.shown.set()
        return Ended(
            why=ending.why,
            sentence=ending.problem or "The attack is done.",
            seconds=0.0 if self._began is None else time.monotonic() - self._began,
            rows=0 if self._parts is None else self._parts.view.ledger.total,
        )

    def work(self) -> None:
        """Attacks; see :meth:`LiveWork.work`."""
        choice = self.choice
        self._studio.begun.set()
        self._known = self._studio.known(choice.prior, self._prepare)
        job = self._studio.trained(choice.training, self._prepare)
        self._accuracy = self._studio.accuracy(choice.training, job, pipeline(choice.defense))
        parts = assemble(choice, job, self._known.prior, self.gate)
        rng = np.random.default_rng([choice.seed, 1])
        self.gate.check()
        with self._studio.turn(self._prepare):
            self._preparing, self._subject, self._parts = None, job.subject, parts
            self._began = time.monotonic()
            if self._is_fast:
                self._judged_next = self._began + UNJUDGED
            for progress in parts.attack.run(parts.view, parts.prior, parts.goals, rng=rng):
                self._marks.append(self._mark(parts, progress.reconstructions))

    def _mark(self, parts: Parts, images: NDArray[np.float32]) -> _Mark:
        """Returns a milestone; a served model is asked about it here, where nothing else asks."""
        pixels, said = as_pixels(self._subject, images), None
        if self._studio.is_remote:
            said = confidences_of(self._subject, parts.goals, pixels)
        return _Mark(tuple(parts.view.ledger.alone.tolist()), pixels, said)

    def _prepare(self, stage: Stage) -> None:
        self.gate.check()
        self._preparing = stage

    def news(self) -> Sequence[Event]:
        """Returns pictures; see :meth:`LiveWork.news`."""
        if self._parts is not None:
            found = self._news(self._parts)
            if found:
                self._studio.shown.set()
            return found
        stage = self._preparing
        return [] if stage is None else [Preparing(what=stage.title, share=stage.share)]

    def _news(self, parts: Parts) -> list[Event]:
        found: list[Event] = []
        marks = self._marks[self._shown_marks :]
        judged = True
        if self._is_fast and self.ended is None and self._studio.bench is not None:
            # The rest is told when the judges have rested, or the attack is over; where it begins
            # is seen before they look.
            judged = self._marks_turn and time.monotonic() > self._judged_next
            marks = marks[: int(judged or self._appraiser is None)]
        if self._appraiser is None:
            if not marks:
                return found
            self._appraiser = Appraiser(self._subject, marks[0].pixels[0])
            found.append(
                Attacking(
                    attack=parts.attack.name,
                    expected=parts.expected,
                    accuracy=self._accuracy,
                    remarks=parts.attack.adaptation(parts.view),
                )
            )
        for mark in marks:
            people = self._shown(parts, mark.pixels, mark.confidences, judged=judged)
            found.append(Milestone(number=self._shown_marks, queries=mark.queries, people=people))
            self._shown_marks += 1
        frame = self._frame(parts)
        return found if frame is None else [*found, frame]

    def _frame(self, parts: Parts) -> Frame | None:
        """Returns what it looks at now, if that is new."""
        looked, paused = parts.lens.looked, self.gate.paused
        if looked is None or self.ended or (looked.number, paused) == self._last_frame:
            return None
        self._last_frame = (looked.number, paused)
        subject, chosen = self._subject, []
        for place, person in enumerate(parts.goals):
            rows = np.flatnonzero(looked.positions == place)[-(1 if self._is_fast else LOOKED_AT) :]
            if len(rows) == 0:  # it is done with this person
                chosen.append(self._marks[-1].pixels[place])
                continue
            images = looked.images[rows].numpy().astype(np.float32, copy=False)
            best = len(rows) - 1
            if len(rows) > 1 and not self._studio.is_remote:
                best = int(subject.target.scores(images)[:, person].argmax())
            chosen.append(as_pixels(subject, images[best : best + 1])[0])
        # Nobody asks a server for the sake of a passing picture.
        unasked = [None] * len(parts.goals) if self._studio.is_remote else None
        return Frame(
            queries=tuple(parts.view.ledger.alone.tolist()),
            people=self._shown(parts, np.stack(chosen), unasked, judged=False),
            paused=paused,
        )

    def _rest(self, seconds: float, *, judged: bool) -> None:
        """Lets the judges rest, who took so long for a milestone or for a passing picture."""
        if self._is_fast:
            self._judged_next = time.monotonic() + max(JUDGED_EVERY, REST * seconds)
        elif not judged:
            self._judged_next = time.monotonic() + JUDGED_EVERY

    @property
    def _is_fast(self) -> bool:
        """Whether the attack goes as fast as it can."""
        return self.choice.pace == "full"

    def _shown(
        self, parts: Parts, pixels: Pixels, said: Confidences | None, *, judged: bool
    ) -> tuple[Shown, ...]:
        """Returns pictures with what is said of them; judges are not asked too often.

        Between two questions a passing picture has the votes of the one before it, never those of a
        milestone, which may look otherwise.
        """
        assert self._appraiser is not None
        bench, now = self._studio.bench, time.monotonic()
        verdicts = None if judged else self._verdicts
        if bench is not None and (judged or now > self._judged_next):
            guessed = None if self._known is None else self._studio.guessed(self._known)
            verdicts = self._appraiser.judge(parts.goals, pixels, bench, guessed)
            self._rest(time.monotonic() - now, judged=judged)
            self._marks_turn = not judged  # so that what passes by is looked at too
            if not judged:
                self._verdicts = verdicts
        return self._appraiser.show(parts.goals, pixels, verdicts, said)
