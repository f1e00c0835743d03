"""Puts people, worst-off first, side by side: start, snapshots, reconstruction, real photo.

Example:
    python examples/contact_sheet.py runs/demo docs/images/reconstructions.png --people 8
    python examples/contact_sheet.py runs/attacks docs/images/attacks --people 4 --each
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from darkroom.auditing.record import Cell
from darkroom.images.record import ImageCell
from darkroom.report.results import collect, read_run

GAP = 4
SCALE = 2


def main() -> None:
    """Reads a run and writes a picture of one of its cells, or of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder, such as runs/demo")
    parser.add_argument("picture", type=Path, help="the PNG to write; with --each a folder")
    parser.add_argument("--people", type=int, default=8, help="how many rows")
    parser.add_argument("--cell", type=int, default=0, help="which cell of results.json")
    parser.add_argument("--each", action="store_true", help="every cell, named after its attack")
    chosen = parser.parse_args()
    cells = collect(chosen.run).cells
    if not chosen.each:
        _write(chosen.run, cells[chosen.cell], chosen.people, chosen.picture)
        return
    chosen.picture.mkdir(parents=True, exist_ok=True)
    for cell in cells:
        _write(chosen.run, cell, chosen.people, chosen.picture / f"{cell.attack}.png")


def _write(run: Path, cell: Cell, count: int, picture: Path) -> None:
    """Writes the picture of one cell."""
    assert isinstance(cell, ImageCell), "a run of images"
    people = cell.details.people
    order = sorted(range(len(people)), key=lambda row: people[row].p_value)[:count]
    low, high = read_run(run).target.range or (0.0, 1.0)
    with np.load(run / "cells" / cell.key / "reconstructions.npz") as arrays:
        images = ((arrays["images"] - low) / (high - low) * 255).round().astype(np.uint8)
        rows = [[*arrays["snapshots"][:, row], images[row], arrays["photos"][row]] for row in order]
    # Blurred faces need few colours, and a page with many pictures should load fast.
    _sheet(rows).quantize(192).save(picture, optimize=True)


def _sheet(rows: list[list[NDArray[np.uint8]]]) -> Image.Image:
    """Lays rows of pictures ``(channels, height, width)`` out on white."""
    channels, height, width = rows[0][0].shape
    size = (len(rows[0]) * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    for down, row in enumerate(rows):
        for right, pixels in enumerate(row):
            bands = np.broadcast_to(pixels, (3, height, width)) if channels == 1 else pixels
            picture = Image.fromarray(np.ascontiguousarray(bands.transpose(1, 2, 0)))
            sheet.paste(picture, (right * (width + GAP), down * (height + GAP)))
    return sheet.resize((size[0] * SCALE, size[1] * SCALE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
