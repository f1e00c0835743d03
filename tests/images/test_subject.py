"""What is audited, and how its photos are divided."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.records import known
from torch import nn

from darkroom.auditing.record import Utility
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.purifier import Purify
from darkroom.defenses.temperature import Temperature
from darkroom.errors import DataError
from darkroom.images.subject import Subject
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.utility import cost, utility
from darkroom.vision.photos import Photos
from darkroom.vision.subject import hold_apart

SHAPE = (1, 2, 2)


def target(classes: int = 3, ends: tuple[float, float] = (0.0, 1.0)) -> TorchTarget:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, classes))
    return TorchTarget(model, SHAPE, value_range=ends)


def photos(people: list[int], level: float = 0.5) -> Photos:
    images = np.full((len(people), *SHAPE), level, np.float32)
    return Photos.of(images, np.array(people, dtype=np.int64))


def subject(
    people: list[int], trained: list[int], public: Photos | None = None, classes: int = 3
) -> Subject:
    return Subject(target(classes), photos(people), np.array(trained, dtype=bool), public)


def test_judges_learn_from_what_the_target_never_saw() -> None:
    whole = subject([0, 0, 0, 1, 1, 1], [1, 1, 0, 1, 1, 0])
    learn, test, held_out = whole.judge_split()
    assert held_out
    assert (learn.people.tolist(), learn.numbers.tolist()) == ([0, 1], [2, 2])
    assert (test.people.tolist(), test.numbers.tolist()) == ([0, 0, 1, 1], [0, 1, 0, 1])
    assert whole.goals.tolist() == [0, 1]


@pytest.mark.parametrize("trained", [[1, 1, 1, 1, 1], [1, 1, 0, 1, 1]])
def test_judges_share_photos_where_someone_has_none_held_out(trained: list[int]) -> None:
    learn, test, held_out = subject([0, 0, 0, 1, 1], trained).judge_split()
    assert not held_out
    assert (learn.people.tolist(), learn.numbers.tolist()) == ([0, 0, 1], [0, 2, 0])
    assert (test.people.tolist(), test.numbers.tolist()) == ([0, 1], [1, 1])


def test_a_single_photo_is_too_few_to_judge_by() -> None:
    with pytest.raises(DataError, match="single private photo"):
        subject([0, 0, 1], [1, 1, 1]).judge_split()


@pytest.mark.parametrize(
    ("people", "trained", "message"),
    [
        ([0, 0], [1, 0], "show 1 person: a judge needs at least two"),
        ([], [], "show 0 person"),
        ([0, 1, 3], [1, 1, 1], "show 4 people, but the target has 3 classes"),
        ([0, 0, 1], [1, 1, 0], "trained on none of some person's photos"),
    ],
)
def test_what_cannot_be_judged(people: list[int], trained: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        subject(people, trained)


def test_public_photos_must_fit_too() -> None:
    with pytest.raises(DataError, match="public photos: values from 0 to 2"):
        subject([0, 1], [1, 1], photos([0, 1], 2.0))


def test_accuracy_is_counted_on_held_out_photos() -> None:
    model = target()
    images: NDArray[np.float32] = np.random.default_rng(0).random((40, *SHAPE), np.float32)
    named = model.scores(images).argmax(axis=1)
    people = np.where(np.arange(40) % 4 == 0, (named + 1) % 3, named)
    private = Photos.of(images, people)
    whole = Subject(model, private, private.numbers < 1, None)
    found = utility(whole, Pipeline())
    right = (model.scores(private.images).argmax(axis=1) == private.people)[private.numbers >= 1]
    assert found.accuracy == pytest.approx(right.mean())
    assert found.label_changes is None
    assert utility(Subject(model, private, np.ones(40, dtype=bool), None), Pipeline()) == Utility()


def test_what_a_defence_takes_and_costs() -> None:
    model = target()
    rng = np.random.default_rng(0)
    images: NDArray[np.float32] = rng.random((40, *SHAPE), np.float32)
    private = Photos.of(images, model.scores(images).argmax(axis=1))
    whole = Subject(model, private, private.numbers < 1, None)
    kept = utility(whole, Pipeline((Temperature(9.0),)))
    assert (kept.accuracy, kept.label_changes) == (1.0, 0.0)
    plain = utility(whole, Pipeline())
    assert known(kept.calibration_error) > known(plain.calibration_error)
    lost = utility(whole, Pipeline((Noise(2.0),)))
    assert known(lost.label_changes) > 0.2
    assert lost.accuracy == pytest.approx(1 - known(lost.label_changes))
    found = cost(whole, Pipeline((Noise(2.0),)))
    assert found is not None
    assert min(found.microseconds, found.of_forward) > 0
    assert cost(whole, Pipeline()) is None


def test_class_means_are_learned_from_photos_that_the_target_saw() -> None:
    model = target()
    images: NDArray[np.float32] = np.random.default_rng(0).random((40, *SHAPE), np.float32)
    private = Photos.of(images, np.arange(40) % 3)
    whole = Subject(model, private, private.numbers < 5, None)
    (purify,) = whole.fitted(Pipeline((Purify(1.0),))).defenses
    assert isinstance(purify, Purify)
    expected = model.scores(whole.seen.images[whole.seen.people == 1]).mean(axis=0)
    assert purify.table is not None
    others = [0, 2]
    ratio = purify.table[1, others] / expected[others]
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-3)
    plain = Pipeline((Noise(),))
    assert whole.fitted(plain) is plain


def test_unit_is_the_range_from_zero_to_one() -> None:
    whole = Subject(target(ends=(-1.0, 1.0)), photos([0, 1]), np.ones(2, dtype=bool), None)
    levels = np.array([-1.00001, -1.0, 0.0, 1.0], np.float32).reshape(4, 1, 1, 1)
    assert whole.unit(levels).ravel().tolist() == [0.0, 0.0, 0.5, 1.0]
    assert whole.unit(levels).dtype == np.float32


def test_every_fourth_public_person_is_held_apart_where_there_are_enough() -> None:
    public = photos([person for person in range(40) for _ in range(2)])
    left, apart = hold_apart(public)
    assert left is not None
    assert apart is not None
    assert np.unique(apart.people).tolist() == list(range(3, 40, 4))
    assert set(left.people) | set(apart.people) == set(range(40))
    assert not set(left.people) & set(apart.people)
    assert hold_apart(photos(list(range(39))))[1] is None
    assert hold_apart(None) == (None, None)
