"""Whether answers are the same twice, and alone as in a batch."""

from __future__ import annotations

import numpy as np

from darkroom.auditing.record import Check
from darkroom.images.checks.sample import Answers, Images, ask
from darkroom.images.targets.base import Target

NAME = "answers"

_TWICE, _ALONE = 6, 4  # rows
_TOLERANCE, _HALF = 1e-3, 0.03  # of a confidence: rounding, and where passes are of 16 bits
_MATTERS = 0.05  # of a confidence, or of how far answers to different photos are apart


def check_answers(target: Target, images: Images, answers: Answers) -> Check:
    """Asks some photos again, together and one by one.

    Args:
        target: The model.
        images: Photos, of different people.
        answers: What it said of them.
    """
    first = _values(answers, target.classes)
    same, again = (_values(ask(target, images[:_TWICE]), target.classes) for _ in range(2))
    rows = [ask(target, images[row : row + 1]) for row in range(min(_ALONE, len(images)))]
    alone = np.concatenate([_values(row, target.classes) for row in rows])
    spread = float(np.abs(first - first.mean(axis=0)).mean())
    # A batch of the same photos: what others are in it may matter too.
    apart = float(np.abs(again - same).max())
    tolerance = _TOLERANCE if getattr(target, "half", None) is None else _HALF
    if apart > tolerance:
        share = float(np.abs(again - same).mean()) / max(spread, 1e-12)
        return _random(target, apart, share)
    batch = float(np.abs(alone - same[: len(alone)]).max())
    if batch > tolerance:
        share = float(np.abs(alone - same[: len(alone)]).mean()) / max(spread, 1e-12)
        return _batch(target, batch, share)
    return Check(
        name=NAME,
        outcome="passed",
        found=f"Answers are the same twice, and alone as in a batch ({len(same)} "
        "photos asked again).",
    )


def _random(target: Target, apart: float, share: float) -> Check:
    found = f"The same photo asked twice gets confidences that differ by up to {apart:.2g}."
    if target.served:
        return Check(
            name=NAME,
            outcome="noted",
            found=f"{found} The server adds noise, or is not one model.",
            cause="random answers",
        )
    return Check(
        name=NAME,
        outcome="failed" if max(apart, share) > _MATTERS else "noted",
        found=found,
        cause="random answers",
        remedy="Turn off dropout and noise in the model's forward pass; an audit calls eval() on "
        "the module, which functions such as functional.dropout do not heed.",
    )


def _batch(target: Target, apart: float, share: float) -> Check:
    found = f"A photo alone and in a batch gets confidences that differ by up to {apart:.2g}."
    if target.served:
        return Check(name=NAME, outcome="noted", found=found, cause="batch dependence")
    return Check(
        name=NAME,
        outcome="failed" if max(apart, share) > _MATTERS else "noted",
        found=found,
        cause="batch dependence",
        remedy="Let batch normalisation use its running statistics: track_running_stats=True, and "
        "no train() in the forward pass.",
    )


def _values(answers: Answers, classes: int) -> np.ndarray:
    """Returns confidences; of labels alone, one for the class named."""
    return np.eye(classes)[answers.labels] if answers.scores is None else answers.scores
