"""What the page is told of an experiment, one line of JSON each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Wanted(BaseModel):
    """An experiment as the page asks for it.

    Attributes:
        question: Its key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: Annotated[str, Field(max_length=40)]


class LessonEvent(BaseModel):
    """One line."""

    model_config = ConfigDict(frozen=True)

    event: str


class ExperimentBegun(LessonEvent):
    """The experiment can be ended by its identity."""

    event: Literal["begun"] = "begun"
    identity: str


class Doing(LessonEvent):
    """What is being done.

    Attributes:
        what: In words.
        share: How much of that is done; ``None`` where it is not known.
    """

    event: Literal["doing"] = "doing"
    what: str
    share: float | None = None


class Answer(LessonEvent):
    """What was measured.

    Attributes:
        question: Its key.
        sentence: What it comes to.
        columns: Titles of the table.
        rows: The table; the first column names each row.
        about: Which model it was measured on.
        seconds: How long it took.
    """

    event: Literal["answer"] = "answer"
    question: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    about: str
    seconds: float = 0.0


class ExperimentEnded(LessonEvent):
    """The experiment is over.

    Attributes:
        why: Whether it was done, was stopped, or could not be run.
        sentence: What to say of that.
    """

    event: Literal["ended"] = "ended"
    why: Literal["done", "stopped", "mistake", "fault"]
    sentence: str
