"""Checks of targets of images."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.base import Target
from darkroom.named import origin
from darkroom.testing.images.small import small_photos
from darkroom.testing.promises import refuses, require

ROWS = 7


def answers(target: Target, images: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Returns all that a target shows of images, by what it is called.

    Args:
        target: The target.
        images: In its shape and range; maybe none.
    """
    found: dict[str, NDArray[Any]] = {"labels": target.labels(images)}
    if target.access.includes(Access.TOP_K):
        found["classes"], found["best"] = target.top_k(images, target.largest_k)
    if target.access.includes(Access.SCORES):
        found["scores"] = target.scores(images)
    return found


def shows_what_its_access_says(target: Target) -> None:
    """Scores are probabilities, labels and the best are theirs, and to show more is refused."""
    name, images = target.name, small_photos(ROWS, target.spec)
    for rows in (images, images[:0]):
        shown, n = answers(target, rows), len(rows)
        labels = shown["labels"]
        right = labels.shape == (n,) and labels.dtype == np.int64
        require(right, f"target {name} answers labels {labels.dtype} {list(labels.shape)} to {n}")
        known = ((labels >= 0) & (labels < target.classes)).all()
        require(known, f"target {name} answers labels beyond its {target.classes} classes")
        if "scores" in shown:
            scores = shown["scores"]
            right = scores.shape == (n, target.classes) and scores.dtype == np.float64
            require(right, f"target {name} answers scores {scores.dtype} {list(scores.shape)}")
            fair = (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1)
            require(fair, f"target {name} answers scores that are no probabilities")
            require((labels == scores.argmax(axis=1)).all(), f"target {name}: labels do not win")
    for access, ask in (
        (Access.SCORES, lambda: target.scores(images)),
        (Access.TOP_K, lambda: target.top_k(images, 1)),
        (Access.WEIGHTS, lambda: target.log_scores(torch.from_numpy(images))),
    ):
        if not target.access.includes(access):
            refuses(ask, f"target {name} says {target.access}, and answers {access}")


def answers_rows_alike(target: Target) -> None:
    """A batch, its rows one by one, and the same again get the same answers."""
    images = small_photos(ROWS, target.spec)
    whole = answers(target, images)
    alone = [answers(target, images[row : row + 1]) for row in range(ROWS)]
    for what, value in whole.items():
        rows = np.concatenate([one[what] for one in alone])
        require(
            np.allclose(rows, value, rtol=1e-5, atol=1e-6),
            f"target {target.name} answers a batch otherwise than its rows one by one: {what}",
        )
        again = np.array_equal(answers(target, images)[what], value)
        require(again, f"target {target.name} answers otherwise when asked again: {what}")


def leaves_images_alone(target: Target) -> None:
    """What it is asked about is not changed."""
    images = small_photos(ROWS, target.spec)
    before = images.copy()
    answers(target, images)
    require(np.array_equal(images, before), f"target {target.name} changes the images it is given")


def has_the_gradients_it_says(target: Target) -> None:
    """With access to weights, log-scores are the logarithms of scores, and differentiable."""
    if target.access is not Access.WEIGHTS:
        return
    images = torch.from_numpy(small_photos(ROWS, target.spec)).requires_grad_()
    told = target.log_scores(images)
    scores = target.scores(images.detach().numpy())
    same = np.allclose(told.detach().exp().numpy(), scores, rtol=1e-4, atol=1e-6)
    require(same, f"target {target.name}: log_scores are no logarithms of its scores")
    told[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    moved = images.grad is not None and bool(torch.isfinite(images.grad).all())
    require(moved, f"target {target.name}: log_scores has no gradient in the images")


def is_told_by_its_fingerprint(target: Target) -> None:
    """The fingerprint stays as long as the model does, and its code is in a file."""
    one = target.fingerprint()
    require(isinstance(one, str) and one, f"target {target.name} has no fingerprint")
    answers(target, small_photos(1, target.spec))
    require(target.fingerprint() == one, f"target {target.name}: its fingerprint changes by itself")
    origin(type(target))


def bounds_k(target: Target) -> None:
    """No more and no fewer of the best classes can be asked for than there are."""
    images = small_photos(1, target.spec)
    if not target.access.includes(Access.TOP_K):
        return
    for k in (0, target.largest_k + 1):
        with suppress(TargetError):
            target.top_k(images, k)
            raise AssertionError(f"target {target.name} answers the best {k} classes")


PROMISES = (
    shows_what_its_access_says,
    answers_rows_alike,
    leaves_images_alone,
    has_the_gradients_it_says,
    is_told_by_its_fingerprint,
    bounds_k,
)
"""What every target of images owes."""


def check_target(target: Target) -> None:
    """Checks a target by asking it a few images of noise.

    Args:
        target: The target; its shape, range and classes may be any.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    require(target.classes >= 2, f"target {target.name} has fewer than two classes")
    for promise in PROMISES:
        promise(target)
