"""Notices traffic that looks like model inversion, by a client, about a class, or of everyone.

NumPy only. What it says may tighten outputs or raise an alarm, and never anything that the answer
shows: who is refused for it learns where its edge is (OARS, Feng et al. 2023, uses just that).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.errors import DataError
from darkroom.files import write_private
from darkroom.guard.detector.cusum import QUANTILES, Charts
from darkroom.guard.detector.features import Sketch, Space
from darkroom.guard.detector.streams import (
    CHARTS,
    FEATURES,
    Floats,
    Rows,
    Stream,
    Streams,
    features_of_one,
)

KINDS = ("client", "class", "everyone")
"""Whose rows are a stream."""

_SURE = 1e-6
_FORM = "darkroom/detector/1"


class Batch(NamedTuple):
    """Rows that a client asked about together.

    Attributes:
        client: Who.
        inputs: ``(rows, features)``, ``None`` when they are no numbers.
        scores: What the model said before any defence, ``(rows, classes)``; ``None`` for labels.
    """

    client: Hashable
    inputs: NDArray[np.floating] | None
    scores: Floats | None


class Verdict(NamedTuple):
    """How far gathered oddness is from an alarm: 1 or more is one.

    Attributes:
        client: Of the client who asked.
        classes: Of the worst class that an answer names, over all clients.
        everyone: Of all clients together.
        reasons: The charts that alarm, such as ``client: confidence``; for logs, never for an
            answer.
        begun: How many streams alarm that did not before: what is worth an alert. A stream that
            falls a little below its limit and rises again is in the same alarm; it must have
            fallen to half the limit to begin another.
    """

    client: float
    classes: float
    everyone: float
    reasons: tuple[str, ...]
    begun: int

    @property
    def alarmed(self) -> bool:
        """Whether any of the three is an alarm."""
        return max(self.client, self.classes, self.everyone) >= 1


class Detector:
    """Gathers oddness of each client, each class and everyone in charts of cumulative sums.

    In every stream it looks at :data:`FEATURES` of each row, takes how rare such a value is in
    real traffic, and sums it up (:class:`Charts`). A row costs the same however many came before,
    and a stream keeps its last 32 rows, reduced to 32 numbers each: about 5 kB. Streams of clients
    unused for longest are forgotten, which an attacker with more accounts than are kept can bring
    about; the streams of classes and of everyone then remain.

    Some attacks show little of themselves, and an attacker who mixes in enough real queries shows
    nothing: see ``docs/understand/guard-detector.md`` for what was measured.
    """

    def __init__(
        self, space: Space | None, charts: Sequence[Charts], *, clients: int = 10_000
    ) -> None:
        """Takes what was fitted; see :meth:`fit` and :meth:`load`.

        Args:
            space: What reduces inputs; ``None`` to do without them.
            charts: Of each of :data:`KINDS`.
            clients: How many clients, and how many classes, are remembered.
        """
        self.space = space
        self.charts = dict(zip(KINDS, charts, strict=True))
        self._all = Charts.together(charts)
        self._classless = Charts.together([self.charts["client"], self.charts["everyone"]])
        components = 1 if space is None else len(space.components)
        self._streams = {
            "client": Streams(components, clients),
            "class": Streams(components, clients),
            "everyone": Streams(components, 1),
        }

    @classmethod
    def fit(
        cls,
        space: Space | None,
        traffic: Iterable[Batch],
        *,
        days: float,
        false_alarms: float = 1.0,
        clients: int = 10_000,
    ) -> Detector:
        """Learns from real traffic what is normal, and sets limits.

        Args:
            space: Fitted on inputs that are not among the traffic's.
            traffic: In the order in which it came. A week or more, with all kinds of clients that
                there are.
            days: How long it lasted.
            false_alarms: How many a day are allowed, of all streams and charts together.
            clients: See the constructor.

        Raises:
            DataError: If there is too little traffic, or ``days`` or ``false_alarms`` is not
                positive.
        """
        if not (days > 0 and false_alarms > 0):
            raise DataError("detector: days and false_alarms must be positive")
        asked: list[Hashable] = []
        parts: list[Rows] = []
        for batch in traffic:
            parts.append(_rows(space, batch.inputs, batch.scores))
            asked += [batch.client] * len(parts[-1].winners)
        if len(asked) < 200:
            raise DataError(f"detector: {len(asked)} rows of traffic: give 200 at least")
        rows = Rows(*map(np.concatenate, zip(*parts, strict=True)))
        numbers = {client: number for number, client in enumerate(dict.fromkeys(asked))}
        keys = {
            "client": np.array([numbers[client] for client in asked]),
            "class": rows.winners,
            "everyone": np.zeros(len(asked), np.int64),
        }
        alarms = false_alarms * days / len(KINDS)
        charts = [_fitted(rows, keys[kind], kind, alarms) for kind in KINDS]
        return cls(space, charts, clients=clients)

    def watch(self, batch: Batch) -> Verdict:
        """Takes rows in, after they were answered or refused, and says how things stand."""
        rows = _rows(self.space, batch.inputs, batch.scores)
        if len(rows.winners) == 1:
            return self._watch_one(rows, batch.client)
        levels, reasons, begun = dict.fromkeys(KINDS, 0.0), list[str](), 0
        for kind in KINDS:
            for key, part in _split(rows, kind, batch.client):
                stream = self._streams[kind].of(key)
                before = bool(stream.alarmed.any())
                found = self._add(kind, stream, part)
                begun += not before and bool((found >= 1).any())
                levels[kind] = max(levels[kind], float(found.max(initial=0.0)))
                reasons += [
                    f"{kind}: {chart}"
                    for chart, over in zip(CHARTS, found >= 1, strict=True)
                    if over
                ]
        client, classes, everyone = levels.values()
        return Verdict(client, classes, everyone, tuple(dict.fromkeys(reasons)), begun)

    def _watch_one(self, row: Rows, client: Hashable) -> Verdict:
        """Takes a single row in: what :meth:`watch` does, for all its streams at once."""
        winner = int(row.winners[0])
        keys = {"client": client, "class": winner, "everyone": None}
        charts = self._all
        if winner < 0:
            charts = self._classless
            del keys["class"]
        streams = [self._streams[kind].of(key) for kind, key in keys.items()]
        levels = np.stack([one.levels for one in streams])
        before = np.stack([one.alarmed for one in streams])
        sums, alarmed = charts.step(levels, before, features_of_one(streams, row))
        kept = np.minimum(sums, 2 * charts.limits)
        for one, level, told in zip(streams, kept, alarmed, strict=True):
            one.levels, one.alarmed = level, told
        found = sums / charts.limits
        highest = dict(zip(keys, found.max(axis=1).tolist(), strict=True))
        over, names = found >= 1, list(keys)
        reasons = [
            f"{names[kind]}: {CHARTS[chart]}" for kind, chart in zip(*over.nonzero(), strict=True)
        ]
        begun = int((over.any(axis=1) & ~before.any(axis=1)).sum())
        everyone = highest["everyone"]
        return Verdict(
            highest["client"], highest.get("class", 0.0), everyone, tuple(reasons), begun
        )

    def _add(self, kind: str, stream: Stream, rows: Rows) -> Floats:
        """Adds rows to a stream and returns the highest level of each chart over its limit."""
        charts = self.charts[kind]
        if not len(rows.winners):
            return np.zeros(len(CHARTS))
        sums = charts.sums(stream.levels, charts.oddness(stream.features(rows)))
        stream.alarmed = charts.alarmed(stream.alarmed, sums)
        # An alarm that has long been one shall end when the traffic becomes normal.
        stream.levels = np.minimum(sums[-1], 2 * charts.limits)
        highest: Floats = sums.max(axis=0) / charts.limits
        return highest

    @property
    def clients(self) -> int:
        """How many clients are remembered."""
        return len(self._streams["client"])

    def save(self, path: Path) -> None:
        """Writes what was fitted, and nothing of the streams, as ``.npz``.

        Raises:
            RunError: If it cannot be written.
        """
        arrays = {
            f"{kind} {name}": array
            for kind, charts in self.charts.items()
            for name, array in charts._asdict().items()
        }
        if self.space is not None:
            arrays |= {f"space {name}": array for name, array in self.space._asdict().items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, form=np.array(_FORM), **arrays)
        write_private(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path, *, clients: int = 10_000) -> Detector:
        """Reads what :meth:`save` wrote.

        Raises:
            DataError: If the file is absent or holds something else.
        """
        try:
            # Of a damaged file that NumPy opens itself it would leave the handle open.
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile, KeyError, EOFError) as error:
            raise DataError(f"{path}: no detector: write one with Detector.save") from error
        if str(arrays.get("form")) != _FORM:
            raise DataError(f"{path}: no detector of this version: fit and save it anew")
        try:
            space = None
            if "space mean" in arrays:
                space = Space(*(arrays[f"space {name}"] for name in Space._fields))
            charts = [
                Charts(*(arrays[f"{kind} {name}"] for name in Charts._fields)) for kind in KINDS
            ]
        except KeyError as error:
            raise DataError(f"{path}: no whole detector: fit and save it anew") from error
        if any(one.tables.shape != (len(FEATURES), QUANTILES) for one in charts):
            raise DataError(f"{path}: a detector of another version: fit and save it anew")
        return cls(space, charts, clients=clients)


def _fitted(rows: Rows, keys: NDArray[np.int64], kind: str, alarms: float) -> Charts:
    """Fits the charts of one kind of stream; rows of no class belong to none."""
    half = len(keys) // 2
    halves: tuple[list[Floats], list[Floats]] = ([], [])
    order = np.argsort(keys, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if kind == "class" and keys[own[0]] < 0:
            continue
        features = Stream(rows.places.shape[1]).features(rows.take(own))
        halves[0].append(features[own < half])
        halves[1].append(features[own >= half])
    return Charts.fit(halves, alarms)


def _rows(space: Space | None, inputs: NDArray[np.floating] | None, scores: Floats | None) -> Rows:
    """Reduces rows; inputs of another model count as unknown."""
    known = inputs is not None and space is not None and inputs.shape[1:] == space.mean.shape
    given = inputs if inputs is not None else scores
    count = 0 if given is None else len(given)
    if known:
        assert inputs is not None
        assert space is not None
        sketch = space.sketch(inputs)
    else:
        components = 1 if space is None else len(space.components)
        nothing = np.full(count, np.nan)
        sketch = Sketch(np.full((count, components), np.nan, np.float32), nothing, nothing)
    if scores is None:
        return Rows(*sketch, np.full(count, np.nan), np.full(count, -1, np.int64))
    sure = scores.max(axis=1).clip(_SURE, 1 - _SURE)
    winners = scores.argmax(axis=1).astype(np.int64)
    return Rows(*sketch, np.log(sure / (1 - sure)), winners)


def _split(rows: Rows, kind: str, client: Hashable) -> list[tuple[Hashable, Rows]]:
    """Returns the streams of a kind that rows belong to, with theirs."""
    if kind != "class":
        return [(client if kind == "client" else None, rows)]
    return [
        (int(winner), rows.take(np.flatnonzero(rows.winners == winner)))
        for winner in np.unique(rows.winners)
        if winner >= 0
    ]
