"""Why a model knows nobody, when neither another order nor another preprocessing helps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darkroom.images.checks.causes.orders import assigned
from darkroom.images.checks.causes.weights import fresh_layers
from darkroom.images.checks.sample import Answers, ask, rows_for
from darkroom.images.subject import Subject
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.photos import spread

# How many numbers face embeddings and the bodies of image models usually return.
_EMBEDDINGS = frozenset({64, 128, 160, 192, 256, 320, 384, 512, 768, 1024, 1280, 1536, 2048})
_UNMOVED, _MOVED = 0.05, 0.3  # how far answers are from their mean, as total variation


class Blame(NamedTuple):
    """A cause, what was found of it, and how to mend it."""

    cause: str
    words: str
    remedy: str


def blame(subject: Subject, answers: Answers) -> Blame:
    """Returns why a model knows its people no better than chance.

    Args:
        subject: The model and the photos.
        answers: What it said of photos that it was trained on.
    """
    found = _weights(subject, answers) or _public(subject) or _embedding(subject)
    if found is not None:
        return found
    moved = _movement(answers)
    tried = "Neither another order of people nor another scaling of photos explains it"
    if moved >= _MOVED:
        sure = "" if answers.scores is None else _sureness(answers.scores)
        return Blame(
            "other people",
            f"{tried}, and it answers as a trained model does{sure}: it was perhaps trained on "
            "other people, or on photos cut otherwise.",
            "Give in [private] the photos that this model was trained on, cut as they were then.",
        )
    return Blame(
        "unknown",
        f"{tried}: none of the usual causes does.",
        "Ask the model about a training photo outside Darkroom, and compare what it is given.",
    )


def _weights(subject: Subject, answers: Answers) -> Blame | None:
    """Finds weights that were not loaded, in whole or in the last layer."""
    remedy = "Give the trained weights in [target] weights, or load them in what load names."
    if isinstance(subject.target, TorchTarget):
        fresh, told = fresh_layers(subject.target.model)
        if told and len(fresh) == told:
            words = f"All {told} layers that tell have the values that PyTorch began them with."
            return Blame("weights not loaded", words, remedy)
        if fresh and fresh[-1] == _last(subject.target):
            words = f"Its last layer, {fresh[-1]}, has the values that PyTorch began it with."
            return Blame("weights not loaded", words, remedy)
    if _movement(answers) < _UNMOVED:
        words = "Its answers hardly depend on the photo."
        return Blame("weights not loaded", words, remedy)
    return None


def _last(target: TorchTarget) -> str:
    """Returns the name of the last layer that has weights of its own."""
    names = [
        name for name, layer in target.model.named_modules() if [*layer.parameters(recurse=False)]
    ]
    return names[-1] if names else ""


def _public(subject: Subject) -> Blame | None:
    """Finds that the model knows the people of the public photos."""
    public, target = subject.public, subject.target
    if public is None or target.served:
        return None
    some = spread(public, rows_for(target))
    labels = ask(target, some.images).labels
    if assigned(labels, some.people, some.names, target.classes) is None:
        own = (labels == some.people).mean()
        if own < 0.8 or len(np.unique(some.people)) < 3:
            return None
    return Blame(
        "other people",
        "It knows the people on the public photos instead.",
        "Exchange the images of [private] and [public].",
    )


def _embedding(subject: Subject) -> Blame | None:
    """Finds that the numbers are no classes by how many they are."""
    classes, people = subject.target.classes, len(subject.goals)
    if classes not in _EMBEDDINGS or classes < 1.5 * people:
        return None
    return Blame(
        "outputs",
        f"It answers {classes} numbers for {people} people, as an embedding does.",
        "Audit a model whose answers are one score a person: add the layer that names people.",
    )


def _movement(answers: Answers) -> float:
    """Returns how far answers are from their mean, from 0 (always the same) to 1."""
    scores = answers.scores
    if scores is None:
        counts = np.bincount(answers.labels)
        return float(1 - counts.max() / counts.sum())
    return float(np.abs(scores - scores.mean(axis=0)).sum(axis=1).mean() / 2)


def _sureness(scores: np.ndarray) -> str:
    return f" (median confidence {np.median(scores.max(axis=1)):.0%})"
