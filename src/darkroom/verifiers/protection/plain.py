"""Templates as they are, which is what most stores keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from darkroom.verifiers.protection.base import Floats, Protection


@dataclass(frozen=True)
class Plain(Protection):
    """No protection."""

    name: ClassVar[str] = "plain"
    cost: ClassVar[str] = "nothing"
    keeps: ClassVar[bool] = True

    def protected(self, templates: Floats, key: int) -> Floats:  # noqa: ARG002
        """Returns templates as they are."""
        return templates
