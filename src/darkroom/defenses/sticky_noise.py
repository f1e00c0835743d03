"""Output defences whose draws are fixed by a secret and the input, so that asking again is no use.

An HMAC of the model's version and the *quantised* input, under a secret, seeds each row's draw.
Never the client: many accounts would average it away.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import math
import os
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkroom.defenses.base import OutputDefense, Scores, blocks
from darkroom.defenses.effects import Effect
from darkroom.defenses.noise import require_noise, with_noise
from darkroom.errors import PlanError

SHORTEST = 16
"""Bytes that a secret must have: fewer could be guessed."""

SAMPLED = 128
"""Features of an input that a projection adds up, at most."""

FINE = 256
"""Into so many levels a cell's width is divided before features are added up: whole numbers add
up to the same in every order, so a batch and its rows lie in the same cells."""

FARTHEST = 1 << 14
"""The largest level; with at most :data:`SAMPLED` of them, float32 adds them up exactly."""

QUANTILES = 1 << 16


@dataclass(frozen=True)
class Sticky(OutputDefense):
    """A defence whose draw for a row is fixed by a secret, the model's version and the input.

    It must be given the inputs, ``(n, features)`` in any range, beside the scores.

    The input is quantised by secret random projections: a few sums of features with random signs,
    each cut into cells of equal width at a random offset. A change of all features by ``d`` (root
    mean square) moves a projection by about ``d``, so that near-duplicates mostly share their
    cells, and nobody without the secret knows where a cell ends.

    What this cannot do: within a cell all answers have the same noise, so their *differences* have
    none; and an attacker who moves far enough to leave the cell without leaving what the model
    takes for the same averages over cells. Wide cells suffer from the first, narrow ones from the
    second.

    Attributes:
        secret: Where it is: ``env:NAME`` or ``file:PATH``, never the secret itself.
        version: The model's, so that a new model draws anew.
        cell: The width of a cell, in units of the input, above 0.
        projections: How many sums, 1 or more.
        exact: Whether the input's exact bytes are used instead: the weak form, since any change
            of an input draws anew.
        key: The secret itself, for use from Python; never described, printed or stored.
    """

    needs_inputs: ClassVar[bool] = True

    secret: str = field(default="", kw_only=True, metadata={"quiet": True})
    version: str = field(default="", kw_only=True, metadata={"quiet": True})
    cell: float = field(default=0.25, kw_only=True)
    projections: int = field(default=8, kw_only=True)
    exact: bool = field(default=False, kw_only=True)
    key: bytes | None = field(
        default=None, kw_only=True, repr=False, compare=False, metadata={"hidden": True}
    )

    def __post_init__(self) -> None:
        """Refuses what is no cell, and a secret that is too short or in the clear.

        Raises:
            PlanError: If a value is out of its range.
        """
        if not 0 < self.cell < np.inf or self.projections < 1:
            raise PlanError(f"defence {self.name}: cell must be above 0, projections 1 or more")
        if self.secret and self.secret.partition(":")[0] not in ("env", "file"):
            raise PlanError(
                f'defence {self.name}: secret must say where it is, "env:NAME" or "file:PATH", '
                "and not be the secret itself"
            )
        if self.key is not None and len(self.key) < SHORTEST:
            raise PlanError(
                f"defence {self.name}: the secret has {len(self.key)} bytes, but needs "
                f"{SHORTEST}: make one with openssl rand -hex 32"
            )

    def prepared(self, folder: Path) -> Self:
        """Reads the secret; see :meth:`OutputDefense.prepared`."""
        if self.key is not None:
            return self
        if not self.secret:
            raise PlanError(
                f'defence {self.name} needs a secret: give secret = "env:NAME" or "file:PATH"'
            )
        kind, _, where = self.secret.partition(":")
        return replace(self, key=_from_file(folder / where) if kind == "file" else _from_env(where))

    def __call__(
        self, scores: Scores, rng: np.random.Generator, inputs: ArrayLike | None = None
    ) -> Scores:
        """Returns what is answered instead.

        Args:
            scores: Probabilities, float64 ``(n, classes)``; ``n`` may be 0.
            rng: Not used: nothing here is fresh.
            inputs: What the scores answer, ``(n, features)`` or ``(n, ...)``.

        Returns:
            The same shape; finite, non-negative, and every row sums to one.

        Raises:
            PlanError: If there is no secret or there are no inputs.
        """
        del rng
        if inputs is None:
            raise PlanError(
                f"defence {self.name} must see the inputs, and here it cannot: choose one that "
                "needs none, such as rounding"
            )
        numbers = np.asarray(inputs)
        features = math.prod(numbers.shape[1:])
        return self.answer(scores, self.seeds(numbers.reshape(len(numbers), features)))

    @property
    def sticking_cell(self) -> float:
        """The width of a cell in which inputs share a draw; 0 where their exact bytes decide."""
        return 0.0 if self.exact else self.cell

    def seeds(self, inputs: NDArray[Any]) -> list[bytes]:
        """Returns an HMAC-SHA256 of each row's cell, 32 bytes each."""
        if self.key is None:
            raise PlanError(f"defence {self.name} has no secret: call prepared() first")
        # Zero has two signs, and both are the same input.
        what = inputs + 0.0 if self.exact else self._cells(inputs)
        version = self.version.encode()
        head = b"|".join((b"darkroom", self.name.encode(), b"%d" % len(version), version, b""))
        joined, width = what.tobytes(), what[:1].nbytes
        return [
            hmac.digest(self.key, head + joined[begin : begin + width], "sha256")
            for begin in range(0, len(joined), max(1, width))
        ]

    @abstractmethod
    def answer(self, scores: Scores, seeds: list[bytes]) -> Scores:
        """Returns what is answered instead of scores, drawn from a seed a row."""

    def _cells(self, inputs: NDArray[Any]) -> NDArray[np.int32]:
        """Returns the cell of each row, int32 ``(n, projections)``."""
        assert self.key is not None
        chosen, signs, offsets = _projections(
            self.key, self.version, inputs.shape[1], self.projections
        )
        with np.errstate(over="ignore", invalid="ignore"):
            levels = inputs[:, chosen].astype(np.float32) * np.float32(FINE / self.cell)
        np.nan_to_num(levels, copy=False, nan=0.0, posinf=FARTHEST, neginf=-FARTHEST)
        np.rint(levels, out=levels)
        np.clip(levels, -FARTHEST, FARTHEST, out=levels)
        # Divided by the root of their number, sums of many features spread like single ones.
        width = FINE * np.sqrt(len(chosen))
        cells: NDArray[np.int32] = np.floor((levels @ signs) / width + offsets).astype(np.int32)
        return cells


@dataclass(frozen=True)
class StickyNoise(Sticky):
    """Adds noise that is fixed for an input; see :class:`Sticky` for what counts as the same.

    The HMAC of a row's cell is stretched by SHAKE-128 into 16 bits a score, which pick a quantile
    of the noise's distribution, so that no noise is beyond its 1/131,072 quantiles.

    Attributes:
        deviation: The noise's standard deviation, 0 or more.
        kind: ``gaussian`` or ``laplace``.
    """

    name: ClassVar[str] = "sticky-noise"
    cost: ClassVar[str] = "an HMAC a row, two hashed bytes and a table look-up a score"

    deviation: float = 0.05
    kind: str = "gaussian"

    def __post_init__(self) -> None:
        """Refuses noise that cannot be drawn; see :meth:`Sticky.__post_init__`.

        Raises:
            PlanError: If a value is out of its range.
        """
        super().__post_init__()
        require_noise(self.name, self.deviation, self.kind)

    @property
    def effect(self) -> Effect:
        """See :attr:`OutputDefense.effect`."""
        return Effect(
            changes_label=self.deviation > 0,
            deviation=self.deviation,
            laplace=self.deviation > 0 and self.kind == "laplace",
            cell=self.sticking_cell,
        )

    def answer(self, scores: Scores, seeds: list[bytes]) -> Scores:
        """Adds the noise that the seeds stand for."""
        table = _quantiles(self.kind) * self.deviation
        classes, answers = scores.shape[1], np.empty_like(scores)
        for rows in blocks(*scores.shape):
            stream = b"".join(hashlib.shake_128(seed).digest(2 * classes) for seed in seeds[rows])
            drawn = table[np.frombuffer(stream, np.uint16).reshape(-1, classes)]
            answers[rows] = with_noise(scores[rows], drawn)
        return answers


def uniforms(seeds: list[bytes]) -> NDArray[np.float64]:
    """Returns a number in [0, 1) for each seed, ``(n,)``."""
    whole = np.frombuffer(b"".join(seed[:8] for seed in seeds), np.uint64)
    return (whole >> np.uint64(11)).astype(np.float64) * 2.0**-53


@functools.lru_cache(maxsize=2)
def _quantiles(kind: str) -> Scores:
    """Returns the quantiles of noise of deviation one at the middles of 65,536 equal parts."""
    middles = (np.arange(QUANTILES) + 0.5) / QUANTILES
    if kind == "gaussian":
        upper = np.array([NormalDist().inv_cdf(p) for p in middles[QUANTILES // 2 :]])
    else:
        upper = -np.log(2 * (1 - middles[QUANTILES // 2 :])) / np.sqrt(2)
    table: Scores = np.concatenate([-upper[::-1], upper])
    # What lies beyond the last quantile is missing: the deviation is made one again.
    table /= table.std()
    return table


@functools.lru_cache(maxsize=8)
def _projections(
    key: bytes, version: str, features: int, projections: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
    """Draws which features are added up, with which signs, and where cells begin.

    Returns:
        Features ``(sampled,)``, signs ``(sampled, projections)``, offsets ``(projections,)``.
    """
    said = f"darkroom|projections|{features}|{projections}|{version}".encode()
    # A fast generator will do: its draws never leave, only the cells that they cut.
    seed = int.from_bytes(hmac.digest(key, said, "sha256"), "big")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(features)[:SAMPLED])
    signs = rng.choice(np.array([-1, 1], np.float32), (len(chosen), projections))
    return chosen, signs, rng.random(projections)


def _from_file(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise PlanError(
            f"secret file {path}: {error.strerror}: make one with openssl rand -hex 32"
        ) from error


def _from_env(name: str) -> bytes:
    value = os.environ.get(name, "").strip()
    if not value:
        raise PlanError(f"environment variable {name} holds no secret: set it")
    return value.encode()
