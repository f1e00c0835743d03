"""Wrong inputs to all commands, drawn by hypothesis: each ends in one line, and changes nothing."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.claims import tell
from benchmarks.reach.wrong.furniture import PLANS, POLICY, READERS, furnish
from darkroom.commands.main import main

LONGEST = 60
"""Seconds after which a command hangs."""

VALUES = (
    *("inf", "-inf", "nan", "-1", "0", "4294967296", "9" * 60, "1e308", "true", "[]", "{}", '""'),
    *("[[[]]]", "1979-05-27", '"\\u0000"', '"a\\u0000b"', '"[/bold]"', '"[red]x"', '"../../x"'),
    *('"mine"', '"' + "a" * 300 + '"', '"\\u202e\\u001b[31m"', '["a", 1]', "[-1, -1, -1]"),
    *("[1, 100000, 100000]", '{name = "x"}', "[" * 20_000 + "]" * 20_000, "'''\n\n'''"),
)
FILES = tuple(READERS)
REPORTS = ("spoilt/report.html", "spoilt/results.json")
OF_A_RUN = ("run.json", "plan.toml", "cells/a1/cell.json", "cells/a1/reconstructions.npz")


class Torn(NamedTuple):
    """What is left of a file.

    Attributes:
        share: How much of it.
        changed: Where bytes were changed, as shares of what is left.
    """

    share: float
    changed: tuple[float, ...]

    def of(self, whole: bytes) -> bytes:
        """Returns what is left of some bytes."""
        left = bytearray(whole[: round(self.share * len(whole))])
        for place in self.changed if left else ():
            left[int(place * (len(left) - 1))] ^= 0x5A
        return bytes(left)


class Case(NamedTuple):
    """A command with files that are not as they should be.

    Attributes:
        command: Its words.
        name: The file that is written before, or nothing.
        content: What it holds, or what is left of what it held; ``None`` for a pipe in its place.
    """

    command: tuple[str, ...]
    name: str = ""
    content: bytes | Torn | None = b""


class Fault(NamedTuple):
    """What should not have happened."""

    case: Case
    what: str
    said: str


def _mended(text: str, line: int, value: str) -> bytes:
    """Returns a plan with another value, or a key that there is not, in one of its lines."""
    lines = text.strip().splitlines()
    at = line % len(lines)
    key, equals, _ = lines[at].partition(" = ")
    lines[at] = f"{key} = {value}" if equals else f"{lines[at]}\nextra = {value}"
    return "\n".join(lines).encode()


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _odd(word: str) -> bool:
    """Tells whether a word is no number that would make a command work long."""
    return not word.strip().isdecimal()


_WORDS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["", ".", "..", "mine", "people.npz", "-1", "inf", "4294967296", "[/b]", "/"]),
)
_BYTES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([10, 20_000]).map(_nested),
    st.sampled_from([b"", b"\xff\xfe", b"PK\x03\x04", b"{}", b"null", b'{"schema": 1}', b"a,b\n1"]),
)
_SHARES = st.floats(0, 1)
_TORN = st.builds(Torn, st.one_of(st.just(1.0), _SHARES), st.tuples(_SHARES, _SHARES))
_TEXTS = st.builds(
    _mended,
    st.shared(st.sampled_from(sorted(PLANS)), key="plan").map(PLANS.__getitem__),
    st.integers(0, 30),
    st.one_of(st.sampled_from(VALUES), _WORDS),
)
_PLAN = st.shared(st.sampled_from(sorted(PLANS)), key="plan")
_AUDIT = st.sampled_from(["audit", "check"])
_OPTION = st.sampled_from(
    ["--people", "--photos", "--size", "--seed", "--each", "--controls", "--repetitions"]
)
_ARGUED = st.sampled_from(
    [
        ("employees",),
        ("canaries", "make", "pin"),
        ("canaries", "make"),
        ("guard", "key"),
        ("guard", "check"),
        ("guard", "report", "--policy"),
        ("guard", "--policy"),
        ("guard", "--policy", "images.toml", "--port"),
        ("audit",),
        ("check",),
        ("report",),
        ("budget",),
        ("recommend",),
        ("demo", "--seed"),
        ("no-such-command",),
    ]
)
CASES = st.one_of(
    st.builds(lambda c, p, t: Case((c, p), p, t), _AUDIT, _PLAN, _TEXTS),
    st.builds(lambda c, p, b: Case((c, p), p, b), _AUDIT, _PLAN, _BYTES),
    st.builds(lambda c, p, f, b: Case((c, p), f, b), _AUDIT, _PLAN, st.sampled_from(FILES), _BYTES),
    st.builds(lambda c, f, t: Case((c, READERS[f]), f, t), _AUDIT, st.sampled_from(FILES), _TORN),
    st.builds(lambda c, p, f: Case((c, p), f, None), _AUDIT, _PLAN, st.sampled_from(FILES)),
    st.builds(
        lambda c, f, b: Case((c, "spoilt"), f"spoilt/{f}", b),
        st.sampled_from(["report", "budget", "recommend"]),
        st.sampled_from(OF_A_RUN),
        _BYTES,
    ),
    st.builds(
        lambda line, value: Case(
            ("guard", "check", "guard.toml"), "guard.toml", _mended(POLICY, line, value)
        ),
        st.integers(0, 30),
        st.one_of(st.sampled_from(VALUES), _WORDS),
    ),
    st.builds(lambda c, word: Case((*c, word)), _ARGUED, _WORDS.filter(lambda word: word != "0")),
    st.builds(lambda o, word: Case(("employees", "new", o, word)), _OPTION, _WORDS.filter(_odd)),
    st.builds(lambda f: Case(("canaries", "make", f, "new.jsonl", "--seed", "1")), _WORDS),
)


def faults(examples: int, seconds: int = LONGEST) -> tuple[list[Fault], Counter[int]]:
    """Gives commands wrong inputs.

    Args:
        examples: How many.
        seconds: After how many a command hangs; 0 to wait.

    Returns:
        What should not have happened, and how often commands ended with each status.
    """
    found: list[Fault] = []
    ended: Counter[int] = Counter()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES)
    def meet(case: Case) -> None:
        status, said, changed = _met(home, kept, case, seconds)
        ended[status] += 1
        if ended.total() % 200 == 0:
            tell(f"{ended.total()}/{examples} wrong inputs, {len(found)} faults")
        for what in _wrong(status, said, changed):
            found.append(Fault(case, what, said))  # noqa: PERF401

    former = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="darkroom-wrong-") as folder:
        home = Path(folder)
        furnish(home)
        os.chdir(home)
        try:
            # What is imported once need not be in time.
            for name in (*PLANS, "guard.toml") if seconds else ():
                _ends(Case(("guard",) * (name == "guard.toml") + ("check", name)), 0)
            kept = _look(home)
            meet()
        finally:
            os.chdir(former)
    return found, ended


def _wrong(status: int, said: str, changed: list[str]) -> Iterator[str]:
    if status not in (0, 2, 3):
        yield f"status {status}"
    if "Traceback" in said:
        yield "a traceback"
    if changed:
        yield f"changed {', '.join(changed)}"


Look = dict[str, tuple[int, bytes]]


def _look(home: Path) -> Look:
    """Returns what lies in a folder: modes and contents."""
    return {
        str(path.relative_to(home)): _look_at(path)
        for path in home.rglob("*")
        if "__pycache__" not in path.parts
    }


def _look_at(path: Path) -> tuple[int, bytes]:
    if not path.exists():
        return 0, b""
    mode = path.stat().st_mode
    return mode, path.read_bytes() if stat.S_ISREG(mode) else b""


def _met(home: Path, kept: Look, case: Case, seconds: int) -> tuple[int, str, list[str]]:
    """Gives a command its wrong input, and puts everything back.

    Returns:
        Its status, what it said, and which of the user's files it changed.
    """
    if case.name:
        file, content = home / case.name, case.content
        if isinstance(content, Torn):
            content = content.of(file.read_bytes())
        file.unlink(missing_ok=True)
        if content is None:
            os.mkfifo(file, 0o600)
        else:
            file.write_bytes(content)
            file.chmod(0o600)
    before = _look(home)
    status, said = _ends(case, seconds)
    after = _look(home)
    # A report is written beside the run that it is of.
    changed = [name for name in before if after.get(name) != before[name] and name not in REPORTS]
    _put_back(home, kept, after)
    return status, said, changed


def _put_back(home: Path, kept: Look, after: Look) -> None:
    for name in sorted(after.keys() - kept.keys(), reverse=True):
        path = home / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for name, (mode, content) in sorted(kept.items()):
        if _look_at(home / name) == (mode, content):
            continue
        (home / name).unlink(missing_ok=True)
        (home / name).write_bytes(content)
        (home / name).chmod(stat.S_IMODE(mode))


def _ends(case: Case, seconds: int) -> tuple[int, str]:
    """Runs a command in this process; returns its status and what it said."""
    former, said = sys.argv, io.StringIO()
    sys.argv = ["darkroom", *case.command]
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(seconds)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 2
    except BaseException as error:
        return -1, f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        sys.argv = former
    return status, said.getvalue()


class Hung(BaseException):
    """A command did not end."""


def _late(number: int, frame: FrameType | None) -> None:
    raise Hung(f"in {frame.f_code.co_filename}:{frame.f_lineno}" if frame else str(number))
