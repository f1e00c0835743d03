"""A kind that nobody has heard of gets its page, and the common modules know no kind at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.conftest import RunFolder
from tests.support import sounds
from tests.support.records import of_kind
from tests.support.sounds import PAGE, SOUNDS, SoundCell

from darkroom.errors import RunError
from darkroom.kinds import KINDS
from darkroom.report import collect, load_schema, write_report
from darkroom.report.kind_page import KindPage


@pytest.fixture
def sound_run(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run of one cell of a kind that Darkroom does not bring."""
    monkeypatch.setitem(KINDS, "sounds", SOUNDS)
    run.record["tested"] = []
    run.cells = [sound_cell()]
    return run


def sound_cell() -> dict[str, Any]:
    cell = RunFolder.image_cell()
    shared = ("threat_model", "attack", "prior", "training", "guard")
    details = {name: cell["details"][name] for name in shared}
    worst = {name: cell["details"]["worst_off"][name] for name in ("name", "p_adjusted")}
    details.update(loudest=61.0, worst_off={**worst, "sentence": "it is the loudest of all."})
    del cell["judges"]
    return {**cell, "kind": "sounds", "access": "scores", "details": details}


def test_a_kind_of_ones_own_has_a_page(
    sound_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "cell.html.jinja").write_text("<p>{{ part.loudness }}, {{ details.loudest }}</p>")
    (folder / "meaning.html.jinja").write_text("<div><dt>Decibel</dt><dd>A tenth.</dd></div>")
    monkeypatch.setattr(sounds, "PAGE", replace(PAGE, templates=folder))
    page = sound_run.report()
    for words in (
        "This model shouts: an attacker who sees every confidence overhears 3 of 4 voices",
        "61 decibels in cell 1, 61.0",
        "Worst-off voice: it is the loudest of all.",
        "DecibelA tenth.",
        "Queries a voice",
        "Heard75%",
        "This page shows voices.",
        "Equal loudness",
        "Silence, unless a cell above names them",
        "even odds on any one voice",
    ):
        assert words in page.text, words
    for words in ("people", "secret", "reconstruct", "SSIM", "photo"):
        assert words not in page.text


def test_a_kind_needs_no_templates(sound_run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "PAGE", KindPage(recovered="Heard"))
    page = sound_run.report()
    assert "Success against queries" in page.text
    assert page.classed("chart-wide")
    assert "Personal data" not in page.text


def test_its_judges_may_fail(sound_run: RunFolder) -> None:
    sound_run.cell["details"]["loudest"] = 0.5
    sound_run.cell["details"]["worst_off"]["p_adjusted"] = 1.0
    page = sound_run.report()
    assert page.classed("verdict")[0]["class"] == "verdict unsupported"
    assert "tell a recognised voice from a mistake" in page.text


def test_its_record_is_read_and_described(sound_run: RunFolder) -> None:
    (cell,) = collect(sound_run.write()).cells
    assert of_kind(SoundCell, cell).details.loudest == 61.0
    assert "SoundDetails" in json.dumps(load_schema())
    sound_run.cell["details"]["loudest"] = "very"
    with pytest.raises(RunError, match=r"cell\.json is damaged: details\.loudest"):
        write_report(sound_run.write())


def test_the_schema_knows_no_kind_that_is_not_there() -> None:
    assert "SoundDetails" not in json.dumps(load_schema())
