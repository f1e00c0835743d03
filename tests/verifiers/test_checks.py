"""What is asked of a verifier before it is attacked, and what enrolment has told already."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.verifiers.conftest import SPEC

from darkroom.verifiers.checks import check_subject
from darkroom.verifiers.subject import VerifierSubject, enrol
from darkroom.verifiers.targets.encoders import FunctionEncoder


def test_enrolment_tells_the_check_in_how_many_photos_no_face_is(
    leaky: VerifierSubject,
) -> None:
    asked = list[int]()

    def templates(images: np.ndarray) -> np.ndarray:
        asked.append(len(images))
        found = np.asarray(images.reshape(len(images), -1)[:, 300:310], np.float64)
        found[images.reshape(len(images), -1)[:, 5] > 0.46] = np.nan
        return found

    encoder = FunctionEncoder(templates, SPEC, name="picky")
    photos = leaky.private
    told = enrol(encoder, photos, leaky.trained, leaky.public, leaky.strangers, false_accepts=0.01)
    asked.clear()
    found = next(one for one in check_subject(told, lambda *_: None) if one.name == "faces")
    assert sum(asked) < len(photos.people)
    missing = int((photos.images.reshape(36, -1)[:, 5] > 0.46).sum())
    assert 0 < missing < 36
    assert found.found.startswith(f"{missing} of 36 photos of the people get no score")
    unasked = next(
        one
        for one in check_subject(replace(told, faceless=None), lambda *_: None)
        if one.name == "faces"
    )
    assert unasked == found
