"""Non-local means and sharpening, against scikit-image and a plain loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.filters import unsharp_mask
from skimage.restoration import denoise_nl_means
from torch import Tensor

from darkroom.images.attacks.process import denoise, sharpen

PARAMETERS = [(3, 3, 0.1), (5, 4, 0.15), (7, 6, 0.2)]


def photos(channels: int, size: tuple[int, int] = (17, 13)) -> Tensor:
    """Three noisy ramps."""
    generator = torch.Generator().manual_seed(channels)
    noise = torch.rand(3, channels, *size, generator=generator)
    return 0.3 * noise + torch.linspace(0, 0.6, size[1])


def slow_denoise(
    image: NDArray[np.float32], patch: int, reach: int, strength: float
) -> NDArray[np.float64]:
    """The definition, pixel by pixel, for one image ``(channels, height, width)``."""
    half, (channels, height, width) = patch // 2, image.shape
    padded = np.pad(image.astype(float), ((0, 0), (half, half), (half, half)), mode="reflect")
    across, down = np.meshgrid(np.arange(patch) - half, np.arange(patch) - half)
    window = np.exp(-(across**2 + down**2) / (2 * ((patch - 1) / 4) ** 2))
    window /= window.sum() * channels * strength**2
    answer = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            mine = padded[:, row : row + patch, column : column + patch]
            total = 0.0
            for r in range(max(0, row - reach), min(height, row + reach + 1)):
                for c in range(max(0, column - reach), min(width, column + reach + 1)):
                    other = padded[:, r : r + patch, c : c + patch]
                    distance = float((window * (mine - other) ** 2).sum())
                    weight = math.exp(-distance) if distance <= 5 else 0.0
                    total += weight
                    answer[:, row, column] += weight * image[:, r, c]
            answer[:, row, column] /= total
    return answer


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("patch", "reach", "strength"), PARAMETERS)
def test_denoise_is_scikit_images(channels: int, patch: int, reach: int, strength: float) -> None:
    images = photos(channels)
    answer = denoise(images, patch=patch, reach=reach, strength=strength)
    expected = [
        denoise_nl_means(
            image.double().permute(1, 2, 0).numpy(),
            patch_size=patch,
            patch_distance=reach,
            h=strength,
            fast_mode=False,
            channel_axis=-1,
        )
        .reshape(17, 13, channels)
        .transpose(2, 0, 1)
        for image in images
    ]
    # Theirs takes exponentials approximately, to about a percent.
    np.testing.assert_allclose(answer.numpy(), np.stack(expected), atol=4e-3)


@pytest.mark.parametrize(("patch", "reach", "strength"), PARAMETERS)
def test_denoise_is_the_definition_up_to_the_edges(patch: int, reach: int, strength: float) -> None:
    images = photos(3, (9, 8))
    answer = denoise(images, patch=patch, reach=reach, strength=strength)
    expected = [slow_denoise(image.numpy(), patch, reach, strength) for image in images]
    np.testing.assert_allclose(answer.numpy(), np.stack(expected), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("radius", [0.7, 1.0, 1.5])
def test_sharpen_is_scikit_images(channels: int, radius: float) -> None:
    images = photos(channels)
    answer = sharpen(images, radius=radius, amount=1.3)
    sharp = cast("Callable[..., NDArray[np.float32]]", unsharp_mask)
    expected = [[sharp(channel.numpy(), radius, 1.3) for channel in image] for image in images]
    np.testing.assert_allclose(answer.numpy(), np.array(expected), atol=1e-6)


def test_denoise_keeps_edges_and_takes_noise() -> None:
    clean = torch.zeros(1, 1, 24, 24)
    clean[..., 12:] = 0.8
    noisy = clean + 0.05 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    answer = denoise(noisy)
    assert (answer - clean).square().mean() < 0.3 * (noisy - clean).square().mean()
    assert float((answer[..., 12] - answer[..., 11]).mean()) > 0.75


@pytest.mark.parametrize("clean", [denoise, sharpen])
def test_an_image_alone_and_in_a_batch(clean: Callable[[Tensor], Tensor]) -> None:
    images = photos(3)
    alone = torch.cat([clean(image[None]) for image in images])
    torch.testing.assert_close(clean(images), alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("clean", [denoise, sharpen])
@pytest.mark.parametrize("shape", [(0, 1, 5, 5), (1, 1, 1, 1), (2, 3, 1, 4)])
def test_batch_of_none_and_tiny_images(
    clean: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    flat = torch.full(shape, 0.5)
    torch.testing.assert_close(clean(flat), flat)


@pytest.mark.parametrize("arguments", [{"patch": 4}, {"patch": 1}, {"reach": -1}, {"strength": 0}])
def test_denoise_refuses(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="odd patch"):
        denoise(photos(1), **arguments)


def test_sharpen_refuses() -> None:
    with pytest.raises(ValueError, match="positive radius"):
        sharpen(photos(1), radius=0)
