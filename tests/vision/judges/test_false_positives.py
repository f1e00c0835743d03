from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.errors import DataError
from darkroom.images import false_positives
from darkroom.images.false_positives import false_positive_rates
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.judges.accuracy import Rate, judge_accuracy
from darkroom.vision.judges.panel import Judgement, Panel
from darkroom.vision.judges.plausibility import Measures

SHAPE = (1, 28, 24)


class Templates(nn.Module):
    """Compares with every person's template, and with grain of no meaning that is easily forged."""

    def __init__(self, templates: NDArray[np.float32], sharpness: float) -> None:
        super().__init__()
        weights = torch.from_numpy(templates).flatten(1)
        centred = weights - weights.mean(dim=0)
        grain = np.random.default_rng(0).choice([-1.0, 1.0], weights.shape)
        forged = torch.from_numpy(4 * grain.astype(np.float32)) / weights.shape[1] ** 0.5
        unit = centred / centred.norm(dim=1, keepdim=True)
        self.weights = nn.Parameter(sharpness * (unit + forged))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T


class Gullible:
    """Finds one and the same person in every image, and remembers what it was shown."""

    def __init__(self, person: int) -> None:
        self.person = person
        self.seen: list[NDArray[np.float32]] = []

    def judge(self, images: NDArray[np.float32]) -> Judgement:
        self.seen.append(images)
        count = len(images)
        named = np.full((count, 3), self.person)
        return Judgement(named, Measures(*np.zeros((4, count))), np.ones(count, np.bool_))


def _target(staff: Any, sharpness: float = 20.0, batch: int = 7) -> TorchTarget:
    model = Templates(2 * staff.templates - 1, sharpness)
    return TorchTarget(model, SHAPE, value_range=(-1.0, 1.0), batch=batch)


def test_rate_counts_trials_and_attempts() -> None:
    rate = Rate.of(np.array([True, False, False, False]), attempts=6)
    assert rate[:3] == (1, 4, 6)
    assert rate.interval is not None
    assert rate.interval.estimate == 0.25
    assert Rate.of(np.empty(0, np.bool_), attempts=6).interval is None


@pytest.mark.medium
def test_accuracy_on_fresh_photos_and_on_shuffled_names(panel: Panel, staff: Any) -> None:
    photos, people = staff.draw(5, 40)
    accuracy = judge_accuracy(panel, 2 * photos - 1, people)
    assert accuracy.panel.hits >= 36
    assert accuracy.panel.hits <= min(accuracy.majority.hits, accuracy.gate.hits)
    assert [judge.trials for judge in accuracy.judges] == [40, 40, 40]
    assert judge_accuracy(panel, 2 * photos - 1, (people + 1) % 8).panel.hits <= 1
    with pytest.raises(DataError, match="0 photos"):
        judge_accuracy(panel, photos[:0], people[:0])


@pytest.mark.medium
def test_the_panel_is_fooled_by_none_of_the_three(panel: Panel, staff: Any) -> None:
    photos, people = staff.draw(3, 41)
    rates = false_positive_rates(
        panel, _target(staff), 2 * photos - 1, people, goals=np.arange(8), seed=0
    )
    assert rates.noise.attempts == rates.adversarial.attempts == rates.others.attempts == 24
    assert rates.noise.trials >= 20
    assert rates.adversarial.trials >= 20
    assert rates.noise.hits <= 1
    assert rates.adversarial.hits <= 1
    assert rates.others.hits == 0


def test_a_gullible_panel_is_found_out(staff: Any) -> None:
    photos, people = staff.draw(3, 41)
    gullible = Gullible(0)
    rates = false_positive_rates(
        cast("Panel", gullible),
        _target(staff),
        2 * photos - 1,
        people,
        goals=np.array([0, 5]),
        seed=0,
    )
    assert rates.noise.hits == rates.adversarial.hits == 3
    # Whoever is neither 0 nor 5 may be asked for either; 5 is asked for 0, and 0 never is.
    assert 3 <= rates.others.hits <= 21
    assert rates.others.trials == 24


@pytest.mark.medium
def test_what_is_judged_reached_the_confidence_within_the_change(staff: Any) -> None:
    photos, people = staff.draw(3, 41)
    target, panel = _target(staff), Gullible(0)
    signed = 2 * photos - 1
    false_positive_rates(
        cast("Panel", panel), target, signed, people, goals=np.array([0]), seed=0, per_goal=9
    )
    _, noise, changed = panel.seen
    assert (target.scores(noise)[:, 0] >= 0.99 - 1e-4).all()
    assert (target.scores(changed)[:, 0] >= 0.99 - 1e-4).all()
    assert len(changed) == 9
    apart = np.abs(changed[:, None] - signed[None]).max(axis=(2, 3, 4))
    closest = apart.argmin(axis=1)
    assert apart.min(axis=1).max() <= 2 * 8 / 255 + 1e-6
    assert apart.min(axis=1).max() > 0
    assert (people[closest] != 0).all()
    assert len(set(closest.tolist())) == 9
    assert min(noise.min(), changed.min()) >= -1
    assert max(noise.max(), changed.max()) <= 1


def test_a_target_that_is_never_sure_gives_attempts_without_trials(staff: Any) -> None:
    photos, people = staff.draw(1, 41)
    rates = false_positive_rates(
        cast("Panel", Gullible(0)),
        _target(staff, sharpness=0.01),
        2 * photos - 1,
        people,
        goals=np.arange(8),
        seed=0,
        steps=3,
    )
    assert rates.noise == Rate(0, 0, 24, None)
    assert rates.adversarial.interval is None
    assert rates.others.trials == 8


def test_same_seed_same_rates_in_chunks_of_any_size(staff: Any) -> None:
    photos, people = staff.draw(2, 41)
    seen = []
    for batch, seed in ((3, 0), (64, 0), (64, 1)):
        panel = Gullible(0)
        target = _target(staff, batch=batch)
        args = (cast("Panel", panel), target, 2 * photos - 1, people)
        false_positive_rates(*args, goals=np.arange(8), seed=seed)
        seen.append(panel.seen)
    for first, second in zip(*seen[:2], strict=True):
        assert first == pytest.approx(second, abs=1e-3)
    assert seen[1][1].shape != seen[2][1].shape or (seen[1][1] != seen[2][1]).any()


def test_photos_of_one_person_cannot_serve_that_goal(staff: Any) -> None:
    photos, people = staff.draw(2, 41)
    args = (cast("Panel", Gullible(0)), _target(staff), 2 * photos[:2] - 1, people[:2])
    with pytest.raises(DataError, match=r"anybody but \[0\]"):
        false_positive_rates(*args, goals=np.array([0]), seed=0)


def test_noise_fills_the_range() -> None:
    target = TorchTarget(nn.Sequential(nn.Flatten(), nn.Linear(672, 2)), SHAPE)
    noise = false_positives._noise(target, 20, np.random.default_rng(0))
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert noise.dtype == np.float32
    assert noise[::2].std() == pytest.approx(1 / np.sqrt(12), abs=0.01)
    assert noise[1::2].std() == pytest.approx(0.2, abs=0.01)
