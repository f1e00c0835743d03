"""What is loaded beside a page, and how far it is."""

from __future__ import annotations

import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

from darkroom.auditing.progress import Advance, Reporter
from darkroom.errors import DarkroomError, one_line
from darkroom.lab.live.processors import together

T = TypeVar("T")


class Stage(NamedTuple):
    """What is being done before something can be used.

    Attributes:
        title: In words; empty when all is there.
        share: How much of it is done; ``None`` where that is not known.
    """

    title: str = ""
    share: float | None = None


class PageReporter(Reporter):
    """Tells a page of the stages of a long job."""

    def __init__(self, tell: Callable[[Stage], None]) -> None:
        """Takes whom to tell."""
        super().__init__(shown=False)
        self._tell = tell

    @contextmanager
    def stage(self, title: str) -> Iterator[Advance]:
        """Tells of a stage while the block runs; see :meth:`Reporter.stage`."""
        self._tell(Stage(title))

        def advance(done: int, total: int) -> None:
            self._tell(Stage(title, min(1.0, done / max(1, total))))

        yield advance


class Loading(ABC, Generic[T]):
    """An audit that is loaded in a thread of its own, once for all pages.

    Attributes:
        stage: What is being done.
        mistake: Why it cannot be used, in one line; empty if it can.
    """

    def __init__(self) -> None:
        """Loads nothing yet."""
        self.stage, self.mistake = Stage("Loading libraries"), ""
        self._job: T | None = None
        self._loaded, self._starting = threading.Event(), threading.Lock()
        self._has_begun = False

    def load(self) -> None:
        """Begins to load unless that was begun, and returns."""
        with self._starting:
            if not self._has_begun:
                self._has_begun = True
                threading.Thread(target=together(self._load), name="loading", daemon=True).start()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until it is loaded or cannot be; tells whether it came to that."""
        return self._loaded.wait(seconds)

    @property
    def ready(self) -> bool:
        """Whether it can be used."""
        return self._job is not None

    @property
    def job(self) -> T:
        """The audit with everything loaded.

        Raises:
            DarkroomError: If it cannot be used, or is not loaded yet.
        """
        if self._job is None:
            raise DarkroomError(self.mistake or f"{self.stage.title}: wait a moment")
        return self._job

    @abstractmethod
    def open(self, reporter: Reporter) -> T:
        """Loads it.

        Raises:
            DarkroomError: If it cannot be used.
        """

    def go_on(self, job: T) -> None:
        """Does what takes longer than anybody shall wait for."""

    def _load(self) -> None:
        try:
            self._job = self.open(PageReporter(self.tell))
        except DarkroomError as error:
            self.mistake = str(error)
        except Exception as error:  # the page must say that nothing comes any more
            traceback.print_exc()
            self.mistake = f"a fault of Darkroom's own: {one_line(error)}"
        self.stage = Stage()
        self._loaded.set()
        if self._job is not None:
            self.go_on(self._job)

    def tell(self, stage: Stage) -> None:
        """Notes what is being done."""
        self.stage = stage
