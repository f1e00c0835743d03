"""The recogniser of ``face_recognition`` as pip installs it, from a folder and ten lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.needs import needed

from darkroom.demo.people.employees import render_faces, save_folder
from darkroom.runs import audit_plan
from darkroom.verifiers.record import VerifierCell
from darkroom.vision.spec import ImageSpec

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.medium
def test_a_photo_without_a_face_has_no_template() -> None:
    needed("dlib")
    from darkroom.verifiers.targets.dlib import SIZE, DlibEncoder

    spec = ImageSpec((3, 64, 64))
    noise = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    encoder = DlibEncoder(spec)
    assert np.isnan(encoder.templates(noise)).all()
    assert encoder.templates(noise[:0]).shape == (0, SIZE)
    cropped = DlibEncoder(spec, detect=False)
    assert np.isfinite(cropped.templates(noise)).all()
    assert encoder.fingerprint() != cropped.fingerprint()


@pytest.mark.slow
def test_the_readmes_ten_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered people are no faces to its detector: photos count as cropped, and few rows do."""
    needed("dlib")
    block = README.read_text(encoding="utf-8").split('title="gate.toml"\n')[1].split("```")[0]
    assert len(block.strip().splitlines()) <= 10
    save_folder(render_faces(4, 4, role="employees"), tmp_path / "photos/staff")
    save_folder(render_faces(12, 2, role="strangers"), tmp_path / "photos/strangers")
    short = block.replace('name = "evolution"', 'name = "evolution"\nrows = 12')
    short = short.replace('"face_recognition"', '"face_recognition"\ndetect = false')
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gate.toml").write_text(
        short + '\n[judges]\nsteps = 20\n[check]\nignore = ["recognition"]\n'
    )
    (cell,) = audit_plan(tmp_path / "gate.toml", progress=False).cells
    assert isinstance(cell, VerifierCell)
    assert (cell.details.operating.unit, cell.details.operating.threshold) == ("distance", 0.6)
