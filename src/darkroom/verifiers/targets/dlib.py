"""dlib's recogniser, as the library ``face_recognition`` uses it."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from darkroom.errors import MissingExtraError
from darkroom.verifiers.targets.base import Encoder, Floats, Images
from darkroom.vision.spec import ImageSpec

SIZE = 128
"""The numbers in a template."""

_MODELS = "face_recognition_models"
_NET = "dlib_face_recognition_resnet_model_v1.dat"
_POSE = "shape_predictor_5_face_landmarks.dat"
_ENLARGED = 1  # how often a photo is doubled before faces are looked for, as the library does


class DlibEncoder(Encoder):
    """What ``face_recognition.face_encodings(photo)[0]`` computes, by the same calls of dlib.

    A detector finds the face (histograms of gradients), five landmarks turn and scale it, and a
    residual net of 29 layers (King 2017) makes 128 numbers of it. The models come with the package
    ``face_recognition_models``; dlib itself with ``dlib``, or ready-made with ``dlib-bin``. The
    package ``face_recognition`` is not needed.
    """

    def __init__(self, spec: ImageSpec, *, detect: bool = True) -> None:
        """Loads the models.

        Args:
            spec: The photos; grey ones are shown as colours.
            detect: Whether the face is looked for; else the whole photo is the face.

        Raises:
            MissingExtraError: If the models are not installed.
        """
        self.name, self.spec, self.size, self.detect = "face_recognition", spec, SIZE, detect
        self._folder = _models()
        self._detector = dlib.get_frontal_face_detector()
        self._pose = dlib.shape_predictor(str(self._folder / _POSE))
        self._net = dlib.face_recognition_model_v1(str(self._folder / _NET))

    def templates(self, images: Images) -> Floats:
        """Finds a face on each photo and describes it; see :meth:`Encoder.templates`."""
        rows = [self._template(photo) for photo in self._pixels(images)]
        return np.array(rows, np.float64).reshape(-1, SIZE)

    def _pixels(self, images: Images) -> Any:
        """Returns photos as dlib takes them: bytes ``(n, height, width, 3)``."""
        spec = self.spec
        shares = (images - spec.low) * (255 / spec.width_of_range)
        bytes_ = shares.round().clip(0, 255).astype(np.uint8)
        if spec.shape[0] == 1:
            bytes_ = np.repeat(bytes_, 3, axis=1)
        return np.ascontiguousarray(bytes_.transpose(0, 2, 3, 1))

    def _template(self, photo: Any) -> Floats:
        height, width = photo.shape[:2]
        if self.detect:
            faces = self._detector(photo, _ENLARGED)
        else:
            faces = [dlib.rectangle(0, 0, width - 1, height - 1)]
        if not len(faces):
            return np.full(SIZE, np.nan)
        pose = self._pose(photo, faces[0])
        return np.array(self._net.compute_face_descriptor(photo, pose, 1))

    def fingerprint(self) -> str:
        """Returns a hash of the models, dlib's version, and of how photos reach it."""
        digest = hashlib.sha256(repr((self.spec, self.detect, dlib.__version__)).encode())
        for name in (_NET, _POSE):
            digest.update((self._folder / name).read_bytes())
        return digest.hexdigest()


def _models() -> Path:
    """Returns the folder of the models, without importing their package.

    It asks for ``pkg_resources`` when it is imported, which newer versions of setuptools lack.

    Raises:
        MissingExtraError: If they are not installed.
    """
    found = find_spec(_MODELS)
    if found is None or found.origin is None:
        raise MissingExtraError(_MODELS, "faces")
    return Path(found.origin).parent / "models"
