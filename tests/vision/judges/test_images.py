import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from tests.support.examples import few

from darkroom.errors import DataError
from darkroom.vision.judges.images import (
    FaceSpace,
    blur,
    estimated_noise,
    nearest_photo,
    orientations,
    shrink,
    ssim,
    standardise,
    variants,
)


def _random(seed: int, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).random(shape, np.float32)


def test_face_space_of_a_plane_is_that_plane() -> None:
    photos = np.zeros((40, 1, 2, 2), np.float32)
    drawn = np.random.default_rng(0).normal(0, [3, 1], (40, 2))
    photos[:, 0, 0, 0], photos[:, 0, 0, 1] = drawn.T
    space = FaceSpace.fit(photos, 4)
    assert len(space.basis) == 2
    probe = np.zeros((3, 1, 2, 2), np.float32)
    probe += space.mean.reshape(1, 2, 2)
    probe[0, 0, 0, 0] += 5  # within
    probe[1, 0, 1, 1] += 5  # across
    probe[2, 0, 0, 0] += 3
    probe[2, 0, 1, 1] += 4
    assert space.residual(probe) == pytest.approx([0, 1, 0.8], abs=1e-5)
    assert space.mahalanobis(probe)[1] == pytest.approx(0, abs=1e-5)


def test_photos_of_the_fit_have_mahalanobis_distance_one() -> None:
    photos = _random(0, 60, 3, 6, 5)
    distances = FaceSpace.fit(photos, 10).mahalanobis(photos)
    assert (distances**2).mean() == pytest.approx(59 / 60, rel=1e-4)


def test_the_mean_is_inside() -> None:
    space = FaceSpace.fit(_random(0, 30, 1, 6, 5), 10)
    mean = space.mean.reshape(1, 1, 6, 5)
    assert space.residual(mean) == 0
    assert space.mahalanobis(mean) == 0


@few
@given(st.integers(0, 10_000), st.integers(1, 20))
def test_more_components_leave_less_outside(seed: int, components: int) -> None:
    photos, probe = _random(seed, 30, 1, 5, 4), _random(seed + 1, 7, 1, 5, 4)
    few = FaceSpace.fit(photos, components).residual(probe)
    more = FaceSpace.fit(photos, components + 3).residual(probe)
    assert (more <= few + 1e-5).all()
    assert (few <= 1).all()


def test_large_sets_give_nearly_the_exact_components() -> None:
    photos = torch.from_numpy(_random(0, 520, 1, 26, 24))
    smooth = blur(photos, 3.0).numpy()
    space = FaceSpace.fit(smooth, 5)
    again = FaceSpace.fit(smooth, 5)
    rows = smooth.reshape(520, -1) - smooth.reshape(520, -1).mean(axis=0)
    exact = np.linalg.svd(rows, compute_uv=False)[:5] / np.sqrt(519)
    assert space.deviations == pytest.approx(exact, rel=1e-2)
    assert (space.basis == again.basis).all()


def test_face_space_refuses_what_spans_nothing() -> None:
    with pytest.raises(DataError, match="all photos are the same"):
        FaceSpace.fit(np.ones((5, 1, 4, 4), np.float32), 3)
    with pytest.raises(DataError, match="at least two photos"):
        FaceSpace.fit(_random(0, 1, 1, 4, 4), 3)
    space = FaceSpace.fit(_random(0, 5, 1, 4, 4), 3)
    with pytest.raises(DataError, match="resize"):
        space.residual(_random(0, 5, 1, 4, 5))


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_equals_scikit_image(channels: int) -> None:
    a = blur(torch.from_numpy(_random(1, 5, channels, 20, 17)), 1.0).numpy()
    b = (0.7 * a + 0.3 * _random(2, 5, channels, 20, 17)).astype(np.float32)
    expected = [
        structural_similarity(x, y, channel_axis=0, data_range=1.0)  # type: ignore[no-untyped-call]
        for x, y in zip(a.astype(float), b.astype(float), strict=True)
    ]
    assert ssim(a, b) == pytest.approx(expected, abs=1e-8)
    assert ssim(a, a) == pytest.approx(1)
    assert len(ssim(a[:0], b[:0])) == 0


def test_ssim_refuses_unequal_and_tiny_images() -> None:
    with pytest.raises(DataError, match="equal shapes"):
        ssim(_random(0, 2, 1, 9, 9), _random(0, 2, 1, 9, 8))
    with pytest.raises(DataError, match="at least 7"):
        ssim(_random(0, 2, 1, 6, 9), _random(0, 2, 1, 6, 9))


def test_nearest_photo_is_of_the_goal_even_if_another_is_closer() -> None:
    photos = _random(0, 6, 1, 9, 8)
    people = np.array([0, 0, 1, 1, 2, 2])
    space = FaceSpace.fit(photos, 5)
    images = photos[[1, 2, 2]]
    found = nearest_photo(images, np.array([0, 1, 0]), photos, people, space)
    assert found.photo[:2].tolist() == [1, 2]
    assert found.ssim[:2] == pytest.approx(1)
    assert found.distance[:2] == pytest.approx(0)
    assert people[found.photo[2]] == 0
    assert found.ssim[2] == pytest.approx(ssim(photos[[2, 2]], photos[:2]).max())
    assert found.distance[2] > 0.1
    with pytest.raises(DataError, match=r"no photo of \[7\]"):
        nearest_photo(images, np.array([0, 7, 0]), photos, people, space)
    assert len(nearest_photo(images[:0], people[:0], photos, people, space).photo) == 0


def test_shrink_averages_and_never_enlarges() -> None:
    images = torch.from_numpy(_random(0, 2, 1, 8, 6))
    assert shrink(images, 4).shape == (2, 1, 4, 3)
    assert torch.allclose(shrink(images, 4)[0, 0, 0, 0], images[0, 0, :2, :2].mean())
    assert shrink(images, 64).equal(images)


def test_standardise_forgets_light_and_contrast_but_makes_nothing_of_blanks() -> None:
    images = torch.from_numpy(_random(0, 3, 1, 8, 6))
    assert torch.allclose(standardise(images), standardise(0.5 * images + 0.2), atol=0.02)
    assert standardise(torch.full((1, 1, 8, 6), 0.3)).abs().max() < 1e-3


def test_variants_are_the_image_its_mirror_and_moves() -> None:
    images = torch.from_numpy(_random(0, 2, 1, 9, 8))
    copies = variants(images, 2)
    assert copies.shape == (20, 1, 9, 8)
    assert copies[:2].equal(images)
    assert copies[2:4].equal(images.flip(3))
    assert copies[4:6, :, 2:].equal(images[:, :, :-2])
    assert copies[8:10, :, :-2].equal(images[:, :, 2:])
    assert variants(images, 0).equal(copies[:4])


def test_orientations_tell_direction_and_not_contrast() -> None:
    ramp = torch.linspace(0, 1, 28).view(1, 1, 1, 28).expand(1, 1, 28, 28)
    right, down = orientations(ramp), orientations(ramp.transpose(2, 3))
    fainter = orientations(0.5 * ramp + 0.2)
    assert torch.dist(right, fainter) < 0.05 * torch.dist(right, down)


def test_noise_is_estimated_whatever_lies_under_it() -> None:
    generator = torch.Generator().manual_seed(0)
    slope = torch.linspace(0, 1, 64).expand(2, 3, 64, 64)
    noise = (
        torch.randn(slope.shape, generator=generator)
        * torch.tensor([0.05, 0.2])[:, None, None, None]
    )
    assert estimated_noise(slope + noise) == pytest.approx([0.05, 0.2], rel=0.05)
    assert estimated_noise(slope).abs().max() < 1e-5
    assert estimated_noise(torch.rand(2, 1, 2, 9)).tolist() == [0, 0]
