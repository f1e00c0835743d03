"""Which blocks of cells are attacked, as a job attacks them."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest


def noted(patch: pytest.MonkeyPatch, module: ModuleType) -> list[range]:
    """Returns a list that grows by the goals of each block that a kind's job attacks.

    Args:
        patch: Undoes it.
        module: The kind's ``job``.
    """
    seen: list[range] = []
    attack = vars(module)["block"]

    def noting(cell: Any, subject: Any, prior: Any, goals: range, advance: Any) -> Any:
        seen.append(goals)
        return attack(cell, subject, prior, goals, advance)

    patch.setattr(module, "block", noting)
    return seen


def interrupted_in_second(patch: pytest.MonkeyPatch, module: ModuleType, seen: list[range]) -> None:
    """Has the second block interrupted in its midst, as by Ctrl-C.

    Args:
        patch: Undoes it.
        module: The kind's ``job``.
        seen: What :func:`noted` returned.
    """
    noting = vars(module)["block"]

    def stopping(*arguments: Any) -> Iterator[Any]:
        steps = noting(*arguments)
        if len(seen) == 2:
            yield next(steps)
            raise KeyboardInterrupt
        yield from steps

    patch.setattr(module, "block", stopping)
