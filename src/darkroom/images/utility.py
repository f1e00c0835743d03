"""What a classifier of images is worth to its owner behind a defence, and what that costs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from darkroom.access import Access
from darkroom.defenses.pipeline import Pipeline
from darkroom.images.subject import Subject
from darkroom.statistics.calibration import calibration_error

BATCH = 256
TRIALS = 5


def utility(subject: Subject, defense: Pipeline) -> dict[str, float]:
    """Returns what the answers to held-out photos are worth; nothing without such photos.

    Args:
        subject: The target and the photos.
        defense: What is changed of its answers.

    Returns:
        ``accuracy``; where the target shows scores also ``calibration_error``; and behind a
        defence ``label_changes``, the share of photos of which it changes the class named.
    """
    photos = subject.held_out
    if not len(photos.people):
        return {}
    if not subject.target.access.includes(Access.SCORES):
        named = subject.target.labels(photos.images)
        return {"accuracy": float((named == photos.people).mean())}
    plain = subject.target.scores(photos.images)
    answers = defense(plain, np.random.default_rng(0), photos.images)
    named = answers.argmax(axis=1)
    found = {
        "accuracy": float((named == photos.people).mean()),
        "calibration_error": calibration_error(answers, photos.people),
    }
    if defense.defenses:
        found["label_changes"] = float((named != plain.argmax(axis=1)).mean())
    return found


def cost(subject: Subject, defense: Pipeline) -> dict[str, Any] | None:
    """Times a defence beside the target's forward pass, on one batch of photos.

    Returns:
        ``microseconds`` a row, and ``of_forward``, that over the forward pass's time; ``None``
        where there is nothing to time.
    """
    if not defense.defenses or not subject.target.access.includes(Access.SCORES):
        return None
    images = np.resize(subject.private.images, (BATCH, *subject.target.spec.shape))
    rng = np.random.default_rng(0)
    forward, changed = [], []
    for _ in range(TRIALS):
        begun = time.perf_counter()
        answers = subject.target.scores(images)
        between = time.perf_counter()
        defense(answers, rng, images)
        forward.append(between - begun)
        changed.append(time.perf_counter() - between)
    # The fastest of several is the least disturbed.
    return {
        "microseconds": min(changed) / BATCH * 1e6,
        "of_forward": min(changed) / max(min(forward), 1e-9),
    }
