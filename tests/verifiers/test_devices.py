"""A whole audit of an encoder on a device that is not the processor; nothing here needs one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.elsewhere import require_the_same
from tests.verifiers.conftest import SPEC, Projection, photos_of

import darkroom
from darkroom.verifiers.targets.encoders import TorchEncoder


def audited(folder: Path, device: torch.device) -> Any:
    private, public, apart = photos_of(6, 6, 1), photos_of(60, 3, 2), photos_of(40, 2, 3)
    run = darkroom.audit_verifier(
        TorchEncoder(Projection(), SPEC, device=str(device)),
        (private.images, private.people),
        public=(public.images, public.people),
        strangers=(apart.images, apart.people),
        false_accepts=0.01,
        attacks=[
            {"name": "gradient", "steps": 12, "prior": {"name": "generator", "steps": 5}},
            {"name": "template", "steps": 10},
        ],
        judges={"steps": 8},
        name=str(device),
        out=folder,
        progress=False,
    )
    return run.results["cells"]


@pytest.mark.slow
def test_an_audit_elsewhere_comes_to_the_same(tmp_path: Path) -> None:
    require_the_same(partial(audited, tmp_path))
