"""The guard's detector on the traffic of our own attacks, of honest clients, and of who knows it.

Honest traffic is made of rendered photos that the model was not trained on, a new one for every
visit: phones that see one person, doors that see anybody in bursts of frames, and a nightly batch;
with retries and near-duplicates of the same photo. Attacks are run on the model through a target
that records what they ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.att_faces import flat
from benchmarks.claims import Claim, Table, tell
from darkroom.access import Access
from darkroom.attacks.base import Attack
from darkroom.attacks.boundary import BoundaryAttack
from darkroom.attacks.evolution import EvolutionAttack
from darkroom.attacks.finite_difference import FiniteDifferenceAttack
from darkroom.attacks.policy import PolicyAttack
from darkroom.attacks.surrogate import SurrogateAttack
from darkroom.data.employees import render_faces
from darkroom.data.face_net import train_face_net
from darkroom.demo import EMPLOYEES, TRAINED_ON
from darkroom.guard.detector import Batch, Detector, Verdict
from darkroom.guard.detector_space import Space
from darkroom.ledger import QueryLedger
from darkroom.priors.images import EigenfacePrior
from darkroom.targets.base import ImageSpec, Target
from darkroom.targets.torch import TorchTarget
from darkroom.targets.view import View

Images = NDArray[np.float32]
Floats = NDArray[np.float64]

ALLOWED = 1.0
"""False alarms a day that the detector is fitted for."""

SPACE = 10
"""Photos a person that the space of inputs is fitted on."""

SEGMENT = 10
"""Rows after which the ROC is taken."""

HONEST_PER_ATTACK_ROW = (0, 1, 4, 9, 19)
_ROWS_A_DAY = 10


class Asked(NamedTuple):
    """Rows in the order in which they were asked.

    Attributes:
        inputs: ``(rows, features)``.
        scores: What the model said, ``(rows, classes)``.
    """

    inputs: Images
    scores: Floats

    def batch(self, client: object, start: int, stop: int) -> Batch:
        """Returns some as one request."""
        return Batch(client, self.inputs[start:stop], self.scores[start:stop])  # type: ignore[arg-type]


class Recorded(Target):
    """A target that keeps what it was asked, and may be asked with something added."""

    access = Access.SCORES
    outputs = "probabilities"

    def __init__(self, target: TorchTarget, detail: Images | None = None) -> None:
        """Takes the model, and what a client adds to every image."""
        self.name, self.spec, self.classes = target.name, target.spec, target.classes
        self._target, self._detail = target, detail
        self._asked: list[Asked] = []

    def scores(self, images: Images) -> Floats:
        """Answers, and keeps it."""
        if self._detail is not None:
            images = (images + self._detail).clip(0, 1)
        scores = self._target.scores(images)
        self._asked.append(Asked(images.reshape(len(images), -1).copy(), scores))
        return scores

    def fingerprint(self) -> str:
        """Returns the model's."""
        return self._target.fingerprint()

    @property
    def asked(self) -> Asked:
        """All rows so far."""
        return Asked(*map(np.concatenate, zip(*self._asked, strict=True)))


class Site(NamedTuple):
    """A company with a model of its people.

    Attributes:
        target: The model.
        prior: What attackers know.
        strangers: Photos of others, ``(photos, channels, height, width)``.
        photos: What the model was not trained on, ``(people, photos, channels, height, width)``.
    """

    target: TorchTarget
    prior: EigenfacePrior
    strangers: Images
    photos: Images


def detector_claims(*, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Measures the detector; see the module.

    Args:
        quick: Whether to take half the days and half the goals.
        seed: Decides everything random.
    """
    days, goals = (7, 2) if quick else (14, 4)
    site = _site(days, seed)
    half = SPACE + (site.photos.shape[1] - SPACE) // 2
    rng = np.random.default_rng([seed, 11])
    tell("detector: fitting it on honest traffic")
    space = Space.fit(
        _camera(flat_photos(site.photos[:, :SPACE]), rng).reshape(-1, _features(site))
    )
    traffic = honest_traffic(site, site.photos[:, SPACE:half], days, rng)
    detector = Detector.fit(space, traffic, days=days, false_alarms=ALLOWED)
    tell("detector: honest traffic of other days")
    honest = list(honest_traffic(site, site.photos[:, half:], days, rng))
    alarms, kinds = _false_alarms(_fresh(detector), honest)
    asked = record_attacks(site, goals, seed)
    roc = roc_table(detector, asked, honest, rng)
    tell("detector: rows until alarm, and attackers who know of it")
    rows = sum(len(one.scores) for one in honest if one.scores is not None)
    low, high = _poisson(alarms)
    false = Table(
        "Detector: false alarms",
        ("days", "rows", "alarms", "a day", "low", "high", "of clients", "of classes", "of all"),
        [[days, rows, alarms, alarms / days, low / days, high / days, *kinds]],
    )
    knowing = knowing_table(detector, site, asked, honest, seed)
    tables = [false, roc, until_table(detector, asked), knowing]
    claims = [
        Claim(
            f"detector: false alarms a day on honest traffic, fitted for {ALLOWED:g}",
            ALLOWED,
            alarms / days,
            at_most=True,
        ),
        Claim(
            f"detector: area under ROC after {SEGMENT} rows of a client, lower end, all attacks",
            0.95,
            float(roc.rows[-1][3]),  # type: ignore[arg-type]
        ),
    ]
    return claims, tables


def _site(days: int, seed: int) -> Site:
    tell("detector: rendering people and training their model")
    # A visit has a photo of its own; about 3.5 visits a person and day, in two spells of days.
    photos = TRAINED_ON + SPACE + round(2 * days * 4.4)
    faces = render_faces(EMPLOYEES, photos, role="employees", seed=seed).images
    trained, labels = flat(faces[:, :TRAINED_ON], np.arange(EMPLOYEES))
    model = train_face_net(trained, labels, classes=EMPLOYEES, seed=seed)
    strangers = flat_photos(render_faces(150, 3, role="strangers", seed=seed).images)
    spec = ImageSpec((3, 64, 64))
    prior = EigenfacePrior.fit(strangers, spec, seed=seed)
    return Site(TorchTarget(model, spec.shape), prior, strangers, faces[:, TRAINED_ON:])


def flat_photos(photos: Images) -> Images:
    """Returns photos of people as photos."""
    return photos.reshape(-1, *photos.shape[2:])


def _features(site: Site) -> int:
    return int(np.prod(site.target.spec.shape))


def _camera(photos: Images, rng: np.random.Generator) -> Images:
    """Takes each photo anew: a little brighter, moved by up to a pixel, with noise, in 256 levels."""
    shape = (len(photos), 1, 1, 1)
    moved = np.stack([np.roll(one, tuple(rng.integers(-1, 2, 2)), (1, 2)) for one in photos])
    taken = moved * rng.normal(1, 0.03, shape) + rng.normal(0, 0.015, shape)
    taken += rng.uniform(0, 0.015, shape) * rng.standard_normal(moved.shape)
    levels: Images = (np.round(taken.clip(0, 1) * 255) / 255).astype(np.float32)
    return levels


def honest_traffic(
    site: Site, photos: Images, days: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yields the requests of honest clients, in the order of their times.

    Every day each person's phone asks 1.5 times on average, and 30% of the visits are retried once
    to three times, half of those with the same photo; each of two doors sees 30 people, in bursts
    of one to four frames of one photo, taken anew; and a batch holds 20 photos of anybody.
    """
    people, many = photos.shape[:2]
    used = np.zeros(people, np.int64)

    def another(person: int) -> int:
        used[person] += 1
        return int(used[person] - 1) % many

    def burst(
        client: str, who: int, frames: int, fresh: float
    ) -> tuple[float, str, list[int], list[int]]:
        first = another(who)
        taken = [
            first,
            *(another(who) if rng.random() < fresh else first for _ in range(frames - 1)),
        ]
        return float(rng.random()), client, [who] * frames, taken

    for _ in range(days):
        visits = []
        for who in range(people):
            for _ in range(rng.poisson(1.5)):
                retries = int(rng.integers(1, 4)) if rng.random() < 0.3 else 0
                visits.append(burst(f"phone {who}", who, 1 + retries, 0.5))
        for door in range(2):
            for _ in range(rng.poisson(30)):
                who, frames = int(rng.integers(people)), int(rng.integers(1, 5))
                visits.append(burst(f"door {door}", who, frames, 0.0))
        anybody = [int(who) for who in rng.integers(people, size=20)]
        visits.append((float(rng.random()), "batch", anybody, [another(who) for who in anybody]))
        for _, client, persons, taken in sorted(visits, key=lambda visit: visit[0]):
            images = _camera(photos[np.array(persons), np.array(taken)], rng)
            yield Batch(client, images.reshape(len(images), -1), site.target.scores(images))


def _fresh(detector: Detector) -> Detector:
    """Returns the same detector with nothing remembered."""
    return Detector(detector.space, list(detector.charts.values()))


def _false_alarms(detector: Detector, honest: list[Batch]) -> tuple[int, tuple[int, int, int]]:
    """Returns how many streams began to alarm, and how many requests alarm in each kind."""
    verdicts = [detector.watch(batch) for batch in honest]
    levels = np.array([[one.client, one.classes, one.everyone] for one in verdicts])
    client, classes, everyone = (int(count) for count in (levels >= 1).sum(axis=0))
    return sum(one.begun for one in verdicts), (client, classes, everyone)


def _poisson(count: int) -> tuple[float, float]:
    """Returns the exact 95% interval of a Poisson mean (Garwood 1936)."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low), float(chi2.ppf(0.975, 2 * count + 2) / 2)


def _attacks() -> list[tuple[Attack, Access]]:
    return [
        (EvolutionAttack(rows=600), Access.SCORES),
        (FiniteDifferenceAttack(rows=600), Access.SCORES),
        (PolicyAttack(rows=600), Access.SCORES),
        (BoundaryAttack(rows=600), Access.LABEL),
        (SurrogateAttack(rows=300), Access.LABEL),
    ]


def record_attacks(site: Site, goals: int, seed: int) -> dict[str, list[Asked]]:
    """Runs each attack on some people, one at a time, and returns what it asked."""
    chosen = np.random.default_rng([seed, 12]).choice(EMPLOYEES, goals, replace=False)
    asked: dict[str, list[Asked]] = {}
    for attack, access in _attacks():
        tell(f"detector: recording {attack.name}")
        asked[attack.name] = [_record(site, attack, access, int(goal), seed)[0] for goal in chosen]
    return asked


def _record(
    site: Site, attack: Attack, access: Access, goal: int, seed: int, detail: Images | None = None
) -> tuple[Asked, float]:
    """Returns what an attack asked, and the model's confidence in what it found."""
    recorded = Recorded(site.target, detail)
    view = View(recorded, access, QueryLedger(1))
    last = None
    rng = np.random.default_rng([seed, goal])
    for last in attack.run(view, site.prior, np.array([goal]), rng=rng):
        pass
    asked = recorded.asked
    assert last is not None
    found = recorded.scores(last.reconstructions)[0, goal]
    return asked, float(found)


def roc_table(
    detector: Detector, asked: dict[str, list[Asked]], honest: list[Batch], rng: np.random.Generator
) -> Table:
    """Compares a client's level after some rows between attacks and honest clients.

    Honest rows are cut into segments as long, each begun with nothing remembered; the interval is
    a bootstrap over attacks and honest clients.
    """
    watcher = _fresh(detector)
    clean: dict[object, list[float]] = {}
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
    return float(low), float(high)


def until_alarm(
    detector: Detector, asked: Asked, client: Callable[[int], object], most: int = 10**9
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
    detector: Detector, site: Site, asked: dict[str, list[Asked]], honest: list[Batch], seed: int
) -> Table:
    """Returns what attackers do who know the detector, and what it still sees of 100 rows."""
    inputs = np.concatenate([one.inputs for one in honest[:400] if one.inputs is not None])
    scores = np.concatenate([one.scores for one in honest[:400] if one.scores is not None])
    pool = Asked(inputs.astype(np.float32), scores)
    rng = np.random.default_rng([seed, 13])
    table: list[list[object]] = []
    for ratio in HONEST_PER_ATTACK_ROW:
        for name, many in asked.items():
            found = [_mixed(detector, rows, pool, ratio, rng) for rows in many[:2]]
            text = f"{ratio} real photos for each row, one account"
            table.append([text, name, len(found), *_caught(found), None])
    for name, many in asked.items():
        found = [_slow(detector, rows, honest) for rows in many[:2]]
        text = f"{_ROWS_A_DAY} rows a day among others', an account a row"
        table.append([text, name, len(found), *_caught(found), None])
    attack, access = _attacks()[0]
    plain, hidden, confidence = [], [], []
    for goal in range(2):
        photo = site.strangers[goal]
        detail = photo - _smooth(site, photo)
        rows, _ = _record(site, attack, access, goal, seed)
        plain.append(until_alarm(detector, rows, lambda _: "a", 100)[0])
        rows, sure = _record(site, attack, access, goal, seed, detail)
        hidden.append(until_alarm(detector, rows, lambda _: "a", 100)[0])
        confidence.append(sure)
    table.append(["plain", attack.name, len(plain), *_caught(plain), None])
    text = "detail of a real photo added to each"
    reached = float(np.mean(confidence))
    table.append([text, attack.name, len(hidden), *_caught(hidden), reached])
    columns = ("what they do", "attack", "runs", "alarmed", "median attack rows", "confidence")
    return Table("Detector: attackers who know it, first 100 rows", columns, table)


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
    for row in range(min(100, len(rows.scores))):
        real = rng.integers(len(pool.scores), size=ratio)
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
