"""``python -m tools.release``: builds what is released, twice, and writes what it is made of."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "locks/wheel.txt"


class DifferentError(Exception):
    """Two builds of the same commit are not the same bytes."""


def build(out: Path) -> list[Path]:
    """Builds the wheel and the source distribution of the last commit.

    Nothing that is not committed gets in, and times in the archives are the commit's.

    Args:
        out: Where they go; made if need be.

    Raises:
        CalledProcessError: If Git or Hatchling fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        archive = Path(temporary) / "source.tar"
        _git("archive", "--output", str(archive), "HEAD")
        source = Path(temporary) / "source"
        source.mkdir()
        # Python's own way differs before 3.11.4, which some systems still have.
        subprocess.run(["tar", "-xf", str(archive), "-C", str(source)], check=True)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct")}
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "--directory", str(out.resolve())],
            cwd=source,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return sorted(out.iterdir())


def differing(first: Path, second: Path) -> list[str]:
    """Returns the names of files that are not in both folders with the same bytes."""
    names = {path.name for folder in (first, second) for path in folder.iterdir()}
    return sorted(name for name in names if _digest(first / name) != _digest(second / name))


def write_bill(wheel: Path) -> Path:
    """Writes a wheel's bill of materials (CycloneDX) beside it: all that its extras bring.

    Args:
        wheel: What :func:`build` made of this commit.

    Raises:
        CalledProcessError: If ``cyclonedx-py`` fails.
    """
    name, version, _ = wheel.name.split("-", 2)
    bill = wheel.parent / f"{name}-{version}.cdx.json"
    words = ("--output-reproducible", "--pyproject", "pyproject.toml", "--mc-type", "library")
    files = (LOCK.relative_to(ROOT).as_posix(), "--output-file", str(bill.resolve()))
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", *words, *files],
        cwd=ROOT,
        check=True,
    )
    document = json.loads(bill.read_text(encoding="utf-8"))
    # The library knows neither the wheel itself nor that it needs the rest.
    root = document["metadata"]["component"]
    root["hashes"] = [{"alg": "SHA-256", "content": _digest(wheel)}]
    needed = sorted(component["bom-ref"] for component in document["components"])
    others = [one for one in document.get("dependencies", []) if one["ref"] != root["bom-ref"]]
    document["dependencies"] = [{"ref": root["bom-ref"], "dependsOn": needed}, *others]
    bill.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return bill


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def main() -> int:
    """Builds twice, compares, writes the bill of materials, and prints a hash for each file.

    Raises:
        DifferentError: If the builds differ.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where files go; dist")
    out: Path = parser.parse_args().out
    with TemporaryDirectory() as temporary:
        first, second = Path(temporary) / "first", Path(temporary) / "second"
        made = build(first)
        build(second)
        if different := differing(first, second):
            raise DifferentError(f"built twice, and not the same: {', '.join(different)}")
        write_bill(next(path for path in made if path.suffix == ".whl"))
        out.mkdir(parents=True, exist_ok=True)
        for path in sorted(first.iterdir()):
            print(f"{_digest(path)}  {shutil.copy(path, out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
