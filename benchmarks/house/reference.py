"""Processor time over that of a fixed piece of work, so that machines can be compared.

``python -m benchmarks.house.reference SECONDS`` says what so many seconds are at its pace.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ROUNDS = 12_700
"""Takes about a second of the processor on which bars were set."""


def work() -> str:
    """Does what Python does while it imports: makes dictionaries, reads text, hashes bytes."""
    text, found = json.dumps({str(key): [key, str(key)] for key in range(200)}), b""
    for _ in range(ROUNDS):
        read = json.loads(text)
        made = {name: len(values) for name, values in read.items()}
        found = hashlib.sha256(found + repr(sorted(made)).encode()).digest()
    return found.hex()


def processor_seconds(command: Sequence[str], times: int = 1) -> float:
    """Returns the processor time that a command takes, with all that it starts; the least of some.

    Args:
        command: Words.
        times: How often it is run.

    Raises:
        CalledProcessError: If it fails; the end of what it wrote is written to standard error.
    """
    return min(_once(command) for _ in range(times))


def _once(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE)
    if done.returncode:
        sys.stderr.write(done.stdout[-4_000:].decode(errors="replace"))
    done.check_returncode()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def reference_seconds(times: int = 5) -> float:
    """Returns the processor time of :func:`work` in a process of its own; the least of some."""
    words = "from benchmarks.house.reference import work; work()"
    return processor_seconds([sys.executable, "-c", words], times)


def main(arguments: list[str]) -> None:
    """Prints a duration as it was here, and as it would be where the reference takes a second."""
    taken, unit = float(arguments[0]), reference_seconds()
    print(f"{_minutes(taken)} here, {_minutes(taken / unit)} at the pace of the reference")


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


if __name__ == "__main__":
    main(sys.argv[1:])
