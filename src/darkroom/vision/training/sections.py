"""``[recipe]`` of plans whose models learn from photos."""

from __future__ import annotations

from pydantic import Field

from darkroom.sections import Section


class RecipeSection(Section):
    """How every ``[[training]]`` trains the module that ``[target] load`` builds.

    Attributes:
        epochs: Passes over the photos.
        batch: Photos a step.
        learning_rate: Of the optimiser at its highest.
        weight_decay: Of the optimiser.
        augment: Whether photos are moved, turned and mirrored at random.
    """

    epochs: int = Field(default=24, ge=1)
    batch: int = Field(default=40, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    augment: bool = True
