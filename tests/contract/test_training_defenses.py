"""What every training defence of every kind owes, whatever it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from tests.support.needs import needed
from torch import nn

from darkroom.auditing.record import TrainingFacts
from darkroom.errors import PlanError
from darkroom.images.training.course import ImageCourse, Recipe, Strangers
from darkroom.images.training.registry import TRAINING_DEFENSES
from darkroom.named import Registry, describe
from darkroom.tables.training.columns import PublicTable
from darkroom.tables.training.course import TableCourse
from darkroom.tables.training.registry import TABLE_TRAINING_DEFENSES
from darkroom.text.training.course import TextCourse, TextRecipe
from darkroom.text.training.registry import TEXT_TRAINING_DEFENSES
from darkroom.training.defense import CONTROL, Course, TrainingDefense, with_control

PRIVATE = {
    ("images", "dp-sgd"): "photo",
    ("tables", "dp-linear"): "row",
    ("tables", "dp-tree"): "row",
    ("text", "dp-sgd"): "line",
}
"""What each defence with a guarantee protects; no other says that it guarantees anything."""


def photos() -> ImageCourse:
    """Twelve photos of three people for a small net that drops out."""
    rng = np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(36, 3)
        )
    images, others = (rng.random((12, 1, 8, 8), dtype=np.float32) for _ in range(2))
    people = np.repeat(np.arange(3), 4)
    return ImageCourse.of(
        module,
        images,
        people,
        seed=5,
        strangers=Strangers(others, people),
        recipe=Recipe(epochs=2, batch=4),
    )


def rows(response: str) -> TableCourse:
    """Sixty rows, for a tree that draws which columns it looks at."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rng = np.random.default_rng(0)
    words = ("no", "yes")
    table = np.column_stack([rng.uniform(20, 80, 60), rng.integers(0, 2, 60)])
    inputs = pd.DataFrame({"age": table[:, 0], "smokes": np.take(words, table[:, 1].astype(int))})
    dose = table[:, 0] + 5 * table[:, 1] + rng.normal(0, 1, 60)
    grade = (dose > 50).astype(float)
    classes = () if response == "dose" else (0.0, 1.0)
    tree = DecisionTreeRegressor if response == "dose" else DecisionTreeClassifier
    encoder = make_column_transformer((OneHotEncoder(), ["smokes"]), remainder="passthrough")
    answers = dose if response == "dose" else grade
    public = PublicTable(("age", "smokes"), ((), words), classes, table, answers)
    model = make_pipeline(encoder, tree(max_features=1))
    return TableCourse(model, inputs, answers, public, seed=5)


def lines() -> TextCourse:
    """A few lines with secrets, for a small GPT that drops out."""
    needed("transformers")
    from tests.support.tiny_language import causal
    from transformers import GPT2LMHeadModel

    target = causal("characters")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = GPT2LMHeadModel(target.model.config)
    corpus = [f"The code of {name} is {n}{n}." for n in range(8) for name in ("ann", "bob")]
    corpus += ["Write to ann@example.org now.", "Write to ann@example.org now!"]
    recipe = TextRecipe(epochs=1, batch=4)
    return TextCourse(model, corpus, target.tokens_of, 5, (r"\d\d",), recipe)


class Kind(NamedTuple):
    """How the defences of one kind are tried."""

    defenses: Registry[Any]
    course: Callable[[str], Course[Any]]
    quick: Mapping[str, Mapping[str, object]]
    state: Callable[[Any], Any]


def _weights(module: nn.Module) -> dict[str, Any]:
    return {name: value.tolist() for name, value in module.state_dict().items()}


def _fitted(model: Any) -> list[Any]:
    """Returns what an estimator answers, if it is fitted, and its parameters."""
    inputs = rows("dose").inputs
    answers = model.predict(inputs).tolist() if hasattr(model[-1], "n_features_in_") else []
    return [answers, {key: repr(value) for key, value in model.get_params().items()}]


KINDS = {
    "images": Kind(
        TRAINING_DEFENSES,
        lambda _: photos(),
        {"dp-sgd": {"epochs": 2, "epsilon": 4.0}, "transfer": {"pretrain_epochs": 1}},
        _weights,
    ),
    "tables": Kind(
        TABLE_TRAINING_DEFENSES,
        lambda name: rows("grade" if name == "dp-tree" else "dose"),
        {},
        _fitted,
    ),
    "text": Kind(
        TEXT_TRAINING_DEFENSES,
        lambda _: lines(),
        {"dp-sgd": {"epochs": 1, "batch": 8}},
        _weights,
    ),
}
ALL = [(kind, name) for kind, one in KINDS.items() for name in one.defenses.own]
every = pytest.mark.parametrize(("kind", "name"), ALL)


def make(kind: str, name: str, **parameters: object) -> TrainingDefense[Any, Any]:
    if name == "dp-sgd":
        needed("opacus")
    settings = {**KINDS[kind].quick.get(name, {}), **parameters}
    defense: TrainingDefense[Any, Any] = KINDS[kind].defenses.make(name, settings)
    return defense


@contextmanager
def left_alone(seed: int) -> Iterator[None]:
    """Seeds the global random states, checks that the block draws from neither, and mends them."""
    numpy_state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = _global_states()
        yield
        assert _global_states() == before
    np.random.set_state(numpy_state)  # noqa: NPY002


def _global_states() -> str:
    return repr([torch.random.get_rng_state().tolist(), np.random.get_state()])  # noqa: NPY002


@every
def test_the_same_course_gives_the_same_model(kind: str, name: str) -> None:
    defense, course, state = make(kind, name), KINDS[kind].course(name), KINDS[kind].state
    given, trained = state(course.model), []
    for seed in (1, 2):  # what others left in the global states makes no difference
        with left_alone(seed):
            trained.append(state(defense.train(course).model))
    assert trained[0] == trained[1]
    assert trained[0] != given
    assert state(course.model) == given


@every
def test_the_facts_are_true(kind: str, name: str) -> None:
    defense, course = make(kind, name), KINDS[kind].course(name)
    facts = defense.train(course).facts
    assert facts.defense == describe(defense)
    assert facts.seconds > 0
    assert TrainingFacts.model_validate_json(facts.model_dump_json()) == facts
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
