"""The guard's detector: honest traffic, our own attacks, and attackers who know of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

import numpy as np
from scipy.stats import beta, chi2

from benchmarks.claims import Claim, Table, tell
from benchmarks.guard.mmd import beside_table
from benchmarks.guard.traffic import (
    SPACE,
    Asked,
    Floats,
    Images,
    Site,
    attacks,
    camera,
    flat_photos,
    honest_traffic,
    make_site,
    record,
    record_attacks,
)
from darkroom.guard.detector.detector import Batch, Detector, Verdict
from darkroom.guard.detector.features import Space

ALLOWED = 1.0
"""False alarms a day that the detector is fitted for."""

SEGMENT = 10
"""Rows after which the ROC is taken."""

SHORT = 60
"""Rows of the many attacks that the ROC is of."""

RUNS = 20
"""How many of each: of fewer, not even an area of one would have its lower end above the bar."""

SHARES = ("requests: client alarms", "class alarms", "everyone alarms")
HONEST_PER_ATTACK_ROW = (1, 4, 9, 19)
_ROWS_A_DAY = 10


def detector_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Measures the detector.

    Args:
        quick: Whether to take half the days and fewer goals.
        seed: Decides everything random.
    """
    days, goals = (7, 2) if quick else (14, 4)
    site = make_site(days, seed)
    half = SPACE + (site.photos.shape[1] - SPACE) // 2
    visitors = np.split(site.visitors, 2)
    rng = np.random.default_rng([seed, 11])
    tell("detector: fitting it on honest traffic")
    known = camera(flat_photos(site.photos[:, :SPACE]), rng)
    space = Space.fit(known.reshape(len(known), -1))
    traffic = list(honest_traffic(site, site.photos[:, SPACE:half], visitors[0], days, rng))
    detector = Detector.fit(space, traffic, days=days, false_alarms=ALLOWED)
    tell("detector: honest traffic of other days")
    honest = list(honest_traffic(site, site.photos[:, half:], visitors[1], days, rng))
    false = false_table(detector, honest, days)
    short = record_attacks(site, RUNS, seed, SHORT)
    roc = roc_table(detector, short, honest, rng)
    tell("detector: beside MMD over windows")
    beside = beside_table(detector, traffic, honest, short, seed)
    asked = record_attacks(site, goals, seed)
    tell("detector: rows until alarm, and attackers who know of it")
    pool = flat_photos(site.photos[:, half:])
    knowing = knowing_table(detector, site, asked, honest, pool, seed)
    until, speed = until_table(detector, asked), speed_table(detector, honest)
    tables = [false, roc, beside, until, knowing, speed]
    text = "detector: area under ROC after"
    claims = [
        Claim(
            f"detector: false alarms a day on honest traffic, fitted for {ALLOWED:g}",
            ALLOWED,
            float(false.rows[0][3]),  # type: ignore[arg-type]
            at_most=True,
        ),
        Claim(
            f"{text} {SEGMENT} rows of a client, lower end, all attacks, who do not know of it",
            0.95,
            float(roc.rows[-1][3]),  # type: ignore[arg-type]
        ),
    ]
    return claims, tables


def false_table(detector: Detector, honest: list[Batch], days: int) -> Table:
    """Counts streams that begin to alarm on honest traffic, and requests that find one alarming."""
    watcher = _fresh(detector)
    verdicts = [watcher.watch(batch) for batch in honest]
    levels = np.array([[one.client, one.classes, one.everyone] for one in verdicts])
    alarms = sum(one.begun for one in verdicts)
    # Exact interval of a Poisson mean (Garwood 1936).
    low = chi2.ppf(0.025, 2 * alarms) / 2 if alarms else 0.0
    high = chi2.ppf(0.975, 2 * alarms + 2) / 2
    rows = sum(len(one.scores) for one in honest if one.scores is not None)
    shares = [float(share) for share in (levels >= 1).mean(axis=0)]
    return Table(
        f"Detector: false alarms on {rows} rows of {days} honest days",
        ("days", "requests", "alarms", "a day", "low", "high", *SHARES),
        [
            [
                days,
                len(honest),
                alarms,
                alarms / days,
                float(low / days),
                float(high / days),
                *shares,
            ]
        ],
    )


def speed_table(detector: Detector, honest: list[Batch]) -> Table:
    """Times rows alone and in batches, with inputs of this size."""
    inputs = np.concatenate([one.inputs for one in honest[:200] if one.inputs is not None])
    scores = np.concatenate([one.scores for one in honest[:200] if one.scores is not None])
    rows = Asked(inputs.astype(np.float32), scores)
    table: list[list[object]] = []
    for size in (1, 32, 256):
        watcher, done = _fresh(detector), 0
        begun = time.perf_counter()
        for start in range(0, len(scores) - size + 1, size):
            watcher.watch(rows.batch(start % 100, start, start + size))
            done += size
        table.append([size, inputs.shape[1], 1e6 * (time.perf_counter() - begun) / max(done, 1)])
    return Table("Detector: time a row", ("rows a request", "features", "microseconds"), table)


def _fresh(detector: Detector) -> Detector:
    """Returns the same detector with nothing remembered."""
    return Detector(detector.space, list(detector.charts.values()))


def roc_table(
    detector: Detector, asked: dict[str, list[Asked]], honest: list[Batch], rng: np.random.Generator
) -> Table:
    """Compares a client's level after some rows between attacks and honest clients.

    Honest rows are cut into segments as long, each begun with nothing remembered. The interval is a
    bootstrap over attacks and honest clients, and at least as wide as the exact one of a share
    among as many runs, since a bootstrap of an area of one has no width.
    """
    watcher = _fresh(detector)
    clean: dict[Hashable, list[float]] = {}
    for client in dict.fromkeys(batch.client for batch in honest):
        own = [batch for batch in honest if batch.client == client]
        inputs = np.concatenate([batch.inputs for batch in own if batch.inputs is not None])
        scores = np.concatenate([batch.scores for batch in own if batch.scores is not None])
        rows = Asked(inputs.astype(np.float32), scores)
        clean[client] = [
            watcher.watch(rows.batch((client, start), start, start + SEGMENT)).client
            for start in range(0, len(scores) - SEGMENT + 1, SEGMENT)
        ]
    attacked = {
        name: [watcher.watch(one.batch((name, n), 0, SEGMENT)).client for n, one in enumerate(many)]
        for name, many in asked.items()
    }
    table = []
    for name, levels in (*attacked.items(), ("all", [x for one in attacked.values() for x in one])):
        low, high = _interval(levels, [one for one in clean.values() if one], rng)
        everyone = np.concatenate(list(clean.values()))
        found = np.array(levels)
        missed, false = float((found < 1).mean()), float((everyone >= 1).mean())
        area = _area(found, everyone)
        table.append([name, len(levels), area, low, high, 1 - missed, false])
    columns = ("attack", "runs", "AUC", "low", "high", "alarmed", "honest alarmed")
    return Table(f"Detector: ROC after {SEGMENT} rows of a client", columns, table)


def _area(attacked: Floats, honest: Floats) -> float:
    """Returns how often an attack's level is above an honest one's; a tie counts half."""
    above = (attacked[:, None] > honest[None]).mean()
    return float(above + 0.5 * (attacked[:, None] == honest[None]).mean())


def _interval(
    attacked: list[float], clean: list[list[float]], rng: np.random.Generator
) -> tuple[float, float]:
    areas = []
    for _ in range(500):
        drawn = rng.integers(len(clean), size=len(clean))
        honest = np.concatenate([clean[place] for place in drawn])
        areas.append(_area(rng.choice(attacked, len(attacked)), honest))
    low, high = np.quantile(areas, [0.025, 0.975])
    won, runs = _area(np.array(attacked), np.concatenate(clean)) * len(attacked), len(attacked)
    least = beta.ppf(0.025, won, runs - won + 1) if won > 0 else 0.0
    return float(min(low, least)), float(high)


def until_alarm(
    detector: Detector, asked: Asked, client: Callable[[int], Hashable], most: int = 10**9
) -> tuple[int | None, Verdict | None]:
    """Returns after how many rows, one a request, a fresh detector alarms; ``None`` for never."""
    watcher = _fresh(detector)
    for row in range(min(most, len(asked.scores))):
        verdict = watcher.watch(asked.batch(client(row), row, row + 1))
        if verdict.alarmed:
            return row + 1, verdict
    return None, None


def until_table(detector: Detector, asked: dict[str, list[Asked]]) -> Table:
    """Returns rows until the first alarm, from one account and from an account for every row."""
    table = []
    for name, many in asked.items():
        one = [until_alarm(detector, rows, lambda _: "a") for rows in many]
        each = [until_alarm(detector, rows, lambda row: row)[0] for rows in many]
        first = [verdict.reasons[0] for _, verdict in one if verdict is not None]
        why = max(set(first), key=first.count) if first else "-"
        table.append([name, len(many), *_spread([rows for rows, _ in one]), *_spread(each), why])
    columns = (
        "attack",
        "runs",
        "median",
        "most",
        "median, an account a row",
        "most, likewise",
        "by",
    )
    return Table("Detector: rows until alarm", columns, table)


def _spread(rows: list[int | None]) -> tuple[float | None, float | None]:
    """Returns the median and the largest; ``None`` where that run never alarmed."""
    ordered = sorted(np.inf if one is None else one for one in rows)
    middle, most = ordered[len(ordered) // 2], ordered[-1]
    return tuple(None if np.isinf(one) else float(one) for one in (middle, most))  # type: ignore[return-value]


def knowing_table(
    detector: Detector,
    site: Site,
    asked: dict[str, list[Asked]],
    honest: list[Batch],
    photos: Images,
    seed: int,
) -> Table:
    """Returns what attackers do who know the detector, and what it still sees of 100 rows.

    Beside them, clients who do the same with nothing but real photos.
    """
    rng = np.random.default_rng([seed, 13])
    images = camera(photos, rng)
    pool = Asked(images.reshape(len(images), -1), site.target.scores(images))
    runs = {name: many[:2] for name, many in asked.items()}
    real = rng.permutation(len(images))[:200].reshape(2, 100)
    runs["none, real photos"] = [Asked(pool.inputs[one], pool.scores[one]) for one in real]
    table: list[list[object]] = []
    for ratio in HONEST_PER_ATTACK_ROW:
        for name, many in runs.items():
            found = [_mixed(detector, rows, pool, ratio, rng) for rows in many]
            text = f"one account, {ratio} real photos before each row"
            table.append([text, name, len(found), *_caught(found), None])
    for name, many in runs.items():
        found = [_slow(detector, rows, honest) for rows in many]
        text = f"an account a row, {_ROWS_A_DAY} a day among others' rows"
        table.append([text, name, len(found), *_caught(found), None])
    table += _disguised(detector, site, seed)
    columns = ("what they do", "attack", "runs", "alarmed", "median attack rows", "confidence")
    return Table("Detector: attackers who know it, first 100 rows", columns, table)


def _disguised(detector: Detector, site: Site, seed: int) -> list[list[object]]:
    """Runs an attack as it is, and with the detail of a real photo added to all that it asks."""
    attack, access = attacks()[0]
    table: list[list[object]] = []
    for text in ("nothing", "one account, the detail of a real photo added to each image"):
        found, confidence = [], []
        for goal in range(2):
            photo = site.strangers[goal]
            detail = None if text == "nothing" else photo - _smooth(site, photo)
            rows, sure = record(site, attack, access, goal, seed, detail)
            found.append(until_alarm(detector, rows, lambda _: "a", 100)[0])
            confidence.append(sure)
        table.append([text, attack.name, len(found), *_caught(found), float(np.mean(confidence))])
    return table


def _smooth(site: Site, photo: Images) -> Images:
    """Returns what principal components of strangers keep of a photo."""
    space = Space.fit(site.strangers.reshape(len(site.strangers), -1), components=60)
    sketch = space.sketch(photo.reshape(1, -1))
    smooth: Images = (space.mean + sketch.places @ space.components).reshape(photo.shape)
    return smooth


def _caught(found: list[int | None]) -> tuple[float, float | None]:
    return float(np.mean([one is not None for one in found])), _spread(found)[0]


def _mixed(
    detector: Detector, rows: Asked, pool: Asked, ratio: int, rng: np.random.Generator
) -> int | None:
    """Returns after how many attack rows a client alarms who sends real photos in between."""
    watcher = _fresh(detector)
    order = rng.permutation(len(pool.scores))
    for row in range(min(100, len(rows.scores))):
        real = order[np.arange(row * ratio, (row + 1) * ratio) % len(order)]
        inputs = np.concatenate([pool.inputs[real], rows.inputs[row : row + 1]])
        scores = np.concatenate([pool.scores[real], rows.scores[row : row + 1]])
        if watcher.watch(Batch("a", inputs, scores)).client >= 1:
            return row + 1
    return None


def _slow(detector: Detector, rows: Asked, honest: list[Batch]) -> int | None:
    """Returns after how many attack rows, spread over days, a stream of theirs alarms.

    Only alarms that begin with an attack row count; honest rows go on around it.
    """
    watcher = _fresh(detector)
    between = max(1, len(honest) // (_ROWS_A_DAY * 14))
    row = 0
    for number, batch in enumerate(honest):
        watcher.watch(batch)
        if number % between == between - 1 and row < min(100, len(rows.scores)):
            if watcher.watch(rows.batch(("slow", row), row, row + 1)).begun:
                return row + 1
            row += 1
    return None
