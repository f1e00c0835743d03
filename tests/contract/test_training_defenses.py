"""What every training defence of every kind owes, whatever it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tests.support.needs import needed

from darkroom.errors import PlanError
from darkroom.images.training.registry import TRAINING_DEFENSES
from darkroom.named import Registry
from darkroom.tables.training.registry import TABLE_TRAINING_DEFENSES
from darkroom.testing.images.trainings import weights
from darkroom.testing.tables.trainings import fitted
from darkroom.testing.trainings import tells_true_facts, trains_a_copy_the_same_again
from darkroom.text.training.registry import TEXT_TRAINING_DEFENSES
from darkroom.training.defense import CONTROL, Course, TrainingDefense, with_control
from darkroom.verifiers.training.registry import ENCODER_TRAININGS

PRIVATE = {
    ("images", "dp-sgd"): "photo",
    ("verifiers", "dp-sgd"): "photo",
    ("tables", "dp-linear"): "row",
    ("tables", "dp-tree"): "row",
    ("text", "dp-sgd"): "line",
}
"""What each defence with a guarantee protects; no other says that it guarantees anything."""


class Kind(NamedTuple):
    """How the defences of one kind are tried."""

    defenses: Registry[Any]
    course: Callable[[str], Course[Any]]
    quick: Mapping[str, Mapping[str, object]]
    state: Callable[[Any], Any]


def photos(_: str) -> Course[Any]:
    from darkroom.testing.images.trainings import small_course

    return small_course()


def headed_photos(_: str) -> Course[Any]:
    from darkroom.testing.images.trainings import small_course
    from darkroom.verifiers.targets.metrics import Metric
    from darkroom.verifiers.training.heads import headed

    course = small_course()
    return replace(
        course,
        model=(head := headed(course.model, 3, 3, Metric.COSINE, 0)),
        learns=frozenset(name for name, _ in head.named_parameters()),
    )


def rows(name: str) -> Course[Any]:
    from darkroom.testing.tables.trainings import small_course

    return small_course("grade" if name == "dp-tree" else "dose")


def lines(_: str) -> Course[Any]:
    needed("transformers")
    from darkroom.testing.text.trainings import small_course

    return small_course()


KINDS = {
    "images": Kind(
        TRAINING_DEFENSES,
        photos,
        {"dp-sgd": {"epochs": 2, "epsilon": 4.0}, "transfer": {"pretrain_epochs": 1}},
        weights,
    ),
    "verifiers": Kind(ENCODER_TRAININGS, headed_photos, {"dp-sgd": {"epochs": 2}}, weights),
    "tables": Kind(
        TABLE_TRAINING_DEFENSES,
        rows,
        {},
        fitted,
    ),
    "text": Kind(
        TEXT_TRAINING_DEFENSES,
        lines,
        {"dp-sgd": {"epochs": 1, "batch": 8}},
        weights,
    ),
}
ALL = [(kind, name) for kind, one in KINDS.items() for name in one.defenses.own]
LONG = {("images", "dp-sgd"), ("text", "dp-sgd")}

every = pytest.mark.parametrize(
    ("kind", "name"),
    [pytest.param(*one, marks=pytest.mark.slow if one in LONG else ()) for one in ALL],
)


def make(kind: str, name: str, **parameters: object) -> TrainingDefense[Any, Any]:
    if name == "dp-sgd":
        needed("opacus")
    settings = {**KINDS[kind].quick.get(name, {}), **parameters}
    defense: TrainingDefense[Any, Any] = KINDS[kind].defenses.make(name, settings)
    return defense


def disturb() -> None:
    """Draws from the global random states, of which a training hangs on none."""
    torch.rand(1)
    np.random.rand(1)  # noqa: NPY002


@pytest.mark.medium
@every
def test_the_same_course_gives_the_same_model_and_the_facts_are_true(kind: str, name: str) -> None:
    defense, course, state = make(kind, name), KINDS[kind].course(name), KINDS[kind].state
    facts = trains_a_copy_the_same_again(defense, course, state, disturb)
    tells_true_facts(defense, facts)
    if (kind, name) not in PRIVATE:
        assert facts.privacy is None
        return
    assert facts.privacy is not None
    assert facts.privacy.unit == PRIVATE[kind, name]
    assert 0 < facts.privacy.epsilon <= getattr(defense, "epsilon")  # noqa: B009
    assert facts.privacy.noise_multiplier > 0
    assert 0 < facts.privacy.sample_rate <= 1
    assert facts.privacy.steps >= 1


@every
def test_words_that_nobody_knows_are_refused(kind: str, name: str) -> None:
    assert KINDS[kind].defenses.own[name].name == name
    with pytest.raises(PlanError, match="nonsense"):
        make(kind, name, nonsense=1)
    with pytest.raises(PlanError, match=f"did you mean '{name}'"):
        make(kind, f"{name}x")


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_one_control_and_it_comes_first(kind: str) -> None:
    defenses = [make(kind, name) for name in KINDS[kind].defenses.own]
    controls = [one for one in defenses if one.is_control]
    assert [one.name for one in controls] == [CONTROL]
    ordered = with_control(controls[0], defenses[::-1])
    assert ordered[0] is controls[0]
    assert len(ordered) == len(defenses)
    assert with_control(controls[0], []) == []
