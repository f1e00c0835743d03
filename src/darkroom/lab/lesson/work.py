"""One experiment of the lesson, in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from darkroom.lab.lesson.attacks import Watch
from darkroom.lab.lesson.events import Answer, Doing, ExperimentEnded, LessonEvent
from darkroom.lab.lesson.experiments import Experiment
from darkroom.lab.lesson.rooms import Rooms
from darkroom.lab.live.work import Ending, LiveWork
from darkroom.lab.studio.stages import Stage


class LiveExperiment(LiveWork[LessonEvent, ExperimentEnded]):
    """An experiment that somebody waits for.

    Attributes:
        answer: What was measured; ``None`` before that.
    """

    what: ClassVar[str] = "experiment"

    def __init__(
        self,
        question: str,
        experiment: Experiment,
        rooms: Rooms,
        keep: Callable[[Answer], None],
    ) -> None:
        """Begins nothing yet.

        Args:
            question: Its key.
            experiment: What it measures.
            rooms: The lab's models.
            keep: Takes what was measured, for who opens the page later.
        """
        super().__init__()
        self.answer: Answer | None = None
        self._question, self._experiment, self._rooms = question, experiment, rooms
        self._keep = keep
        self._stage, self._told = Stage("Beginning"), Stage()
        self._is_answered = False

    def work(self) -> None:
        """Measures; see :meth:`LiveWork.work`."""
        begun = time.monotonic()
        found = self._experiment(self._rooms, Watch(self.gate, self._tell))
        self.answer = Answer(
            question=self._question,
            sentence=found.sentence,
            columns=found.columns,
            rows=tuple(found.rows),
            about=self._rooms.about(self._question),
            seconds=time.monotonic() - begun,
        )
        self._keep(self.answer)

    def _tell(self, stage: Stage) -> None:
        self.gate.check()
        self._stage = stage

    def news(self) -> Sequence[LessonEvent]:
        """Returns what is being done, and the answer; see :meth:`LiveWork.news`."""
        if self.answer is not None and not self._is_answered:
            self._is_answered = True
            return [self.answer]
        if self._stage == self._told:
            return []
        self._told = self._stage
        return [Doing(what=self._stage.title, share=self._stage.share)]

    def end(self, ending: Ending) -> ExperimentEnded:
        """Says how it ended; see :meth:`LiveWork.end`."""
        return ExperimentEnded(why=ending.why, sentence=ending.problem or "Measured.")
