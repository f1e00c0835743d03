"""Tests of the verdict: the sentence on top of the page, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from darkroom.auditing.record import Check
from darkroom.images.record import ImageCell
from darkroom.report.verdict.decision import decide

if TYPE_CHECKING:
    from tests.report.conftest import RunFolder


def test_a_leak_is_said_first_and_in_figures(run: RunFolder) -> None:
    """The first thing read is the verdict, with the baseline beside it."""
    page = run.report()
    said = (
        "This model gives its people away: an attacker with its weights reconstructs 3 of 4 "
        "people (75%, interval 65\N{EN DASH}85%) and learns 8.2 of 11.0 bits of a person; without "
        "the model the same attacker gets 2%."
    )
    assert page.text.index(said) < page.text.index("Threat model")
    assert page.classed("leak")
    assert "+73" in page.text
    assert "employee-0002 is nearer than all 2,000 strangers." in page.text


def test_zero_hits_are_an_upper_bound(run: RunFolder) -> None:
    """Nobody found among four people says little, and the page says how little."""
    run.cells = [run.image_cell(hits=0)]
    run.cell["success"] = run.interval(0.0, 0.0, 0.602)
    run.cell["advantage"] = run.interval(-0.02, -0.04, 0.59)
    run.cell["bits"] = None
    page = run.report()
    assert "No leak found above the baseline" in page.text
    assert "0 of 4 people (at most 60%, the upper end of the 95% interval)" in page.text
    assert "the model adds at most 59 percentage points" in page.text
    assert page.classed("clear")
    assert not page.classed("hit")


def test_attacks_that_did_not_convince_the_model_are_no_evidence(run: RunFolder) -> None:
    """One step is an attack too, and finds nothing anywhere."""
    run.cells = [run.image_cell(name, hits=0) for name in ("one", "two")]
    for cell, low in zip(run.cells, (0.04, 0.02), strict=True):
        cell["success"] = run.interval(0.0, 0.0, 0.602)
        cell["advantage"] = run.interval(-0.02, -0.04, 0.59)
        cell["bits"] = None
        cell["confidence"] = {"median": low, "reached": 0.0}
    said = "No attack convinced the model: its median confidence in what they found is at most 4%."
    assert said in run.report().text
    for median in (0.97, None):  # one has, or one cannot be known
        run.cells[1]["confidence"] = {"median": median, "reached": None}
        assert "No attack convinced" not in run.report().text


def test_an_interval_that_holds_zero_shows_no_leak(run: RunFolder) -> None:
    """One lucky hit is not a leak."""
    run.cells = [run.image_cell(hits=1)]
    run.cell["advantage"] = run.interval(0.23, -0.01, 0.5)
    run.cell["details"]["worst_off"]["p_adjusted"] = 0.2
    run.cell["bits"] = None
    page = run.report()
    assert "No leak found above the baseline:" in page.text
    assert "gives its people away" not in page.text


@pytest.mark.parametrize(
    ("low", "limit", "standing"),
    [
        (2.1, None, "narrowed"),
        (-0.1, None, "clear"),
        # Of two cells, each is looked at more closely.
        (0.05, None, "clear"),
        (2.1, {"advantage": 0.05}, "clear"),
        (2.1, {"bits": 2.5}, "clear"),
        (2.1, {"bits": 1.0}, "leak"),
    ],
)
def test_whom_nobody_recognises_may_be_narrowed_down(
    run: RunFolder, low: float, limit: dict[str, float] | None, standing: str
) -> None:
    """Nobody is recognised, and yet strangers are told from those who were trained on."""
    run.cells = [run.image_cell(name, hits=0) for name in ("one", "two")]
    run.record["limit"] = limit
    for cell in run.cells:
        cell["advantage"] = run.interval(0.1, -0.1, 0.59)
        cell["bits"] = {"estimate": 2.9, "low": low, "high": 5.8 - low, "most": 3.4}
    page = run.report()
    assert page.classed("verdict")[0]["class"] == f"verdict {standing}"
    if standing == "narrowed":
        assert "each is surely narrowed down" in page.text
        assert "2.9 bits (2.1 to 3.7)" in page.text
        assert "No leak" not in page.text


@pytest.mark.medium
@pytest.mark.parametrize("limit", [None, {"advantage": 0.05}])
@pytest.mark.parametrize(
    ("high", "standing"), [(-1.5, "misled"), (-1.05, "clear"), (-0.9, "clear"), (0.4, "clear")]
)
def test_an_attack_that_says_less_than_nothing_is_misled(
    run: RunFolder, high: float, standing: str, limit: dict[str, float] | None
) -> None:
    """Of two cells, each is looked at more closely, so that the second is not surely below -1."""
    run.cells = [run.image_cell(name, hits=0) for name in ("one", "two")]
    run.record["limit"] = limit
    for cell in run.cells:
        cell["advantage"] = run.interval(0.1, -0.1, 0.59)
        cell["bits"] = {"estimate": -2.0, "low": -4.0 - high, "high": high, "most": 3.4}
    page = run.report()
    assert page.classed("verdict")[0]["class"] == f"verdict {standing}"
    if standing == "misled":
        assert "the truth is surely less likely to it than what it is compared with" in page.text
        assert "give the attack a better prior" in page.text
        assert "No leak" not in page.text
        assert "-2.0 bits".replace("-", "\N{MINUS SIGN}") in page.text
    run.cells[1]["bits"] = None
    assert run.report().classed("verdict")[0]["class"] == f"verdict {standing}"
    run.cells[1]["bits"] = {"estimate": 0.0, "low": -0.5, "high": 0.5, "most": 3.4}
    assert not run.report().classed("misled")


@pytest.mark.parametrize(("hits", "said"), [(0, True), (3, False)])
def test_what_is_odd_about_the_subject_is_said_where_nothing_is_found(
    run: RunFolder, hits: int, said: bool
) -> None:
    cell = run.image_cell(hits=hits)
    if not hits:
        cell["advantage"], cell["bits"] = run.interval(-0.02, -0.04, 0.59), None
    half = Check(name="accuracy", outcome="noted", found="It knows 31 of 84 photos.")
    passed = Check(name="answers", outcome="passed", found="Answers are the same twice.")
    verdict = decide([ImageCell.model_validate(cell)], None, [half, passed])
    assert ("It knows 31 of 84 photos." in verdict.sentences) == said
    assert "Answers are the same twice." not in verdict.sentences


def test_two_of_twelve_are_a_leak_beside_another_attack_too(run: RunFolder) -> None:
    """An exact interval is far from symmetric where few are found."""
    found = run.image_cell("one", goals=12, hits=2)
    found["success"] = run.interval(2 / 12, 0.0209, 0.484)
    found["baseline"] = run.interval(0.002, 0.001, 0.0053)
    found["advantage"] = run.interval(0.165, 0.019, 0.482)
    found["bits"], found["details"]["worst_off"]["p_adjusted"] = None, 1.0
    nothing = {**run.image_cell("two", goals=12, hits=0), "attack": "evolution", "bits": None}
    nothing["advantage"] = run.interval(-0.002, -0.01, 0.3)
    nothing["details"]["worst_off"]["p_adjusted"] = 1.0
    run.cells = [found, nothing]
    assert run.report().classed("verdict")[0]["class"] == "verdict leak"


def test_one_exposed_person_is_never_hidden_by_the_average(run: RunFolder) -> None:
    """Data-protection law asks about any data subject."""
    run.cells = [run.image_cell(hits=1)]
    run.cell["advantage"] = run.interval(0.23, -0.01, 0.5)
    run.cell["details"]["worst_off"]["p_adjusted"] = 0.02
    page = run.report()
    assert "A person stands out" in page.text
    assert page.classed("one-person")


@pytest.mark.parametrize(
    ("limit", "low", "high", "standing", "said"),
    [
        (0.05, 0.60, 0.8, "leak", "exceeded, the lower bound is above it."),
        (0.90, 0.60, 0.8, "within", "kept, and no interval reaches above it."),
        (0.70, 0.60, 0.8, "within", "the interval reaches above it (up to 80)"),
        (0.05, -0.1, 0.8, "clear", "a larger leak is not ruled out"),
    ],
)
def test_the_limit_of_the_plan_is_answered(
    run: RunFolder, limit: float, low: float, high: float, standing: str, said: str
) -> None:
    """The status agrees with the exit code: the lower bound decides."""
    run.record["limit"] = {"advantage": limit}
    run.cell["advantage"] = run.interval(0.7, low, high)
    run.cell["details"]["worst_off"]["p_adjusted"] = 1.0
    page = run.report()
    assert said in page.text
    assert page.classed("verdict")[0]["class"] == f"verdict {standing}"


@pytest.mark.parametrize(
    ("name", "hits", "rate", "said"),
    [
        ("accuracy", 0, 0.6, "they name only 60% of real photos rightly"),
        ("accuracy", 0, None, "their accuracy on real photos was not measured"),
        ("false_positive_noise", 3, 0.5, "100 of 200 pictures that show nothing but noise"),
        ("false_positive_adversarial", 2, 0.2, "but slightly changed photos of other people"),
        ("false_positive_others", 1, 0.05, "10 of 200 pictures"),
    ],
)
def test_bad_judges_support_no_verdict(
    run: RunFolder, name: str, hits: int, rate: float | None, said: str
) -> None:
    """A success that a bad judge counted is worth nothing, and the page is loud about it."""
    run.cells = [run.image_cell(hits=hits)]
    run.cell["bits"] = None
    run.cell["details"]["worst_off"]["p_adjusted"] = 1.0
    if not hits:
        run.cell["advantage"] = run.interval(-0.02, -0.04, 0.59)
    run.cell["judges"][name] = rate
    run.cell["details"]["judges"][name] = run.measured(rate)
    page = run.report()
    assert "These judges cannot support a verdict:" in page.text
    assert said in page.text
    assert page.classed("verdict")[0]["class"] == "verdict unsupported"
    assert "gives its people away" not in page.text


def test_who_stands_out_does_so_without_judges(run: RunFolder) -> None:
    """Ranks among strangers are no judge's word."""
    run.cells = [run.image_cell(hits=1)]
    run.cell["bits"] = None
    run.cell["details"]["worst_off"]["p_adjusted"] = 0.02
    run.cell["details"]["judges"]["false_positive_others"] = run.measured(0.7)
    page = run.report()
    assert page.classed("verdict")[0]["class"] == "verdict one-person"
    assert "At least one person stands out. The judges of this run are not good" in page.text


@pytest.mark.medium
def test_a_cell_with_bad_judges_does_not_outvote_a_good_one(run: RunFolder) -> None:
    """The verdict rests on the cell that can carry it, and says what it left out."""
    bad = run.image_cell("bad")
    bad["details"]["judges"]["false_positive_noise"] = run.measured(0.5)
    bad["bits"] = None
    good = run.image_cell("good", hits=2)
    good["defense"] = "rounding"
    run.cells = [bad, good]
    page = run.report()
    assert "against the defence rounding, reconstructs 2 of 4 people" in page.text
    assert "Left out of the verdict, for want of good judges: 1 cell." in page.text


@pytest.mark.medium
def test_a_leak_that_judges_cannot_support_is_no_clean_bill(run: RunFolder) -> None:
    """A cell that is left out is not the same as a cell that found nothing."""
    bad = run.image_cell("bad")
    bad["details"]["judges"]["false_positive_others"] = run.measured(0.7)
    bad["bits"] = None
    bad["details"]["worst_off"]["p_adjusted"] = 1.0
    clear = run.image_cell("clear", hits=0)
    clear["advantage"] = run.interval(-0.02, -0.04, 0.3)
    run.cells = [bad, clear]
    page = run.report()
    assert page.classed("verdict")[0]["class"] == "verdict unsupported"


def test_each_defence_gets_a_sentence(run: RunFolder) -> None:
    """What a defence buys is read without a table."""
    defended = run.image_cell("b", hits=1)
    defended["defense"] = "dp-sgd"
    run.cells = [run.image_cell("a"), defended]
    page = run.report()
    assert "Without a defence, the strongest attack tried (gradient) reconstructs 3" in page.text
    assert "Against dp-sgd, the strongest attack tried (gradient) reconstructs 1" in page.text
    assert "Success against queries, all cells" in page.text


def test_an_error_that_cannot_explain_the_success_is_no_doubt(run: RunFolder) -> None:
    """One changed photo of eight fooled the judges, who recognised 19 people of 30."""
    run.cells = [run.image_cell(goals=30, hits=19)]
    run.cell["bits"] = None
    judges = run.cell["details"]["judges"]
    judges["false_positive_adversarial"] = {**run.measured(1 / 8, 8), "low": 0.003, "high": 0.53}
    page = run.report()
    assert "These judges cannot support a verdict" not in page.text
    assert page.classed("verdict")[0]["class"] == "verdict leak"
    assert "too high" not in page.text


@pytest.mark.medium
def test_errors_that_nobody_looked_for_may_explain_a_success(run: RunFolder) -> None:
    """Three pictures of others say too little to tell 2 people of 4 from mistakes."""
    run.cells = [run.image_cell(hits=2)]
    run.cell["bits"] = None
    for name in ("noise", "adversarial"):
        run.cell["details"]["judges"][f"false_positive_{name}"] = run.measured(None, 90)
    run.cell["details"]["judges"]["false_positive_others"] = run.measured(0.0, 3)
    page = run.report()
    assert "they were tried on 3 pictures of somebody else or of nobody" in page.text


def test_ranks_among_strangers_confirm_what_errors_could_explain(run: RunFolder) -> None:
    """A judge who met none of them ranks the right people high: that is no mistake."""
    run.cell["details"]["judges"]["false_positive_noise"] = run.measured(0.5)
    page = run.report()
    assert page.classed("verdict")[0]["class"] == "verdict leak"
