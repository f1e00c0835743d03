"""Defences of models of doses: what each leaves to attribute inference, and what it costs in error.

On the warfarin patients where their file is, else on scikit-learn's diabetes table. Each matrix is
a plan, run as ``darkroom audit`` runs it, in ``runs/``: stopped at any moment, it goes on where it
was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.auditing import audited
from benchmarks.claims import Claim, Table, tell
from benchmarks.images.att_faces import data_folder
from benchmarks.tables.data_sets import load_warfarin
from darkroom.auditing.record import Cell, Difference, Training
from darkroom.report.defenses import matches, standings
from darkroom.tables.data import load_diabetes_table
from darkroom.tables.record import TableCell

WARFARIN = "iwpc-warfarin.csv"


class Patients(NamedTuple):
    """A table of patients, and in which steps its response is rounded.

    Attributes:
        name: What it is called.
        frame: A row a patient, in random order.
        response: The column that models predict.
        sensitive: The column to infer.
        given: What the attacker's prior is conditional on.
        steps: To multiples of what the response is rounded; deviations of noise are half of them.
        alphas: Of pruning.
    """

    name: str
    frame: Any
    response: str
    sensitive: str
    given: list[str]
    steps: list[float]
    alphas: list[float]


def patients(seed: int) -> Patients:
    """Reads the patients in an order that the seed decides."""
    path = data_folder() / WARFARIN
    if path.is_file():
        frame = load_warfarin(path)
        frame["dose"] = (frame.pop("root_dose") ** 2).round(3)
        steps, alphas = [5.0, 10.0, 20.0, 40.0], [0.3, 1.0]
        found = Patients("warfarin", frame, "dose", "vkorc1", ["race"], steps, alphas)
    else:
        frame = load_diabetes_table()
        steps, alphas = [10.0, 25.0, 50.0, 100.0], [10.0, 30.0]
        found = Patients("diabetes", frame, "progression", "sex", [], steps, alphas)
    order = np.random.default_rng(seed).permutation(len(found.frame))
    return found._replace(frame=found.frame.iloc[order])


def _pipeline(model: Any) -> Any:
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    words = make_column_selector(dtype_exclude="number")
    one_hot = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(make_column_transformer((one_hot, words), remainder="passthrough"), model)


def linear() -> Any:
    """Returns a linear regression that is not fitted."""
    from sklearn.linear_model import LinearRegression

    return _pipeline(LinearRegression())


def trees() -> Any:
    """Returns extremely randomised trees that are not fitted: they know each member by heart."""
    from sklearn.ensemble import ExtraTreesRegressor

    return _pipeline(ExtraTreesRegressor(30, random_state=0))


def table_claims(
    *, quick: bool, seed: int, out: Path = Path("runs")
) -> tuple[list[Claim], list[Table]]:
    """Runs output defences and training defences against attribute inference.

    Args:
        quick: Whether to leave out most defences.
        seed: Decides everything random.
        out: The folder of all runs.
    """
    found = patients(seed)
    steps = found.steps[1:3] if quick else found.steps
    outputs = [
        *({"name": "value-rounding", "step": step} for step in steps),
        *({"name": "value-noise", "deviation": step / 2} for step in steps),
    ]
    epsilons = (1.0, 100.0) if quick else (1.0, 3.0, 10.0, 30.0, 100.0)
    private = [{"name": "dp-linear", "epsilon": epsilon} for epsilon in epsilons]
    leaves = [{"name": "minimum-leaf", "rows": rows} for rows in ((20,) if quick else (5, 20, 80))]
    pruned = [{"name": "pruning", "alpha": alpha} for alpha in found.alphas[: 1 if quick else 2]]
    plans: dict[str, dict[str, Any]] = {
        "linear-outputs": {"model": "linear", "defense": outputs},
        "linear-trainings": {"model": "linear", "training": private},
        "trees-outputs": {"model": "trees", "defense": outputs},
        "trees-trainings": {"model": "trees", "training": [*leaves, *pruned]},
    }
    claims: list[Claim] = []
    tables: list[Table] = []
    for name, parts in plans.items():
        cells = _run(found, f"{name}{'-quick' if quick else ''}-{seed}", parts, seed, out)
        tables.append(_table(found, name, cells))
        if "defense" in parts:
            claims += _knowing_claims(name, cells)
        else:
            claims += _training_claims(name, cells)
    return claims, tables


def _run(
    found: Patients, name: str, parts: dict[str, Any], seed: int, out: Path
) -> tuple[Cell, ...]:
    """Audits the models of one plan; a run that was stopped goes on."""
    name = f"benchmark-doses-{found.name}-{name}"
    inputs = out / f"{name}-inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    found.frame.to_csv(inputs / "patients.csv", index=False)
    n = len(found.frame)
    prior: dict[str, Any] = {"name": "marginals"}
    if found.given:
        prior = {"name": "conditional", "given": found.given}
    table = {
        "run": {"name": name, "seed": seed, "out": out.as_posix(), "naive": True},
        "target": {
            "load": f"benchmarks.tables.defenses:{parts['model']}",
            "response": found.response,
        },
        "private": {
            "table": "patients.csv",
            "rows": f"0:{3 * n // 4}",
            "sensitive": found.sensitive,
            "trained_on": f"0:{n // 2}",
            "groups": [],
        },
        "public": {"table": "patients.csv", "rows": f"{3 * n // 4}:", "imputer": "logistic"},
        "attack": [{"name": "map", "prior": prior}],
        "training": parts.get("training", [{"name": "none"}]),
        "defense": parts.get("defense", []),
    }
    tell(f"auditing {name}")
    return audited(inputs / "plan.toml", table)


def _table(found: Patients, name: str, cells: tuple[Cell, ...]) -> Table:
    """Returns a row for each defence: both attackers, members and others, and the error."""
    plain = next(cell for cell in cells if cell.defense == "none")
    rows: list[list[object]] = [["none", None, *_row(plain)]]
    for match in matches(cells):
        naive = None if match.naive is None else _over_imputation(match.naive).estimate
        rows.append([match.defense, naive, *_row(match.cell)])
    columns = ("defence", "naive", "adaptive", "low", "high", "others", "bound", "error", "time")
    title = f"{found.name}, {name}: advantage over imputation for {found.sensitive}, members"
    return Table(f"{title}; error in units of {found.response}", columns, rows)


def _over_imputation(cell: Cell) -> Difference:
    assert isinstance(cell, TableCell)
    return cell.details.members.advantage


def _row(cell: Cell) -> list[object]:
    assert isinstance(cell, TableCell)
    assert cell.details.others is not None
    training = _training(cell)
    others = cell.details.others.advantage.estimate
    bound = None if training.bound is None else training.bound.chances[0].most
    advantage = _over_imputation(cell)
    return [
        *(advantage.estimate, advantage.low, advantage.high, others, bound),
        *(cell.utility.mean_absolute_error, training.time_factor),
    ]


def _training(cell: Cell) -> Training:
    training = cell.details.training
    assert training is not None, "the plan trains every model"
    return training


def _knowing_claims(name: str, cells: tuple[Cell, ...]) -> list[Claim]:
    """Compares the attacker who knows of a defence with the one who does not."""
    gains = [
        match.adaptive.success.estimate - match.naive.success.estimate
        for match in matches(cells)
        if match.adaptive is not None and match.naive is not None
    ]
    text = f"{name}: what knowing the defence gains in success, the least over all"
    return [Claim(text, -0.01, min(gains))]


def _training_claims(name: str, cells: tuple[Cell, ...]) -> list[Claim]:
    """Returns what training leaves and costs."""
    if name.startswith("linear"):
        above = [
            cell.success.estimate - bound.chances[0].most
            for cell in cells
            if (bound := _training(cell).bound) is not None
        ]
        text = f"{name}: most by which success on members is above its bound"
        return [Claim(text, 0.0, max(above), at_most=True)]
    plain, *others = standings(cells)
    large = [one for one in others if one.defense.startswith("minimum-leaf")]
    best = min(large, key=lambda one: one.leak.estimate)
    assert plain.worth is not None
    assert best.worth is not None
    return [
        Claim(
            f"{name}: share of the undefended advantage that {best.defense} leaves",
            0.2,
            best.leak.estimate / plain.leak.estimate,
            at_most=True,
        ),
        Claim(
            f"{name}: error with {best.defense} over the undefended one",
            1.05,
            best.worth / plain.worth,
            at_most=True,
        ),
    ]
