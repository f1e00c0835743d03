"""What a classifier of images is worth to its owner behind a defence, and what that costs."""

from __future__ import annotations

import time

import numpy as np

from darkroom.access import Access
from darkroom.auditing.record import Cost, Utility
from darkroom.defenses.pipeline import Pipeline
from darkroom.images.subject import Subject
from darkroom.statistics.calibration import calibration_error
from darkroom.statistics.chance import dead_classifier

BATCH = 256
TRIALS = 5


def utility(subject: Subject, defense: Pipeline) -> Utility:
    """Returns what the answers to held-out photos are worth; nothing without such photos.

    That is accuracy; where the target shows scores, the calibration error too; and behind a
    defence, the share of photos of which it changes the class named. A model that tells nothing of
    photos is dead.

    Args:
        subject: The target and the photos.
        defense: What is changed of its answers.
    """
    photos = subject.held_out
    if not len(photos.people):
        return Utility()
    if not subject.target.access.includes(Access.SCORES):
        named = subject.target.labels(photos.images)
        return Utility(
            accuracy=float((named == photos.people).mean()),
            dead=dead_classifier(named, photos.people, "photo"),
        )
    plain = subject.target.scores(photos.images)
    answers = defense(plain, np.random.default_rng(0), photos.images)
    named = answers.argmax(axis=1)
    changed = float((named != plain.argmax(axis=1)).mean())
    return Utility(
        accuracy=float((named == photos.people).mean()),
        calibration_error=calibration_error(answers, photos.people),
        label_changes=changed if defense.defenses else None,
        dead=dead_classifier(named, photos.people, "photo"),
    )


def cost(subject: Subject, defense: Pipeline) -> Cost | None:
    """Times a defence beside the target's forward pass, on one batch of photos.

    Returns:
        ``None`` where there is nothing to time.
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
    return Cost(
        microseconds=min(changed) / BATCH * 1e6,
        of_forward=min(changed) / max(min(forward), 1e-9),
    )
