"""How good the judges are, and how often they are wrong.

A success rate means little without these figures beside it: the judges' accuracy on real photos,
and how often they find a person in noise, in a photo of somebody else that was changed too little
to see, and in an untouched photo of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkroom.access import Access
from darkroom.errors import DataError
from darkroom.images.targets.base import Target
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.judges.accuracy import Rate, require_photos
from darkroom.vision.judges.images import Images
from darkroom.vision.judges.panel import Panel

Labels = NDArray[np.int64]

_STEPS = 100  # by then a picture that will reach the confidence has
_LARGEST_CHANGE = 8 / 255  # of the value range


class FalsePositives(NamedTuple):
    """How often the panel finds a goal where it is not.

    Attributes:
        noise: In noise grown until the target says the goal.
        adversarial: In photos of others, changed by at most 8/255 until the target says the goal.
        others: In photos of others as they are.
    """

    noise: Rate
    adversarial: Rate
    others: Rate


def false_positive_rates(
    panel: Panel,
    target: Target,
    photos: Images,
    people: Labels,
    *,
    goals: Labels,
    seed: int,
    per_goal: int = 3,
    confidence: float = 0.99,
    steps: int = _STEPS,
    on_progress: Callable[[int, int], None] | None = None,
) -> FalsePositives:
    """Measures how often the panel finds a goal where it is not.

    Noise starts as uniform noise over the whole range, or as grey under Gaussian noise of a fifth
    of the range, in turn, so that whatever the ascent adds lies under plain noise. (Grown from
    plain grey, a linear model's gradient alone draws the person: that is an attack, no control.)
    The photos changed are those of others that the target finds most like the goal to begin with;
    from most photos no change this small reaches the confidence.

    Args:
        panel: The judges.
        target: The model; its gradients are used, so it is always taken without defences. Of one
            without weights, the rates on noise and on changed photos stay unknown.
        photos: Photos in the target's range that none of the judges was trained on, of two people
            or more, ``(n, channels, height, width)``.
        people: The class of each, ``(n,)``.
        goals: The classes to be found, ``(goals,)``.
        seed: Decides the noise, and which goal each unchanged photo is asked for.
        per_goal: How many pictures of noise, and how many photos of others, are made to show each
            goal.
        confidence: What the target must say of the goal.
        steps: How many gradients each picture may take.
        on_progress: Called with how many of the three rates are known, and three.

    Raises:
        DataError: If there is no photo, if photos and labels do not fit together or with the
            panel, or if a goal has no photo of somebody else.
    """
    require_photos(photos, people)
    report = on_progress or (lambda _done, _total: None)
    rng = np.random.default_rng(seed)
    # Unchanged photos first: what they are asked for must not hang on the other two.
    stranger, named = _strangers(people, goals, rng)
    plain = Rate.of(panel.judge(photos[stranger]).names(named))
    report(1, 3)
    if not isinstance(target, TorchTarget) or target.access is not Access.WEIGHTS:
        unknown = Rate(0, 0, 0, None)
        return FalsePositives(unknown, unknown, plain)
    wanted = np.repeat(goals, per_goal)
    noise = _ascend(target, _noise(target, len(wanted), rng), wanted, confidence, steps, None)
    report(2, 3)
    photo, shown = _others(target.scores(photos)[:, goals].T, people, goals, per_goal)
    largest = _LARGEST_CHANGE * target.spec.width_of_range
    changed = _ascend(target, photos[photo], shown, confidence, steps, largest)
    report(3, 3)
    return FalsePositives(_judged(panel, noise, wanted), _judged(panel, changed, shown), plain)


class _Grown(NamedTuple):
    """Pictures, and which of them the target takes for their goals."""

    images: Images
    reached: NDArray[np.bool_]


def _judged(panel: Panel, grown: _Grown, goals: Labels) -> Rate:
    named = panel.judge(grown.images[grown.reached]).names(goals[grown.reached])
    return Rate.of(named, attempts=len(goals))


def _noise(target: TorchTarget, count: int, rng: np.random.Generator) -> Images:
    """Returns uniform noise and noise on grey in turn, in the target's range."""
    shape = (count, *target.spec.shape)
    uniform = rng.random(shape, np.float32)
    gaussian = 0.5 + 0.2 * rng.standard_normal(shape, np.float32)
    even = (np.arange(count) % 2 == 0)[:, None, None, None]
    noise = np.where(even, uniform, gaussian.clip(0, 1))
    return (target.spec.low + target.spec.width_of_range * noise).astype(np.float32)


def _others(
    scores: NDArray[np.float64], people: Labels, goals: Labels, per_goal: int
) -> tuple[Labels, Labels]:
    """Chooses photos of others for every goal, as positions, and the goal of each.

    Args:
        scores: What the target says of each goal on each photo, ``(goals, photos)``.
        people: The class of each photo.
        goals: The classes to be shown.
        per_goal: How many photos each goal gets, fewer where others have fewer.

    Raises:
        DataError: If a goal has no photo of somebody else.
    """
    same = goals[:, None] == people[None, :]
    alone = goals[same.all(axis=1)]
    if len(alone):
        raise DataError(
            f"false positives: no photo of anybody but {alone.tolist()}: give photos of others"
        )
    order = np.where(same, np.inf, -scores).argsort(axis=1, kind="stable")[:, :per_goal]
    row, column = np.nonzero(~np.take_along_axis(same, order, axis=1))
    return order[row, column].astype(np.int64), goals[row]


def _strangers(people: Labels, goals: Labels, rng: np.random.Generator) -> tuple[Labels, Labels]:
    """Draws for every photo a goal that it does not show; returns both, photos as positions."""
    keys = rng.random((len(people), len(goals)))
    keys[people[:, None] == goals[None, :]] = np.inf
    usable = np.flatnonzero(np.isfinite(keys.min(axis=1)))
    return usable, goals[keys[usable].argmin(axis=1)]


def _ascend(
    target: TorchTarget,
    starts: Images,
    goals: Labels,
    confidence: float,
    steps: int,
    largest: float | None,
) -> _Grown:
    """Changes pictures until the target says their goals, in chunks of the target's batch.

    Args:
        target: The model.
        starts: ``(n, channels, height, width)`` in its range.
        goals: ``(n,)``.
        confidence: What the target must say of the goal.
        steps: How many gradients each picture may take.
        largest: The largest change of a pixel; ``None`` for any.
    """
    images, reached = starts.copy(), np.zeros(len(starts), np.bool_)
    for start in range(0, len(starts), target.batch):
        rows = slice(start, start + target.batch)
        first = torch.from_numpy(images[rows]).to(target.device)
        wanted = torch.from_numpy(goals[rows]).to(target.device)
        last, done = _ascend_chunk(target, first, wanted, confidence, steps, largest)
        images[rows], reached[rows] = last.cpu().numpy(), done.cpu().numpy()
    return _Grown(images, reached)


def _ascend_chunk(
    target: TorchTarget,
    starts: Tensor,
    goals: Tensor,
    confidence: float,
    steps: int,
    largest: float | None,
) -> tuple[Tensor, Tensor]:
    """Returns each picture as it was when the target first said its goal, and whether it did."""
    width = target.spec.width_of_range
    reach = width if largest is None else largest
    lowest = (starts - reach).clamp_min(target.spec.low)
    highest = (starts + reach).clamp_max(target.spec.high)
    images = starts.clone().requires_grad_()
    optimiser = torch.optim.Adam([images], lr=min(0.01 * width, reach / 8))
    result, done = starts.clone(), torch.zeros(len(starts), dtype=torch.bool, device=starts.device)
    for step in range(steps + 1):
        scores = target.log_scores(images)[torch.arange(len(goals), device=goals.device), goals]
        fresh = (scores.detach().exp() >= confidence) & ~done
        result[fresh], done = images.detach()[fresh], done | fresh
        if step == steps or bool(done.all()):
            break
        optimiser.zero_grad()
        (-scores.sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            images.copy_(torch.minimum(torch.maximum(images, lowest), highest))
    return result, done
