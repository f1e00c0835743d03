"""Output defences of language models: what is changed of log-probabilities before they leave.

NumPy only. As with the defences of classifiers, an attacker knows which one is in force, but not
the noise that it draws.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.effects import Effect
from darkroom.errors import PlanError
from darkroom.named import parameters_of

Logprobs = NDArray[np.float64]


class LogprobDefense(ABC):
    """Changes natural logarithms of probabilities. Subclasses are frozen dataclasses.

    Attributes:
        name: The word used in plans.
    """

    name: ClassVar[str]

    @property
    def effect(self) -> Effect:
        """What it does to what an attacker learns of an answer; unknown unless a subclass says."""
        return Effect.unknown(self.name)

    @abstractmethod
    def __call__(self, logprobs: Logprobs, rng: np.random.Generator) -> Logprobs:
        """Returns what is answered instead.

        Args:
            logprobs: Of any shape; minus infinity for what is not told.
            rng: The source of fresh noise.
        """

    def of_text(self, logprobs: Logprobs, rng: np.random.Generator) -> Logprobs:
        """Returns what is answered about the tokens of a given text, ``(tokens,)``.

        Arguments are those of a call: it is one, unless a subclass tells them more.
        """
        return self(logprobs, rng)

    def decisive(self) -> dict[str, Any]:
        """Returns what decides its answers, as JSON can hold it."""
        return parameters_of(self)


@dataclass(frozen=True)
class LogprobNoise(LogprobDefense):
    """Adds fresh Gaussian noise to every log-probability.

    Attributes:
        deviation: The noise's standard deviation in nats, 0 or more.
    """

    name: ClassVar[str] = "logprob-noise"

    deviation: float = 0.5

    def __post_init__(self) -> None:
        """Refuses noise that cannot be drawn.

        Raises:
            PlanError: If the deviation is negative or no number.
        """
        if not 0 <= self.deviation < np.inf:
            raise PlanError(
                f"defence logprob-noise: deviation must be 0 or more, got {self.deviation}"
            )

    @property
    def effect(self) -> Effect:
        """See :attr:`LogprobDefense.effect`."""
        return Effect(
            deterministic=self.deviation == 0,
            changes_label=self.deviation > 0,
            deviation=self.deviation,
        )

    def __call__(self, logprobs: Logprobs, rng: np.random.Generator) -> Logprobs:
        """Adds noise; see the base."""
        return logprobs + rng.normal(0.0, self.deviation, logprobs.shape)


@dataclass(frozen=True)
class LogprobRounding(LogprobDefense):
    """Rounds every log-probability to a multiple of a step.

    Attributes:
        step: In nats, above 0.
    """

    name: ClassVar[str] = "logprob-rounding"

    step: float = 1.0

    def __post_init__(self) -> None:
        """Refuses steps that are none.

        Raises:
            PlanError: If the step is not above 0.
        """
        if not 0 < self.step < np.inf:
            raise PlanError(f"defence logprob-rounding: step must be above 0, got {self.step}")

    @property
    def effect(self) -> Effect:
        """See :attr:`LogprobDefense.effect`."""
        return Effect(step=self.step)

    def __call__(self, logprobs: Logprobs, rng: np.random.Generator) -> Logprobs:  # noqa: ARG002
        """Rounds; see the base."""
        return np.minimum(np.round(logprobs / self.step) * self.step, 0.0)


@dataclass(frozen=True)
class TopLogprobs(LogprobDefense):
    """Tells the log-probabilities of the ``k`` likeliest tokens alone.

    Attributes:
        k: How many, 1 or more.
    """

    name: ClassVar[str] = "top-logprobs"

    k: int = 5

    def __post_init__(self) -> None:
        """Refuses to tell nothing.

        Raises:
            PlanError: If ``k`` is below 1.
        """
        if self.k < 1:
            raise PlanError(f"defence top-logprobs: k must be 1 or more, got {self.k}")

    @property
    def effect(self) -> Effect:
        """See :attr:`LogprobDefense.effect`."""
        return Effect(kept=self.k)

    def __call__(self, logprobs: Logprobs, rng: np.random.Generator) -> Logprobs:  # noqa: ARG002
        """Hides all but the ``k`` largest of the last axis; see the base."""
        if logprobs.shape[-1] <= self.k:
            return logprobs
        least = np.partition(logprobs, -self.k, axis=-1)[..., [-self.k]]
        return np.where(logprobs >= least, logprobs, -np.inf)

    def of_text(self, logprobs: Logprobs, rng: np.random.Generator) -> Logprobs:  # noqa: ARG002
        """Hides nothing: a text's tokens are told whether they are likely or not."""
        return logprobs
