"""Ten thousand people, and a million rows of a table: linear time, bounded memory, same answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.claims import Claim, Table, tell
from benchmarks.images.speed import peak_memory
from benchmarks.tables.speed import cost_claims, ten_values
from darkroom.access import Access
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.tables.attacks.base import Records
from darkroom.tables.attacks.errors import Errors
from darkroom.tables.attacks.map import MapAttack
from darkroom.tables.candidates import Candidates
from darkroom.tables.priors.counts import UniformPrior
from darkroom.tables.targets.view import TableView
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 28, 23))
"""A quarter of AT&T's pixels a side: a model of 10,000 classes has as many weights a pixel."""

STEPS = 2


def goal_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Attacks parts and all of the classes of softmax regression, and a table in blocks.

    Args:
        folder: Not used.
        quick: A tenth of both.
        seed: For weights, rows and attacks.
    """
    del folder
    classes = 1_000 if quick else 10_000
    sizes = (classes // 4, classes)
    measured = [_measured(classes, size, seed) for size in sizes]
    rows: list[list[object]] = [
        [size, seconds, 1e3 * seconds / size, gigabytes]
        for size, (seconds, gigabytes) in zip(sizes, measured, strict=True)
    ]
    each = [seconds / size for size, (seconds, _) in zip(sizes, measured, strict=True)]
    tell("people in blocks, and alone")
    everybody = _attacked(300, np.arange(300), seed)
    apart = [_attacked(300, part, seed) for part in np.array_split(np.arange(300), [1, 40, 250])]
    claims = [
        Claim(
            f"goals: seconds a person, {sizes[1]:,} people over {sizes[0]:,}",
            1.25,
            each[1] / each[0],
            at_most=True,
        ),
        Claim(f"goals: GB at peak, {sizes[1]:,} people", 2.0, measured[1][1], at_most=True),
        Claim(
            "goals: largest difference of pixels, people in four blocks and together",
            1e-4,
            float(np.abs(np.concatenate(apart) - everybody).max()),
            at_most=True,
        ),
        Claim(
            "rows: largest difference of chances, blocks of 1 and of 64 MB",
            1e-9,
            _rows_differ(seed),
            at_most=True,
        ),
    ]
    columns = ("people", "seconds", "milliseconds a person", "GB at peak")
    title = f"gradient on softmax regression of {classes:,} people, {STEPS} steps"
    costs, tables = cost_claims(quick=quick, seed=seed)
    return [*claims, *costs], [Table(title, columns, rows), *tables]


def _measured(classes: int, people: int, seed: int) -> tuple[float, float]:
    """Attacks in a process of its own; returns its seconds, and gigabytes at its peak."""
    tell(f"{people:,} people of {classes:,}")
    command = f"from benchmarks.scale.goals import report; report({classes}, {people}, {seed})"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=root, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    return found["seconds"], found["bytes"] / 1e9


def report(classes: int, people: int, seed: int) -> None:
    """Attacks, and prints seconds and this process's peak memory as JSON."""
    began = time.perf_counter()
    _attacked(classes, np.arange(people), seed)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "bytes": peak_memory()}))


def _attacked(classes: int, goals: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    """Attacks some classes of a softmax regression with random weights.

    Returns:
        The reconstructions, ``(goals, 1, 28, 23)``.
    """
    layer = nn.Linear(int(np.prod(SPEC.shape)), classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.weight.copy_(0.1 * torch.randn(layer.weight.shape, generator=generator))
        layer.bias.zero_()
    target = TorchTarget(nn.Sequential(nn.Flatten(), layer), SPEC.shape)
    attack = GradientAttack(steps=STEPS, settle=STEPS, confidence=1.0)
    view = View(target, Access.WEIGHTS, QueryLedger(len(goals)))
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    *_, last = attack.run(view, prior, goals, rng=np.random.default_rng(seed))
    return last.reconstructions


def _rows_differ(seed: int) -> float:
    """Returns how far a table's posteriors hang on the size of blocks."""
    target, size = ten_values(seed), 5_000
    rng = np.random.default_rng(seed)
    known = np.column_stack([rng.normal(size=(size, 5)), np.full(size, np.nan)])
    records = Records(known, rng.normal(4.5, 3, size=size))
    prior = UniformPrior(Candidates.of(target.schema))
    found = []
    for memory in (1 << 20, 1 << 26):
        view = TableView(target, MapAttack.access, QueryLedger(size))
        steps = MapAttack(memory=memory).run(
            view, prior, records, Errors(1.0, None), rng=np.random.default_rng(seed)
        )
        *_, last = steps
        found.append(last.posterior)
    return float(np.abs(found[0] - found[1]).max())
