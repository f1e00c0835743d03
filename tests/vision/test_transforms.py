"""Random moves of images."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from darkroom.vision.transforms import RandomAffine, move, move_alike


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(count: int = 1, height: int = 8, width: int = 8) -> Tensor:
    return torch.rand(count, 1, height, width, generator=generator(9))


def test_no_move_is_the_identity() -> None:
    still = RandomAffine(shift=0, turn=0, zoom=0, flip=0)
    assert still.is_identity
    assert not RandomAffine().is_identity
    torch.testing.assert_close(still(picture(3), generator()), picture(3))


def test_a_flip_is_the_mirror_image() -> None:
    mirror = RandomAffine(shift=0, turn=0, zoom=0, flip=1)
    torch.testing.assert_close(mirror(picture(3), generator()), picture(3).flip(3))


def test_half_are_flipped() -> None:
    matrices = RandomAffine(shift=0, turn=0, zoom=0, flip=0.5).matrices(2000, generator())
    assert 0.45 < (matrices[:, 0, 0] < 0).float().mean() < 0.55


@pytest.mark.parametrize(("across", "down"), [(2, 0), (0, -3), (1, 1)])
def test_a_shift_is_in_shares_of_the_sides(across: int, down: int) -> None:
    # Row 0 of a matrix says where to look, so a look to the right moves the image to the left.
    matrix = torch.tensor([[[1.0, 0, 2 * across / 8], [0, 1, 2 * down / 8]]])
    moved = move(picture(), matrix)
    rows = slice(max(0, -down), 8 - max(0, down))
    columns = slice(max(0, -across), 8 - max(0, across))
    expected = picture().roll((-down, -across), (2, 3))
    torch.testing.assert_close(moved[..., rows, columns], expected[..., rows, columns])


def test_edges_are_repeated() -> None:
    moved = move(picture(), torch.tensor([[[1.0, 0, 10.0], [0, 1, 0]]]))
    torch.testing.assert_close(moved, picture()[..., 7:].expand(1, 1, 8, 8))


def test_draws_stay_within_their_limits_and_use_them() -> None:
    limits = RandomAffine(shift=0.1, turn=0.3, zoom=0.2, flip=0)
    matrices = limits.matrices(4000, generator())
    shift = matrices[:, :, 2].abs() / 2
    scale = matrices[:, :, 0].norm(dim=1)
    turn = torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]).abs()
    for values, limit in ((shift, 0.1), (turn, 0.3), ((scale - 1).abs(), 0.2)):
        assert values.max() <= limit + 1e-6
        assert values.max() > 0.98 * limit
        assert values.mean() == pytest.approx(limit / 2, rel=0.1)


def test_a_quarter_turn() -> None:
    matrix = torch.tensor([[[0.0, -1, 0], [1, 0, 0]]])
    turned = move(picture(), matrix)
    torch.testing.assert_close(turned, picture().rot90(1, (2, 3)), atol=1e-5, rtol=0)
    assert math.isclose(float(turned.sum()), float(picture().sum()), rel_tol=1e-5)


def test_the_same_seed_draws_the_same() -> None:
    first, second = (RandomAffine()(picture(4), generator(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, RandomAffine()(picture(4), generator(4)))


def test_each_image_has_a_draw_of_its_own() -> None:
    moved = RandomAffine()(picture().expand(4, 1, 8, 8), generator())
    assert not torch.allclose(moved[0], moved[1])


@pytest.mark.parametrize(("count", "channels", "threads"), [(6, 3, 2), (5, 1, 2), (4, 2, 1)])
def test_one_move_of_all_images_is_that_move_of_each(
    count: int, channels: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    images = torch.rand(count, channels, 9, 7, generator=generator())
    matrix = RandomAffine().matrices(1, generator())[0]
    assert torch.equal(move_alike(images, matrix), move(images, matrix.expand(count, 2, 3)))


def test_moves_are_differentiable() -> None:
    images = picture(2).requires_grad_()
    RandomAffine(flip=1)(images, generator()).sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
