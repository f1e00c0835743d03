"""Which defence holds: pairs of attackers, dominated defences, the frontier, the recommendation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]
from tests.report.conftest import RunFolder, image_cell

from darkroom.auditing.record import Cell
from darkroom.errors import PlanError
from darkroom.images.record import ImageCell
from darkroom.report.defenses import dominators, matches, recommend, standings
from darkroom.report.results import collect, load_schema


def cell(
    key: str,
    defense: str = "none",
    attack: str = "evolution",
    *,
    hits: int = 3,
    accuracy: float | None = 0.97,
    **more: Any,
) -> dict[str, Any]:
    made = image_cell(key, hits=hits)
    utility = {} if accuracy is None else {"accuracy": accuracy, "calibration_error": 0.04}
    if defense != "none" and utility:
        utility["label_changes"] = 0.01
    made.update(defense=defense, attack=attack, access="scores", prior="eigenfaces")
    made.update({"utility": utility, "attacker": "adaptive", **more})
    if defense != "none":
        made["cost"] = {"microseconds": 12.3, "of_forward": 0.08}
    return made


def usual() -> list[dict[str, Any]]:
    """Undefended, rounding that stops nobody, noise that stops the naive, and labels alone."""
    return [
        cell("w", attack="gradient", access="weights", hits=4),
        cell("n"),
        cell("s", attack="surrogate", hits=2, access="label"),
        cell("r1", "rounding(decimals=2)", hits=3),
        cell("r2", "rounding(decimals=2)", hits=3, attacker="naive"),
        cell("t1", "noise(deviation=0.1)", hits=2, accuracy=0.95),
        cell("t2", "noise(deviation=0.1)", hits=0, accuracy=0.95, attacker="naive"),
        cell("l1", "label-only", "auto", hits=1, access="label"),
        cell("l2", "label-only", hits=0, attacker="naive"),
        cell("l3", "label-only", "surrogate", hits=2, access="label"),
        cell("l4", "label-only", "surrogate", hits=2, access="label", attacker="naive"),
        cell("x1", "stealthy-shield(radius=0.5)", hits=0, accuracy=0.80),
    ]


def records(cells: list[dict[str, Any]]) -> list[Cell]:
    return [ImageCell.model_validate(one) for one in cells]


def test_what_a_cell_leaves_out_is_the_usual() -> None:
    old = image_cell()
    del old["attacker"], old["cost"], old["utility"]["label_changes"]
    read = ImageCell.model_validate(old)
    assert (read.attacker, read.cost, read.utility.label_changes) == ("adaptive", None, None)


def test_naive_and_adaptive_attackers_are_paired() -> None:
    found = {(one.defense, one.attack): one for one in matches(records(usual()))}
    assert "none" not in {defense for defense, _ in found}
    noise = found["noise(deviation=0.1)", "evolution"]
    assert noise.naive is not None
    assert noise.adaptive is not None
    assert (noise.naive.key, noise.adaptive.key) == ("t2", "t1")
    # Where labels alone are left, what stands in for the attack is its adaptive form.
    labels = found["label-only", "evolution"]
    assert labels.adaptive is not None
    assert (labels.adaptive.attack, labels.access) == ("auto", "label")
    assert found["stealthy-shield(radius=0.5)", "evolution"].naive is None
    assert len(found) == 5


def test_a_defence_is_worth_what_the_strongest_attack_leaves() -> None:
    found = {one.defense: one for one in standings(records(usual()))}
    assert next(iter(found)) == "none"
    assert found["none"].by.key == "n"
    assert found["label-only"].by.key == "l3"
    noise = found["noise(deviation=0.1)"]
    assert noise.naive is not None
    assert noise.adaptive is not None
    assert noise.naive.estimate < noise.adaptive.estimate == noise.leak.estimate


def test_dominated_defences_are_named() -> None:
    beaten = dominators(standings(records(usual())))
    # Rounding leaks as much as nothing at equal accuracy: neither is better than the other.
    assert beaten == {
        "none": "label-only",
        "rounding(decimals=2)": "label-only",
        "noise(deviation=0.1)": "label-only",
    }


@pytest.mark.parametrize(
    ("loss", "chosen", "within"),
    [(0.02, "label-only", 4), (0.0, "label-only", 3), (0.2, "stealthy-shield(radius=0.5)", 5)],
)
def test_the_least_leak_within_the_limit_is_recommended(
    loss: float, chosen: str, within: int
) -> None:
    found = recommend(records(usual()), loss)
    assert found.chosen is not None
    assert found.chosen.defense == chosen
    assert len(found.within) == within
    assert chosen in found.sentence
    assert "not judged" in found.caution
    assert "stealthy-shield" in found.caution.partition("Fewer attacks met")[2]


def test_what_helps_nobody_is_not_recommended() -> None:
    found = recommend(records(usual()[:5]), 0.02)
    assert found.chosen is found.undefended
    assert "limit queries" in found.sentence


def test_a_growing_error_counts_as_a_loss() -> None:
    def dose(key: str, defense: str, hits: int, error: float) -> dict[str, Any]:
        made = cell(key, defense, hits=hits)
        made["utility"] = {"mean_absolute_error": error}
        return made

    cells = [dose("a", "none", 3, 10.0), dose("b", "fine", 2, 10.1), dose("c", "coarse", 0, 12.0)]
    found = recommend(records(cells), 0.02)
    assert [one.defense for one in found.within] == ["fine", "none"]
    assert "a mean absolute error that grows by at most 2%" in found.sentence
    assert "at a mean absolute error of 10.1 in place of 10" in found.sentence
    assert dominators(standings(records(cells))) == {}
    for one in cells:
        one["utility"] = {"perplexity": one["utility"]["mean_absolute_error"]}
    assert "at a perplexity of 10.1 in place of 10" in recommend(records(cells), 0.02).sentence


def test_attackers_with_the_weights_count_where_all_defences_are_in_the_training() -> None:
    with_weights: dict[str, Any] = {"attack": "gradient", "access": "weights"}
    cells = [
        cell("n", hits=2),
        cell("nw", hits=4, **with_weights),
        cell("d", "dp-sgd", hits=0),
        cell("dw", "dp-sgd", hits=3, **with_weights),
    ]
    plain, private = standings(records(cells))
    assert (plain.by.key, private.by.key) == ("nw", "dw")
    assert [one.cell.key for one in matches(records(cells))] == ["d", "dw"]
    # With rounding in the run, who has the weights is in a race of his own.
    mixed = [*cells, cell("r", "rounding(decimals=2)", hits=1)]
    assert [one.by.key for one in standings(records(mixed))] == ["n", "d", "r"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([cell("w", attack="gradient", access="weights")], "no undefended attack on answers"),
        ([cell("n")], "no defences"),
        ([cell("n", accuracy=None), cell("d", "noise", accuracy=None)], "what the model is worth"),
    ],
)
def test_runs_that_allow_no_recommendation_say_why(
    cells: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        recommend(records(cells), 0.02)


@pytest.mark.medium
def test_the_report_has_table_and_frontier(run: RunFolder) -> None:
    run.cells = usual()
    page = run.report()
    for text in (
        "Which defence holds",
        "Advantage, naive",
        "Dominated: none by label-only",
        "Only the naive are stopped by",
        "12 µs",
    ):
        assert text in page.text, text
    assert "evolution, then auto" in page.text
    charts = [one for one in page.classed("chart-wide") if "frontier" in str(one)]
    assert len(charts) == 2, "in advantages, and in bits"
    for one in run.cells:
        one["bits"] = None
    page = run.report()
    charts = [one for one in page.classed("chart-wide") if "frontier" in str(one)]
    assert len(charts) == 1


def test_a_run_without_defences_has_no_such_section(run: RunFolder) -> None:
    assert "Which defence holds" not in run.report().text


def test_the_schema_knows_attackers_and_costs(run: RunFolder) -> None:
    run.cells = usual()
    folder = run.write()
    document = collect(folder)
    assert document.cells[6].attacker == "naive"
    assert document.cells[6].cost is not None
    Draft202012Validator(load_schema()).validate(document.model_dump(mode="json", by_alias=True))


def test_recommend_prints_or_writes_json(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from darkroom.commands import main as cli

    run.cells = usual()
    folder = run.write()

    def call(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["darkroom", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
        return capsys.readouterr().out

    shown = call("recommend", str(folder))
    assert "Switch on label-only" in shown.replace("\n", " ")
    found = json.loads(call("recommend", str(folder), "--json", "--max-accuracy-loss", "0.2"))
    assert found["recommended"] == "stealthy-shield(radius=0.5)"


def test_a_run_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from darkroom.commands import main as cli

    monkeypatch.setattr("sys.argv", ["darkroom", "recommend", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.medium
def test_a_dead_model_is_no_defence(run: RunFolder) -> None:
    """Whoever answers nothing leaks nothing."""
    dead = cell("d", "dp-sgd", hits=0, accuracy=0.05)
    dead["utility"]["dead"] = "it names the same class for every photo"
    run.cells = [*usual(), dead]
    all_of = standings(records(run.cells))
    assert "dp-sgd" not in dominators(all_of)
    assert "dp-sgd" not in dominators(all_of).values()
    advice = recommend(records(run.cells), 1.0)
    assert "dp-sgd" in [one.defense for one in advice.beyond]
    said = "Dead, which is no defence: dp-sgd (it names the same class for every photo)."
    assert said in advice.caution
    page = run.report()
    assert said in page.text
    assert "5%, dead" in page.text
    assert "The least is left by stealthy-shield" in page.text


def test_nothing_is_recommended_for_a_dead_model() -> None:
    dead = [cell("n"), cell("r", "rounding(decimals=2)")]
    for one in dead:
        one["utility"]["dead"] = "it names the same class for every photo"
    with pytest.raises(PlanError, match="the undefended model is of no use"):
        recommend(records(dead), 0.1)
