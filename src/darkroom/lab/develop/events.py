"""What the page is told of a running attack, one line of JSON each."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """One line."""

    model_config = ConfigDict(frozen=True)

    event: str


class Begun(Event):
    """The attack is there, and can be paused by its identity.

    Attributes:
        identity: Names it in requests.
        judges: What the judges are called.
    """

    event: Literal["begun"] = "begun"
    identity: str
    judges: tuple[str, ...]


class Preparing(Event):
    """What has to be done before the first picture.

    Attributes:
        what: In words.
        share: How much of it is done.
    """

    event: Literal["preparing"] = "preparing"
    what: str
    share: float | None = None


class Attacking(Event):
    """The attack begins.

    Attributes:
        attack: What runs.
        expected: The rows a person that it will ask, unless it ends early.
        accuracy: Of the model on photos that it has not seen, behind the defence; ``None`` where
            that cannot be told without asking a server.
        remarks: How it adapts to what is withheld, in sentences.
    """

    event: Literal["attacking"] = "attacking"
    attack: str
    expected: int
    accuracy: float | None
    remarks: tuple[str, ...]


class Shown(BaseModel):
    """One picture, and what is said of it as it is shown.

    Attributes:
        person: Whom it shall show.
        picture: A PNG as a data address.
        confidence: The model's that it is that person; ``None`` where a server would have to be
            asked, or shows no confidence.
        votes: Which judges say so too; ``None`` while they learn.
        plausible: Whether it looks like a photo of a face.
        recovered: Whether it is plausible and most judges say so.
        bits: How far it narrows the person down; ``None`` where that cannot be told.
    """

    model_config = ConfigDict(frozen=True)

    person: int
    picture: str
    confidence: float | None
    votes: tuple[bool, ...] | None = None
    plausible: bool | None = None
    recovered: bool | None = None
    bits: float | None = None


class Frame(Event):
    """What the attack looks at now.

    Attributes:
        queries: Rows charged to each person, in the order of ``people``.
        people: Their pictures.
        paused: Whether the attack waits.
    """

    event: Literal["frame"] = "frame"
    queries: tuple[int, ...]
    people: tuple[Shown, ...]
    paused: bool


class Milestone(Event):
    """What the attack would answer after some queries.

    Attributes:
        number: From 0.
        queries: Rows charged to each person.
        people: Their pictures.
    """

    event: Literal["milestone"] = "milestone"
    number: int
    queries: tuple[int, ...]
    people: tuple[Shown, ...]


class Ended(Event):
    """The attack is over.

    Attributes:
        why: Whether it was done, was stopped, or could not be run.
        sentence: What to say of it.
        seconds: How long it took, from the first query on.
        rows: Rows charged for all people together.
    """

    event: Literal["ended"] = "ended"
    why: Literal["done", "stopped", "mistake", "fault"]
    sentence: str
    seconds: float
    rows: int
