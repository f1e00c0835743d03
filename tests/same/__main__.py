"""``python -m tests.same`` compares the small plans; with ``--write``, expects what they give."""

from __future__ import annotations

import os

from tests.support.processor import AVX2

os.environ.update(AVX2)

import argparse
import tempfile
from pathlib import Path

import torch
from tests.same.decided import differences
from tests.same.running import PLANS, expect, expected, run
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped,unused-ignore]


def main() -> None:
    """Runs the plans that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.same", description=__doc__)
    parser.add_argument("plans", nargs="*", metavar="plan", help=f"of {', '.join(PLANS)}")
    parser.add_argument("--write", action="store_true", help="expect what is found now")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.plans or PLANS:
            found = run(name, Path(folder))
            if chosen.write:
                expect(name, found)
            else:
                lines = list(differences(expected(name), found))
                print(f"{name}: {len(lines)} differences", *lines, sep="\n  ")  # noqa: T201


if __name__ == "__main__":
    main()
