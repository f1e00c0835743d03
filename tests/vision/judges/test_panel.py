from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from darkroom.errors import DataError
from darkroom.vision.judges.images import blur
from darkroom.vision.judges.panel import Judgement, Panel
from darkroom.vision.judges.plausibility import Measures
from darkroom.vision.judges.recognisers import NetRecogniser, own_judges

pytestmark = pytest.mark.medium


def _signed(images: NDArray[Any]) -> NDArray[np.float32]:
    return (2 * images - 1).clip(-1, 1).astype(np.float32)


def net_of(panel: Panel) -> torch.nn.Module:
    net = panel.judges[0]
    assert isinstance(net, NetRecogniser)
    return net.net


def test_success_needs_the_gate_and_two_of_three() -> None:
    predictions = np.array([[1, 1, 1], [1, 1, 2], [1, -1, 2], [1, 1, 1], [-1, -1, -1]])
    plausible = np.array([True, True, True, False, True])
    judgement = Judgement(predictions, Measures(*np.zeros((4, 5))), plausible)
    assert judgement.names(np.ones(5, np.int64)).tolist() == [True, True, False, False, False]
    assert judgement.votes(np.full(5, 2)).sum(axis=0).tolist() == [0, 0, 2]


@pytest.mark.medium
def test_each_judge_knows_fresh_photos(panel: Panel, staff: Any) -> None:
    photos, people = staff.draw(10, 20)
    judgement = panel.judge(_signed(photos))
    assert (judgement.votes(people).mean(axis=0) >= 0.85).all()
    assert judgement.names(people).mean() >= 0.9
    assert judgement.plausible.mean() >= 0.95


def test_nobody_is_taken_for_another(panel: Panel, staff: Any) -> None:
    photos, people = staff.draw(10, 20)
    assert panel.judge(_signed(photos)).names((people + 1) % 8).mean() <= 0.02


def test_strangers_are_somebody_else(panel: Panel, strangers: Any) -> None:
    photos, _ = strangers.draw(5, 21)
    assert ((panel.judge(_signed(photos)).predictions == -1).mean(axis=0) >= 0.8).all()


@pytest.mark.parametrize("change", ["blur", "noise", "average", "contrast"])
def test_smooth_and_slightly_grainy_images_are_recognised(
    panel: Panel, staff: Any, change: str
) -> None:
    photos, people = staff.draw(10, 22)
    if change == "average":
        photos, people = photos.reshape(8, 10, *photos.shape[1:]).mean(axis=1), np.arange(8)
    changed = {
        "blur": blur(torch.from_numpy(photos), 1.5).numpy(),
        "noise": photos + np.random.default_rng(0).normal(0, 0.02, photos.shape),
        "average": photos,
        "contrast": 0.5 + 0.4 * (photos - 0.5),
    }[change]
    judgement = panel.judge(_signed(changed))
    assert judgement.names(people).mean() >= 0.85


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["uniform", "grain on grey", "blobs", "grey", "monster"])
def test_the_gate_rejects_what_is_no_face(panel: Panel, staff: Any, kind: str) -> None:
    rng = np.random.default_rng(5)
    shape = (40, *panel.shape)
    space = panel.gate.space
    blobs = gaussian_filter(rng.standard_normal(shape), (0, 0, 2, 2))
    minor = np.arange(len(space.basis)) >= 40
    far = rng.standard_normal((40, len(space.basis))) * 4 * space.deviations * minor
    monsters = (space.mean + far @ space.basis).reshape(shape)
    images = {
        "uniform": rng.random(shape),
        "grain on grey": 0.5 + 0.1 * rng.standard_normal(shape),
        "blobs": 0.5 + 0.15 * blobs / blobs.std(),
        "grey": np.full(shape, 0.5),
        "monster": 0.5 + 0.1 * monsters,
    }[kind]
    assert panel.judge(_signed(images)).plausible.mean() <= 0.05


def test_each_measure_of_the_gate_can_reject_alone(panel: Panel) -> None:
    measures = panel.gate.measure(torch.rand(3, *panel.shape))
    fine = type(measures)(*(np.array([limit]) for limit in panel.gate.limits))
    assert panel.gate.passes(fine).all()
    assert not panel.gate.passes(fine._replace(residual=fine.residual + 0.01)).any()
    assert not panel.gate.passes(fine._replace(mahalanobis=fine.mahalanobis + 0.01)).any()
    assert not panel.gate.passes(fine._replace(likeness=fine.likeness - 0.01)).any()
    assert not panel.gate.passes(fine._replace(noise=fine.noise + 0.01)).any()


def test_rows_are_judged_alone_and_none_is_fine(panel: Panel, staff: Any) -> None:
    photos, _ = staff.draw(1, 23)
    together = panel.judge(_signed(photos))
    apart = [panel.judge(_signed(photos[row : row + 1])) for row in range(len(photos))]
    assert (together.predictions == np.concatenate([one.predictions for one in apart])).all()
    assert together.measures.residual == pytest.approx(
        [float(one.measures.residual[0]) for one in apart], abs=1e-5
    )
    none = panel.judge(_signed(photos[:0]))
    assert none.predictions.shape == (0, 3)
    assert none.names(np.empty(0, np.int64)).shape == (0,)


def test_same_seed_same_panel_and_global_randomness_untouched(staff: Any) -> None:
    photos, people = staff.draw(2, 30)
    probe = staff.draw(3, 31)[0]
    state, told = torch.get_rng_state(), list[tuple[int, int]]()
    fits = [
        Panel.fit(
            photos,
            people,
            seed=seed,
            judges=own_judges(25),
            on_progress=lambda *at: told.append(at),
        )
        for seed in (0, 0, 1)
    ]
    assert torch.get_rng_state().equal(state)
    assert told[:25] == [(step + 1, 25) for step in range(25)]
    first, second, third = (fit.judge(probe) for fit in fits)
    assert (first.predictions == second.predictions).all()
    assert (first.measures.residual == second.measures.residual).all()
    weights = [net_of(fit).state_dict()["0.weight"] for fit in fits]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])
    assert (third.predictions[:, 1:] == first.predictions[:, 1:]).all()


def test_without_strangers_every_judge_names_somebody(staff: Any, strangers: Any) -> None:
    photos, people = staff.draw(2, 30)
    public, _ = strangers.draw(10, 11)
    unnamed = Panel.fit(photos, people, public_images=public, seed=0, judges=own_judges(5))
    assert (unnamed.judge(public).predictions >= 0).all()
    assert len(unnamed.gate.gallery) == 10 * len(public)


def test_colour_photos_and_single_photos_a_person() -> None:
    photos = np.random.default_rng(0).random((4, 3, 70, 50), np.float32)
    judgement = Panel.fit(photos, np.arange(4), seed=0, judges=own_judges(5)).judge(photos)
    assert judgement.votes(np.arange(4))[:, 1:].all()


def test_people_keep_their_numbers_where_some_are_left_out() -> None:
    photos = np.random.default_rng(0).random((4, 1, 40, 40), np.float32)
    people = np.array([2, 3, 7, 9])
    assert (
        Panel.fit(photos, people, seed=0, judges=own_judges(5))
        .judge(photos)
        .votes(people)[:, 1:]
        .all()
    )


def test_unusable_photos_are_refused(staff: Any, panel: Panel) -> None:
    photos, people = staff.draw(2, 30)
    with pytest.raises(DataError, match="1 people in 2 photos"):
        Panel.fit(photos[:2], people[:2], seed=0)
    with pytest.raises(DataError, match="0 people"):
        Panel.fit(photos[:0], people[:0], seed=0)
    with pytest.raises(DataError, match="number from 0"):
        Panel.fit(photos, people - 1, seed=0)
    with pytest.raises(DataError, match="labels"):
        Panel.fit(photos, people[:-1], seed=0)
    with pytest.raises(DataError, match="range"):
        Panel.fit(photos, people, low=1.0, high=1.0, seed=0)
    with pytest.raises(DataError, match="public photos"):
        Panel.fit(photos, people, public_images=photos[..., :-1], seed=0)
    with pytest.raises(DataError, match="not finite"):
        Panel.fit(np.where(photos > 0.5, np.nan, photos), people, seed=0)
    with pytest.raises(DataError, match="images to judge"):
        panel.judge(photos[..., :-1])
