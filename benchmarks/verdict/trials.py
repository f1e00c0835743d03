"""Runs of many audits, spread over all processors."""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from benchmarks.claims import Outcome, tell
from benchmarks.verdict.subjects import Case, Told, tried

KINDS = ("tables", "text", "images")


class Trial(NamedTuple):
    """One subject, named so that another process can make it.

    Attributes:
        kind: The kind of audit.
        group: The function that yields it: ``leaks``, ``sound``, ``misuses``, ``null_cases`` or
            ``planted``.
        arguments: Of the function.
        place: Its place among those that the function yields.
    """

    kind: str
    group: str
    arguments: tuple[int, ...]
    place: int


def cases_of(kind: str, group: str, *arguments: int) -> list[Case]:
    """Returns the subjects of a group."""
    return list(getattr(importlib.import_module(f"benchmarks.verdict.{kind}"), group)(*arguments))


def trials_of(kind: str, group: str, *arguments: int) -> list[Trial]:
    """Returns the trials of a group."""
    count = len(cases_of(kind, group, *arguments))
    return [Trial(kind, group, arguments, place) for place in range(count)]


def run_trial(trial: Trial) -> Told:
    """Audits the subject of a trial."""
    return tried(cases_of(trial.kind, trial.group, *trial.arguments)[trial.place])


def together(parts: Sequence[Callable[[int, bool], Outcome]], seed: int, quick: bool) -> Outcome:
    """Runs other parts of a benchmark, one a processor at a time, and puts them together."""
    with _pool() as pool:
        found = [task.result() for task in [pool.submit(part, seed, quick) for part in parts]]
    return Outcome(
        [claim for one in found for claim in one.claims],
        [table for one in found for table in one.tables],
    )


def _pool() -> ProcessPoolExecutor:
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the processes that are started
    return ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn"))


def run_trials(trials: Sequence[Trial]) -> Iterator[tuple[Trial, Told]]:
    """Audits all subjects, one a processor at a time, and says how each ended."""
    with _pool() as pool:
        told = pool.map(run_trial, trials)
        for number, (trial, one) in enumerate(zip(trials, told, strict=True), 1):
            mark = "" if one.right else "  <- " + one.said[:200]
            tell(f"{number}/{len(trials)} {one.kind}: {one.name}: {one.outcome}{mark}")
            yield trial, one
