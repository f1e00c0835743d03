"""Language models as people have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.reach.rows import Row
from benchmarks.text.architectures.agreement import agreement
from benchmarks.text.architectures.misleading import Case, cases, met
from benchmarks.text.architectures.nets import Net, nets
from darkroom.errors import DarkroomError, TargetError


def rows() -> Iterator[Row]:
    """Yields every architecture, and adapters and heads that would mislead."""
    for net in nets():
        yield Row("transformers", f"{net.kind}, {net.tokenizer}", _agrees(net))
    for case in cases():
        yield Row("peft", case.what, _ends(case), case.way)


def _agrees(net: Net) -> Callable[[Path], bool]:
    """Returns what compares all secrets of a format with brute force, whatever the rank."""

    def meet(folder: Path) -> bool:
        del folder
        found = agreement(net, r"[ab1]\d")
        if found.said:
            raise TargetError(found.said)
        return found.holds

    return meet


def _ends(case: Case) -> Callable[[Path], bool]:
    def meet(folder: Path) -> bool:
        del folder
        ending, said = met(case)
        if ending == "refused":
            raise DarkroomError(said)
        return ending == "right"

    return meet
