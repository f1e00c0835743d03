"""Encoders that an audit trains: what is guaranteed of whom, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tests.support.needs import needed
from tests.verifiers.conftest import SPEC, photos_of, write_photos
from torch import nn

from darkroom.api import audit_verifier
from darkroom.auditing.progress import Reporter
from darkroom.errors import PlanError
from darkroom.kinds import load_job
from darkroom.runs import Run, audit_plan
from darkroom.verifiers.job import VerifierJob
from darkroom.verifiers.record import VerifierCell
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.verifiers.targets.metrics import Metric
from darkroom.verifiers.training.heads import SCALE, headed
from darkroom.vision.randomness import OwnRandomness

# DP-SGD takes all photos in each step: to account for a sample of them takes seconds.
PLAN = """\
[run]
name = "gate"
out = "{out}"
[target]
load = "tests.verifiers.test_trained:encoder"
false_accepts = 0.01
[private]
enrolled = "enrolled.npz"
[public]
images = "strangers.npz"
[recipe]
epochs = 30
batch = 9
[judges]
steps = 2
[check]
ignore = ["recognition"]
[[attack]]
name = "template"
photos = 30
steps = 2
[[training]]
name = "dp-sgd"
epsilon = 4.0
epochs = 9
batch = 18
"""


def encoder() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(14 * 12, 24))


def fixed() -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    return lambda images: images.reshape(len(images), -1)[:, :24].astype(np.float64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_photos(folder)
    learned = photos_of(9, 4, 5)
    np.savez(folder / "learned.npz", images=learned.images, people=learned.people)
    (folder / "plan.toml").write_text(PLAN.format(out=(folder / "runs").as_posix()))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    needed("opacus")
    return audit_plan(folder / "plan.toml", progress=False)


def job_of(folder: Path, old: str, new: str) -> VerifierJob:
    text = (folder / "plan.toml").read_text()
    assert old in text
    (folder / "changed.toml").write_text(text.replace(old, new))
    found = load_job(folder / "changed.toml", Reporter(shown=False))
    assert isinstance(found, VerifierJob)
    return found


@pytest.mark.medium
def test_the_guarantee_and_what_it_leaves_out_stand_in_the_record(run: Run) -> None:
    control, private = run.cells
    assert isinstance(control, VerifierCell)
    assert isinstance(private, VerifierCell)
    assert [cell.defense for cell in run.cells] == ["none", "dp-sgd(epsilon=4, batch=18, epochs=9)"]
    training = private.details.training
    assert training is not None
    assert training.privacy is not None
    assert training.privacy.unit == "photo"
    assert 3 < training.privacy.epsilon <= 4
    assert training.bound is not None
    person, photo = training.bound.chances
    assert (person.examples, photo.examples) == (3, 1)
    assert training.bound.baseline == pytest.approx(1 / 6)
    assert 1 / 6 < photo.most < person.most <= 1
    assert not training.bound.exceeded
    assert control.details.training is not None
    assert control.details.training.bound is None
    assert any("is no part of it" in one for one in private.details.threat_model)
    assert any("like a group of 3" in one for one in private.details.threat_model)
    assert not any("no part of it" in one for one in control.details.threat_model)


@pytest.mark.medium
def test_the_page_shows_epsilon_bound_and_the_cost_in_recognition(run: Run) -> None:
    page = run.report.read_text()
    assert "for each photo" in page
    assert "by the encoder alone with 3 examples" in page
    control, private = (
        cell.details.operating.false_rejects.estimate
        for cell in run.cells
        if isinstance(cell, VerifierCell)
    )
    assert control is not None
    assert private is not None
    assert private > control  # nine noisy steps on a handful of photos recognise worse
    assert f'<span class="est">{private:.0%}</span>' in page


@pytest.mark.medium
def test_the_same_from_python(run: Run, tmp_path: Path) -> None:
    private, public = photos_of(6, 6, 1), photos_of(60, 2, 2)
    with OwnRandomness(0)():
        untrained = encoder()
    before = {name: value.clone() for name, value in untrained.state_dict().items()}
    found = audit_verifier(
        untrained,
        (private.images, private.people),
        public=(public.images, public.people),
        false_accepts=0.01,
        attacks=[{"name": "template", "photos": 30, "steps": 2}],
        training=[{"name": "dp-sgd", "epsilon": 4.0, "batch": 18, "epochs": 9}],
        recipe={"epochs": 30, "batch": 9},
        judges={"steps": 2},
        ignore_checks=["recognition"],
        out=tmp_path,
        progress=False,
    )
    for one, other in zip(found.cells, run.cells, strict=True):
        assert isinstance(one, VerifierCell)
        assert isinstance(other, VerifierCell)
        assert one.defense == other.defense
        assert one.success == other.success
        assert one.details.operating == other.details.operating
        assert one.details.training is not None
        assert other.details.training is not None
        assert one.details.training.privacy == other.details.training.privacy
    assert all(value.equal(before[name]) for name, value in untrained.state_dict().items())


@pytest.mark.medium
def test_the_head_is_dropped(run: Run, folder: Path) -> None:
    files = sorted((folder / "runs/gate/models").glob("*.safetensors"))
    assert [sorted(load_file(one)) for one in files] == [["2.bias", "2.weight"]] * 2


def test_it_learns_from_others_where_the_plan_names_them(folder: Path) -> None:
    job = job_of(folder, "[recipe]", '[recipe]\nimages = "learned.npz"')
    said = dict(job.facts().tested)["Trained by Darkroom"]
    assert said == "36 photos of 9 people: none, dp-sgd(epsilon=4, batch=18, epochs=9)"
    digests = {model.digest for model in job.models()}
    assert digests.isdisjoint(
        model.digest for model in job_of(folder, "[recipe]", "[recipe]").models()
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (":encoder", ":fixed", "fixed is none"),
        (':encoder"', ':encoder"\nweights = "a.safetensors"', "remove .target. weights"),
        ("tests.verifiers.test_trained:encoder", "encoder.onnx", "code that builds the encoder"),
        ('"dp-sgd"', '"dp-sdg"', "did you mean 'dp-sgd'"),
        ("epsilon = 4.0", "epsilon = 0", "epsilon 0"),
    ],
)
def test_mistakes_are_named(folder: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        job_of(folder, old, new).models()


def test_a_head_of_cosines_sees_directions_alone() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images, inner = torch.rand(3, *SPEC.shape), encoder()
        longer = nn.Sequential(inner, Longer())
        state = torch.get_rng_state()
        one, other = (headed(net, 24, 5, Metric.COSINE, 3) for net in (inner, longer))
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.allclose(one(images), other(images), atol=1e-4)
    assert one.head.bias is None
    apart = headed(longer, 24, 5, Metric.EUCLIDEAN, 3)
    assert torch.allclose(apart(images), apart.head(longer(images)))
    assert one(images).abs().max() <= SCALE * one.head.weight.norm(dim=1).max()


class Longer(nn.Module):
    """Makes templates longer, and leaves their direction."""

    def forward(self, templates: torch.Tensor) -> torch.Tensor:
        return 7 * templates


def test_what_the_owner_froze_stays_frozen() -> None:
    net = encoder()
    net.get_parameter("2.weight").requires_grad_(False)
    assert TorchEncoder(net, SPEC).learns == {"2.bias"}
