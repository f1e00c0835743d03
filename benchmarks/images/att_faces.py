"""The AT&T faces and the classifiers of Fredrikson et al. 2015, trained on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.errors import DataError
from darkroom.images.targets.torch import TorchTarget
from darkroom.vision.priors.spaces import GeneratorPrior
from darkroom.vision.spec import ImageSpec
from darkroom.vision.transforms import RandomAffine

Images = NDArray[np.float32]
Labels = NDArray[np.int64]

SPEC = ImageSpec((1, 112, 92))
TRAINED = slice(0, 7)
HELD_OUT = slice(7, 10)
PIXELS = 112 * 92


class Classifier(NamedTuple):
    """A trained classifier of all 40 people.

    Attributes:
        target: The model.
        accuracy: On photos 7 to 9 of everybody.
        paper: The accuracy that the paper reports, or ``None`` for a model that it has not.
        latent: For the autoencoder its first layer, there and back, as a prior.
    """

    target: TorchTarget
    accuracy: float
    paper: float | None
    latent: GeneratorPrior | None = None


def data_folder() -> Path:
    """Returns the folder of real data: ``DARKROOM_DATA``, or one beside the project."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("DARKROOM_DATA", beside))


def load_faces() -> Images:
    """Returns the photos, ``(40 people, 10 photos, 1, 112, 92)``, intensities from zero to one.

    Raises:
        DataError: If the file is absent.
    """
    path = data_folder() / "att_faces.npz"
    if not path.is_file():
        raise DataError(f"{path} is absent: set DARKROOM_DATA to the folder with att_faces.npz")
    with np.load(path, allow_pickle=False) as stored:
        images: Images = stored["images"].astype(np.float32)[:, :, None] / 255
    return images


def flat(images: Images, people: Labels) -> tuple[Images, Labels]:
    """Returns photos in one row, and who is on each.

    Args:
        images: ``(people, photos, channels, height, width)``.
        people: The class of each person, ``(people,)``.
    """
    return images.reshape(-1, *images.shape[2:]), np.repeat(people, images.shape[1])


def train(name: str, images: Images, seed: int) -> Classifier:
    """Trains one of :data:`RECIPES` on photos 0 to 6 of everybody.

    Args:
        name: ``softmax``, ``mlp``, ``dae`` or ``cnn``.
        images: All photos, as :func:`load_faces` returns them.
        seed: Decides initial weights and the order of photos.
    """
    recipe, paper = RECIPES[name]
    classes = np.arange(len(images))
    photos, people = flat(images[:, TRAINED], classes)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = recipe(torch.from_numpy(photos), torch.from_numpy(people))
    target = TorchTarget(model, SPEC.shape, name=name)
    tests, answers = flat(images[:, HELD_OUT], classes)
    accuracy = float((target.scores(tests).argmax(axis=1) == answers).mean())
    return Classifier(target, accuracy, paper, _latent(model))


def _latent(model: nn.Module) -> GeneratorPrior | None:
    if not isinstance(model, Autoencoder):
        return None
    units = model.decoder[0].in_features
    assert isinstance(units, int)
    return GeneratorPrior(model.decoder, units, SPEC, encoder=model.first)


class Autoencoder(nn.Module):
    """Two encoding layers of sigmoid units and a softmax layer, as in the paper."""

    def __init__(self, layers: Sequence[nn.Linear], decoder: nn.Linear, head: nn.Linear) -> None:
        """Takes the trained layers; ``decoder`` leads from the first layer back to pixels."""
        super().__init__()
        first, second = layers
        self.first = nn.Sequential(nn.Flatten(), first, nn.Sigmoid())
        self.rest = nn.Sequential(second, nn.Sigmoid(), head)
        self.decoder = nn.Sequential(decoder, nn.Unflatten(1, SPEC.shape))

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits."""
        logits: Tensor = self.rest(self.first(images))
        return logits


class _Span:
    """The flat of pixel space in which the training photos lie.

    Every gradient of a layer that takes photos is a sum of photos, so its weights need learning
    here only: 279 numbers a unit where there are 10,304 pixels, and the same function.

    Attributes:
        rows: The photos' coordinates, ``(photos, dimensions)``.
    """

    def __init__(self, photos: Tensor) -> None:
        flat_photos = photos.flatten(1)
        self.mean = flat_photos.mean(dim=0)
        _, _, basis = torch.linalg.svd(flat_photos - self.mean, full_matrices=False)
        self.basis = basis[: len(photos) - 1]
        self.rows = (flat_photos - self.mean) @ self.basis.T

    def inwards(self, start: nn.Linear) -> nn.Linear:
        """Returns the layer on coordinates that does to photos what a layer on pixels does."""
        layer = nn.Linear(self.basis.shape[0], start.out_features)
        with torch.no_grad():
            layer.weight.copy_(start.weight @ self.basis.T)
            layer.bias.zero_()
        return layer

    @torch.no_grad()
    def widened(self, layer: nn.Linear, start: nn.Linear) -> nn.Linear:
        """Returns ``start`` after it has learned what ``layer`` has, on pixels again."""
        learned = layer.weight - start.weight @ self.basis.T
        start.weight.add_(learned @ self.basis)
        start.bias.copy_(layer.bias - start.weight @ self.mean)
        return start

    @torch.no_grad()
    def outwards(self, layer: nn.Linear) -> nn.Linear:
        """Returns a layer that ends in coordinates as one that ends in pixels."""
        wide = nn.Linear(layer.in_features, PIXELS)
        wide.weight.copy_(self.basis.T @ layer.weight)
        wide.bias.copy_(self.mean + layer.bias @ self.basis)
        return wide


def _fit(
    loss: Callable[[Tensor], Tensor], optimizer: torch.optim.Optimizer, rows: int, *, steps: int
) -> None:
    """Lowers ``loss``, a function of the positions of a batch, at a rate that falls to zero."""
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(torch.randperm(rows)[:70]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _descent(*modules: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Returns plain gradient descent with momentum.

    It does the same in any orthonormal coordinates, so learning in a :class:`_Span` gives the
    weights that learning on pixels gives. Adam, which scales each coordinate, would not.
    """
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True, weight_decay=1e-4)


def _classify(model: nn.Module, rows: Tensor, people: Tensor, *, steps: int, rate: float) -> None:
    """Teaches a model whose person each row is."""
    _fit(
        lambda chosen: functional.cross_entropy(model(rows[chosen]), people[chosen]),
        _descent(model, rate=rate),
        len(rows),
        steps=steps,
    )


def _softmax(photos: Tensor, people: Tensor) -> nn.Module:
    span, layer = _Span(photos), nn.Linear(PIXELS, int(people.max()) + 1)
    nn.init.zeros_(layer.weight)
    narrow = span.inwards(layer)
    _classify(narrow, span.rows, people, steps=1500, rate=0.02)
    return nn.Sequential(nn.Flatten(), span.widened(narrow, layer))


def _mlp(photos: Tensor, people: Tensor) -> nn.Module:
    head = nn.Linear(3000, int(people.max()) + 1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 3000), nn.Sigmoid(), head)
    _fit(
        lambda rows: functional.cross_entropy(model(photos[rows]), people[rows]),
        torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=1e-2, fused=True),
        len(photos),
        steps=150,
    )
    return model


def _autoencoder(photos: Tensor, people: Tensor) -> nn.Module:
    """Trains layer by layer to restore what noise spoiled, and then together to classify.

    Differences from the paper's: noise is Gaussian, and decoders are linear with weights of their
    own.
    """
    span, first = _Span(photos), nn.Linear(PIXELS, 1000)
    narrow, second = span.inwards(first), nn.Linear(1000, 300)
    back, unused = nn.Linear(1000, span.rows.shape[1]), nn.Linear(300, 1000)
    _restore(narrow, back, span.rows, noise=0.5)
    with torch.no_grad():
        codes = narrow(span.rows).sigmoid()
    _restore(second, unused, codes, noise=0.1)
    head = nn.Linear(300, int(people.max()) + 1)
    stack = nn.Sequential(narrow, nn.Sigmoid(), second, nn.Sigmoid(), head)
    _classify(stack, span.rows, people, steps=800, rate=0.05)
    _decode(narrow, back, span.rows)
    return Autoencoder([span.widened(narrow, first), second], span.outwards(back), head)


def _restore(layer: nn.Linear, back: nn.Linear, rows: Tensor, *, noise: float) -> None:
    """Teaches a layer, and one that leads back from it, to restore rows from noisy ones."""

    def loss(chosen: Tensor) -> Tensor:
        clean = rows[chosen]
        return functional.mse_loss(
            back(layer(clean + noise * torch.randn_like(clean)).sigmoid()), clean
        )

    _fit(loss, _descent(layer, back, rate=0.05), len(rows), steps=800)


def _decode(layer: nn.Linear, back: nn.Linear, rows: Tensor) -> None:
    """Teaches the way back again: the classifier has since changed the codes."""
    with torch.no_grad():
        codes = layer(rows).sigmoid()
    _fit(
        lambda chosen: functional.mse_loss(back(codes[chosen]), rows[chosen]),
        _descent(back, rate=0.05),
        len(rows),
        steps=400,
    )


def _cnn(photos: Tensor, people: Tensor) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after, kernel in ((1, 16, 5), (16, 32, 3), (32, 64, 3)):
        layers += [nn.Conv2d(before, after, kernel, 2, kernel // 2), nn.ReLU()]
    head = [nn.Flatten(), nn.Linear(64 * 14 * 12, 128), nn.ReLU()]
    model = nn.Sequential(*layers, *head, nn.Linear(128, int(people.max()) + 1))
    move = RandomAffine()
    generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    _fit(
        lambda rows: functional.cross_entropy(model(move(photos[rows], generator)), people[rows]),
        torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2, fused=True),
        len(photos),
        steps=300,
    )
    return model


RECIPES: dict[str, tuple[Callable[[Tensor, Tensor], nn.Module], float | None]] = {
    "softmax": (_softmax, 0.925),
    "mlp": (_mlp, 0.958),
    "dae": (_autoencoder, 0.967),
    "cnn": (_cnn, None),
}
"""How each classifier is trained, and the accuracy that the paper reports."""
