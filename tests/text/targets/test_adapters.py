"""Adapters and other ways in which a folder says what its model is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.tiny_language import memoriser

from darkroom.demo.language_models import save_model
from darkroom.errors import TargetError
from darkroom.text.plan import TextPlan
from darkroom.text.targets.base import free
from darkroom.text.targets.options import LoadOptions
from darkroom.text.targets.transformers import load_transformers

pytest.importorskip("peft")

from benchmarks.text.architectures.misleading import Case, cases, met


@pytest.mark.medium
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.what)
def test_an_adapter_or_a_head_is_right_or_refused(case: Case) -> None:
    assert met(case)[0] == ("refused" if case.way else "right")


def test_precision_and_tokenizer_are_chosen(tmp_path: Path) -> None:
    known = memoriser()
    save_model(known.target.model, known.wrapped, tmp_path / "model")
    words = tmp_path / "words"
    words.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).rename(words / name)
    with pytest.raises(TargetError, match=r"no tokenizer\.json"):
        load_transformers(tmp_path / "model")
    options = LoadOptions(tokenizer=words, dtype="bfloat16")
    target = load_transformers(tmp_path / "model", options=options)
    assert str(target.model.dtype) == "torch.bfloat16"
    prompt, ending = ["the code of ann is"], [" 1"]
    whole = known.target.score(prompt, ending, free())[0]
    assert target.score(prompt, ending, free())[0] == pytest.approx(whole, abs=0.3)


def test_a_version_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="a folder has no versions"):
        load_transformers(tmp_path, options=LoadOptions(revision="main"))
    with pytest.raises(TargetError, match="nothing is downloaded"):
        load_transformers(tmp_path / "nobody" / "nothing", options=LoadOptions(revision="main"))


def test_paths_of_a_plan_are_those_beside_it(tmp_path: Path) -> None:
    plan = TextPlan.model_validate(
        {
            "run": {"name": "a"},
            "target": {"kind": "transformers", "load": "m", "adapter": "a", "tokenizer": "t"},
            "private": {"canaries": "key.json"},
            "attack": [{"name": "best-first"}],
        }
    ).anchored(tmp_path)
    target = plan.target.model_dump()
    places = [target[name] for name in ("load", "adapter", "tokenizer")]
    assert places == [tmp_path / "m", tmp_path / "a", tmp_path / "t"]
