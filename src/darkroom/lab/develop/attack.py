"""One attack on the page: it runs in a thread of its own, and is asked what it sees."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from darkroom.errors import DarkroomError, one_line
from darkroom.lab.develop.appraisal import Appraiser, Pixels, Verdict, as_pixels
from darkroom.lab.develop.choices import Choice
from darkroom.lab.develop.events import (
    Attacking,
    Ended,
    Event,
    Frame,
    Milestone,
    Preparing,
    Shown,
)
from darkroom.lab.develop.gate import Stopped
from darkroom.lab.develop.parts import Parts, assemble
from darkroom.lab.studio.loading import Known
from darkroom.lab.studio.stages import Stage

if TYPE_CHECKING:
    from darkroom.lab.studio.loading import Studio

JUDGED_EVERY = 0.3
"""Seconds from one question to the judges to the next, between milestones."""

LOOKED_AT = 24
"""Pictures a person of a batch among which the best is shown."""


class _Mark(NamedTuple):
    """A milestone as the attack's thread leaves it.

    Attributes:
        queries: Rows charged to each person.
        pixels: The best so far, ``(people, channels, height, width)``.
    """

    queries: tuple[int, ...]
    pixels: Pixels


class LiveAttack:
    """An attack that somebody watches.

    Attributes:
        choice: What was asked for.
        ended: How it ended; ``None`` while it runs.
    """

    def __init__(self, studio: Studio, choice: Choice) -> None:
        """Begins nothing yet.

        Args:
            studio: The model and the judges.
            choice: What to do.
        """
        self.choice, self._studio = choice, studio
        self.ended: Ended | None = None
        self._parts: Parts | None = None
        self._known: Known | None = None
        self._appraiser: Appraiser | None = None
        self._told_end = self._stopped = False
        self._preparing: Stage | None = None
        self._marks: list[_Mark] = []
        self._shown_marks, self._last_frame = 0, (-1, False)
        self._verdicts: list[Verdict] | None = None
        self._judged_at = -1.0
        self._began: float | None = None
        self._thread = threading.Thread(target=self._work, name="attack", daemon=True)

    def begin(self) -> None:
        """Starts the attack's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it at its next batch of queries; may be called at any time, from any thread."""
        self._stopped = True
        if self._parts is not None:
            self._parts.gate.stop()

    def join(self, seconds: float) -> bool:
        """Waits for the thread to end; tells whether it did."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def pause(self) -> None:
        """Lets it wait before its next batch of queries."""
        if self._parts is not None:
            self._parts.gate.pause()

    def resume(self) -> None:
        """Lets it go on."""
        if self._parts is not None:
            self._parts.gate.resume()

    def step(self) -> None:
        """Lets it ask one batch of queries."""
        if self._parts is not None:
            self._parts.gate.step()

    def _work(self) -> None:
        try:
            self._attack()
            why, sentence = "done", "The attack is done."
        except Stopped:
            why, sentence = "stopped", "The attack was stopped."
        except DarkroomError as error:
            why, sentence = "mistake", str(error)
        except Exception as error:  # the page must say that nothing comes any more
            traceback.print_exc()
            why, sentence = "fault", f"A fault of Darkroom's own: {one_line(error)}"
        seconds = 0.0 if self._began is None else time.monotonic() - self._began
        rows = 0 if self._parts is None else self._parts.view.ledger.total
        told = {"why": why, "sentence": sentence, "seconds": seconds, "rows": rows}
        self.ended = Ended.model_validate(told)

    def _attack(self) -> None:
        self._known = self._studio.known(self.choice.prior, self._prepare)
        job = self._studio.job
        parts = assemble(self.choice, job, self._known.prior)
        rng = np.random.default_rng([self.choice.seed, 1])
        self._preparing, self._parts = None, parts
        if self._stopped:
            raise Stopped
        self._began = time.monotonic()
        for progress in parts.attack.run(parts.view, parts.prior, parts.goals, rng=rng):
            pixels = as_pixels(job.subject, progress.reconstructions)
            self._marks.append(_Mark(tuple(parts.view.ledger.alone.tolist()), pixels))

    def _prepare(self, stage: Stage) -> None:
        if self._stopped:
            raise Stopped
        self._preparing = stage

    def events(self) -> Sequence[Event]:
        """Returns what is new since the last call; the last of all is :class:`Ended`.

        One thread at a time may call it, and it is not the attack's.
        """
        # Whatever was left before it ended is told before.
        ended = self.ended
        found: list[Event] = []
        if self._parts is None:
            if (stage := self._preparing) is not None:
                found.append(Preparing(what=stage.title, share=stage.share))
        else:
            found += self._news(self._parts)
        if ended is not None and not self._told_end:
            self._told_end = True
            found.append(ended)
        return found

    def _news(self, parts: Parts) -> list[Event]:
        found: list[Event] = []
        marks = self._marks[self._shown_marks :]
        if self._appraiser is None:
            if not marks:
                return found
            self._appraiser = Appraiser(self._studio.subject, marks[0].pixels[0])
            found.append(
                Attacking(
                    attack=parts.attack.name,
                    expected=parts.expected,
                    remarks=parts.attack.adaptation(parts.view),
                )
            )
        for mark in marks:
            people = self._shown(parts, mark.pixels, judged=True)
            found.append(Milestone(number=self._shown_marks, queries=mark.queries, people=people))
            self._shown_marks += 1
        frame = self._frame(parts)
        return found if frame is None else [*found, frame]

    def _frame(self, parts: Parts) -> Frame | None:
        """Returns what it looks at now, if that is new."""
        looked, paused = parts.lens.looked, parts.gate.paused
        if looked is None or self.ended or (looked.number, paused) == self._last_frame:
            return None
        self._last_frame = (looked.number, paused)
        subject, chosen = self._studio.subject, []
        for place, person in enumerate(parts.goals):
            rows = np.flatnonzero(looked.positions == place)[-LOOKED_AT:]
            if len(rows) == 0:  # it is done with this person
                chosen.append(self._marks[-1].pixels[place])
                continue
            images = looked.images[rows].numpy().astype(np.float32, copy=False)
            best = subject.target.scores(images)[:, person].argmax()
            chosen.append(as_pixels(subject, images[best : best + 1])[0])
        return Frame(
            queries=tuple(parts.view.ledger.alone.tolist()),
            people=self._shown(parts, np.stack(chosen), judged=False),
            paused=paused,
        )

    def _shown(self, parts: Parts, pixels: Pixels, *, judged: bool) -> tuple[Shown, ...]:
        """Returns pictures with what is said of them; judges are not asked too often."""
        assert self._appraiser is not None
        bench, now = self._studio.bench, time.monotonic()
        if bench is not None and (judged or now - self._judged_at > JUDGED_EVERY):
            self._judged_at = now
            guessed = None if self._known is None else self._studio.guessed(self._known)
            self._verdicts = self._appraiser.judge(parts.goals, pixels, bench, guessed)
        return self._appraiser.show(parts.goals, pixels, self._verdicts)
