"""Photos and labels as Python hands them over, made into what an audit works with, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.auditing.plan import parse_slice
from darkroom.errors import DataError
from darkroom.images.targets.base import Target
from darkroom.images.targets.sklearn import SklearnTarget
from darkroom.vision.photos import Photos
from darkroom.vision.spec import ImageSpec


def as_pair(value: Any, what: str) -> tuple[Any, Any]:
    """Returns images and labels, whatever they are.

    Raises:
        DataError: If they are no pair.
    """
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise DataError(f"{what}: give a pair of images and labels")
    return value[0], value[1]


def as_public(value: Any, spec: ImageSpec, what: str) -> Photos | None:
    """Returns photos of others; all count as different people where nobody is named.

    Args:
        value: Images, a pair of images and people, or ``None``.
        spec: The target's images.
        what: What they are, for the message.

    Raises:
        DataError: If they are no such images.
    """
    if value is None:
        return None
    if isinstance(value, tuple):
        pixels, people = as_pair(value, what)
        who = np.unique(np.asarray(people), return_inverse=True)[1]
        return Photos.of(as_images(pixels, spec, what), who)
    images = as_images(value, spec, what)
    return Photos.of(images, np.arange(len(images)))


def as_images(value: Any, spec: ImageSpec | None, what: str) -> NDArray[np.float32]:
    """Returns images as an audit works with them.

    Args:
        value: ``(n, channels, height, width)``: an array, a tensor, or a list of them. Bytes are
            scaled to the target's range.
        spec: The target's images; ``None`` to leave values as they are.
        what: What they are, for the message.

    Raises:
        DataError: If they are no such images.
    """
    try:
        images = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{what}: images of different shapes: give all the same") from error
    if images.dtype.kind not in "uifb":
        raise DataError(
            f"{what}: images of {images.dtype}: give numbers, (n, channels, height, width)"
        )
    if images.ndim != 4:
        raise DataError(
            f"{what}: images of shape {list(images.shape)}: give (n, channels, height, width)"
        )
    if images.shape[1] not in (1, 3) and images.shape[3] in (1, 3):
        raise DataError(
            f"{what}: images of shape {list(images.shape)} have channels last: give "
            "images.transpose(0, 3, 1, 2)"
        )
    if images.dtype == np.uint8 and spec is not None:
        return (images * np.float32(spec.width_of_range / 255) + spec.low).astype(np.float32)
    return images.astype(np.float32)


def as_people(
    value: Any, target: Target, names: Sequence[str] | None
) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """Returns the class on each private photo, and what the classes are called.

    Args:
        value: Classes as numbers, or names; of a scikit-learn classifier its own labels.
        target: The model.
        names: One a class, in order. Left out, a classifier's own, or with labels that are names
            these names sorted.

    Raises:
        DataError: If there are no labels, or they are not the model's classes.
    """
    if value is None:
        raise DataError("private: labels are None: give the class on each photo")
    labels = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if labels.ndim != 1:
        raise DataError(f"private: labels of shape {list(labels.shape)}: give one a photo")
    named = None if names is None else tuple(map(str, names))
    if isinstance(target, SklearnTarget):
        own = target.labels_in_order
        return _positions(labels, own), named or tuple(map(str, own.tolist()))
    if labels.dtype.kind in "UO":
        order = named or _sorted(labels, target)
        return _positions(labels.astype(str), np.array(order)), order
    if labels.dtype.kind == "f" and np.array_equal(labels, labels.round()):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "ui":
        raise DataError(f"private: labels of {labels.dtype}: give classes as numbers, or names")
    return labels.astype(np.int64), named


def _sorted(labels: NDArray[Any], target: Target) -> tuple[str, ...]:
    found = tuple(map(str, np.unique(labels.astype(str))))
    if len(found) != target.classes:
        raise DataError(
            f"private: labels name {len(found)} people, but the model has {target.classes} "
            "classes: give names = [...], one a class in the model's order"
        )
    return found


def _positions(labels: NDArray[Any], order: NDArray[Any]) -> NDArray[np.int64]:
    """Returns the place of each label among those of the classes."""
    place = {value: at for at, value in enumerate(order.tolist())}
    missing = [value for value in labels.tolist() if value not in place]
    if missing:
        raise DataError(
            f"private: label {missing[0]!r} is none of the model's classes "
            f"({', '.join(map(repr, order.tolist()[:5]))}{', …' if len(order) > 5 else ''})"
        )
    return np.array([place[value] for value in labels.tolist()], np.int64)


def as_trained(value: Any, people: NDArray[np.int64], photos: Photos) -> NDArray[np.bool_]:
    """Returns which photos the model was trained on, in the order of ``photos``.

    Args:
        value: A slice such as ``"0:7"`` of each person's photos; or for the photos as they were
            given a mask, or positions.
        people: The person on each photo as they were given.
        photos: The same photos, sorted.

    Raises:
        DataError: If a mask or a position does not fit the photos.
    """
    if isinstance(value, str):
        return photos.numbered(parse_slice(value))
    chosen, mask = np.asarray(value), np.zeros(len(people), np.bool_)
    if chosen.dtype == np.bool_ and chosen.shape == mask.shape:
        mask = chosen
    elif chosen.ndim == 1 and chosen.dtype.kind in "ui" and len(chosen):
        if chosen.min() < 0 or chosen.max() >= len(people):
            raise DataError(f"trained_on: positions must be 0 to {len(people) - 1}")
        mask[chosen] = True
    else:
        raise DataError(
            f"trained_on: give a slice such as '0:7', a mask of {len(people)} booleans, or "
            "positions"
        )
    return mask[np.argsort(people, kind="stable")]
