"""The part of the page that secrets have."""

from __future__ import annotations

import pytest
from tests.report.conftest import RunFolder
from tests.report.text.cells import text_cell

pytestmark = pytest.mark.drawn


@pytest.fixture
def text_run(run: RunFolder) -> RunFolder:
    run.cells = [text_cell(4)]
    return run


@pytest.mark.medium
def test_a_page_of_secrets(text_run: RunFolder) -> None:
    page = text_run.report()
    assert not page.all("img")
    assert "extracts 4 of 8 secrets" in page.text
    for words in (
        "Exposure, inserted against held out",
        "Extraction by repetition",
        "The search for one secret: Ada 8",
        "Worst-off secret: Ada 8",
        "before training, the same secrets",
        "never (controls)",
        "LLM Data Leakage",
    ):
        assert words in page.text
    assert len(page.classed("chart-wide")) == 4
    assert "Nothing was extracted" not in page.text


@pytest.mark.medium
def test_nothing_found_is_an_upper_bound(text_run: RunFolder) -> None:
    text_run.cells = [text_cell(0)]
    page = text_run.report()
    assert "Nothing was extracted." in page.text
    assert "does not exclude it: at most" in page.text


def test_without_exposures_extraction_stands_alone(text_run: RunFolder) -> None:
    text_run.cells = [text_cell(4, measured=False)]
    page = text_run.report()
    assert "exposures were not measured" in page.text
    assert "The search for one secret" not in page.text
    assert len(page.classed("chart-wide")) == 2
