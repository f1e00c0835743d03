"""Training defences that add a term to the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from darkroom.auditing.record import Privacy
from darkroom.errors import PlanError
from darkroom.vision.training.base import ImageTraining, run_epochs
from darkroom.vision.training.course import ImageCourse
from darkroom.vision.training.modules import hidden_layers, output_layer, replace_layer


@dataclass(frozen=True)
class NegativeLabelSmoothing(ImageTraining):
    """Pushes a photo below the uniform answer for every class that it does not show.

    Struppek, Hintersdorf and Kersting, Be Careful What You Smooth For (ICLR 2024): cross-entropy
    against (1 - smoothing) of the label and ``smoothing / classes`` of every class, where smoothing
    is negative; it begins at nothing and falls to its end in mid-training.

    Differences from the paper:
        - The fall is linear between two shares of training, whatever the number of epochs.
        - The recipe is that of the other trainings here, not the paper's.

    Attributes:
        smoothing: The end value, below 0; the paper's is -0.05.
        begins: The share of training after which smoothing leaves zero, in [0, 1].
        ends: The share after which it has its end value, at least ``begins``.
    """

    name: ClassVar[str] = "negative-label-smoothing"
    paper: ClassVar[str] = "Struppek et al. 2024"

    smoothing: float = -0.05
    begins: float = 0.5
    ends: float = 0.75

    def __post_init__(self) -> None:
        """Refuses smoothing that is not negative.

        Raises:
            PlanError: If a value is out of its range.
        """
        if not (self.smoothing < 0 and 0 <= self.begins <= self.ends <= 1):
            raise PlanError(
                f"training defence {self.name}: smoothing {self.smoothing:g}, begins "
                f"{self.begins:g}, ends {self.ends:g}: give below 0, and 0 <= begins <= ends <= 1"
            )

    def at(self, share: float) -> float:
        """Returns the smoothing after a share of training.

        >>> [round(NegativeLabelSmoothing().at(share), 3) for share in (0.5, 0.625, 1.0)]
        [0.0, -0.025, -0.05]
        """
        if share <= self.begins:
            return self.smoothing if self.ends == 0 else 0.0
        return self.smoothing * min(1.0, (share - self.begins) / max(self.ends - self.begins, 1e-9))

    def _fit(self, course: ImageCourse) -> Privacy | None:
        def loss(seen: Tensor, people: Tensor, share: float) -> Tensor:
            log_scores = functional.log_softmax(course.model(seen), dim=1)
            smoothing = self.at(share)
            named = functional.nll_loss(log_scores, people)
            return (1 - smoothing) * named - smoothing * log_scores.mean()

        run_epochs(course, loss)
        return None


@dataclass(frozen=True)
class BilateralDependency(ImageTraining):
    """Keeps hidden layers from depending on the photo, and makes them depend on who is on it.

    Peng et al., Bilateral Dependency Optimization (KDD 2022): cross-entropy, plus ``on_input``
    times the dependence between the photo and each hidden layer, minus ``on_label`` times that
    between each hidden layer and the label; dependence is the Hilbert-Schmidt independence
    criterion (HSIC) with Gaussian kernels, and a linear kernel for labels.

    Differences from the paper:
        - HSIC is divided by its largest value for the two kernels (Cortes et al. 2012), so that one
          weight suits layers and images of any size; the weights are therefore other ones.
        - A kernel's width is the median distance within the batch.
        - The hidden layers are the outputs of all activations unless named.
        - COCO, the paper's other measure, is left out.

    Attributes:
        on_input: Weight of the dependence on the photo, 0 or more.
        on_label: Weight of the dependence on the label, 0 or more.
        layers: Names of the hidden layers, all activations if none.
    """

    name: ClassVar[str] = "bido"
    paper: ClassVar[str] = "Peng et al. 2022"

    on_input: float = 0.5
    on_label: float = 0.5
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses negative weights.

        Raises:
            PlanError: If one is negative.
        """
        if self.on_input < 0 or self.on_label < 0:
            raise PlanError(f"training defence {self.name}: weights must be 0 or more")

    def _fit(self, course: ImageCourse) -> Privacy | None:
        watched = hidden_layers(course.model, self.layers, f"training defence {self.name}")
        with _outputs(watched) as outputs:

            def loss(seen: Tensor, people: Tensor, _: float) -> Tensor:
                outputs.clear()
                named = functional.cross_entropy(course.model(seen), people)
                labels = functional.one_hot(people, course.classes).to(seen.dtype)
                with torch.no_grad():
                    photos, classes = _gaussian(seen), _centred(labels @ labels.T)
                hidden = [_gaussian(output) for output in outputs]
                on_input = sum(alignment(photos, one) for one in hidden)
                on_label = sum(alignment(one, classes) for one in hidden)
                return named + self.on_input * on_input - self.on_label * on_label

            run_epochs(course, loss)
        return None


@contextmanager
def _outputs(layers: list[nn.Module]) -> Iterator[list[Tensor]]:
    """Collects what layers return while the block runs."""
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        outputs.append(output)

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _gaussian(rows: Tensor) -> Tensor:
    """Returns the centred Gaussian kernel matrix of rows of any shape, ``(n, n)``."""
    flat = rows.flatten(1)
    squares = (flat**2).sum(dim=1)
    distances = (squares[:, None] + squares[None, :] - 2 * flat @ flat.T).clamp_min(0)
    width = distances.detach().median().clamp_min(1e-12)
    return _centred(torch.exp(-distances / (2 * width)))


def _centred(kernel: Tensor) -> Tensor:
    """Takes the means of rows and columns away."""
    rows = kernel.mean(dim=0, keepdim=True)
    return kernel - rows - rows.T + kernel.mean()


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Returns HSIC of two centred kernel matrices over its largest value, between 0 and 1."""
    both = (first * second).sum()
    largest = (first.square().sum() * second.square().sum()).sqrt()
    return both / largest.clamp_min(1e-12)


class Bottleneck(nn.Module):
    """A linear layer behind a code that is drawn at random in training.

    In evaluation the code is its mean, so that an answer is the same each time.
    """

    def __init__(self, features: int, width: int, classes: int) -> None:
        """Makes the layers.

        Args:
            features: What comes in.
            width: Numbers in the code.
            classes: What goes out.
        """
        super().__init__()
        self.code = nn.Linear(features, 2 * width)
        self.answer = nn.Linear(width, classes)
        self.information: Tensor | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Returns logits, and keeps how much of its input the code holds, in nats."""
        mean, spread = self.code(features).chunk(2, dim=1)
        deviation = functional.softplus(spread - 5)
        if not self.training:
            return self.answer(mean)  # type: ignore[no-any-return]
        surplus = (mean**2 + deviation**2 - 1 - 2 * deviation.clamp_min(1e-12).log()) / 2
        self.information = surplus.sum(dim=1).mean()
        drawn = mean + deviation * torch.randn_like(mean)
        return self.answer(drawn)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class MutualInformation(ImageTraining):
    """Limits how much an answer can say of the photo.

    Wang et al., Improving Robustness to Model Inversion Attacks via Mutual Information
    Regularization (AAAI 2021): the mutual information between photo and answer is bounded by that
    between photo and a random code before the last layer (a variational information bottleneck,
    Alemi et al. 2017), which is penalised.

    Differences from the paper:
        - The code's mean is used in evaluation instead of a draw: fresh draws could be averaged
          away, and an owner wants the same answer twice.
        - The code stands in the place of the module's last linear layer, with a width of its own.

    Attributes:
        weight: Of the information in nats, 0 or more.
        width: Numbers in the code, 1 or more.
    """

    name: ClassVar[str] = "mid"
    paper: ClassVar[str] = "Wang et al. 2021"

    weight: float = 0.01
    width: int = 64

    def __post_init__(self) -> None:
        """Refuses a code without numbers.

        Raises:
            PlanError: If a value is out of its range.
        """
        if self.weight < 0 or self.width < 1:
            raise PlanError(
                f"training defence {self.name}: weight {self.weight:g} and width {self.width}: "
                "give 0 or more, and 1 or more"
            )

    def prepare(self, course: ImageCourse) -> ImageCourse:
        """Puts a bottleneck in the place of the last layer; see :meth:`TrainingDefense.prepare`."""
        name, layer = output_layer(course.model, f"training defence {self.name}")
        bottleneck = Bottleneck(layer.in_features, self.width, layer.out_features)
        replace_layer(course.model, name, lambda _: bottleneck.to(layer.weight.device))
        return course

    def _fit(self, course: ImageCourse) -> Privacy | None:
        inside = [one for one in course.model.modules() if isinstance(one, Bottleneck)]

        def loss(seen: Tensor, people: Tensor, _: float) -> Tensor:
            named = functional.cross_entropy(course.model(seen), people)
            information = inside[0].information
            assert information is not None, "a step runs the module in training mode"
            return named + self.weight * information

        run_epochs(course, loss)
        return None
