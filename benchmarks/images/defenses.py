"""Defences, each against attackers who know it: what they leave, what they cost, which hold.

Output defences of images are here and in ``averaging``, defences in training in ``training``, both
on AT&T's faces in ``defenses_att``. ``tables.defenses`` and ``text.defenses`` have those of doses
and of language models.
"""

from __future__ import annotations

import functools
import timeit
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.auditing import audited
from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.images.averaging import averaging_claims
from benchmarks.images.defenses_att import PEOPLE, att_cells
from benchmarks.images.employees import KEYED, SECRET, employees_target, make_inputs
from benchmarks.images.training import training_claims
from benchmarks.tables.defenses import table_claims
from benchmarks.text.defenses import text_claims
from darkroom.auditing.record import Cell
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline, describe
from darkroom.defenses.purifier import Purify
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.stealthy_shield import KeyedStealthyShield, StealthyShield
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.defenses.temperature import Temperature
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.demo.images import (
    EMPLOYEES,
    TRAINED_ON,
)
from darkroom.report.defenses import Standing, matches, standings

OUT = Path("runs")


DEFENSES: dict[str, dict[str, Any]] = {
    "rounding 1": {"name": "rounding", "decimals": 1},
    "rounding 2": {"name": "rounding", "decimals": 2},
    "rounding .05": {"name": "rounding", "step": 0.05},
    "noise .05": {"name": "noise", "deviation": 0.05},
    "noise .2": {"name": "noise", "deviation": 0.2},
    "sticky": {"name": "sticky-noise", "deviation": 0.2, **KEYED},
    "sticky exact": {"name": "sticky-noise", "deviation": 0.2, "exact": True, **KEYED},
    "top-k": {"name": "top-k", "k": 3},
    "label-only": {"name": "label-only"},
    "temperature": {"name": "temperature", "degree": 5.0},
    "reverse-sigmoid": {"name": "reverse-sigmoid"},
    "purify": {"name": "purify", "share": 0.9},
    "shield": {"name": "stealthy-shield", "radius": 0.8},
    "keyed shield": {"name": "keyed-stealthy-shield", "radius": 0.8, **KEYED},
    "top-1": {"chain": [{"name": "rounding", "decimals": 1}, {"name": "top-k", "k": 1}]},
}

QUICK = ("rounding 1", "rounding 2")

ATTACKS: dict[str, list[dict[str, Any]]] = {
    "scores": [
        {"name": "evolution", "rows": 1000},
        {"name": "evolution", "rows": 1000, "access": "top_k", "k": 5},
        {"name": "finite-difference", "rows": 1000},
    ],
    "labels": [
        {"name": "surrogate", "rows": 300},
        {"name": "boundary", "rows": 500},
    ],
}
"""By what they need; each kind is a run."""

QUICK_ATTACKS: dict[str, list[dict[str, Any]]] = {
    "scores": [{"name": "evolution", "rows": 1000}],
    "labels": [{"name": "surrogate", "rows": 150}],
}

CLASSES, BATCH = 1000, 256


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures everything; see the module.

    Parts run two at a time, with a thread each, and times of answers are taken when all else is
    over. Every part goes on where it was stopped.

    Args:
        quick: Whether to leave out most defences, attacks and people.
        seed: Decides everything random.
    """
    make_inputs(_inputs(seed), seed)
    parts = [_training_part, _att_part, _averaging_part, _values_part, _text_part]
    if quick:
        parts.remove(_att_part)
    with ProcessPoolExecutor(2, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        audits = [
            pool.submit(matrix, _inputs(seed), kind, quick=quick, seed=seed)
            for kind in ("labels", "scores")
        ]
        running = [pool.submit(part, quick=quick, seed=seed) for part in parts]
        cells = tuple(cell for one in audits for cell in one.result())
        found = [_of_answers(cells), *(one.result() for one in running)]
    found.append(cost_claims(_inputs(seed), seed))
    return Outcome(
        [claim for one in found for claim in one.claims],
        [table for one in found for table in one.tables],
    )


def _inputs(seed: int) -> Path:
    return OUT / f"benchmark-defenses-inputs-{seed}"


def _of_answers(cells: tuple[Cell, ...]) -> Outcome:
    title = f"Advantage by defence and attack, {cells[0].goals} employees"
    return Outcome(label_claims(cells), [matrix_table(title, cells), standing_table(cells)])


def _training_part(*, quick: bool, seed: int) -> Outcome:
    return Outcome(*training_claims(quick=quick, seed=seed))


def _att_part(*, quick: bool, seed: int) -> Outcome:
    del quick
    key = (_inputs(seed) / SECRET).read_text()
    cells = att_cells(seed=seed, out=OUT, secret=key)
    return Outcome([], [matrix_table(f"AT&T, {PEOPLE} people", cells)] if cells else [])


def _averaging_part(*, quick: bool, seed: int) -> Outcome:
    return averaging_claims(_inputs(seed), quick=quick, seed=seed)


def _values_part(*, quick: bool, seed: int) -> Outcome:
    return Outcome(*table_claims(quick=quick, seed=seed))


def _text_part(*, quick: bool, seed: int) -> Outcome:
    return Outcome(*text_claims(quick=quick, seed=seed))


def matrix(inputs: Path, kind: str, *, quick: bool, seed: int) -> tuple[Cell, ...]:
    """Audits all defences against attacks of one kind; a run that was stopped goes on."""
    name = f"benchmark-defenses-{kind}-{'quick-' if quick else ''}{seed}"
    chosen = [DEFENSES[word] for word in (QUICK if quick else DEFENSES)]
    attacks = (QUICK_ATTACKS if quick else ATTACKS)[kind]
    table = {
        "run": {"name": name, "seed": seed, "out": OUT.as_posix(), "naive": True},
        "target": {
            "kind": "torch",
            "load": "darkroom.demo.face_net:demo_face_net",
            "weights": "face_net.safetensors",
            "shape": [3, 64, 64],
            "outputs": "logits",
        },
        "private": {
            "images": "employees.npz",
            "people": f"0:{12 if quick else EMPLOYEES}",
            "trained_on": f"0:{TRAINED_ON}",
        },
        "public": {"images": "strangers.npz"},
        "attack": attacks,
        "defense": chosen,
    }
    tell(f"auditing {len(chosen)} defences against {len(attacks)} attacks with {kind}")
    return audited(inputs / f"{name}.toml", table)


def matrix_table(title: str, cells: tuple[Cell, ...]) -> Table:
    """Returns a row for each attack against each defence, naive and adaptive.

    Args:
        title: The table's.
        cells: Of all defences; who has the weights is told of defences in training alone.
    """
    rows: list[list[object]] = [
        [one.defense, one.attack, one.access, None, one.advantage.estimate, *_worth(one)]
        for one in cells
        if one.defense == "none" or one.access == "weights"
    ]
    for match in matches(cells):
        naive, adaptive = match.naive, match.adaptive
        rows.append(
            [
                match.defense,
                match.attack,
                match.access,
                None if naive is None else naive.advantage.estimate,
                None if adaptive is None else adaptive.advantage.estimate,
                *_worth(match.cell),
            ]
        )
    columns = ("defence", "attack", "access", "naive", "adaptive")
    worth = ("accuracy", "calibration", "labels changed", "us/row", "of forward")
    return Table(title, (*columns, *worth), rows)


def _worth(cell: Cell) -> list[object]:
    cost = cell.cost
    return [
        cell.utility.accuracy,
        cell.utility.calibration_error,
        cell.utility.label_changes,
        None if cost is None else cost.microseconds,
        None if cost is None else cost.of_forward,
    ]


def standing_table(cells: tuple[Cell, ...]) -> Table:
    """Returns a row for each defence: the most that any attacker has left."""
    rows = [
        [
            one.defense,
            one.naive.estimate if one.naive else None,
            one.adaptive.estimate if one.adaptive else None,
            one.leak.estimate,
            one.leak.low,
            one.leak.high,
            f"{one.by.attack} {one.by.access}",
            one.utility.accuracy,
        ]
        for one in standings(cells)
    ]
    columns = ("defence", "naive", "adaptive", "leak", "low", "high", "strongest", "accuracy")
    return Table("What each defence leaves to the strongest attack", columns, rows)


def label_claims(cells: tuple[Cell, ...]) -> list[Claim]:
    """Compares what rounding leaves to the adaptive attacker with the undefended advantage."""
    found = {one.defense: one for one in standings(cells)}
    plain = found["none"]
    return [
        Claim(
            f"rounding to {decimals} decimals: adaptive advantage over the undefended one",
            0.7,
            _share(found[Pipeline((Rounding(decimals),)).name], plain),
        )
        for decimals in (1, 2)
    ]


def _share(one: Standing, plain: Standing) -> float | None:
    if one.adaptive is None or plain.leak.estimate <= 0:
        return None
    return one.adaptive.estimate / plain.leak.estimate


def cost_claims(inputs: Path, seed: int) -> Outcome:
    """Times every output defence at 1,000 classes in batches of 256, on one core.

    Each is timed in turns with drawing as many normal numbers, the least that noise costs. Answers
    are those of a softmax over normal logits of which one is raised by 0 to 16, so that
    some are sure and some are not; class means are learned from 10,000 of them.
    """
    tell("timing output defences")
    rng = np.random.default_rng(seed)
    scores, _ = _answers(rng, BATCH)
    means, labels = _answers(rng, 10 * CLASSES)
    images = rng.random((BATCH, 3, 64, 64), dtype=np.float32)
    forward = _forward(inputs, images)
    key = (inputs / SECRET).read_bytes()
    weak = StickyNoise(exact=True, key=key)
    timed: list[OutputDefense] = [
        *(Rounding(), Rounding(step=0.05), Noise(), Noise(kind="laplace"), TopK(3), TopK(50)),
        *(LabelOnly(), Temperature(), ReverseSigmoid(), Purify(), StealthyShield()),
        *(StickyNoise(key=key), KeyedStealthyShield(key=key), weak),
    ]
    floor = timeit.Timer(functools.partial(rng.standard_normal, scores.shape))
    rows, slowest = [], 0.0
    for defense in timed:
        pipeline = Pipeline((defense,)).fitted(means, labels)
        call = timeit.Timer(functools.partial(pipeline, scores, rng, images))
        pairs = [(call.timeit(3), floor.timeit(3)) for _ in range(15)]
        over = median(one / least for one, least in pairs)
        each = median(one for one, _ in pairs) / 3 / BATCH * 1e6
        rows.append([describe(defense), each, over, each / forward])
        if defense is not weak:
            slowest = max(slowest, over)
    text = "cost of an output defence at 1,000 classes over drawing as many normals, the costliest"
    columns = ("defence", "us/row", "of normals", "of the model's forward pass")
    title = f"Cost at {CLASSES:,} classes in batches of {BATCH}; the model takes {forward:.0f} us"
    return Outcome([Claim(text, 3.0, slowest, at_most=True)], [Table(title, columns, rows)])


def _answers(
    rng: np.random.Generator, n: int
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.int64]]]:
    logits = 2 * rng.standard_normal((n, CLASSES))
    labels = rng.integers(0, CLASSES, n)
    logits[np.arange(n), labels] += rng.uniform(0, 16, n)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True), labels


def _forward(inputs: Path, images: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Returns the microseconds a row of the employees' model."""
    target = employees_target(inputs)
    target.scores(images)
    return min(timeit.repeat(lambda: target.scores(images), number=1, repeat=5)) / BATCH * 1e6
