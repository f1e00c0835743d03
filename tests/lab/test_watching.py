"""Looking at an attack changes nothing of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.lab.conftest import Lab

from darkroom.access import Access
from darkroom.images.attacks.base import Progress
from darkroom.images.targets.view import View
from darkroom.lab.develop.choices import AccessName, Choice, DefenseName, pipeline
from darkroom.lab.develop.parts import assemble
from darkroom.lab.develop.watching import Lens
from darkroom.ledger import QueryLedger

ACCESSES: list[tuple[AccessName, DefenseName]] = [
    ("weights", "none"),
    ("scores", "none"),
    ("scores", "noise"),
    ("scores", "label-only"),
]


@pytest.mark.medium
@pytest.mark.parametrize(("access", "defense"), ACCESSES)
def test_a_watched_attack_answers_what_it_answers_unwatched(
    lab: Lab, access: AccessName, defense: DefenseName
) -> None:
    choice = Choice(people=(1, 3), access=access, defense=defense, pace="full")
    known = lab.studio.known("eigenfaces", lambda _: None)
    parts = assemble(choice, lab.studio.job, known.prior)
    subject, rng = lab.studio.subject, np.random.default_rng([0, 1])
    view = View(
        subject.target,
        Access(access),
        QueryLedger(2),
        defense=pipeline(defense),
        noise=np.random.default_rng([0, 6]),
    )
    plain = parts.attack.run(view, known.prior, parts.goals, rng=rng)
    watched = parts.attack.run(
        parts.view, parts.prior, parts.goals, rng=np.random.default_rng([0, 1])
    )
    for _ in range(3):
        expected, found = next(plain), next(watched)
        assert isinstance(expected, Progress)
        np.testing.assert_array_equal(found.reconstructions, expected.reconstructions)
        np.testing.assert_array_equal(found.queries, expected.queries)
    looked = parts.lens.looked
    assert looked is not None
    assert len(looked.images) == len(looked.positions)
    assert set(looked.positions.tolist()) <= {0, 1}


def test_what_is_decoded_is_told_apart_by_what_is_asked() -> None:
    lens = Lens(2)
    made = torch.rand(3, 1, 2, 2)
    lens.made(made)
    assert lens.looked is None  # for whom they are is not known yet
    lens.asked(made + 1, np.array([0, 0, 1]))
    assert lens.looked is not None
    assert torch.equal(lens.looked.images, made)
    # An image asked several times for its noise is shown as it is asked.
    lens.made(made)
    lens.asked(made.repeat_interleave(2, dim=0).numpy(), np.array([0, 0, 0, 0, 1, 1]))
    assert len(lens.looked.images) == 6


def test_pictures_of_everybody_are_taken_in_order() -> None:
    lens = Lens(2)
    lens.made(torch.rand(2, 1, 2, 2))
    assert lens.looked is not None
    assert lens.looked.positions.tolist() == [0, 1]
