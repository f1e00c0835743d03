"""What the benchmark of verifiers does to make pictures show people."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from benchmarks.verifiers.likeness import Around, Shaken, consensus
from benchmarks.verifiers.worlds import World
from tests.verifiers.conftest import SPEC, Projection, photos_of

from darkroom.access import VerifierAccess
from darkroom.ledger import QueryLedger
from darkroom.verifiers.attacks.base import Knowledge
from darkroom.verifiers.subject import VerifierSubject, enrol
from darkroom.verifiers.targets.base import Floats, Images
from darkroom.verifiers.targets.encoders import FunctionEncoder, TorchEncoder
from darkroom.vision.judging import People
from darkroom.vision.photos import Photos
from darkroom.vision.priors.spaces import EigenfacePrior


def enrolled(encoder: FunctionEncoder | TorchEncoder, public: Photos) -> VerifierSubject:
    private = photos_of(6, 6, 1)
    return enrol(encoder, private, private.numbers < 3, public, None, false_accepts=0.05)


def test_every_copy_is_charged_and_a_face_must_be_in_all() -> None:
    asked = list[Images]()

    def means(images: Images) -> Floats:
        asked.append(images)
        rows = images.reshape(len(images), -1).astype(np.float64)
        return np.where(rows.mean(axis=1, keepdims=True) < 0.25, np.nan, rows[:, :30])

    subject = enrolled(FunctionEncoder(means, SPEC, name="means"), photos_of(30, 2, 2))
    ledger, photos = QueryLedger(2), photos_of(2, 1, 5).images
    view = Shaken(subject.target, VerifierAccess.SCORE, ledger, np.array([3, 4]))
    asked.clear()
    shaken = view.scores(photos, np.array([0, 1]))
    (copies,) = asked
    assert ledger.spent.tolist() == [3, 3]
    told = subject.target.scores(copies, np.repeat([3, 4], 3))
    assert shaken == pytest.approx(told.reshape(2, 3).mean(axis=1))
    assert told.reshape(2, 3).std(axis=1).min() > 0
    assert view.scores(0 * photos, np.array([0, 1])).tolist() == [-np.inf, -np.inf]


def test_a_search_around_a_point_begins_there() -> None:
    prior = EigenfacePrior.fit(photos_of(30, 2, 2).images, SPEC, components=20, seed=0)
    centre = np.linspace(-1, 1, 20)
    around = Around(prior, centre)
    there = prior.decode(torch.from_numpy(centre).float()[None])
    assert torch.allclose(around.decode(around.start()[None]), there, atol=1e-6)
    assert torch.equal(around.encode(there)[0], around.start())


@pytest.mark.medium
def test_decoders_agree_on_what_templates_say() -> None:
    public = photos_of(60, 4, 2)
    subject = enrolled(TorchEncoder(Projection(), SPEC), public)
    prior = EigenfacePrior.fit(public.images, SPEC, components=20, seed=0)
    knowledge = Knowledge(prior, public.images, public.people)
    world = World(subject, knowledge, cast("People", None), np.zeros(6), 0.0)
    centres, asked = consensus(world, 100, 0)
    assert (centres.shape, asked) == ((6, 20), 100)
    seen = subject.seen
    truth = prior.encode(torch.from_numpy(seen.images)).numpy()
    means = np.stack([truth[seen.people == one].mean(axis=0) for one in subject.goals])
    likeness = np.corrcoef(centres, means)[:6, 6:]
    assert (likeness.argmax(axis=1) == np.arange(6)).mean() >= 5 / 6
