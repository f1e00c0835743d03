"""What one may choose on the page, and what it is called there; imports no PyTorch."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.lab.studio.trainings import TrainingName

MOST_PEOPLE = 6
WATCHABLE = 14.0
"""Seconds that an attack takes at the pace that one can watch."""

AccessName = Literal["weights", "scores", "label"]
PriorName = Literal["mean", "eigenfaces", "generator"]
DefenseName = Literal[
    "none", "rounding-2", "rounding-1", "noise", "sticky-noise", "top-3", "label-only"
]
Pace = Literal["watch", "full"]


class Option(NamedTuple):
    """One thing to choose.

    Attributes:
        value: What a request says.
        label: What the page says.
        about: What that means, in a sentence.
    """

    value: str
    label: str
    about: str


ACCESSES = (
    Option(
        "weights", "The weights", "The attacker has the model's file, and follows its gradient."
    ),
    Option(
        "scores", "Every confidence", "The attacker asks, and sees how sure the model is of whom."
    ),
    Option("label", "The name alone", "The attacker asks, and sees the winning name alone."),
)

PRIORS = (
    Option("generator", "A generator of faces", "Trained on photos of strangers."),
    Option("eigenfaces", "Eigenfaces", "How photos of strangers differ, in principal components."),
    Option("mean", "The average face", "Free pixels around the average of strangers."),
)

DEFENSES = (
    Option("none", "None", "The model's answers as they are."),
    Option("rounding-2", "Round to 2 digits", "0.9187 is answered as 0.92."),
    Option("rounding-1", "Round to 1 digit", "0.9187 is answered as 0.9."),
    Option("noise", "Fresh noise", "Each answer is off by about 0.05, each time otherwise."),
    Option("sticky-noise", "Sticky noise", "The same, but alike pictures get the same noise."),
    Option("top-3", "The best three", "The three largest confidences alone are answered."),
    Option("label-only", "The name alone", "The winning name is answered, and no confidence."),
)

TRAININGS = (
    Option(
        "dp-sgd",
        "Trained with DP-SGD",
        "Each photo's share of a step is clipped and drowned in noise: epsilon 8 for a photo.",
    ),
    Option(
        "uniform-confidence",
        "Trained for flat confidence",
        "The model learned to be sure of nothing that is not a sharp photo of one person.",
    ),
)

_MADE: dict[str, tuple[OutputDefense, ...]] = {
    "none": (),
    "rounding-2": (Rounding(2),),
    "rounding-1": (Rounding(1),),
    "noise": (Noise(0.05),),
    # The attacker does not know the key. That it is the same each time makes attacks repeatable.
    "sticky-noise": (StickyNoise(0.05, key=b"the key of the lab's own sticky noise"),),
    "top-3": (TopK(3),),
    "label-only": (LabelOnly(),),
}


def pipeline(name: DefenseName) -> Pipeline:
    """Returns the output defence of a name."""
    return Pipeline(_MADE[name])


class Choice(BaseModel):
    """An attack as the page asks for it.

    Attributes:
        people: Classes of the model to attack, all at once.
        access: What a query returns.
        prior: What the attacker knows beforehand.
        defense: What changes the answers.
        training: How the model was trained; as it is for ``none``.
        run: The run whose model it is; the lab's own plan when empty.
        told: Whether the attacker knows the defence.
        pace: Slow enough to watch, or as fast as it goes.
        noise: Whether it begins at noise and may make any picture, so that it fools the model and
            shows nobody.
        seed: The same seed gives the same pictures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: Annotated[tuple[int, ...], Field(min_length=1, max_length=MOST_PEOPLE)]
    access: AccessName = "weights"
    prior: PriorName = "eigenfaces"
    defense: DefenseName = "none"
    training: TrainingName = "none"
    run: Annotated[str, Field(max_length=200)] = ""
    told: bool = True
    pace: Pace = "watch"
    noise: bool = False
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0

    @field_validator("people")
    @classmethod
    def _once_each(cls, people: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(people)) < len(people):
            raise ValueError("name each person once")
        return tuple(sorted(people))

    @property
    def level(self) -> Access:
        """What a query returns."""
        return Access(self.access)
