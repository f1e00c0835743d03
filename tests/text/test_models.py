"""Language models that an audit trains, with every defence and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.records import cells_of, known, timeless
from tests.support.tiny_language import memoriser

from darkroom.demo.corpus import held_out_lines, make_corpus
from darkroom.demo.language_models import save_model
from darkroom.errors import DarkroomError
from darkroom.report.defenses import recommend
from darkroom.runs import Run, audit_plan
from darkroom.text.canaries import load_key, save_key
from darkroom.text.formats.secrets import make_format
from darkroom.text.lines import write_lines
from darkroom.text.record import TextCell

PLAN = """\
[run]
name = "text"
out = "runs"
naive = true

[target]
kind = "transformers"
load = "base"

[private]
canaries = "key.json"
corpus = "corpus.txt"
held_out = "held_out.txt"
rank_rows = 30
references = 24

[recipe]
epochs = 22
batch = 16

[[training]]
name = "deduplication"

[[training]]
name = "scrubbing"

[[training]]
name = "dp-sgd"
epsilon = 2.0
epochs = 1
batch = 64

[[attack]]
name = "best-first"
access = "logprobs"
rows = 40

[[defense]]
name = "logprob-noise"
deviation = 0.2
"""

DP = "dp-sgd(epsilon=2, batch=64, epochs=1)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("opacus")
    folder = tmp_path_factory.mktemp("text")
    corpus = make_corpus(
        seed=3, each=4, repetitions=(16,), others=40, secrets=make_format(r"\d{4}")
    )
    known = memoriser()
    save_model(known.untrained(), known.wrapped, folder / "base")
    save_key(folder / "key.json", corpus.canaries)
    write_lines(folder / "corpus.txt", corpus.lines)
    write_lines(folder / "held_out.txt", held_out_lines(corpus.canaries, seed=9, count=12))
    (folder / "plan.toml").write_text(PLAN.replace("runs", str(folder / "runs")))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return audit_plan(folder / "plan.toml", progress=False)


@pytest.mark.slow
def test_every_attack_meets_every_model(run: Run) -> None:
    noise = "logprob-noise(deviation=0.2)"
    expected = []
    for name in ("none", "deduplication", "scrubbing", DP):
        both = noise if name == "none" else f"{name} + {noise}"
        expected += [(name, "adaptive"), (both, "adaptive"), (both, "naive")]
    assert [(cell.defense, cell.attacker) for cell in run.cells] == expected


@pytest.mark.slow
def test_what_was_repeated_is_forgotten(run: Run) -> None:
    cells = {cell.defense: cell for cell in cells_of(run, TextCell) if cell.attacker == "adaptive"}
    plain = cells["none"]
    assert plain.success.estimate >= 0.8
    for name in ("deduplication", "scrubbing", DP):
        assert cells[name].success.estimate <= 0.2, name
        memory = known(cells[name].details.memory).inserted_median
        assert memory < known(plain.details.memory).inserted_median - 3
    perplexity = {name: known(cell.utility.perplexity) for name, cell in cells.items()}
    assert perplexity[DP] > 2 * perplexity["none"]


@pytest.mark.slow
def test_what_is_said_of_each_training(run: Run) -> None:
    cells = {cell.defense: cell for cell in run.cells}
    facts = {name: known(cell.details.training) for name, cell in cells.items()}
    assert facts["none"].time_factor == 1.0
    assert facts["deduplication"].time_factor < 1.0  # fewer lines
    privacy, bound = known(facts[DP].privacy), known(facts[DP].bound)
    assert privacy.unit == "line"
    assert 0 < privacy.epsilon <= 2.0
    assert bound.baseline == 1e-4
    assert [(one.about, one.examples) for one in bound.chances] == [("secret", 16)]
    assert 1e-4 < bound.chances[0].most <= 1.0
    assert not bound.exceeded
    assert "the attacker knows how" in " ".join(cells["scrubbing"].details.threat_model)
    assert "Perplexity" in run.report.read_text()
    found = recommend(run.cells, 0.7)
    assert found.chosen is not None
    assert found.chosen.defense.startswith(("deduplication", "scrubbing"))


@pytest.mark.slow
def test_nothing_is_trained_twice(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = list((run.folder / "models").iterdir())
    assert {file.suffix for file in models} == {".safetensors", ".json"}
    assert len(models) == 8
    # Four digits are found in any number; a whole line, or whose it is, would be a leak.
    told = b"".join(file.read_bytes()[:9000] for file in models)
    canaries = load_key(folder / "key.json").canaries
    assert not any(text.encode() in told for one in canaries for text in (one.owner, one.line))
    for cell in run.cells[3:5]:
        (run.folder / "cells" / cell.key / "cell.json").unlink()

    def refuse(*_: object) -> None:
        raise AssertionError("trained twice")

    monkeypatch.setattr("darkroom.text.models.TextTrainer.train", refuse)
    again = audit_plan(folder / "plan.toml", resume=True, progress=False)
    assert timeless(again) == timeless(run)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"scrubbing"', '"scrubing"', "did you mean 'scrubbing'"),
        ('corpus = "corpus.txt"\n', "", "needs the lines to train on"),
        ("epsilon = 2.0", "epsilon = 0.0", "give above 0"),
        ("corpus.txt", "none.txt", "none.txt: No such file"),
        (
            'kind = "transformers"\nload = "base"',
            'kind = "openai"\nurl = "http://127.0.0.1:9"\nmodel = "m"',
            "trains a model in a local folder",
        ),
    ],
)
def test_a_plan_that_does_not_do_is_one_clear_line(
    folder: Path, old: str, new: str, why: str
) -> None:
    plan = folder / "wrong.toml"
    text = (folder / "plan.toml").read_text().replace('name = "text"', 'name = "wrong"')
    assert old in text
    plan.write_text(text.replace(old, new))
    with pytest.raises(DarkroomError, match=why) as caught:
        audit_plan(plan, resume=True, progress=False)
    assert "\n" not in str(caught.value)


def test_a_recipe_without_training_is_refused(folder: Path) -> None:
    text = (folder / "plan.toml").read_text()
    start, end = text.index("[[training]]"), text.index("[[attack]]")
    plan = folder / "wrong.toml"
    plan.write_text(text[:start] + text[end:])
    with pytest.raises(DarkroomError, match=r"no \[\[training\]\] is to be trained"):
        audit_plan(plan, resume=True, progress=False)
