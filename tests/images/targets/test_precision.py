"""Passes in half precision: the model's own alone, and only where they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.verifiers.conftest import SPEC, Projection
from torch import Tensor, nn

import darkroom
from darkroom.errors import TargetError
from darkroom.images.models import ImageTrainer
from darkroom.images.subject import Subject
from darkroom.images.targets.torch import Outputs, TorchTarget
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.verifiers.targets.load import as_encoder, open_encoder
from darkroom.verifiers.targets.sections import EncoderSection
from darkroom.vision.networks.fingerprints import fingerprint
from darkroom.vision.networks.precision import half_type
from darkroom.vision.photos import Photos
from darkroom.vision.training.base import Undefended
from darkroom.vision.training.course import Recipe

SHAPE, CLASSES = (1, 8, 9), 3


class Watched(nn.Module):
    """Notes what its products are in."""

    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            self.line = nn.Linear(72, CLASSES)
        self.end = end
        self.seen: list[torch.dtype] = []

    def forward(self, images: Tensor) -> Tensor:
        products = self.line(images.flatten(1))
        self.seen.append(products.dtype)
        answers: Tensor = self.end(products)
        return answers


def watched(outputs: Outputs) -> Watched:
    return Watched(nn.Identity() if outputs == "logits" else nn.Softmax(dim=1))


@pytest.mark.parametrize("outputs", ["logits", "probabilities"])
def test_the_model_alone_computes_in_16_bits(outputs: Outputs) -> None:
    images = np.random.default_rng(0).random((50, *SHAPE), np.float32)
    full = TorchTarget(watched(outputs), SHAPE, outputs=outputs)
    model = watched(outputs)
    half = TorchTarget(model, SHAPE, outputs=outputs, precision="half")
    model.seen.clear()
    there = torch.from_numpy(images).requires_grad_()
    logs = half.log_scores(there)
    (gradient,) = torch.autograd.grad(logs[:, 0].sum(), there)
    scores = half.scores(images)
    assert set(model.seen) == {torch.bfloat16}
    assert logs.dtype == gradient.dtype == torch.float32
    assert torch.allclose(logs.exp().sum(dim=1), torch.ones(50), atol=1e-5)
    expected = full.scores(images)
    apart = np.abs(scores - expected).max()
    assert 1e-5 < apart < 0.01
    assert scores.dtype == np.float64
    there = torch.from_numpy(images).requires_grad_()
    (exact,) = torch.autograd.grad(full.log_scores(there)[:, 0].sum(), there)
    assert float((gradient - exact).norm() / exact.norm()) < 0.02


def test_what_is_not_asked_for_changes_nothing() -> None:
    model = watched("logits")
    target = TorchTarget(model, SHAPE)
    target.scores(np.zeros((2, *SHAPE), np.float32))
    assert set(model.seen) == {torch.float32}
    assert target.fingerprint() == fingerprint(target.model, target.spec, "logits")
    half = TorchTarget(watched("logits"), SHAPE, precision="half")
    assert half.fingerprint() != target.fingerprint()


def test_an_encoder_too() -> None:
    images = np.random.default_rng(0).random((9, *SPEC.shape), np.float32)
    full, half = (TorchEncoder(Projection(), SPEC, precision=one) for one in ("single", "half"))
    found, expected = half.templates(images), full.templates(images)
    assert 1e-5 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert half.differentiable_templates(torch.from_numpy(images)).dtype == torch.float32
    assert half.fingerprint() != full.fingerprint()


def test_which_16_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert half_type("single", torch.device("cuda")) is None
    assert half_type("half", torch.device("cpu")) == torch.bfloat16
    assert half_type("half", torch.device("mps")) == torch.float16
    for able, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda able=able: able)
        assert half_type("half", torch.device("cuda")) == expected


def test_what_is_no_module_is_refused_in_a_line() -> None:
    images, people = np.random.default_rng(0).random((6, *SHAPE), np.float32), np.arange(6) % 3
    model = LogisticRegression().fit(images.reshape(6, -1), people)
    with pytest.raises(TargetError, match=r"LogisticRegression is no torch\.nn\.Module.* half"):
        darkroom.audit(model, (images, people), precision="half")
    with pytest.raises(TargetError, match=r"faces: this is no torch\.nn\.Module.* half"):
        as_encoder(lambda one: one, SPEC, name="faces", precision="half")
    for load in ("face_recognition", "faces.onnx"):
        section = EncoderSection(load=load, precision="half")
        with pytest.raises(TargetError, match=f"{load}: this is no torch.nn.Module"):
            open_encoder(section, SPEC)


def test_a_trained_model_is_attacked_as_the_untrained_would_be(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((6, *SHAPE), np.float32)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, CLASSES))
    target = TorchTarget(model, SHAPE, precision="half")
    subject = Subject(target, Photos.of(images, np.arange(6) % 3), np.ones(6, np.bool_), None, None)
    trainer = ImageTrainer(subject, Recipe(1, 2, 0.01, 0.0), varied=False, seed=0)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(trainer.dump(model))
    trained = trainer.load(Undefended(), file).target
    assert isinstance(trained, TorchTarget)
    assert trained.half == torch.bfloat16


@pytest.mark.medium
def test_an_audit_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    faces = rng.random((3, *SHAPE), np.float32)
    people = np.repeat(np.arange(3), 4)
    images = (faces[people] + 0.1 * rng.random((12, *SHAPE), np.float32)).clip(0, 1)
    model = watched("logits")
    with torch.no_grad():
        model.line.weight.copy_(torch.from_numpy(2 * (faces - faces.mean(axis=0))).flatten(1))
        model.line.bias.copy_(-(model.line.weight @ torch.from_numpy(faces.mean(axis=0)).flatten()))
    run = darkroom.audit(
        model,
        (images, people),
        attacks=[{"name": "gradient", "prior": {"name": "mean", "start": "black"}, "steps": 3}],
        judges={"steps": 8},
        trained_on="0:3",
        precision="half",
        out=tmp_path,
        progress=False,
    )
    assert model.seen[-1] == torch.bfloat16
    assert "passes in bfloat16" in run.report.read_text(encoding="utf-8")
    assert 'precision = "half"' in (run.folder / "plan.toml").read_text(encoding="utf-8")
