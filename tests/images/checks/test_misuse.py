"""Every usual mistake is told, with its cause, and nothing of the model is changed by asking."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.images.checks.conftest import (
    PEOPLE,
    SHOTS,
    STRANGERS,
    After,
    Before,
    World,
    checked,
    failures,
    net,
    trained,
)
from torch import Tensor, nn

from darkroom.images.checks.causes.orders import named_orders
from darkroom.vision.photos import Photos

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
NAMES = tuple(sorted(f"p{number + 1}" for number in range(PEOPLE)))
NATURAL = [sorted(NAMES, key=lambda name: int(name[1:])).index(name) for name in NAMES]


def in_order(world: World, classes: list[int]) -> nn.Module:
    """Returns the net with the class of each person moved."""
    places = np.argsort(classes)
    return After(world.net, lambda answers: answers[:, torch.from_numpy(places)])


@pytest.mark.medium
@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (NATURAL, "the natural order of their names"),
        ([*range(3, PEOPLE), 0, 1, 2], "the same order shifted by 3"),
        ([*range(PEOPLE)][::-1], "the reverse order"),
        ([5, 2, 9, 0, 11, 7, 1, 3, 10, 4, 6, 8], "another order (p1 is class 5, p10 is class 2"),
    ],
)
def test_another_order_of_people_is_found(world: World, classes: list[int], words: str) -> None:
    found = checked(world.subject(in_order(world, classes), names=NAMES))["accuracy"]
    assert (found.outcome, found.cause) == ("failed", "class order")
    assert words in found.found
    assert found.remedy


def smaller(images: Tensor) -> Tensor:
    """Shrinks photos to seven eighths, with their edges repeated around them."""
    edge = images.shape[-1] // 16
    middle = nn.functional.interpolate(images, scale_factor=7 / 8, mode="bilinear")
    return nn.functional.pad(middle, (edge, edge, edge, edge), mode="replicate")


@pytest.mark.medium
@pytest.mark.parametrize(
    ("cause", "undo", "words"),
    [
        ("normalisation", lambda x: x * DEVIATION + MEAN, "ImageNet's mean and deviation"),
        ("range", lambda x: (x + 1) / 2, "values -1 to 1, as after subtracting 0.5"),
        ("range", lambda x: x / 255, "values 0 to 255"),
        ("inverted", lambda x: 1 - x, "black and white exchanged"),
        ("orientation", lambda x: x.swapaxes(2, 3), "rows and columns exchanged"),
        ("light", lambda x: x.clamp(1e-6, 1) ** (1 / 2.2), "photos in linear light"),
        ("light", lambda x: x.clamp(1e-6, 1) ** 2.2, "photos in sRGB"),
        ("crop", smaller, "the middle seven eighths of each photo"),
        (
            "normalisation, channel order",
            lambda x: (x * DEVIATION + MEAN).flip(1),
            "channels blue, green, red",
        ),
    ],
)
def test_another_preprocessing_is_found(
    world: World, cause: str, undo: Callable[[Tensor], Tensor], words: str
) -> None:
    found = checked(world.subject(Before(world.net, undo)))["accuracy"]
    assert (found.outcome, found.cause) == ("failed", cause)
    assert words in found.found


@pytest.mark.medium
def test_a_range_set_in_the_plan_and_not_in_training_is_found(world: World) -> None:
    public = Photos.of(255 * world.strangers, np.arange(STRANGERS).repeat(SHOTS))
    model = Before(world.net, lambda x: x.clamp(0, 1))
    images = 255 * world.images
    subject = world.subject(model, images=images, public=public, value_range=(0, 255))
    found = checked(subject)["accuracy"]
    assert (found.cause, found.remedy) == ("range", "Set [target] range = [0.0, 1.0].")


@pytest.mark.medium
def test_order_and_preprocessing_together_are_found(world: World) -> None:
    model = Before(in_order(world, NATURAL), lambda x: x * DEVIATION + MEAN)
    found = checked(world.subject(model, names=NAMES))["accuracy"]
    assert found.cause == "normalisation, class order"


@pytest.mark.medium
@pytest.mark.parametrize("seed", range(3))
def test_weights_that_were_not_loaded_are_told(world: World, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        plain = nn.Sequential(nn.Flatten(), nn.Linear(3072, 64), nn.ReLU(), nn.Linear(64, PEOPLE))
        models = [net().eval(), plain]
        models.append(nn.Sequential(*list(world.net)[:-1], nn.Linear(512, PEOPLE)))  # type: ignore[call-overload]
    for model in models:
        assert failures(world.subject(model)) == {"accuracy": "weights not loaded"}


@pytest.mark.medium
def test_other_people_are_told(world: World) -> None:
    images = world.strangers[: PEOPLE * SHOTS]
    strangers = trained(images, world.people)
    assert failures(world.subject(strangers)) == {"accuracy": "other people"}
    public = Photos.of(images, world.people)
    found = checked(world.subject(strangers, public=public))["accuracy"]
    assert found.remedy == "Exchange the images of [private] and [public]."


@pytest.mark.medium
def test_outputs_that_are_no_classes_are_told(world: World) -> None:
    body = nn.Sequential(*list(world.net)[:-1])  # type: ignore[call-overload]
    of_length_one = After(body, nn.functional.normalize)
    assert failures(world.subject(of_length_one)) == {"outputs": "outputs", "accuracy": "outputs"}
    assert failures(world.subject(body)) == {"accuracy": "outputs"}
    attributes = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (PEOPLE, 20))).float()
    several = After(world.net, lambda answers: (answers.softmax(1) @ attributes * 9 - 4).sigmoid())
    assert failures(world.subject(several))["outputs"] == "outputs"
    alone = checked(world.subject(After(world.net, lambda answers: (answers - 3).sigmoid())))
    assert (alone["outputs"].outcome, alone["accuracy"].outcome) == ("noted", "passed")


@pytest.mark.medium
def test_answers_that_vary_are_told(world: World) -> None:
    random = Before(world.net, lambda x: nn.functional.dropout(x, 0.5, training=True))
    assert failures(world.subject(random))["answers"] == "random answers"
    batch = Before(world.net, lambda x: x - x.mean(dim=0, keepdim=True) + 0.5)
    assert failures(world.subject(batch))["answers"] == "batch dependence"


def test_people_who_are_private_and_public_are_named(world: World) -> None:
    both = (world.people < 3) & ~world.seen
    images = np.concatenate([world.strangers, (world.images[both] * 0.9).clip(0, 1)])
    owners = np.concatenate([np.arange(STRANGERS).repeat(SHOTS), world.people[both] + 50])
    found = checked(world.subject(public=Photos.of(images, owners)))["duplicates"]
    assert (found.outcome, found.cause) == ("failed", "shared photos")
    assert "3 of 12 private people" in found.found
    assert "person-50, person-51, person-52" in found.remedy


def test_copies_among_private_photos_are_told(world: World) -> None:
    copies = np.concatenate([world.images[world.seen], world.images[world.seen]])
    people = np.tile(world.people[world.seen], 2)
    seen = np.tile(np.repeat([True, False], SHOTS - 2), PEOPLE)
    found = checked(world.subject(images=copies, people=people, seen=seen))["duplicates"]
    assert (found.outcome, found.cause) == ("failed", "shared photos")
    images = world.images.copy()
    images[0] = images[SHOTS]
    found = checked(world.subject(images=images))["duplicates"]
    assert (found.outcome, found.cause) == ("noted", "shared photos")
    assert "person-0 and person-1" in found.found


def test_photos_that_show_nothing_are_told(world: World) -> None:
    dark = checked(world.subject(images=world.images * np.float32(0.05)))["photos"]
    assert (dark.outcome, dark.cause) == ("failed", "range")
    images = world.images.copy()
    images[::SHOTS] = 0.5
    grey = checked(world.subject(images=images))["photos"]
    assert (grey.outcome, grey.cause) == ("noted", "constant photos")
    assert grey.found.startswith("12 private photos")


def test_photos_held_out_that_the_model_knows_better_are_noted(world: World) -> None:
    assert checked(world.subject())["trained_on"].outcome == "passed"
    found = checked(world.subject(seen=~world.seen, images=_spoilt(world)))["trained_on"]
    assert (found.outcome, found.cause) == ("noted", "trained_on")


def _spoilt(world: World) -> NDArray[np.float32]:
    """Returns photos of which those held out in training say less."""
    noise = np.random.default_rng(0).random(world.images.shape, np.float32)
    held_out = ~world.seen[:, None, None, None]
    return np.where(held_out, 0.5 * world.images + 0.5 * noise, world.images)


def test_nothing_of_the_model_is_changed(world: World) -> None:
    subject = world.subject(Before(world.net, lambda x: (x + 1) / 2))
    before, state = subject.digest(), torch.get_rng_state()
    checked(subject)
    assert subject.digest() == before
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(layer._forward_pre_hooks for layer in world.net.modules())
    assert not world.net.training


def test_names_without_a_number_are_sorted_by_capitals() -> None:
    first = next(named_orders(["Bob", "Dan", "ann", "cid"], 4))
    assert "capitals or not" in first.words
    assert first.classes.tolist() == [1, 3, 0, 2]
    assert "such as ann, bob" in first.remedy
    words = [order.words for order in named_orders(["p1", "p10", "p2"], 3)]
    assert words[0] == "the natural order of their names (2 before 10)"
