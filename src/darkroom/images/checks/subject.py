"""All checks of a classifier of images, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable

import torch

from darkroom.auditing.record import Check
from darkroom.images.checks.accuracy import check_accuracy
from darkroom.images.checks.gradients import check_gradient
from darkroom.images.checks.knowledge import knowledge
from darkroom.images.checks.outputs import check_outputs
from darkroom.images.checks.pixels import check_photos
from darkroom.images.checks.repeatability import check_answers
from darkroom.images.checks.sample import ask, rows_for
from darkroom.images.checks.trained_on import check_trained_on
from darkroom.images.subject import Subject
from darkroom.vision.duplicates import check_duplicates
from darkroom.vision.photos import spread


def check_subject(subject: Subject, advance: Callable[[int, int], None]) -> tuple[Check, ...]:
    """Asks whether the model and the photos are what their owner thinks; changes nothing.

    Args:
        subject: The model and the photos.
        advance: Told how far it is.

    Returns:
        A check for each question; every question has one, whatever the model is.
    """
    # A model that draws at random must not move what the audit draws.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        target = subject.target
        asked = spread(subject.seen, rows_for(target))
        answers = ask(target, asked.images)
        known = knowledge(answers.labels, asked.people)
        outputs = check_outputs(target, asked.images, known)
        return (
            outputs,
            check_answers(target, asked.images, answers),
            check_gradient(target, asked.images),
            check_accuracy(subject, asked, answers, outputs, advance),
            check_trained_on(subject, asked, answers),
            check_photos(subject),
            check_duplicates(subject),
        )
