"""A whole audit on a device that is not the processor; nothing here needs one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.support.elsewhere import DEVICE, Elsewhere, require_the_same
from torch import nn

import darkroom

SHAPE, PEOPLE = (1, 16, 16), 5


def photos_of(people: int, each: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    faces, who = rng.random((people, *SHAPE), np.float32), np.repeat(np.arange(people), each)
    noise = rng.random((len(who), *SHAPE), np.float32)
    return (0.8 * faces[who] + 0.2 * noise).astype(np.float32), who


def model() -> nn.Module:
    """Knows everybody by heart: the nearest average."""
    images, people = photos_of(PEOPLE, 4, 1)
    means = torch.from_numpy(np.stack([images[people == one].mean(0) for one in range(PEOPLE)]))
    rows, line = means.flatten(1), nn.Linear(256, PEOPLE)
    with torch.no_grad():
        line.weight.copy_(rows - rows.mean(dim=0))
        line.bias.copy_(-(line.weight * rows).sum(dim=1) / 2)
    return nn.Sequential(nn.Flatten(), line)


def audited(folder: Path, device: torch.device) -> Any:
    run = darkroom.audit(
        model(),
        photos_of(PEOPLE, 4, 1),
        public=photos_of(40, 3, 2),
        trained_on="0:2",
        attacks=[
            {"name": "gradient", "steps": 20, "settle": 5},
            {"name": "mi-face", "steps": 9},
            {"name": "evolution", "rows": 80},
        ],
        judges={"steps": 20},
        device=str(device),
        name=str(device),
        out=folder,
        progress=False,
    )
    return run.results["cells"]


@pytest.mark.slow
def test_an_audit_elsewhere_comes_to_the_same(tmp_path: Path) -> None:
    require_the_same(partial(audited, tmp_path))


def test_what_no_device_does_is_seen() -> None:
    with Elsewhere() as elsewhere:
        torch.ones(3).to(DEVICE) + torch.ones(3)
        assert elsewhere.refused == ["aten.add.Tensor"]
