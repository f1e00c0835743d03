"""Learning rates of trainings of every length."""

from __future__ import annotations

import pytest
import torch

from darkroom.training.schedules import one_cycle


@pytest.mark.parametrize("rising", [0.1, 0.2])
@pytest.mark.parametrize("steps", [1, 2, 5, 9, 10, 11, 100])
def test_a_rate_rises_and_falls_however_few_the_steps(steps: int, rising: float) -> None:
    """Five steps of which one rises, and ten of which one does, were a division by zero."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = one_cycle(optimizer, 1.0, steps, rising=rising)
    rates = []
    for _ in range(steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        if len(rates) < steps:
            schedule.step()
    assert all(0 < rate <= 1 for rate in rates)
    assert steps < 5 or max(rates) > 0.8
    assert rates[-1] <= max(rates)
