"""Reconstruction from scores by an agent that learns where in the latent space a person is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.errors import MissingExtraError, PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.search.scores import Asked, ScoreAttack, ScoreSearch
from darkroom.images.targets.view import View
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.randomness import ONE_AT_A_TIME

if TYPE_CHECKING:
    from stable_baselines3 import SAC

    from darkroom.images.attacks.search.latent_environment import LatentEnvironment, Leads

Vectors = NDArray[np.float32]

REWARD_SCALE = 0.1
"""What rewards are multiplied by before an agent learns from them, so that they are of the size
for which the library's other settings are meant; the published ones reach below -100."""


@dataclass(frozen=True)
class PolicyAttack(ScoreAttack):
    """Black-box model inversion by reinforcement learning: RLB-MI (Han et al. 2023).

    A soft actor-critic agent (Haarnoja et al. 2018; Stable-Baselines3) for each goal and restart
    learns in :class:`.LatentEnvironment`: episodes of one step
    from a random latent to one that shows the person, with the paper's three-term reward.

    The paper counts 40,000 episodes; its code asks for three rows in each (the next state's image,
    the action's image, and a test image from which the answer is chosen), 120,000 rows a goal.
    Here rows are counted. With the diversity of zero that its code has by default, the first two
    images are one and are asked once, so an episode costs one row; else two.

    Differences from the paper:

    - any prior takes the place of its GAN; of latents with many coordinates the most visible ones
      are searched and the others stay at the start;
    - several episodes are played between updates, with fewer updates than episodes, a smaller
      network and a higher learning rate: thousands of rows where the paper has 120,000;
    - one episode of each generation takes the policy's mean action. It is what the paper's third
      row, the test image, is for, and the agent learns from it too;
    - the answer is the best image of a generation, compared with the best so far; the paper keeps
      the test image of highest confidence;
    - the reward is multiplied by 0.1, its log-scores count no lower than 1e-30, and the target
      entropy is a setting: the paper's code weighs entropy down to nothing;
    - a prior's energy is no part of the reward: the bounded actions keep latents likely.

    Attributes:
        rows: The most rows that a goal may cost; see :class:`ScoreAttack`, as for all not here.
        diversity: The paper's alpha, zero or more and below one: how much of the random state the
            next state keeps.
        state_weight, action_weight, lead_weight: The paper's weights of the reward's terms.
        coordinates: How many latent coordinates are searched; 0 searches all.
        reach: How far an action goes along each of them, in units of the prior's spread.
        episodes: Episodes of each agent between updates, 2 or more.
        gradient_steps: Updates after those.
        warm_up: Episodes before the first update.
        batch_size: Episodes that an update learns from.
        hidden: Units in each of the two layers of every network.
        learning_rate: Of all networks and of the entropy's weight.
        entropy: The policy's target entropy for each coordinate; less explores less.
    """

    name: ClassVar[str] = "policy"
    paper: ClassVar[str] = "Han et al. 2023 (RLB-MI, CVPR)"

    rows: int = 5000
    prior_weight: float = 0.0
    diversity: float = 0.0
    state_weight: float = 2.0
    action_weight: float = 2.0
    lead_weight: float = 8.0
    coordinates: int = 100
    reach: float = 1.5
    episodes: int = 40
    gradient_steps: int = 6
    warm_up: int = 100
    batch_size: int = 256
    hidden: int = 64
    learning_rate: float = 1e-2
    entropy: float = -2.0

    def __post_init__(self) -> None:
        """Refuses values that make no search.

        Raises:
            PlanError: If a number is out of its range.
        """
        super().__post_init__()
        if not 0 <= self.diversity < 1:
            raise PlanError("attack policy: diversity must be 0 or more and below 1")
        if self.prior_weight != 0:
            raise PlanError("attack policy: prior_weight has no part in the reward: leave it out")
        if self.episodes < 2:
            raise PlanError("attack policy: episodes must be 2 or more")
        for name in ("gradient_steps", "batch_size", "hidden"):
            if getattr(self, name) < 1:
                raise PlanError(f"attack policy: {name} must be 1 or more")
        for name in ("coordinates", "warm_up", "state_weight", "action_weight", "lead_weight"):
            if not getattr(self, name) >= 0:
                raise PlanError(f"attack policy: {name} must be 0 or more")
        if not (self.reach > 0 and self.learning_rate > 0):
            raise PlanError("attack policy: reach and learning_rate must be positive")

    def _search(
        self, view: View, prior: ImagePrior, goals: NDArray[np.int64], rng: np.random.Generator
    ) -> Iterator[Progress]:
        return _Search(self, view, prior, goals, rng).run()


class _Search(ScoreSearch):
    """An agent for each search, all in one vector of environments."""

    attack: PolicyAttack

    def __init__(
        self,
        attack: PolicyAttack,
        view: View,
        prior: ImagePrior,
        goals: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> None:
        super().__init__(attack, view, prior, goals, rng)
        dimensions = self.coordinates.dimensions
        count = min(attack.coordinates or dimensions, dimensions)
        self.searched = self.coordinates.visible.topk(count).indices
        self.agents = [_Agent(attack, count, source) for source in self.sources]
        self.asked: Asked | None = None

    @property
    def batch(self) -> int:
        """The rows of all episodes."""
        return self.attack.episodes * self._episode_cost

    @property
    def _episode_cost(self) -> int:
        return 1 if self.attack.diversity == 0 else 2

    def generation(self, size: int) -> None:
        """Plays episodes and learns from them; see :meth:`ScoreSearch.generation`."""
        rows = self.rows
        agents = [self.agents[row] for row in rows.tolist()]
        environment = self._environment(size // self._episode_cost)
        states = np.split(environment.reset()[0], len(agents))
        actions = [agent.act(part) for agent, part in zip(agents, states, strict=True)]
        after, rewards, _, _, _ = environment.step(np.concatenate(actions))
        if size == self.batch:
            played = zip(
                agents,
                states,
                np.split(after, len(agents)),
                actions,
                np.split(rewards, len(agents)),
                strict=True,
            )
            for agent, *episodes in played:
                agent.learn(*episodes)
        assert self.asked is not None
        best = self.asked.objective.argmin(dim=1)
        self.challenger[rows] = self.asked.points[torch.arange(len(rows)), best]

    def _environment(self, episodes: int) -> LatentEnvironment:
        """Returns the environment of the active searches."""
        from darkroom.images.attacks.search.latent_environment import LatentEnvironment, Reward

        attack = self.attack
        return LatentEnvironment(
            self._leads,
            [self.sources[row] for row in self.rows.tolist()],
            episodes=episodes,
            coordinates=len(self.searched),
            diversity=attack.diversity,
            reward=Reward(attack.state_weight, attack.action_weight, attack.lead_weight),
        )

    def _leads(self, latents: Vectors) -> Leads:
        """Asks about points of the environment, ``(active, n, coordinates)``."""
        from darkroom.images.attacks.search.latent_environment import Leads

        points = torch.zeros((*latents.shape[:2], self.coordinates.dimensions))
        points[:, :, self.searched] = self.attack.reach * torch.from_numpy(latents)
        self.asked = self.ask(points)
        logs = self.asked.logs.double()
        goals = self.classes[self.rows][:, None, None].expand(-1, logs.shape[1], 1)
        goal = logs.gather(2, goals)[:, :, 0]
        other = logs.scatter(2, goals, -torch.inf).amax(dim=2)
        return Leads(goal.flatten().numpy(), other.flatten().numpy())


class _Agent:
    """A soft actor-critic of the library that leaves the global random state as it was.

    The library draws from the global generators of torch and NumPy. Each agent has states of its
    own that take their place while it works, so that who else is attacked changes nothing for it.
    """

    def __init__(self, attack: PolicyAttack, coordinates: int, rng: np.random.Generator) -> None:
        self._attack = attack
        self._played = 0
        torch_state = torch.Generator().manual_seed(int(rng.integers(2**62))).get_state()
        numpy_state: Any = np.random.RandomState(int(rng.integers(2**32))).get_state()
        self._random = torch_state, numpy_state
        with self._own_randomness():
            self._agent = _soft_actor_critic(attack, coordinates)

    def act(self, states: Vectors) -> Vectors:
        """Draws an action for each state, ``(n, coordinates)``; the last is the policy's mean."""
        with self._own_randomness():
            actions, _ = self._agent.predict(states, deterministic=False)
            actions[-1:], _ = self._agent.predict(states[-1:], deterministic=True)
        return actions.astype(np.float32, copy=False)

    def learn(
        self, states: Vectors, after: Vectors, actions: Vectors, rewards: NDArray[np.float64]
    ) -> None:
        """Remembers episodes, and learns from those so far once there are enough."""
        attack, buffer = self._attack, self._agent.replay_buffer
        assert buffer is not None
        nothing: list[dict[str, Any]] = [{} for _ in states]
        buffer.add(states, after, actions, REWARD_SCALE * rewards, np.ones(len(states)), nothing)
        self._played += len(states)
        if self._played >= attack.warm_up:
            with self._own_randomness(), torch.enable_grad():
                self._agent.train(attack.gradient_steps, attack.batch_size)

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Puts the agent's random states in the place of the global ones for a while."""
        with ONE_AT_A_TIME:
            before = random.getstate(), torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
            torch.set_rng_state(self._random[0])
            np.random.set_state(self._random[1])  # noqa: NPY002
            try:
                yield
            finally:
                self._random = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
                random.setstate(before[0])
                torch.set_rng_state(before[1])
                np.random.set_state(before[2])  # noqa: NPY002


def _soft_actor_critic(attack: PolicyAttack, coordinates: int) -> SAC:
    """Makes an agent without an environment of its own, as the library does when it loads one."""
    try:
        from stable_baselines3 import SAC
        from stable_baselines3.common.logger import Logger

        from darkroom.images.attacks.search.latent_environment import action_space, state_space
    except ImportError as error:
        raise MissingExtraError("stable_baselines3", "rl") from error
    agent = SAC(
        "MlpPolicy",
        None,  # type: ignore[arg-type]
        learning_rate=attack.learning_rate,
        buffer_size=max(attack.rows, attack.episodes),
        batch_size=attack.batch_size,
        target_entropy=attack.entropy * coordinates,
        policy_kwargs={
            "net_arch": [attack.hidden, attack.hidden],
            "optimizer_kwargs": {"fused": True},
        },
        device="cpu",
        _init_setup_model=False,
    )
    agent.observation_space = state_space(coordinates)
    agent.action_space = action_space(coordinates)
    agent.n_envs = attack.episodes
    agent._setup_model()
    agent.set_logger(Logger(None, []))
    return agent
