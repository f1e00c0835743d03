"""A module as a target: what it answers, what it checks, and that it changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.torch import Outputs, TorchTarget

SHAPE, CLASSES = (1, 4, 5), 3


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(20, CLASSES))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(20, 6), nn.Sigmoid(), nn.Linear(6, CLASSES))


def convolutional() -> nn.Module:
    """Has batch statistics and dropout, which must not let one row's answer hang on others."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(80, CLASSES),
    )


def seeded(build: Callable[[], nn.Module], outputs: Outputs = "logits") -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = build()
    return model if outputs == "logits" else nn.Sequential(model, nn.Softmax(dim=1))


def photos(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, *SHAPE), np.float32)


class Answering(nn.Module):
    """Answers whatever it is told to, whatever it is asked."""

    def __init__(self, answer: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: Tensor) -> object:
        return self.answer(images)


@pytest.mark.parametrize("build", [linear, perceptron, convolutional])
@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
@pytest.mark.parametrize("batch", [1, 2, 256])
def test_a_batch_is_its_rows_one_by_one(
    build: Callable[[], nn.Module], outputs: Outputs, batch: int
) -> None:
    target = TorchTarget(seeded(build, outputs), SHAPE, outputs=outputs, batch=batch)
    images = photos(5)
    together = target.scores(images)
    alone = np.concatenate([target.scores(images[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert together.dtype == np.float64
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-12)
    assert (together >= 0).all()


@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_no_rows_are_answered_by_no_rows(outputs: Outputs) -> None:
    target = TorchTarget(seeded(linear, outputs), SHAPE, outputs=outputs)
    assert target.scores(photos(0)).shape == (0, CLASSES)
    assert target.log_scores(torch.from_numpy(photos(0))).shape == (0, CLASSES)


def test_both_declarations_of_one_model_give_the_same_scores() -> None:
    plain = TorchTarget(seeded(linear), SHAPE)
    softmaxed = TorchTarget(seeded(linear, "probabilities"), SHAPE, outputs="probabilities")
    np.testing.assert_allclose(plain.scores(photos(4)), softmaxed.scores(photos(4)), atol=1e-6)


def test_log_scores_are_the_softmax_written_out() -> None:
    model = seeded(linear)
    assert isinstance(model, nn.Sequential)
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    images = photos(3)
    logits = images.reshape(3, -1) @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found = TorchTarget(model, SHAPE).log_scores(torch.from_numpy(images))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_log_probabilities_are_logits_too() -> None:
    model = nn.Sequential(seeded(linear), nn.LogSoftmax(dim=1))
    np.testing.assert_allclose(
        TorchTarget(model, SHAPE).scores(photos(4)),
        TorchTarget(seeded(linear), SHAPE).scores(photos(4)),
        atol=1e-6,
    )


def test_a_confidence_of_zero_has_a_finite_logarithm() -> None:
    def answer(images: Tensor) -> Tensor:
        second = images.flatten(1).mean(dim=1)
        return torch.stack([1 - second, second], dim=1)

    target = TorchTarget(Answering(answer), SHAPE, outputs="probabilities")
    assert torch.isfinite(target.log_scores(torch.zeros(1, *SHAPE))).all()
    scores = target.scores(np.zeros((1, *SHAPE), np.float32))
    np.testing.assert_allclose(scores, [[1, 0]], atol=1e-30)


@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_images_have_gradients_and_weights_have_none(outputs: Outputs) -> None:
    model = seeded(convolutional, outputs)
    target = TorchTarget(model, SHAPE, outputs=outputs)
    images = torch.from_numpy(photos(2)).requires_grad_()
    target.log_scores(images)[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_model_is_asked_in_evaluation_mode_and_never_changed() -> None:
    model = seeded(convolutional).train()
    before = copy.deepcopy(model.state_dict())
    target = TorchTarget(model, SHAPE)
    first = target.scores(photos(4))
    assert not model.training
    np.testing.assert_array_equal(target.scores(photos(4)), first)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert target.access is Access.WEIGHTS
    assert target.classes == CLASSES


@pytest.mark.parametrize(
    ("answer", "outputs", "message"),
    [
        (lambda x: torch.full((len(x), 4), 0.25), "logits", 'set .target. outputs = "probabil'),
        (lambda x: torch.eye(4)[: len(x)], "logits", 'set .target. outputs = "probabilities"'),
        (lambda x: torch.ones(len(x), 4), "probabilities", 'set .target. outputs = "logits"'),
        (lambda x: -torch.ones(len(x), 2), "probabilities", 'set .target. outputs = "logits"'),
        (lambda x: torch.tensor([[1.5, -0.5]]).expand(len(x), 2), "probabilities", "negative"),
        (lambda x: torch.full((len(x), 2), torch.nan), "logits", "NaN or infinite"),
        (lambda x: torch.full((len(x), 2), torch.nan), "probabilities", "NaN or infinite"),
        (lambda x: torch.full((len(x), 2), torch.inf), "logits", "NaN or infinite"),
        (lambda x: torch.ones(len(x), 1), "logits", "single output"),
        (lambda x: torch.ones(len(x)), "logits", r"returned \[2\] for two images"),
        (lambda x: torch.ones(1, 3), "logits", r"returned \[1, 3\] for two images"),
        (lambda x: torch.ones(len(x), 2, 2), "logits", r"not \(2, classes\)"),
        (lambda x: str(x), "logits", "returned str"),
        (lambda x: {"a": x, "b": x}, "logits", r"a dictionary with 2 tensors of floats \('a', 'b'"),
        (lambda x: x @ torch.ones(7, 2), "logits", r"cannot take images of shape \[1, 4, 5\]"),
        (lambda x: torch.tensor([[3, 1]]).expand(len(x), 2), "logits", "whole numbers"),
        (lambda x: torch.tensor([[0, 1]]).expand(len(x), 2), "probabilities", "whole numbers"),
    ],
)
def test_a_model_that_is_not_what_it_was_declared_to_be(
    answer: Callable[[Tensor], object], outputs: Outputs, message: str
) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        TorchTarget(Answering(answer), SHAPE, outputs=outputs, name="mine")
    assert "mine" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_turns_wrong_later_is_refused_then() -> None:
    def bright_is_nan(images: Tensor) -> Tensor:
        level = images.flatten(1).mean(dim=1)
        return torch.stack([level, (0.75 - level).sqrt()], dim=1)

    target = TorchTarget(Answering(bright_is_nan), SHAPE)
    with pytest.raises(TargetError, match="NaN"):
        target.scores(np.ones((1, *SHAPE), np.float32))


@pytest.mark.parametrize("shape", [(4, 5), (1, 1, 4, 5), (2, 4, 5)])
def test_a_shape_that_is_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(TargetError, match=r"\[channels, height, width\]"):
        TorchTarget(seeded(linear), shape)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(TargetError, match="device"):
        TorchTarget(seeded(linear), SHAPE, device=device)


class Normalising(nn.Module):
    """A linear model behind buffers, one of which is not part of its state."""

    kept: Tensor
    passing: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = seeded(linear)
        self.register_buffer("kept", torch.zeros(()))
        self.register_buffer("passing", torch.ones(()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.layer((images - self.kept) / self.passing)
        return answers


def change_a_weight(model: Normalising) -> None:
    next(model.parameters()).data[0, 0] += 1e-6


def change_a_buffer(model: Normalising) -> None:
    model.kept += 1e-6


def change_a_passing_buffer(model: Normalising) -> None:
    model.passing += 1e-6


@pytest.mark.parametrize("change", [change_a_weight, change_a_buffer, change_a_passing_buffer])
def test_the_fingerprint_follows_whatever_decides_answers(
    change: Callable[[Normalising], None],
) -> None:
    before = TorchTarget(Normalising(), SHAPE).fingerprint()
    assert TorchTarget(Normalising(), SHAPE, name="another name").fingerprint() == before
    changed = Normalising()
    change(changed)
    assert TorchTarget(changed, SHAPE).fingerprint() != before


def test_the_fingerprint_follows_declarations() -> None:
    marks = {
        TorchTarget(seeded(linear), SHAPE).fingerprint(),
        TorchTarget(seeded(linear), SHAPE, value_range=(-1.0, 1.0)).fingerprint(),
        TorchTarget(seeded(linear, "probabilities"), SHAPE, outputs="probabilities").fingerprint(),
    }
    assert len(marks) == 3


class Answer(NamedTuple):
    """What a model with several heads returns."""

    features: Tensor
    logits: Tensor


@pytest.mark.parametrize(
    ("wrap", "note"),
    [
        (lambda x: (x, -x), "answers with 2 things, of which the first is taken"),
        (lambda x: [x], "answers with 1 things, of which the first is taken"),
        (lambda x: Answer(-x, x), "answers with its logits among other things"),
        (lambda x: {"features": -x, "logits": x}, "answers with its logits among other things"),
        (
            lambda x: {"out": x, "labels": x.argmax(1)},
            "answers with a dictionary, of which 'out' is taken",
        ),
        (lambda x: x[:, :, None, None], None),
        (lambda x: x.double(), None),
    ],
)
def test_scores_are_found_in_what_a_model_returns(
    wrap: Callable[[Tensor], object], note: str | None
) -> None:
    plain = seeded(linear)
    target = TorchTarget(Answering(lambda x: wrap(plain(x))), SHAPE)
    assert target.notes == (() if note is None else (note,))
    expected = TorchTarget(plain, SHAPE).scores(photos(5))
    np.testing.assert_allclose(target.scores(photos(5)), expected, atol=1e-6)
    assert target.access is Access.WEIGHTS


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.bfloat16, 0.02), (torch.float16, 2e-3)]
)
def test_a_model_is_met_in_its_own_dtype(dtype: torch.dtype, tolerance: float) -> None:
    expected = TorchTarget(seeded(linear), SHAPE).scores(photos(5))
    target = TorchTarget(seeded(linear).to(dtype), SHAPE)
    assert target.notes == (f"takes {str(dtype).removeprefix('torch.')}",)
    np.testing.assert_allclose(target.scores(photos(5)), expected, atol=tolerance)
    images = torch.from_numpy(photos(2)).requires_grad_()
    (gradient,) = torch.autograd.grad(target.log_scores(images)[:, 0].sum(), images)
    assert gradient.dtype == torch.float32
    assert gradient.abs().max() > 0


def test_a_model_of_bytes_is_given_bytes() -> None:
    plain = seeded(linear)

    def answer(images: Tensor) -> Tensor:
        assert images.dtype == torch.uint8
        answered: Tensor = plain(images / 255)
        return answered

    target = TorchTarget(Answering(answer), SHAPE, value_range=(-1.0, 1.0))
    assert target.notes == ("takes bytes, 0 for black and 255 for white",)
    levels = np.random.default_rng(0).integers(0, 256, (5, *SHAPE))
    expected = TorchTarget(plain, SHAPE).scores((levels / 255).astype(np.float32))
    found = target.scores((levels / 127.5 - 1).astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert target.access is Access.SCORES


def test_channels_last_and_one_image_at_a_time_are_found_out() -> None:
    plain = seeded(linear)

    def last(images: Tensor) -> Tensor:
        assert images.shape[1:] == (4, 5, 1)
        answered: Tensor = plain(images.permute(0, 3, 1, 2))
        return answered

    def alone(images: Tensor) -> Tensor:
        answered: Tensor = plain(images.view(1, *SHAPE))
        return answered

    expected = TorchTarget(plain, SHAPE).scores(photos(5))
    for answer, note in ((last, "takes channels last"), (alone, "takes one image at a time")):
        target = TorchTarget(Answering(answer), SHAPE)
        assert target.notes == (note,)
        np.testing.assert_allclose(target.scores(photos(5)), expected, atol=1e-6)


def test_a_lazy_layer_is_given_its_size() -> None:
    target = TorchTarget(nn.Sequential(nn.Flatten(), nn.LazyLinear(CLASSES)), SHAPE)
    assert target.classes == CLASSES
    assert not any(one.requires_grad for one in target.model.parameters())


def test_a_compiled_module_is_asked_without_its_compiler() -> None:
    plain = seeded(linear)
    compiled = nn.Module()
    compiled._orig_mod = plain  # as torch.compile leaves it, which takes seconds to import
    assert TorchTarget(nn.DataParallel(compiled), SHAPE).model is plain


class Scaled(nn.Module):
    """Holds a tensor that is neither a parameter nor a buffer."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.inner = seeded(linear)
        self.factor = torch.tensor(factor)

    def forward(self, images: Tensor) -> Tensor:
        answered: Tensor = self.inner(images) * self.factor
        return answered


class Shifted(Scaled):
    """Has the same weights and another forward pass."""

    def forward(self, images: Tensor) -> Tensor:
        answered: Tensor = self.inner(images) + self.factor
        return answered


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_models_that_answer_differently_have_different_fingerprints() -> None:
    def frozen(factor: float) -> nn.Module:
        module: nn.Module = torch.jit.freeze(torch.jit.script(Scaled(factor).eval()))
        return module

    builds = [Scaled, Shifted, frozen]
    found = [TorchTarget(build(k), SHAPE).fingerprint() for build in builds for k in (1.0, 2.0)]
    assert len(set(found)) == len(found)
    again = [TorchTarget(build(k), SHAPE).fingerprint() for build in builds for k in (1.0, 2.0)]
    assert again == found
