"""Running the tests of one module against a changed copy of it, in a process of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PRELOADED = [
    "aiohttp",
    "hypothesis",
    "opacus.accountants.utils",
    "orjson",
    "pydantic",
    "pytest",
    "scipy.optimize",
    "scipy.special",
    "scipy.stats",
    "statsmodels.stats.proportion",
]
"""What tests import and no mutant changes: imported once, and there in every process."""

PASSED, FAILED, BROKEN = 0, 1, 2
"""How pytest exits: all passed, one failed, or nothing could be collected."""


class Subject(NamedTuple):
    """A module, and the tests that are there to notice a change in it.

    Attributes:
        module: Its full name.
        tests: Files of tests, relative to the repository. Its own examples are run too.
    """

    module: str
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Its file, relative to the folder of the package."""
        return Path(*self.module.split(".")).with_suffix(".py")


class Bench:
    """A copy of the package in which one module at a time is changed.

    Attributes:
        sources: The folder that holds the package.
    """

    def __init__(self, folder: Path) -> None:
        """Copies the package.

        Args:
            folder: For the copy; must not be there yet.
        """
        self.sources = folder
        shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)

    def source_of(self, subject: Subject) -> str:
        """Returns the source of a module as it stands in the repository."""
        return (ROOT / "src" / subject.path).read_text(encoding="utf-8")

    def seconds(self, subject: Subject) -> float:
        """Returns how long a module's tests take when nothing is changed.

        Raises:
            RuntimeError: If they do not pass.
        """
        self._run(subject, 600)  # the first run compiles what it imports
        begun = time.monotonic()
        if self._run(subject, 600) != PASSED:
            raise RuntimeError(f"{', '.join(subject.tests)}: fails before anything is changed")
        return time.monotonic() - begun

    def survives(self, subject: Subject, source: str, seconds: float) -> bool:
        """Tells whether a module's tests pass though its source is another.

        Args:
            subject: The module.
            source: What takes its place.
            seconds: After which tests that still run count as failed.

        Raises:
            RuntimeError: If the tests end as they should not.
        """
        path = self.sources / subject.path
        path.write_text(source, encoding="utf-8")
        try:
            ended = self._run(subject, seconds)
        finally:
            path.write_text(self.source_of(subject), encoding="utf-8")
        if ended not in (PASSED, FAILED, BROKEN, None):
            raise RuntimeError(f"{subject.module}: the tests ended with {ended}")
        return ended == PASSED

    def _run(self, subject: Subject, seconds: float) -> int | None:
        """Runs the tests; returns how pytest exits, or ``None`` if it took too long."""
        # A file that was compiled would be taken for what is there now.
        for compiled in (self.sources / subject.path.parent / "__pycache__").glob(
            f"{subject.path.stem}.*"
        ):
            compiled.unlink()
        child = self._context.Process(target=_test, args=(self.sources, subject), daemon=False)
        child.start()
        child.join(seconds)
        if child.is_alive():
            child.kill()
            child.join()
            return None
        return child.exitcode


def _test(sources: Path, subject: Subject) -> None:
    """Runs the tests of a module with the package in ``sources``, and exits as pytest does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is interrupted says nothing of a mutant
    _silence()
    sys.dont_write_bytecode = True
    for name in [one for one in sys.modules if one.partition(".")[0] == "darkroom"]:
        del sys.modules[name]
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # of plugins none is needed
    sys.path[:0] = [str(sources), str(ROOT)]
    _settle()
    import pytest

    # The conftest.py of all tests imports what no test here needs.
    area = Path(subject.tests[0]).parts[1]
    own = (
        ["--confcutdir", f"tests/{area}"] if (ROOT / "tests" / area).is_dir() else ["--noconftest"]
    )
    paths = [f"{sources / subject.path}", *subject.tests]
    sys.exit(pytest.main(["-c", "benchmarks/mutation/pytest.ini", "--rootdir", ".", *own, *paths]))


def _settle() -> None:
    """Has Hypothesis try the same examples each time, and shrink none of them."""
    from hypothesis import Phase, settings

    importlib.import_module("tests.support.examples")
    settings.register_profile(
        "mutants",
        settings.get_profile("here"),
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
    )
    settings.load_profile("mutants")


def _silence() -> None:
    """Leaves nothing of what tests print."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
