"""The demonstration's network: it learns to tell people apart."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from darkroom.demo.face_encoder import demo_face_encoder
from darkroom.demo.face_net import demo_face_net, face_net, train_face_net
from darkroom.demo.people.employees import render_faces
from darkroom.errors import DataError
from darkroom.training.modules import weights_of

PEOPLE = 8


@cache
def faces() -> NDArray[np.float32]:
    return render_faces(PEOPLE, 6, size=32).images


def known() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return faces()[:, :4].reshape(-1, 3, 32, 32), np.repeat(np.arange(PEOPLE), 4)


def trained(seed: int = 0, epochs: int = 25) -> nn.Module:
    images, people = known()
    return train_face_net(images, people, classes=PEOPLE, seed=seed, epochs=epochs, batch=16)


@pytest.mark.medium
def test_it_names_people_on_photos_that_it_was_not_shown() -> None:
    unseen = torch.from_numpy(faces()[:, 4:].reshape(-1, 3, 32, 32))
    named = trained()(unseen).argmax(dim=1).numpy()
    assert (named == np.repeat(np.arange(PEOPLE), 2)).mean() >= 0.8


def test_it_cannot_name_people_before_training() -> None:
    torch.manual_seed(0)
    named = face_net(PEOPLE, (3, 32, 32)).eval()(torch.from_numpy(known()[0])).argmax(dim=1)
    assert (named.numpy() == known()[1]).mean() < 0.5


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (trained(seed, 1).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    trained(epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_returned_network_answers_rows_on_their_own() -> None:
    model, images = trained(epochs=1), torch.from_numpy(known()[0])
    with torch.no_grad():
        assert not model.training
        assert torch.allclose(model(images)[3:4], model(images[3:4]), atol=1e-5)


def test_a_last_batch_of_one_photo_does_no_harm() -> None:
    images, people = known()
    model = train_face_net(images[:9], people[:9], classes=PEOPLE, seed=0, epochs=1, batch=8)
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_progress_counts_epochs() -> None:
    images, people = known()
    seen: list[tuple[int, int]] = []
    train_face_net(
        images,
        people,
        classes=PEOPLE,
        seed=0,
        epochs=2,
        on_progress=lambda *done: seen.append(done),
    )
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 112, 92), (1, 17, 16), (3, 33, 130)])
def test_shapes(shape: tuple[int, int, int]) -> None:
    model = face_net(5, shape).eval()
    assert model(torch.rand(2, *shape)).shape == (2, 5)


def test_the_demonstration_has_forty_people() -> None:
    assert demo_face_net().eval()(torch.rand(1, 3, 64, 64)).shape == (1, 40)


def test_weights_of_a_trained_network_fit_an_untrained_one() -> None:
    model, images = trained(epochs=1), torch.from_numpy(known()[0])
    fresh = face_net(PEOPLE, (3, 32, 32)).eval()
    assert not torch.allclose(fresh(images), model(images))
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(images), model(images))


@pytest.mark.parametrize(
    ("classes", "shape", "message"),
    [(1, (3, 64, 64), "2 or more"), (5, (3, 8, 64), "16 or more"), (5, (64, 64), "channels")],
)
def test_networks_that_cannot_be_are_refused(
    classes: int, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        face_net(classes, shape)


def test_photos_that_do_not_fit_are_refused() -> None:
    images, people = known()
    with pytest.raises(DataError, match="two photos at least"):
        train_face_net(images, people[:-1], classes=PEOPLE, seed=0)
    with pytest.raises(DataError, match="number the people from 0"):
        train_face_net(images, people, classes=PEOPLE - 1, seed=0)
    with pytest.raises(DataError, match="epochs 0"):
        train_face_net(images, people, classes=PEOPLE, seed=0, epochs=0)


def test_an_encoder_is_written_as_the_demo_writes_it_and_read_again(tmp_path: Path) -> None:
    """Convolutions lie in memory by pixels, which files of weights do not know."""
    encoder = demo_face_encoder()
    (tmp_path / "weights.safetensors").write_bytes(weights_of(encoder))
    found = load_file(tmp_path / "weights.safetensors")
    assert found.keys() == encoder.state_dict().keys()
    assert all(torch.equal(found[name], one) for name, one in encoder.state_dict().items())
