"""One thing that people have, and what happens when it is audited."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.claims import tell
from darkroom.errors import DarkroomError

AREAS = {
    "image models": 20,
    "photo formats": 12,
    "training of images": 8,
    "training of text": 12,
    "table models": 20,
    "table formats": 10,
    "language models": 30,
    "endpoints": 8,
}
"""How many rows each area needs at least. The rows of ``image models`` are what
``benchmarks.reach.image_models.rows`` yields, and so on."""

Ending = Literal["right answer", "one line", "wrong answer", "no way named", "traceback"]


class Row(NamedTuple):
    """What people have.

    Attributes:
        library: What it was made with.
        what: What it is.
        meet: Audits or reads it in a folder of its own. Returns whether what was planted came out.
        way: Where it is refused: words of the line that name the way, in lower case. Empty where
            it must be met.
    """

    library: str
    what: str
    meet: Callable[[Path], bool]
    way: str = ""


class Met(NamedTuple):
    """How one row ended.

    Attributes:
        area: One of ``AREAS``.
        library: What it was made with.
        what: What it is.
        ending: How it ended.
        said: The line that refused it, or the fault.
    """

    area: str
    library: str
    what: str
    ending: Ending
    said: str = ""

    @property
    def right(self) -> bool:
        """Whether that is a good end."""
        return self.ending in ("right answer", "one line")


def rows_of(area: str) -> list[Row]:
    """Returns the rows of an area; none while nobody has written any."""
    name = f"benchmarks.reach.{area.replace(' ', '_')}"
    if importlib.util.find_spec(name) is None:
        return []
    return list(importlib.import_module(name).rows())


def met(place: tuple[str, int]) -> Met:
    """Meets one row, named so that another process can make it: its area, and its place there."""
    area, number = place
    row = rows_of(area)[number]
    with tempfile.TemporaryDirectory(prefix="darkroom-reach-") as folder:
        ending, said = _ending(row, Path(folder))
    return Met(area, row.library, row.what, ending, said)


def _ending(row: Row, folder: Path) -> tuple[Ending, str]:
    try:
        found = row.meet(folder)
    except DarkroomError as error:
        line = str(error)
        named = bool(row.way) and row.way in line.lower() and "\n" not in line
        return ("one line" if named else "no way named"), line
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"
    if row.way:
        return "wrong answer", "it was not refused"
    return ("right answer", "") if found else ("wrong answer", "what was planted did not come out")


def meet_all(areas: Sequence[str] = tuple(AREAS)) -> Iterator[Met]:
    """Meets all rows, one a processor at a time."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the processes that are started
    places = [(area, number) for area in areas for number in range(len(rows_of(area)))]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for number, one in enumerate(pool.map(met, places), 1):
            said = f" ({one.said[:200]})" if one.said else ""
            name = f"{one.area}: {one.library}, {one.what}: {one.ending}"
            tell(f"{number}/{len(places)} {name}{said}")
            yield one
