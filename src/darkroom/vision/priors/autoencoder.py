"""A generator of faces learned from public photos: a variational autoencoder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.errors import DataError
from darkroom.training.schedules import one_cycle
from darkroom.vision.networks.precision import FUSED
from darkroom.vision.priors.spaces import GeneratorPrior
from darkroom.vision.randomness import OwnRandomness
from darkroom.vision.spec import ImageSpec
from darkroom.vision.transforms import RandomAffine

_FEWEST = 16
_COPIES = 6
_AUGMENTATION = RandomAffine(shift=0.02, turn=0.03, zoom=0.02, flip=0.5)
# Typical latents have a length of the square root of their number; the decoder takes
# somewhat more, and nothing beyond: it has never seen what lies there.
_RADIUS = 1.6
_SHARPNESS = 8


def train_variational_autoencoder(
    photos: NDArray[np.float32],
    spec: ImageSpec,
    *,
    latent: int = 96,
    seed: int,
    steps: int = 3000,
    beta: float = 0.5,
    components: int = 500,
    width: int = 768,
    batch: int = 128,
    learning_rate: float = 1e-3,
    on_progress: Callable[[int, int], None] | None = None,
    device: torch.device | str = "cpu",
) -> GeneratorPrior:
    """Trains a variational autoencoder (Kingma & Welling 2014) on public photos.

    Both networks work on the coordinates of photos among their principal components, rather than
    on pixels. The components are orthonormal, so that squared errors are the same in both, and
    the networks, dense and small, see each photo a few hundred times in about eighty seconds of
    processor time, where convolutions on pixels would see it a few dozen times.

    Differences from the paper:

    - the divergence from the standard normal has the weight ``beta`` (Higgins et al. 2017);
    - the decoder's variance is at its optimum for each batch, after Rybkin et al. 2021, so
      ``beta`` means the same for every set of photos;
    - encoder and decoder start as the principal components themselves and learn to depart;
    - after training, latents are moved, turned and scaled so that those of the photos together
      have no mean and unit covariance, for draws and the energy to fit what was learned;
    - latents are drawn in smoothly below 1.6 times their typical length, so that no search
      leaves the region that the decoder was trained on.

    The global random state is left as it was. The same arguments give the same prior, on the same
    machine with the same number of threads.

    Args:
        photos: Public photos, float32 ``(n, channels, height, width)`` in the range of ``spec``,
            16 or more; many people with few photos each are better than the reverse.
        spec: The target's images; one or three channels, any size.
        latent: Latent coordinates; fewer when the photos span fewer.
        seed: For the copies, the networks' start and the training.
        steps: Gradient steps, 1 or more.
        beta: The weight of the divergence; more gives a smoother and less detailed prior.
        components: Principal components to work on; fewer when the photos span fewer.
        width: Units of each hidden layer.
        batch: Photos a step.
        learning_rate: The highest of the training.
        on_progress: Called with the steps done and the steps in all.
        device: Where the networks are trained.

    Returns:
        The decoder as a prior, with the encoder as the way back, on the processor.

    Raises:
        DataError: If there are fewer than 16 photos, they do not fit ``spec``, they are all the
            same, or a number is not positive.
    """
    _check(photos, spec, (latent, steps, components, width, batch), (beta, learning_rate))
    images = (torch.from_numpy(photos) - spec.low) / spec.width_of_range
    generator = torch.Generator().manual_seed(seed)
    with OwnRandomness(seed)():
        basis, coordinates = _principal(images, components, generator)
        size = len(basis.deviations)
        latent = min(latent, size)
        encoder, decoder = _Encoder(size, latent, width), _Decoder(basis.deviations, latent, width)
        _train(
            encoder.to(device),
            decoder.to(device),
            coordinates.to(device),
            batches=_batches(len(coordinates), batch, steps, generator),
            steps=steps,
            beta=beta,
            learning_rate=learning_rate,
            generator=generator,
            on_progress=on_progress,
        )
    encoder, decoder = encoder.cpu().eval(), decoder.cpu()
    frame = _frame(encoder, coordinates / basis.deviations)
    generate = _Generator(decoder, basis, frame, spec.shape)
    return GeneratorPrior(generate, latent, spec, encoder=_Inverse(encoder, basis, frame))


class _Basis(NamedTuple):
    """Principal components of photos.

    Attributes:
        mean: The average, ``(pixels,)``.
        vectors: One unit column a component, ``(pixels, components)``.
        deviations: The standard deviation along each, ``(components,)``.
    """

    mean: Tensor
    vectors: Tensor
    deviations: Tensor


class _Frame(NamedTuple):
    """Where the networks' latents lie.

    Attributes:
        mean: ``(latent,)``.
        root: A lower triangular root of their covariance, ``(latent, latent)``.
    """

    mean: Tensor
    root: Tensor


def _principal(
    images: Tensor, components: int, generator: torch.Generator
) -> tuple[_Basis, Tensor]:
    """Returns the components, and the coordinates of the photos and their moved copies."""
    rows = torch.cat([images, _AUGMENTATION(images, generator)]).flatten(1)
    mean = rows.mean(dim=0)
    keep = min(components, len(images) - 1, rows.shape[1])
    _, singular, vectors = torch.pca_lowrank(rows - mean, q=keep, center=False, niter=2)
    spanned = singular > 1e-4 * singular[0]
    if singular[0] < 1e-3:
        raise DataError("the public photos are all the same: give photos of different people")
    vectors = vectors[:, spanned].contiguous()
    # Only coordinates are kept, one copy at a time: the copies' pixels would fill the memory.
    copies = (_AUGMENTATION(images, generator).flatten(1) for _ in range(_COPIES - 1))
    coordinates = torch.cat([(part - mean) @ vectors for part in itertools.chain([rows], copies)])
    return _Basis(mean, vectors, coordinates.std(dim=0).clamp_min(1e-6)), coordinates


def _batches(rows: int, batch: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yields the rows of each step, drawn with replacement."""
    for _ in range(steps):
        yield torch.randint(rows, (batch,), generator=generator)


def _train(
    encoder: _Encoder,
    decoder: _Decoder,
    coordinates: Tensor,
    *,
    batches: Iterator[Tensor],
    steps: int,
    beta: float,
    learning_rate: float,
    generator: torch.Generator,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Maximises the evidence lower bound by AdamW, under a rate that rises and falls once."""
    parameters, device = [*encoder.parameters(), *decoder.parameters()], coordinates.device
    optimizer = torch.optim.AdamW(
        parameters,
        lr=learning_rate,
        betas=(0.9, 0.99),
        weight_decay=1e-3,
        fused=device.type in FUSED,
    )
    schedule = one_cycle(optimizer, learning_rate, steps + 1, rising=0.1)
    components = coordinates.shape[1]
    for step, rows in enumerate(batches, start=1):
        photos = coordinates[rows.to(device)]
        mean, log_variance = encoder(photos / decoder.deviations)
        noise = torch.randn(mean.shape, generator=generator).to(device)
        seen = decoder(mean + noise * (0.5 * log_variance).exp())
        error = (seen - photos).square().sum(dim=1).mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        loss = 0.5 * error.log() + beta * divergence / components
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if on_progress is not None:
            on_progress(step, steps)


@torch.no_grad()
def _frame(encoder: _Encoder, standardised: Tensor) -> _Frame:
    """Returns the mean and root covariance of all photos' latents together."""
    means, log_variances = encoder(standardised)
    mean = means.mean(dim=0)
    covariance = (means - mean).T @ (means - mean) / len(means)
    covariance += torch.diag(log_variances.exp().mean(dim=0))
    return _Frame(mean, torch.linalg.cholesky(covariance))


class _Encoder(nn.Module):
    """Standardised coordinates to the mean and log-variance of latents."""

    def __init__(self, components: int, latent: int, width: int) -> None:
        super().__init__()
        self.latent = latent
        self.straight = nn.Linear(components, latent, bias=False)
        self.curved = _dense(components, width, 2 * latent)
        nn.init.eye_(self.straight.weight)

    def forward(self, standardised: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.curved(standardised).split(self.latent, dim=1)
        return self.straight(standardised) + mean, (log_variance - 3).clamp(-12, 3)


class _Decoder(nn.Module):
    """Latents to coordinates."""

    deviations: Tensor

    def __init__(self, deviations: Tensor, latent: int, width: int) -> None:
        super().__init__()
        self.register_buffer("deviations", deviations)
        self.straight = nn.Linear(latent, len(deviations), bias=False)
        self.curved = _dense(latent, width, len(deviations))
        nn.init.eye_(self.straight.weight)

    def forward(self, latents: Tensor) -> Tensor:
        standardised: Tensor = self.straight(latents) + self.curved(latents)
        return standardised * self.deviations


def _dense(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Returns two hidden layers and an output that begins at zero."""
    layers = nn.Sequential(
        nn.Linear(inputs, width),
        nn.SiLU(),
        nn.Linear(width, width),
        nn.SiLU(),
        last := nn.Linear(width, outputs),
    )
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return layers


class _Framed(nn.Module):
    """What generator and encoder share: the components and the frame, which move as buffers."""

    average: Tensor
    vectors: Tensor
    centre: Tensor
    root: Tensor

    def __init__(self, basis: _Basis, frame: _Frame) -> None:
        super().__init__()
        self.register_buffer("average", basis.mean)
        self.register_buffer("vectors", basis.vectors)
        self.register_buffer("centre", frame.mean)
        self.register_buffer("root", frame.root)
        self.radius = _RADIUS * math.sqrt(len(frame.mean))


class _Generator(_Framed):
    """Standard normal latents to images in [0, 1], but for small excess."""

    def __init__(
        self, decoder: _Decoder, basis: _Basis, frame: _Frame, shape: tuple[int, int, int]
    ) -> None:
        super().__init__(basis, frame)
        self.decoder = decoder
        self.shape = shape

    def forward(self, latents: Tensor) -> Tensor:
        share = latents.square().sum(dim=1, keepdim=True) / self.radius**2
        drawn_in = latents * (1 + share ** (_SHARPNESS // 2)) ** (-1 / _SHARPNESS)
        coordinates = self.decoder(self.centre + drawn_in @ self.root.T)
        return torch.addmm(self.average, coordinates, self.vectors.T).view(-1, *self.shape)


class _Inverse(_Framed):
    """Images in [0, 1] to standard normal latents."""

    def __init__(self, encoder: _Encoder, basis: _Basis, frame: _Frame) -> None:
        super().__init__(basis, frame)
        self.encoder = encoder
        self.register_buffer("deviations", basis.deviations)
        self.deviations: Tensor

    def forward(self, images: Tensor) -> Tensor:
        coordinates = (images.flatten(1) - self.average) @ self.vectors
        centred = self.encoder(coordinates / self.deviations)[0] - self.centre
        latents = torch.linalg.solve_triangular(self.root, centred.T, upper=False).T
        share = latents.square().sum(dim=1, keepdim=True) / self.radius**2
        # The inverse of drawing in. What lies on the edge or beyond would come from very far
        # outside; a quarter more than it measures shows nearly the same.
        inside = (1 - share.clamp(max=0.95) ** (_SHARPNESS // 2)) ** (-1 / _SHARPNESS)
        return torch.mul(latents, inside)


def _check(
    photos: NDArray[np.float32],
    spec: ImageSpec,
    counts: tuple[int, ...],
    weights: tuple[float, ...],
) -> None:
    if len(photos) < _FEWEST:
        raise DataError(
            f"an autoencoder needs at least {_FEWEST} public photos but got {len(photos)}: add "
            "some to [public] images, a thousand if you can"
        )
    spec.check(photos, "public photos")
    if min(counts) < 1 or min(weights) <= 0:
        raise DataError(
            "an autoencoder's latent, steps, components, width, batch, beta and learning_rate "
            f"must be positive; got {[*counts, *weights]}"
        )
