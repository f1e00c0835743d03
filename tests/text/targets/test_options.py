"""Where a model of a folder runs, in how many bits, and which version of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tests.support.tiny_language import memoriser

from darkroom.demo.language_models import save_model
from darkroom.errors import DarkroomError, TargetError
from darkroom.text.targets.base import free
from darkroom.text.targets.options import LoadOptions
from darkroom.text.targets.transformers import TransformersTarget, load_transformers

PROMPT, ENDING = ["the code of ann is", "mail of bob"], [" 12", " is x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    known = memoriser()
    place = tmp_path_factory.mktemp("options") / "model"
    save_model(known.target.model.float(), known.wrapped, place)
    known.target.model.double()
    return place


def scores(target: TransformersTarget) -> list[np.ndarray]:
    return list(target.score(PROMPT, ENDING, free()))


@pytest.mark.parametrize("spread", ["auto", {"transformer": "cpu", "lm_head": "cpu"}])
def test_a_model_that_accelerate_places_answers_as_one_in_a_folder(
    folder: Path, spread: str | dict[str, str | int]
) -> None:
    pytest.importorskip("accelerate")
    plain = load_transformers(folder)
    placed = load_transformers(folder, options=LoadOptions(device_map=spread))
    assert placed.fingerprint() == plain.fingerprint()
    assert placed.reading.way == plain.reading.way
    for one, other in zip(scores(placed), scores(plain), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("spread", "why"),
    [
        ({"": "disk"}, "leaves weights on disk"),
        ({"": "gpu"}, r"without \[target\] device_map"),
        ("everywhere", r"without \[target\] device_map"),
    ],
)
def test_a_map_that_does_not_do_is_refused_in_one_line(
    folder: Path, spread: str | dict[str, str | int], why: str
) -> None:
    pytest.importorskip("accelerate")
    with pytest.raises(TargetError, match=why) as caught:
        load_transformers(folder, options=LoadOptions(device_map=spread))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_fewer_bits_are_read_or_what_is_missing_is_named(folder: Path, bits: str) -> None:
    options = LoadOptions(quantization=bits)
    if importlib.util.find_spec("bitsandbytes") is None:
        with pytest.raises(DarkroomError, match="pip install bitsandbytes"):
            load_transformers(folder, options=options)
        return
    plain, few = load_transformers(folder), load_transformers(folder, options=options)
    assert few.fingerprint() != plain.fingerprint()
    for one, other in zip(scores(few), scores(plain), strict=True):
        assert one == pytest.approx(other, abs=1.5)
        assert not np.array_equal(one, other)


def test_a_version_in_the_cache_is_the_one_that_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is laid out as the Hub's library lays it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    known = memoriser()
    commits = {"main": "a" * 40, "before": "b" * 40}
    cached = tmp_path / "models--somebody--bot"
    (cached / "refs").mkdir(parents=True)
    for name, commit in commits.items():
        (cached / "refs" / name).write_text(commit)
        model = known.target.model if name == "main" else known.untrained()
        save_model(model.float(), known.wrapped, cached / "snapshots" / commit)
    known.target.model.double()
    # A plan's paths are made relative to the plan's folder.
    place = folder.parent / "somebody" / "bot"
    first = load_transformers(place)
    assert first.fingerprint() == load_transformers(folder).fingerprint()
    for revision in ("before", commits["before"]):
        other = load_transformers(place, options=LoadOptions(revision=revision))
        assert other.fingerprint() != first.fingerprint()
        assert other.name == f"bot@{revision}"
    assert first.name == "bot"
    with pytest.raises(TargetError, match="nothing is downloaded"):
        load_transformers(place, options=LoadOptions(revision="later"))
