"""Work in a thread of its own that a page watches, and how it ended."""

from __future__ import annotations

import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel

from darkroom.errors import DarkroomError, one_line
from darkroom.lab.live.gate import Gate, Stopped
from darkroom.lab.live.processors import together

Event = TypeVar("Event", bound=BaseModel)
Ended = TypeVar("Ended", bound=BaseModel)


class Ending(NamedTuple):
    """How work ended.

    Attributes:
        why: Whether it was done, was stopped, or could not be done.
        problem: What to say of that; empty where it was done.
    """

    why: Literal["done", "stopped", "mistake", "fault"]
    problem: str = ""


class LiveWork(ABC, Generic[Event, Ended]):
    """Work that somebody watches.

    Attributes:
        what: What it is called, in a word.
        gate: Where it waits.
        ended: How it ended; ``None`` while it runs.
    """

    what: ClassVar[str]

    def __init__(self) -> None:
        """Begins nothing yet."""
        self.gate = Gate()
        self.ended: Ended | None = None
        self._is_told = False
        self._thread = threading.Thread(target=together(self._live), name=self.what, daemon=True)

    def begin(self) -> None:
        """Starts its thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it at its next batch of queries; may be called at any time, from any thread."""
        self.gate.stop()

    def join(self, seconds: float) -> bool:
        """Waits for the thread to end; tells whether it did."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def events(self) -> Sequence[Event | Ended]:
        """Returns what is new since the last call; the last of all says how it ended.

        One thread at a time may call it, and it is not the work's own.
        """
        # Whatever was left before it ended is told before.
        ended = self.ended
        found: list[Event | Ended] = list(self.news())
        if ended is not None and not self._is_told:
            self._is_told = True
            found.append(ended)
        return found

    @abstractmethod
    def work(self) -> None:
        """Does it, in the work's own thread.

        Raises:
            Stopped: If it was ended.
            DarkroomError: If it cannot be done.
        """

    @abstractmethod
    def news(self) -> Sequence[Event]:
        """Returns what is new since the last call, before it ended."""

    @abstractmethod
    def end(self, ending: Ending) -> Ended:
        """Returns what to say at last; called in the work's own thread."""

    def _live(self) -> None:
        self.ended = self.end(self._ending())

    def _ending(self) -> Ending:
        try:
            self.work()
        except Stopped:
            return Ending("stopped", f"The {self.what} was stopped.")
        except DarkroomError as error:
            return Ending("mistake", str(error))
        except Exception as error:  # the page must say that nothing comes any more
            traceback.print_exc()
            return Ending("fault", f"A fault of Darkroom's own: {one_line(error)}")
        return Ending("done")
