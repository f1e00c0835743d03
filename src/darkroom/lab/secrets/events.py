"""What the page is told of a search, one line of JSON each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

AttackName = Literal["best-first", "sampling", "averaging"]


class SearchChoice(BaseModel):
    """A search as the page asks for it.

    Attributes:
        canary: Its number in the key file.
        attack: How it looks for the secret.
        reveal: Whether characters that tell secrets apart may be shown.
        pace: Slow enough to watch, or as fast as it goes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    canary: Annotated[int, Field(ge=0)]
    attack: AttackName = "best-first"
    reveal: bool = False
    pace: Literal["watch", "full"] = "watch"


class SearchEvent(BaseModel):
    """One line."""

    model_config = ConfigDict(frozen=True)

    event: str


class SearchBegun(SearchEvent):
    """The search can be paused by its identity."""

    event: Literal["begun"] = "begun"
    identity: str


class Branch(BaseModel):
    """A partial secret that the model was asked about.

    Attributes:
        parent: The place of the one before it; -1 for none.
        right: Whether the secret begins so.
        text: What it adds; masked unless revealed.
    """

    model_config = ConfigDict(frozen=True)

    parent: int
    right: bool
    text: str


class Grown(SearchEvent):
    """The tree as it is now.

    Attributes:
        asked: Questions so far.
        nodes: The first partial secrets, and all that lead to the secret.
        paused: Whether the search waits.
    """

    event: Literal["grown"] = "grown"
    asked: int
    nodes: tuple[Branch, ...]
    paused: bool


class Candidate(BaseModel):
    """A secret that an attack takes for likely.

    Attributes:
        text: It, masked unless revealed.
        right: Whether it is the secret.
        surprise: What the model says of it, in bits; of a share of texts, its negative log2.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    right: bool
    surprise: float


class Weighed(SearchEvent):
    """What an attack without a tree has so far.

    Attributes:
        asked: Questions so far, or texts that the model wrote.
        candidates: The likeliest first.
        paused: Whether it waits.
    """

    event: Literal["weighed"] = "weighed"
    asked: int
    candidates: tuple[Candidate, ...]
    paused: bool


class SearchEnded(SearchEvent):
    """The search is over.

    Attributes:
        why: Whether it was done, was stopped, or could not be run.
        found: Whether what it took for the secret is the secret.
        guess: That, masked unless revealed; empty for none.
        asked: Questions in all.
        sentence: What it comes to.
    """

    event: Literal["ended"] = "ended"
    why: Literal["done", "stopped", "mistake", "fault"]
    found: bool
    guess: str
    asked: int
    sentence: str
