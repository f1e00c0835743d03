"""A scikit-learn classifier as a target."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import TargetError, one_line
from darkroom.images.targets.base import Target
from darkroom.vision.pixels import ChannelOrder, flattened, in_batches, probe_images
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import AnswerError, probabilities


class SklearnTarget(Target):
    """A classifier with ``predict_proba`` (access ``scores``) or only ``predict`` (``label``).

    Class ``i`` is the classifier's ``classes_[i]``, whatever it is called there.
    """

    def __init__(
        self,
        estimator: Any,
        shape: Sequence[int],
        *,
        value_range: tuple[float, float] = (0.0, 1.0),
        channels: ChannelOrder = "first",
        name: str = "sklearn",
        batch: int = 1024,
    ) -> None:
        """Wraps a fitted classifier and asks it two blank images.

        Args:
            estimator: Takes rows of ``channels * height * width`` numbers.
            shape: ``(channels, height, width)``.
            value_range: The values of black and of full intensity.
            channels: Whether the classifier was fitted on images flattened from ``(channels,
                height, width)`` (``first``) or from ``(height, width, channels)`` (``last``).
            name: What reports call it.
            batch: Rows answered at a time.

        Raises:
            TargetError: If it is no fitted classifier, takes rows of another length, or answers
                something other than one row of probabilities, or one known class, an image.
        """
        self.spec = ImageSpec.of(shape, value_range)
        self.name, self.batch, self.channels = name, batch, channels
        self.estimator = estimator
        self._names = self._classes()
        self.classes = len(self._names)
        scores = hasattr(estimator, "predict_proba")
        self.access = Access.SCORES if scores else Access.LABEL
        self.outputs = "probabilities" if scores else "labels"
        self._check_features()
        images = probe_images(self.spec)
        if scores:
            self.scores(images)
        else:
            self.labels(images)

    @property
    def labels_in_order(self) -> NDArray[Any]:
        """What the classifier itself calls its classes, in order."""
        return self._names

    def _classes(self) -> NDArray[Any]:
        """Returns the classifier's own names of its classes, sorted, as scikit-learn keeps them."""
        found = getattr(self.estimator, "classes_", None)
        if not hasattr(self.estimator, "predict") or found is None:
            raise TargetError(
                f"target {self.name}: {type(self.estimator).__name__} is no fitted classifier "
                "(it lacks predict or classes_): fit it first"
            )
        names = np.asarray(found) if not isinstance(found, list) else np.empty((0, 0))
        if names.ndim != 1 or len(names) < 2:
            raise TargetError(
                f"target {self.name}: model inversion needs one output of at least two classes"
            )
        return names

    def _check_features(self) -> None:
        wanted, given = getattr(self.estimator, "n_features_in_", None), np.prod(self.spec.shape)
        if wanted is not None and wanted != given:
            raise TargetError(
                f"target {self.name}: the classifier takes rows of {wanted} numbers, but images of "
                f"shape {list(self.spec.shape)} have {given}: set [target] shape"
            )

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the confidence of every class; see :meth:`Target.scores`."""
        if self.access is Access.LABEL:
            return super().scores(images)
        answers = in_batches(images, self.batch, self._probabilities)
        return np.concatenate([np.empty((0, self.classes)), *answers])

    def labels(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Returns the winning class of each row; see :meth:`Target.labels`.

        Of a classifier with ``predict_proba`` it is the class with the highest confidence, which
        for some (a support vector machine with Platt's scaling) is not always what ``predict``
        says.
        """
        if self.access is not Access.LABEL:
            return super().labels(images)
        answers = in_batches(images, self.batch, self._positions)
        return np.concatenate([np.empty(0, np.int64), *answers])

    def _probabilities(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        answers = self._ask("predict_proba", images)
        if not isinstance(answers, np.ndarray) or answers.shape != (len(images), self.classes):
            raise TargetError(
                f"target {self.name}: predict_proba returned {_shape(answers)} for {len(images)} "
                f"images, not ({len(images)}, {self.classes}): give a classifier with one output"
            )
        try:
            return probabilities(answers.astype(np.float64), "probabilities")
        except AnswerError as error:
            raise TargetError(
                f"target {self.name}: predict_proba's answer is unusable: {error}: mend the "
                "classifier, or give one without predict_proba, which is attacked by its labels"
            ) from error

    def _positions(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        answers = np.asarray(self._ask("predict", images))
        if answers.shape != (len(images),):
            raise TargetError(
                f"target {self.name}: predict returned {_shape(answers)} for {len(images)} "
                f"images, not ({len(images)},): give a classifier with one output"
            )
        equal = answers[:, None] == self._names[None, :]
        if not equal.any(axis=1).all():
            raise TargetError(f"target {self.name}: predict returned a class not in classes_")
        positions: NDArray[np.int64] = equal.argmax(axis=1).astype(np.int64)
        return positions

    def _ask(self, method: str, images: NDArray[np.float32]) -> Any:
        rows = flattened(images, self.channels)
        try:
            # One that was fitted on a table with named columns warns of rows without names.
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                return getattr(self.estimator, method)(rows)
        except Exception as error:
            raise TargetError(
                f"target {self.name}: {method} failed on images of shape {list(self.spec.shape)} "
                f"({one_line(error)}): check [target] shape and that the classifier is fitted"
            ) from error

    def fingerprint(self) -> str:
        """Returns a hash of the fitted classifier and of how images reach it."""
        import joblib

        fitted = joblib.hash(self.estimator, hash_name="sha1")
        decisive = (fitted, self.spec, self.channels, self.outputs)
        return hashlib.sha256(repr(decisive).encode()).hexdigest()


def _shape(answers: object) -> str:
    return str(answers.shape) if isinstance(answers, np.ndarray) else type(answers).__name__
