"""Every training defence on small faces: it learns, repeats itself, and does what it says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.needs import needed
from torch import nn

from darkroom.auditing.record import Privacy, TrainingFacts
from darkroom.errors import DataError, PlanError
from darkroom.images.training.not_people import averaged, blurred, noise
from darkroom.images.training.registry import TRAINING_DEFENSES
from darkroom.images.training.regularised import (
    BilateralDependency,
    Bottleneck,
    NegativeLabelSmoothing,
    alignment,
)
from darkroom.images.training.uniform import UniformConfidence
from darkroom.named import describe
from darkroom.training.defense import Trained
from darkroom.training.modules import load_weights, weights_of
from darkroom.vision.training.course import ImageCourse, Recipe, Strangers
from darkroom.vision.training.dp_sgd import PrivateSGD
from darkroom.vision.training.modules import hidden_layers, output_layer, weighted_layers
from darkroom.vision.training.transfer import Transfer, freeze

QUICK = Recipe(epochs=40, batch=8, learning_rate=0.01)


@pytest.fixture(autouse=True)
def _needs_opacus(request: pytest.FixtureRequest) -> None:
    if "dp" in request.node.name or "PrivateSGD" in request.node.name:
        needed("opacus")


@pytest.fixture
def module() -> Iterator[nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128, 6),
        )


@pytest.fixture
def photos(private_photos: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images = private_photos[:, :4].reshape(-1, 1, 16, 16)
    return images, np.repeat(np.arange(6), 4)


@pytest.fixture
def strangers(public_photos: NDArray[np.float32]) -> Strangers:
    return Strangers(public_photos.reshape(-1, 1, 16, 16), np.repeat(np.arange(20), 3))


def fast(name: str) -> dict[str, object]:
    """Parameters that make a defence learn in a moment."""
    if name == "dp-sgd":
        return {"epsilon": math.inf, "clip": 2.0, "epochs": 40}
    return {"pretrain_epochs": 4} if name == "transfer" else {}


def train(
    name: str,
    module: nn.Module,
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
    strangers: Strangers | None,
    **parameters: object,
) -> Trained[nn.Module]:
    defense = TRAINING_DEFENSES.make(name, {**fast(name), **parameters})
    course = ImageCourse.of(module, *photos, strangers=strangers, recipe=QUICK, seed=3)
    return defense.train(course)


def accuracy(module: nn.Module, images: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    with torch.no_grad():
        return float((module(torch.from_numpy(images)).argmax(dim=1).numpy() == labels).mean())


def confidence(module: nn.Module, images: torch.Tensor) -> float:
    with torch.no_grad():
        return float(module(images).softmax(dim=1).amax(dim=1).mean())


@pytest.mark.medium
@pytest.mark.parametrize("name", sorted(TRAINING_DEFENSES.own))
def test_it_learns(
    name: str,
    module: nn.Module,
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
    strangers: Strangers,
) -> None:
    trained = train(name, module, photos, strangers)
    assert accuracy(trained.model, *photos) > 0.8
    assert not trained.model.training


@pytest.mark.medium
@pytest.mark.parametrize("name", sorted(TRAINING_DEFENSES.own))
def test_trained_weights_fit_a_prepared_module(
    name: str,
    module: nn.Module,
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
    strangers: Strangers,
    tmp_path: Path,
) -> None:
    defense = TRAINING_DEFENSES.make(name, fast(name))
    recipe = Recipe(epochs=1, batch=8)
    course = ImageCourse.of(module, *photos, strangers=strangers, recipe=recipe, seed=0)
    trained = defense.train(course)
    (tmp_path / "weights").write_bytes(weights_of(trained.model))
    again = defense.prepare(course.begun()).model
    load_weights(again, tmp_path / "weights")
    images = torch.from_numpy(photos[0])
    assert torch.equal(again.eval()(images), trained.model(images))


def test_progress_is_told_to_the_end(
    module: nn.Module, photos: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    told: list[tuple[int, int]] = []
    course = ImageCourse.of(
        module,
        *photos,
        recipe=Recipe(epochs=3),
        seed=0,
        advance=lambda done, total: told.append((done, total)),
    )
    TRAINING_DEFENSES.make("none", {}).train(course)
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.medium
def test_uniform_confidence_has_nothing_to_say_about_what_is_nobody(
    module: nn.Module,
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
    strangers: Strangers,
) -> None:
    recipe = Recipe(epochs=60, batch=8, learning_rate=0.01)
    # The seed that a generator with seed 0 draws first.
    seed = int(np.random.default_rng(0).integers(2**31))
    course = ImageCourse.of(module, *photos, strangers=strangers, recipe=recipe, seed=seed)
    trained = UniformConfidence().train(course)
    control = train("none", module, photos, None)
    generator = torch.Generator().manual_seed(77)
    clouds = noise(100, (1, 16, 16), generator)
    soft = blurred(torch.from_numpy(photos[0]), torch.full((24,), 3.0))
    for images in (clouds, soft):
        assert confidence(trained.model, images) < 0.35 < 0.5 < confidence(control.model, images)
    assert accuracy(trained.model, *photos) > 0.9


@pytest.mark.medium
def test_uniform_confidence_does_without_strangers_and_climbs(
    module: nn.Module, photos: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    trained = train("uniform-confidence", module, photos, None, climbs=0, share=0.2)
    assert trained.facts.defense == "uniform-confidence(share=0.2, climbs=0)"


@pytest.mark.medium
def test_negative_smoothing_pushes_other_classes_down(
    module: nn.Module, photos: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    plain = train("none", module, photos, None)
    smoothed = train("negative-label-smoothing", module, photos, None, smoothing=-0.3)
    images = torch.from_numpy(photos[0])
    with torch.no_grad():
        lowest = [one.model(images).log_softmax(dim=1).mean() for one in (plain, smoothed)]
    assert lowest[1] < lowest[0] - 1
    assert NegativeLabelSmoothing(begins=0.0, ends=0.0).at(0.0) == -0.05


@pytest.mark.medium
def test_bido_lowers_dependence_on_the_photo(
    module: nn.Module, photos: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    from darkroom.images.training.regularised import _gaussian

    images = torch.from_numpy(photos[0])
    found = []
    for name, parameters in (("none", {}), ("bido", {"on_input": 5.0, "layers": ("3",)})):
        trained = train(name, module, photos, None, **parameters)
        with torch.no_grad():
            hidden = trained.model[:4](images)  # type: ignore[index]
        found.append(float(alignment(_gaussian(images), _gaussian(hidden))))
        assert not any(one._forward_hooks for one in trained.model.modules())
    assert found[1] < found[0] - 0.1


def test_alignment_of_a_kernel_with_itself_is_one() -> None:
    from darkroom.images.training.regularised import _gaussian

    rows = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    other = torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
    assert float(alignment(_gaussian(rows), _gaussian(rows))) == pytest.approx(1, abs=1e-5)
    assert float(alignment(_gaussian(rows), _gaussian(other))) < 0.6


@pytest.mark.medium
def test_mid_limits_the_information_in_its_code(
    module: nn.Module, photos: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    images = torch.from_numpy(photos[0])
    told = []
    for weight in (0.0, 0.1):
        trained = train("mid", module, photos, None, weight=weight).model
        bottleneck = next(one for one in trained.modules() if isinstance(one, Bottleneck))
        bottleneck.training = True
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            trained(images)
        told.append(float(bottleneck.information))  # type: ignore[arg-type]
        bottleneck.training = False
        assert torch.equal(trained(images), trained(images))
    assert told[1] < told[0] / 2


def test_information_of_a_code_is_its_divergence_from_a_standard_normal() -> None:
    bottleneck = Bottleneck(3, 5, 2)
    # Mean 0 and deviation 1 say nothing of the photo: softplus(b - 5) = 1 at b = 5 + log(e - 1).
    with torch.no_grad():
        bottleneck.code.weight.zero_()
        bottleneck.code.bias[:5], bottleneck.code.bias[5:] = 0, 5 + math.log(math.e - 1)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        bottleneck(torch.ones(4, 3))
    assert float(bottleneck.information) == pytest.approx(0, abs=1e-5)  # type: ignore[arg-type]


@pytest.mark.medium
def test_transfer_never_shows_early_layers_a_private_photo(
    module: nn.Module,
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
    strangers: Strangers,
) -> None:
    turned = (photos[0][::-1].copy(), photos[1])
    both = [train("transfer", module, some, strangers).model for some in (photos, turned)]
    early, late = ([one[place].weight for one in both] for place in (0, 5))  # type: ignore[index]
    assert torch.equal(*early)
    assert not torch.equal(*late)
    with pytest.raises(DataError, match="strangers"):
        train("transfer", module, photos, None)
    with pytest.raises(PlanError, match="two people"):
        train("transfer", module, photos, Strangers(strangers.images, np.zeros(60, np.int64)))


def test_the_last_layer_is_never_frozen(module: nn.Module) -> None:
    assert len(freeze(module, 0.99)) == 2
    assert [one.weight.requires_grad for one in weighted_layers(module)] == [False, False, True]


@pytest.mark.medium
def test_dp_spends_what_it_was_given_and_says_so(
    module: nn.Module, photos: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    trained = train("dp-sgd", module, photos, None, epsilon=2.0, epochs=4)
    privacy = trained.facts.privacy
    assert privacy is not None
    assert 1.9 < privacy.epsilon <= 2.0
    assert privacy.unit == "photo"
    assert privacy.delta == 1e-5
    assert (privacy.sample_rate, privacy.steps) == (8 / 24, 12)
    assert privacy.noise_multiplier > 1


@pytest.mark.parametrize("unit", ["photo", "person"])
def test_dp_clips_what_one_unit_adds_to_a_step(
    unit: Literal["photo", "person"],
    module: nn.Module,
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    # One step on everybody without noise: the sum of clipped gradients over the number of units.
    # So small a clip makes every gradient as long as the clip itself.
    defense = PrivateSGD(
        epsilon=math.inf, unit=unit, clip=1e-3, batch=24, epochs=1, learning_rate=1.0, momentum=0.0
    )
    images, labels = photos
    before = torch.cat([weight.detach().flatten() for weight in module.parameters()])

    def moved(rows: slice) -> torch.Tensor:
        course = ImageCourse.of(module, images[rows], labels[rows], recipe=QUICK, seed=0)
        trained = defense.train(course)
        after = torch.cat([weight.flatten() for weight in trained.model.parameters()])
        return (after - before) / 1e-3

    alone, together = moved(slice(0, 4)), moved(slice(0, 24))
    if unit == "person":
        assert float(alone.norm()) == pytest.approx(1.0, rel=0.02)
    assert 0 < float(together.norm()) <= 1.01
    # What is left when one person leaves differs by that person's share of the step.
    without = moved(slice(4, 24))
    share = 4 / 24 if unit == "photo" else 1 / 6
    gap = together - without * (1 - share)
    assert float(gap.norm()) <= share * 1.01


def test_dp_gradients_in_parts_are_those_at_once(
    module: nn.Module, photos: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> None:
    for unit in ("photo", "person"):
        both = [
            train("dp-sgd", module, photos, None, unit=unit, epochs=3, at_once=at_once).model
            for at_once in (5, 1000)
        ]
        for first, second in zip(*(one.parameters() for one in both), strict=True):
            assert torch.allclose(first, second, atol=1e-5)


def test_dp_refuses_batch_normalisation_or_replaces_it(
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    mixing = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 6)
    )
    with pytest.raises(PlanError, match="group_norm = true"):
        train("dp-sgd", mixing, photos, None)
    trained = train("dp-sgd", mixing, photos, None, group_norm=True, epochs=1)
    assert isinstance(trained.model[1], nn.GroupNorm)  # type: ignore[index]


@pytest.mark.slow
def test_dp_after_training_on_strangers_leaves_frozen_layers_to_them(
    module: nn.Module,
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
    strangers: Strangers,
) -> None:
    settings = {"epsilon": 1.0, "epochs": 2, "pretrain_epochs": 2, "frozen": 0.9}
    turned = (photos[0][::-1].copy(), photos[1])
    both = [train("dp-sgd", module, some, strangers, **settings).model for some in (photos, turned)]
    assert torch.equal(*[one[2].weight for one in both])  # type: ignore[index]
    assert not torch.equal(*[one[5].weight for one in both])  # type: ignore[index]
    with pytest.raises(PlanError, match="strangers"):
        train("dp-sgd", module, photos, None, pretrain_epochs=1)


def test_infinite_epsilon_survives_json() -> None:
    privacy = Privacy(
        unit="photo", epsilon=math.inf, delta=1e-5, noise_multiplier=0.0, sample_rate=0.1, steps=10
    )
    facts = TrainingFacts(defense="dp-sgd", seconds=2.0, privacy=privacy)
    assert json.loads(facts.model_dump_json())["privacy"]["epsilon"] is None
    assert TrainingFacts.model_validate_json(facts.model_dump_json()) == facts
    assert facts.times_longer_than(TrainingFacts(defense="none", seconds=1.0)) == 2.0


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("dp-sdg", {}, "did you mean 'dp-sgd'"),
        ("dp-sgd", {"epsilom": 1}, "did you mean 'epsilon'"),
        ("dp-sgd", {"epsilon": 0.0}, "epsilon 0"),
        ("dp-sgd", {"frozen": 0.5}, "strangers"),
        ("dp-sgd", {"unit": "pixel"}, "unit"),
        ("uniform-confidence", {"weight": 0.0}, "above 0"),
        ("negative-label-smoothing", {"smoothing": 0.1}, "below 0"),
        ("bido", {"on_input": -1.0}, "0 or more"),
        ("mid", {"width": 0}, "1 or more"),
        ("transfer", {"frozen": 1.0}, "between 0 and 1"),
    ],
)
def test_wrong_words_are_refused(name: str, parameters: dict[str, object], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        TRAINING_DEFENSES.make(name, parameters)


def test_modules_that_cannot_be_defended_are_refused(
    photos: tuple[NDArray[np.float32], NDArray[np.int64]], strangers: Strangers
) -> None:
    whole = nn.Sequential(nn.Flatten(), nn.Linear(256, 6))
    with pytest.raises(PlanError, match="no activation layer"):
        BilateralDependency().train(ImageCourse.of(whole, *photos, seed=0))
    with pytest.raises(PlanError, match="no layer 'features'"):
        hidden_layers(whole, ("features",), "bido")
    headless = nn.Sequential(nn.Conv2d(1, 6, 16), nn.Flatten())
    for name in ("mid", "transfer"):
        with pytest.raises(PlanError, match=r"nn\.Linear"):
            train(name, headless, photos, strangers)
    assert output_layer(whole, "x")[0] == "1"
    for wrong, said in (
        (nn.Flatten(), "no weights"),
        (nn.Linear(3, 6), "cannot take"),
        (nn.Sequential(nn.Flatten(), nn.Linear(256, 5)), "5 classes"),
        (nn.Conv2d(1, 6, 3), "one row of logits"),
    ):
        with pytest.raises(DataError, match=said):
            train("none", wrong, photos, None)


def test_photos_that_do_not_fit_are_refused(
    module: nn.Module,
    photos: tuple[NDArray[np.float32], NDArray[np.int64]],
    strangers: Strangers,
) -> None:
    images, labels = photos
    with pytest.raises(DataError, match="labels"):
        train("none", module, (images, labels[:-1]), None)
    with pytest.raises(DataError, match="float32"):
        train("none", module, (images.astype(np.float64), labels), None)
    with pytest.raises(DataError, match="strangers"):
        train("none", module, photos, Strangers(strangers.images[:, :, :8], strangers.people))
    for wrong in ({"epochs": 0}, {"batch": 1}, {"value_range": (1.0, 0.0)}):
        with pytest.raises(PlanError, match="training"):
            Recipe(**wrong)


def test_names_show_what_is_not_usual() -> None:
    assert describe(PrivateSGD(epsilon=1.0, group_norm=True)) == (
        "dp-sgd(epsilon=1, group_norm=True)"
    )
    assert describe(Transfer()) == "transfer"


def test_images_of_nobody() -> None:
    images = torch.rand(3, 2, 20, 18, generator=torch.Generator().manual_seed(0))
    soft = blurred(images, torch.tensor([0.01, 1.0, 50.0]))
    assert torch.allclose(soft[0], images[0], atol=1e-5)
    assert soft[1].std() < images[1].std()
    assert soft[2].std() < 0.1
    assert torch.allclose(averaged(images, torch.tensor([[0, 1]]))[0], images[:2].mean(dim=0))
    clouds = noise(40, (2, 20, 18), torch.Generator().manual_seed(1))
    assert clouds.shape == (40, 2, 20, 18)
    assert 0 <= clouds.min() <= clouds.max() <= 1
