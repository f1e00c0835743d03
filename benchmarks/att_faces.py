"""The AT&T faces and the classifiers of Fredrikson et al. 2015, trained on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from darkroom.errors import DataError
from darkroom.priors.images import GeneratorPrior
from darkroom.priors.transforms import RandomAffine
from darkroom.targets.base import ImageSpec
from darkroom.targets.torch import TorchTarget

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
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
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
    layer = model.layers[0]
    decoder = nn.Sequential(Backwards(layer), nn.Unflatten(1, SPEC.shape))
    encoder = nn.Sequential(nn.Flatten(), layer)
    return GeneratorPrior(decoder, layer.weight.shape[0], SPEC, encoder=encoder)


class Layer(nn.Module):
    """One layer of a stacked denoising autoencoder, with the same weights both ways."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Starts at the usual random weights of a linear layer."""
        super().__init__()
        linear = nn.Linear(inputs, outputs)
        self.weight, self.bias = linear.weight, linear.bias
        self.back = nn.Parameter(torch.zeros(inputs))

    def forward(self, rows: Tensor) -> Tensor:
        """Encodes ``(n, inputs)``."""
        return functional.linear(rows, self.weight, self.bias).sigmoid()


class Backwards(nn.Module):
    """The way from a layer's outputs to its inputs."""

    def __init__(self, layer: Layer) -> None:
        """Shares the layer's weights."""
        super().__init__()
        self.layer = layer

    def forward(self, codes: Tensor) -> Tensor:
        """Decodes ``(n, outputs)``."""
        return torch.addmm(self.layer.back, codes, self.layer.weight).sigmoid()


class Autoencoder(nn.Module):
    """Two encoding layers and a softmax layer."""

    def __init__(self, classes: int) -> None:
        """Starts untrained: 1000 and 300 units, as in the paper."""
        super().__init__()
        self.layers = nn.Sequential(Layer(PIXELS, 1000), Layer(1000, 300))
        self.head = nn.Linear(300, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits."""
        logits: Tensor = self.head(self.layers(images.flatten(1)))
        return logits


def _fit(
    loss: Callable[[Tensor], Tensor],
    parameters: list[nn.Parameter],
    rows: int,
    *,
    steps: int,
    batch: int,
    rate: float,
    decay: float = 0.0,
) -> None:
    """Lowers ``loss``, a function of the positions of a batch, by AdamW with a falling rate."""
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(torch.randperm(rows)[:batch]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _softmax(photos: Tensor, people: Tensor) -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, int(people.max()) + 1))
    nn.init.zeros_(model[1].weight)  # type: ignore[arg-type]
    _fit(
        lambda rows: functional.cross_entropy(model(photos[rows]), people[rows]),
        list(model.parameters()),
        len(photos),
        steps=400,
        batch=140,
        rate=1e-3,
        decay=1e-2,
    )
    return model


def _mlp(photos: Tensor, people: Tensor) -> nn.Module:
    classes = int(people.max()) + 1
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(PIXELS, 3000), nn.Sigmoid(), nn.Linear(3000, classes)
    )
    _fit(
        lambda rows: functional.cross_entropy(model(photos[rows]), people[rows]),
        list(model.parameters()),
        len(photos),
        steps=120,
        batch=140,
        rate=5e-4,
        decay=1e-2,
    )
    return model


def _autoencoder(photos: Tensor, people: Tensor) -> nn.Module:
    model = Autoencoder(int(people.max()) + 1)
    rows = photos.flatten(1)
    for layer, rate, steps in zip(model.layers, (3e-4, 1e-3), (150, 200), strict=True):
        assert isinstance(layer, Layer)
        _pretrain(layer, rows, rate, steps)
        with torch.no_grad():
            rows = layer(rows)
    tuned = [p for name, p in model.named_parameters() if not name.endswith("back")]
    _fit(
        lambda chosen: functional.cross_entropy(model(photos[chosen]), people[chosen]),
        tuned,
        len(photos),
        steps=150,
        batch=70,
        rate=5e-4,
        decay=1e-2,
    )
    return model


def _pretrain(layer: Layer, rows: Tensor, rate: float, steps: int) -> None:
    """Teaches a layer to restore rows of which three in ten values were set to zero."""
    back = Backwards(layer)

    def loss(chosen: Tensor) -> Tensor:
        spoilt = rows[chosen] * (torch.rand(len(chosen), rows.shape[1]) > 0.3)
        return functional.mse_loss(back(layer(spoilt)), rows[chosen]) * 100

    with torch.no_grad():
        layer.back.copy_(rows.mean(dim=0).clamp(0.02, 0.98).logit())
    _fit(loss, list(layer.parameters()), len(rows), steps=steps, batch=70, rate=rate)


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
        list(model.parameters()),
        len(photos),
        steps=300,
        batch=64,
        rate=1e-3,
        decay=1e-2,
    )
    return model


RECIPES: dict[str, tuple[Callable[[Tensor, Tensor], nn.Module], float | None]] = {
    "softmax": (_softmax, 0.925),
    "mlp": (_mlp, 0.958),
    "dae": (_autoencoder, 0.967),
    "cnn": (_cnn, None),
}
"""How each classifier is trained, and the accuracy that the paper reports."""
