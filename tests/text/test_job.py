"""An audit of a language model from end to end, and that no secret is written anywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.records import cells_of, known, timeless
from tests.support.tiny_language import memoriser

from darkroom.demo.corpus import held_out_lines
from darkroom.demo.language_models import save_model
from darkroom.errors import DarkroomError
from darkroom.report.defenses import recommend
from darkroom.runs import Run, audit_plan, open_run
from darkroom.text.canaries import load_key, save_key
from darkroom.text.exposure.measure import measure
from darkroom.text.formats.secrets import make_format
from darkroom.text.lines import write_lines
from darkroom.text.record import TextCell
from darkroom.text.subject import TextSubject

# What no byte of a page may tell, no chart may either.
pytestmark = pytest.mark.drawn

PLAN = """\
[run]
name = "text"
naive = true
out = "runs"

[target]
kind = "transformers"
load = "model"
before = "before"

[private]
canaries = "key.json"
rank_rows = 60
references = 40
held_out = "held_out.txt"

[[attack]]
name = "best-first"
rows = 60

[[attack]]
name = "sampling"
rows = 12

[[defense]]
name = "logprob-rounding"
step = 0.5

[[defense]]
name = "top-logprobs"
k = 4

[limit]
advantage = 0.1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan and all that it names."""
    folder = tmp_path_factory.mktemp("text")
    known = memoriser()
    save_model(known.target.model.float(), known.wrapped, folder / "model")
    save_model(known.untrained(), known.wrapped, folder / "before")
    known.target.model.double()
    save_key(folder / "key.json", known.canaries)
    write_lines(folder / "held_out.txt", held_out_lines(known.canaries, seed=9, count=40))
    (folder / "plan.toml").write_text(PLAN.replace("runs", str(folder / "runs")))
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return audit_plan(folder / "plan.toml", progress=False)


@pytest.mark.medium
def test_an_audit_from_end_to_end(run: Run) -> None:
    cells = cells_of(run, TextCell)
    assert [(cell.attack, cell.access, cell.defense, cell.attacker) for cell in cells] == [
        ("best-first", "weights", "none", "adaptive"),
        ("best-first", "logprobs", "logprob-rounding(step=0.5)", "adaptive"),
        ("best-first", "logprobs", "logprob-rounding(step=0.5)", "naive"),
        ("best-first", "logprobs", "top-logprobs(k=4)", "adaptive"),
        ("best-first", "logprobs", "top-logprobs(k=4)", "naive"),
        ("sampling", "samples", "none", "adaptive"),
    ]
    for cell in cells:
        assert cell.kind == "text"
        assert cell.success.estimate >= 2 / 3
        assert cell.baseline.estimate == 0
        assert cell.curve[-1].success == cell.success.estimate
        details = cell.details
        assert known(details.before).extracted.estimate == 0
        memory = known(details.memory)
        assert memory.inserted_median > 8 > memory.control_median
        assert known(details.worst_off).p_adjusted < 0.01
        assert {group.repetitions for group in details.groups} == {0, 16}
    for cell in cells:
        assert (cell.bits is not None) is (cell.defense == "none" and cell.attack == "best-first")
    bits = known(cells[0].bits)
    assert 8 < bits.low < bits.high <= bits.most == cells[0].details.formats[0].bits
    assert known(cells[0].details.tree).found
    assert cells[-1].details.tree is None
    assert run.leaks(0.05)


@pytest.mark.medium
def test_secrets_of_several_formats_are_told_apart(folder: Path) -> None:
    canaries, wide = memoriser().canaries, make_format(r"[0-9a-d]{3}-\d{3}")
    mixed = [
        replace(one, format=wide) if number % 2 else one
        for number, one in enumerate(canaries.canaries)
    ]
    save_key(folder / "mixed.json", replace(canaries, canaries=tuple(mixed)))
    plan = folder / "mixed.toml"
    text = (folder / "plan.toml").read_text().replace("key.json", "mixed.json")
    head, *_ = text.replace('"text"', '"mixed"').split('[[attack]]\nname = "sampling"')
    plan.write_text(head)
    (cell,) = cells_of(audit_plan(plan, progress=False), TextCell)
    narrow, wider = cell.details.formats
    assert (narrow.candidates, wider.candidates) == ("1000000", "2744000")
    assert narrow.n + wider.n == cell.goals == len(canaries.inserted)
    hits = [round(known(one.extracted).estimate * one.n) for one in (narrow, wider)]
    assert min(hits) > 0
    assert sum(hits) == cell.hits
    assert known(narrow.controls).estimate == known(wider.controls).estimate == 0
    assert known(narrow.exposure).median > narrow.bits - 1
    # Each secret has the bits of its own format, and all of them together their mean.
    assert {one.candidates for one in cell.details.canaries} == {narrow.bits, wider.bits}
    assert narrow.bits < known(cell.bits).most < wider.bits
    shown = known(cell.details.tree)
    assert shown.candidates in (narrow.bits, wider.bits)


@pytest.mark.medium
def test_the_tree_is_of_what_the_attack_could_ask(folder: Path) -> None:
    plan = folder / "budget.toml"
    text = (folder / "plan.toml").read_text().replace('"text"', '"budget"')
    head, *_ = text.split('[[attack]]\nname = "sampling"')
    plan.write_text(head.replace("rows = 60\n\n", 'rows = 60\nbudget = 5\naccess = "top_k"\n\n'))
    (cell,) = cells_of(audit_plan(plan, progress=False), TextCell)
    assert known(cell.details.tree).asked <= 5
    assert cell.success.estimate == 0


@pytest.mark.medium
def test_what_defences_cost_and_who_is_told_of_them(run: Run) -> None:
    plain, rounded, naive, top, *_ = run.cells
    worth = [known(cell.utility.perplexity) for cell in (plain, rounded, top)]
    # Rounding is as good as a model that is surer than it should be on lines that it never saw.
    assert worth[1] == pytest.approx(worth[0], rel=0.1)
    assert worth[1] != worth[0]
    assert 1 < worth[0] < worth[2]
    assert top.utility.label_changes == 0 < known(rounded.utility.label_changes)
    assert naive.utility == rounded.utility
    # Whoever takes rounded answers for the model's own is sure of what nobody can be.
    assert known(naive.confidence.reached) > 0 == rounded.confidence.reached
    assert "is not told of" in naive.details.threat_model[-1]
    assert "which the attacker knows" in rounded.details.threat_model[-1]
    page = run.report.read_text()
    assert "Perplexity" in page
    found = recommend(run.cells, 0.5)
    assert found.undefended.worth == -worth[0]
    assert {one.defense for one in (*found.within, *found.beyond)} == {
        "none",
        "logprob-rounding(step=0.5)",
        "top-logprobs(k=4)",
    }


@pytest.mark.medium
def test_resuming_gives_the_same_results(run: Run, folder: Path) -> None:
    (run.folder / "cells" / run.cells[1].key / "cell.json").unlink()
    again = audit_plan(folder / "plan.toml", resume=True, progress=False)
    assert timeless(again) == timeless(run)


@pytest.mark.medium
def test_no_secret_is_in_any_byte_that_is_written(
    folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    plan = folder / "watched.toml"
    plan.write_text((folder / "plan.toml").read_text().replace('"text"', '"watched"'))
    run = audit_plan(plan, progress=True)
    shown = capfd.readouterr()
    written = {"stdout": shown.out.encode(), "stderr": shown.err.encode()}
    written["log"] = caplog.text.encode()
    for path in run.folder.rglob("*"):
        if path.is_file():
            written[str(path)] = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                for name in arrays:
                    written[f"{path} {name}"] = str(arrays[name].tolist()).encode()
    assert len(written) > 8
    canaries = load_key(folder / "key.json")
    for canary in canaries.canaries:
        for place, content in written.items():
            assert canary.secret.encode() not in content, place
    page = written[str(run.report)]
    assert all(canaries.hashed(one.secret).encode() in page for one in canaries.inserted)


@pytest.mark.medium
def test_revealing_shows_them(folder: Path) -> None:
    plan = folder / "shown.toml"
    text = (folder / "plan.toml").read_text().replace('"text"', '"shown"')
    plan.write_text(text.split("[[defense]]")[0].split('[[attack]]\nname = "sampling"')[0])
    run, canaries = audit_plan(plan, progress=False), load_key(folder / "key.json")
    page = open_run(run.folder, reveal=True).report.read_text()
    assert all(canary.secret in page for canary in canaries.inserted)
    hidden = open_run(run.folder).report.read_text()
    assert not any(canary.secret in hidden for canary in canaries.inserted)


@pytest.mark.medium
def test_exposure_of_controls_is_that_of_chance() -> None:
    known = memoriser()
    subject = TextSubject(known.target, None, known.canaries, 60, 40, 0)
    exposures = measure(known.target, subject, known.canaries.canaries, lambda done, total: None)
    assert exposures is not None
    for canary, one in zip(known.canaries.canaries, exposures, strict=True):
        assert one.low - 1e-9 <= one.bits <= one.high + 1e-9
        assert 0 < one.p_value <= 1
        assert one.bits > 5 if canary.repetitions else one.bits < 8


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('load = "model"', 'load = "nowhere"', "no config.json"),
        ('canaries = "key.json"', 'canaries = "none.json"', "no readable key file"),
        ('name = "best-first"', 'name = "best-frist"', "did you mean 'best-first'"),
        ('name = "sampling"', 'name = "fill-mask"', "not for a model that continues text"),
        ('kind = "transformers"', 'kind = "transformer"', "transformers"),
        ("step = 0.5", "step = -1.0", "above 0"),
        ("rank_rows", "rank_row", "did you mean 'rank_rows'"),
        ('name = "sampling"', 'name = "sampling"\naccess = "scores"', "logprobs"),
        ('name = "sampling"', 'name = "sampling"\nprior = "mean"', "leave it out"),
    ],
)
def test_a_plan_that_does_not_do_is_one_clear_line(
    folder: Path, old: str, new: str, why: str
) -> None:
    plan = folder / "other.toml"
    assert old in PLAN
    text = PLAN.replace(old, new, 1).replace("runs", str(folder / "others"))
    plan.write_text(text)
    with pytest.raises(DarkroomError, match=why) as caught:
        audit_plan(plan, progress=False)
    assert "\n" not in str(caught.value)
