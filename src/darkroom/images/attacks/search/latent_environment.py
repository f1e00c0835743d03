"""The latent space of a prior as an environment in which an agent can learn to show a person."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Vectors = NDArray[np.float32]

LEAST_LEAD = 1e-7
"""The reward takes the logarithm of no smaller lead over the other classes, as RLB-MI's code."""

LEAST_LOG = math.log(1e-30)
"""A score's logarithm counts no lower, so that an answer of zero does not drown all others."""


class Leads(NamedTuple):
    """What the target says of some images about the goal of each.

    Attributes:
        goal: The logarithm of the goal's score, ``(n,)``.
        other: The logarithm of the largest score of another class, ``(n,)``.
    """

    goal: Rows
    other: Rows


class Reward(NamedTuple):
    """The weights of the three terms of RLB-MI's reward (Han et al. 2023), as its code has them.

    Attributes:
        state: Of the log-score of the next state's image.
        action: Of the log-score of the action's image.
        lead: Of the logarithm of the lead of the next state's image over the other classes.
    """

    state: float = 2.0
    action: float = 2.0
    lead: float = 8.0

    def of(self, state: Leads, action: Leads) -> Rows:
        """Returns the reward of each episode, ``(n,)``, zero at most.

        Args:
            state: Of the next states' images.
            action: Of the actions' images.

        >>> certain = Leads(np.log([1.0]), np.log([1e-30]))
        >>> unsure = Leads(np.log([0.25]), np.log([0.5]))
        >>> Reward().of(certain, certain).tolist()
        [0.0]
        >>> float(Reward().of(unsure, unsure)[0].round(2))
        -134.49
        """
        lead = np.exp(state.goal) - np.exp(state.other)
        total: Rows = (
            self.state * state.goal.clip(LEAST_LOG)
            + self.action * action.goal.clip(LEAST_LOG)
            + self.lead * np.log(lead.clip(LEAST_LEAD))
        )
        return total


class LatentEnvironment(VectorEnv[Vectors, Vectors, Any]):
    """Episodes of one step: from a random point of the latent space to one nearer a person.

    The state is a point drawn from a standard normal. An action ``a`` is another one, in
    ``[-1, 1]``, and leads to ``diversity * state + (1 - diversity) * a``. The reward is
    :class:`Reward`'s, and the episode ends. With a diversity of zero the state's image and the
    action's are one, which costs one row instead of two.

    All goals' episodes are steps of one vector of environments, so that they share a batch of
    queries: environment ``i`` serves goal ``i // episodes``.

    Attributes:
        points: What was asked in the last step, ``(goals, rows, coordinates)``.
    """

    def __init__(
        self,
        ask: Callable[[Vectors], Leads],
        sources: Sequence[np.random.Generator],
        *,
        episodes: int,
        coordinates: int,
        diversity: float = 0.0,
        reward: Reward | None = None,
    ) -> None:
        """Asks nothing yet.

        Args:
            ask: Is given points, ``(goals, rows, coordinates)``, and answers for each, in this
                order; it charges them.
            sources: A source of randomness for each goal.
            episodes: How many episodes of each goal a step plays.
            coordinates: The numbers of a state and of an action.
            diversity: The paper's alpha, zero or more and below one.
            reward: The weights; the published ones when left out.
        """
        self.num_envs = len(sources) * episodes
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.single_observation_space = state_space(coordinates)
        self.single_action_space = action_space(coordinates)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.points = np.zeros((len(sources), 0, coordinates), np.float32)
        self._ask, self._sources = ask, sources
        self._shape = (episodes, coordinates)
        self._diversity, self._reward = diversity, reward or Reward()
        self._states = np.zeros((self.num_envs, coordinates), np.float32)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,  # noqa: ARG002 - the sources decide
        options: dict[str, Any] | None = None,  # noqa: ARG002 - there are none
    ) -> tuple[Vectors, dict[str, Any]]:
        """Draws a state for each episode, ``(num_envs, coordinates)``."""
        drawn = [source.standard_normal(self._shape, np.float32) for source in self._sources]
        self._states = np.concatenate(drawn)
        return self._states, {}

    def step(
        self, actions: Vectors
    ) -> tuple[Vectors, Rows, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Plays all episodes to their end.

        Args:
            actions: ``(num_envs, coordinates)`` in ``[-1, 1]``.

        Returns:
            The next states, the rewards, whether each episode ended (it did), whether it was cut
            short (it was not), and nothing else.

        Raises:
            BudgetExhausted: If the rows would go over the budget; none was asked then.
        """
        states = self._diversity * self._states + (1 - self._diversity) * actions
        states = states.astype(np.float32)
        goals, (episodes, coordinates) = len(self._sources), self._shape
        shown = [states] if self._diversity == 0 else [states, actions]
        parts = [part.reshape(goals, episodes, coordinates) for part in shown]
        self.points = np.concatenate(parts, axis=1)
        answers = self._ask(self.points)
        sides = [answer.reshape(goals, len(parts), episodes) for answer in answers]
        state, action = (Leads(*(side[:, part].ravel() for side in sides)) for part in (0, -1))
        ended = np.ones(self.num_envs, dtype=np.bool_)
        self._states = states
        return states, self._reward.of(state, action), ended, ~ended, {}


def state_space(coordinates: int) -> spaces.Box:
    """Returns the space of one state."""
    return spaces.Box(-np.inf, np.inf, (coordinates,), np.float32)


def action_space(coordinates: int) -> spaces.Box:
    """Returns the space of one action."""
    return spaces.Box(-1.0, 1.0, (coordinates,), np.float32)
