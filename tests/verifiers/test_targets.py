"""Encoders, enrolment and comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.needs import needed
from tests.verifiers.conftest import SPEC, Projection, photos_of, scrambled
from torch import nn

from darkroom.errors import DataError, TargetError
from darkroom.verifiers.subject import VerifierSubject, enrolled
from darkroom.verifiers.targets.embedding import EmbeddingVerifier
from darkroom.verifiers.targets.encoders import FunctionEncoder, TorchEncoder
from darkroom.verifiers.targets.load import open_encoder
from darkroom.verifiers.targets.metrics import Metric
from darkroom.verifiers.targets.sections import EncoderSection


def test_scores_are_higher_for_what_is_more_alike() -> None:
    one, other = np.array([[1.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert Metric.COSINE.scores(one, other)[0].tolist() == [1.0, 0.0, -1.0]
    found = Metric.EUCLIDEAN.scores(one, other)[0]
    assert found == pytest.approx([-1.0, -np.sqrt(2), -2.0])


def test_no_face_is_like_nobody() -> None:
    nothing = np.full((1, 2), np.nan)
    for metric in Metric:
        assert metric.scores(nothing, np.ones((1, 2)))[0, 0] == -np.inf


@pytest.mark.parametrize("metric", list(Metric))
def test_the_score_that_gradients_follow_is_the_score(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 5, 8))
    found = metric.differentiable(torch.from_numpy(one), torch.from_numpy(other))
    assert found.numpy() == pytest.approx(np.diag(metric.scores(one, other)))


def test_the_mean_or_the_best_of_several_photos() -> None:
    encoder, photos = TorchEncoder(Projection(), SPEC), photos_of(4, 3, 1)
    mean, best = (
        EmbeddingVerifier(encoder, enrolled(encoder, photos, Metric.COSINE, rule), Metric.COSINE)
        for rule in ("mean", "best")
    )
    assert len(mean.store.templates) == 4
    assert len(best.store.templates) == 12
    own = best.scores(photos.images, photos.people)
    assert own == pytest.approx(1.0)
    assert (mean.scores(photos.images, photos.people) < 1 - 1e-6).all()
    each = best.encoder.templates(photos.images)
    cosines = Metric.COSINE.scores(each, each)
    assert best.matrix(photos.images)[0, 1] == pytest.approx(cosines[0, 3:6].max())


def test_somebody_without_a_face_cannot_be_enrolled() -> None:
    photos = photos_of(3, 2, 1)

    def blind(images: np.ndarray) -> np.ndarray:
        found = scrambled(images)
        hidden = [any(np.array_equal(one, two) for two in photos.images[2:4]) for one in images]
        found[np.array(hidden)] = np.nan
        return found

    encoder = FunctionEncoder(blind, SPEC, name="blind")
    with pytest.raises(DataError, match="finds no face in any photo of person-1"):
        enrolled(encoder, photos, Metric.COSINE)


def test_type_two_is_against_other_photos_of_the_same_people(leaky: VerifierSubject) -> None:
    other = leaky.other_templates
    assert other is not None
    assert leaky.embedding is not None
    assert not np.allclose(other.store.templates, leaky.embedding.store.templates)
    held = leaky.held_out
    assert other.decisions(held.images, held.people).mean() > 0.9


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Flatten(0), "not \\(2, size\\)"),
        (nn.Sequential(nn.Flatten(), nn.Linear(28 * 24, 1)), "no template"),
        (nn.Linear(7, 7), "fails on images of shape"),
    ],
)
def test_what_returns_no_templates_is_told(module: nn.Module, said: str) -> None:
    with pytest.raises(TargetError, match=said):
        TorchEncoder(module, SPEC)


def test_an_onnx_file_answers_as_the_module_does(tmp_path: Path) -> None:
    needed("onnxruntime")
    onnx = needed("onnx")
    weight = Projection().line.weight.detach().numpy()
    make = onnx.helper
    graph = make.make_graph(
        [
            make.make_node("Flatten", ["photos"], ["rows"]),
            make.make_node("MatMul", ["rows", "weight"], ["template"]),
        ],
        "encoder",
        [make.make_tensor_value_info("photos", onnx.TensorProto.FLOAT, ["n", 1, 14, 12])],
        [make.make_tensor_value_info("template", onnx.TensorProto.FLOAT, ["n", 24])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(weight.T), "weight")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "encoder.onnx")
    section = EncoderSection(load=str(tmp_path / "encoder.onnx"))
    encoder = open_encoder(section, type(SPEC)((1, 14, 12)))
    photos = np.random.default_rng(0).random((5, 1, 14, 12), np.float32)
    assert encoder.templates(photos) == pytest.approx(photos.reshape(5, -1) @ weight.T, abs=1e-4)
    assert not encoder.differentiable
