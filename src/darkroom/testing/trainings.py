"""Checks of training defences, whatever kind of model they train."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from darkroom.auditing.record import TrainingFacts
from darkroom.named import describe
from darkroom.testing.promises import check_part, global_randomness_untouched, require
from darkroom.training.defense import Course, TrainingDefense

Defense = TrainingDefense[Any, Any]
State = Callable[[Any], Any]
"""Returns all that training changes in a model, as plain values that can be compared."""


def trains_a_copy_the_same_again(
    defense: Defense, course: Course[Any], state: State, disturb: Callable[[], object]
) -> TrainingFacts:
    """The same course gives the same model, whatever others drew; the given one stays as it is.

    Args:
        defense: The defence.
        course: What it trains on.
        state: Of a model.
        disturb: Draws from global sources of randomness.

    Returns:
        What is said of the training.
    """
    given, trained = state(course.model), []
    for _ in range(2):
        disturb()
        with global_randomness_untouched(f"training defence {defense.name}"):
            model, facts = defense.train(course)
        trained.append(state(model))
    require(trained[0] == trained[1], f"{defense.name} trains another model on the same course")
    require(trained[0] != given, f"{defense.name} changes nothing by training")
    require(state(course.model) == given, f"{defense.name} changes the model that it is given")
    return facts


def tells_true_facts(defense: Defense, facts: TrainingFacts) -> None:
    """What is said of a training is the defence, a time, and a guarantee that can be."""
    name = defense.name
    require(facts.defense == describe(defense), f"{name} is called {facts.defense} in its facts")
    require(facts.seconds > 0, f"{name} takes no time")
    again = TrainingFacts.model_validate_json(facts.model_dump_json())
    require(again == facts, f"{name}: its facts are no record")
    privacy = facts.privacy
    if privacy is not None:
        possible = privacy.epsilon > 0 and 0 < privacy.sample_rate <= 1 and privacy.steps >= 1
        noisy = (privacy.noise_multiplier > 0) == (privacy.epsilon < math.inf)
        require(possible and noisy, f"{name} guarantees what cannot be: {privacy}")
        asked = getattr(defense, "epsilon", privacy.epsilon)
        require(privacy.epsilon <= asked, f"{name} spends epsilon {privacy.epsilon} of {asked}")


def check_training(
    defense: Defense, course: Course[Any], state: State, disturb: Callable[[], object]
) -> None:
    """Checks a training defence on a course; see :func:`trains_a_copy_the_same_again`.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_part(defense)
    tells_true_facts(defense, trains_a_copy_the_same_again(defense, course, state, disturb))
