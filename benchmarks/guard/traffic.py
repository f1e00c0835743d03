"""A company with a model of its people's faces, its honest clients, and those who attack it.

Honest traffic is made of rendered photos that the model was not trained on, a new one for every
visit: phones that see one person, doors that see anybody in bursts of frames and now and then a
visitor whom the model does not know, and a nightly batch; with retries and near-duplicates of the
same photo. Attacks are run on the model through a target that records what they ask.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.claims import tell
from benchmarks.images.att_faces import flat
from darkroom.access import Access
from darkroom.demo.face_net import train_face_net
from darkroom.demo.images import EMPLOYEES, TRAINED_ON
from darkroom.demo.people.employees import render_faces
from darkroom.guard.detector.detector import Batch
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.boundary import BoundaryAttack
from darkroom.images.attacks.evolution import EvolutionAttack
from darkroom.images.attacks.finite_difference import FiniteDifferenceAttack
from darkroom.images.attacks.policy import PolicyAttack
from darkroom.images.attacks.surrogate import SurrogateAttack
from darkroom.images.targets.base import Target
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.spec import ImageSpec

Images = NDArray[np.float32]
Floats = NDArray[np.float64]

SPACE = 10
"""Photos a person that a detector's space of inputs is fitted on."""

STRANGERS, VISITORS = 150, 80


class Asked(NamedTuple):
    """Rows in the order in which they were asked.

    Attributes:
        inputs: ``(rows, features)``.
        scores: What the model said, ``(rows, classes)``.
    """

    inputs: Images
    scores: Floats

    def batch(self, client: Hashable, start: int, stop: int) -> Batch:
        """Returns some as one request."""
        return Batch(client, self.inputs[start:stop], self.scores[start:stop])


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
        visitors: Photos of people whom nobody knows, neither the model nor an attacker.
    """

    target: TorchTarget
    prior: EigenfacePrior
    strangers: Images
    photos: Images
    visitors: Images


def make_site(days: int, seed: int) -> Site:
    """Renders people and strangers, and trains the people's model.

    Args:
        days: How long each of two spells of honest traffic is to last.
        seed: Decides everything random.
    """
    tell("detector: rendering people and training their model")
    # A visit has a photo of its own; about 3.5 visits a person and day, in two spells of days.
    photos = TRAINED_ON + SPACE + round(2 * days * 4.4)
    faces = render_faces(EMPLOYEES, photos, role="employees", seed=seed).images
    trained, labels = flat(faces[:, :TRAINED_ON], np.arange(EMPLOYEES))
    model = train_face_net(trained, labels, classes=EMPLOYEES, seed=seed)
    others = render_faces(STRANGERS + VISITORS, 3, role="strangers", seed=seed).images
    strangers = flat_photos(others[:STRANGERS])
    spec = ImageSpec((3, 64, 64))
    prior = EigenfacePrior.fit(strangers, spec, seed=seed)
    return Site(
        TorchTarget(model, spec.shape), prior, strangers, faces[:, TRAINED_ON:], others[STRANGERS:]
    )


def flat_photos(photos: Images) -> Images:
    """Returns photos of people as photos."""
    return photos.reshape(-1, *photos.shape[2:])


def _features(site: Site) -> int:
    return int(np.prod(site.target.spec.shape))


def camera(photos: Images, rng: np.random.Generator) -> Images:
    """Takes each photo anew: with other light and noise, moved by up to a pixel, in 256 levels.

    Of a hundred, three are blurred by movement.
    """
    shape = (len(photos), 1, 1, 1)
    moved = np.stack([np.roll(one, tuple(rng.integers(-1, 2, 2)), (1, 2)) for one in photos])
    blurred = rng.random(len(photos)) < 0.03
    shifts = [np.roll(moved[blurred], shift, axis=3) for shift in range(-2, 3)]
    moved[blurred] = np.mean(shifts, axis=0)
    taken = moved * rng.normal(1, 0.03, shape) + rng.normal(0, 0.015, shape)
    taken += rng.uniform(0, 0.015, shape) * rng.standard_normal(moved.shape)
    levels: Images = (np.round(taken.clip(0, 1) * 255) / 255).astype(np.float32)
    return levels


def honest_traffic(
    site: Site, photos: Images, visitors: Images, days: int, rng: np.random.Generator
) -> Iterator[Batch]:
    """Yields the requests of honest clients, in the order of their times.

    Every day each person's phone asks 1.5 times on average, and 30% of the visits are retried once
    to three times, half of those with the same photo; each of two doors sees 30 people, of whom 5%
    are visitors, in bursts of one to four frames of one photo, taken anew; and a batch holds 20
    photos of anybody. 3% of requests are sent once more as they are, as after a time-out.

    Args:
        site: Whose model is asked.
        photos: Of its people; each visit takes the next one of the person.
        visitors: Photos of others, ``(people, photos, channels, height, width)``.
        days: How many.
        rng: Decides who comes when, and every photo's light and noise.
    """
    everyone = [*photos, *visitors]
    used = [0] * len(everyone)

    def another(who: int) -> Images:
        used[who] += 1
        photo: Images = everyone[who][(used[who] - 1) % len(everyone[who])]
        return photo

    def burst(who: int, frames: int, fresh: float) -> list[Images]:
        taken = [another(who)]
        for _ in range(frames - 1):
            taken.append(another(who) if rng.random() < fresh else taken[0])
        return taken

    for _ in range(days):
        visits: list[tuple[float, str, list[Images]]] = []
        for who in range(len(photos)):
            for _ in range(rng.poisson(1.5)):
                retries = int(rng.integers(1, 4)) if rng.random() < 0.3 else 0
                visits.append((rng.random(), f"phone {who}", burst(who, 1 + retries, 0.5)))
        for door in range(2):
            for _ in range(rng.poisson(30)):
                stranger = rng.random() < 0.05
                first, last = (len(photos), len(everyone)) if stranger else (0, len(photos))
                taken = burst(int(rng.integers(first, last)), int(rng.integers(1, 5)), 0.0)
                visits.append((rng.random(), f"door {door}", taken))
        anybody = [another(int(who)) for who in rng.integers(len(photos), size=20)]
        visits.append((rng.random(), "batch", anybody))
        for _, client, taken in sorted(visits, key=lambda visit: visit[0]):
            images = camera(np.stack(taken), rng)
            batch = Batch(client, images.reshape(len(images), -1), site.target.scores(images))
            yield from [batch] * (2 if rng.random() < 0.03 else 1)


def attacks() -> list[tuple[Attack, Access]]:
    """Returns the attacks with what they see, cut to the rows that are looked at."""
    return [
        (EvolutionAttack(rows=600), Access.SCORES),
        (FiniteDifferenceAttack(rows=600), Access.SCORES),
        (PolicyAttack(rows=600), Access.SCORES),
        (BoundaryAttack(rows=600), Access.LABEL),
        (SurrogateAttack(rows=300), Access.LABEL),
    ]


def record_attacks(
    site: Site, goals: int, seed: int, rows: int | None = None
) -> dict[str, list[Asked]]:
    """Runs each attack on some people, one at a time, and returns what it asked.

    Args:
        site: Whose model is attacked.
        goals: How many people.
        seed: Decides who, and every attack's draws.
        rows: What each attack may cost; its own when left out.
    """
    chosen = np.random.default_rng([seed, 12]).choice(EMPLOYEES, goals, replace=False)
    asked: dict[str, list[Asked]] = {}
    for attack, access in attacks():
        tell(f"detector: recording {attack.name}")
        cut = attack if rows is None else replace(attack, rows=rows)  # type: ignore[type-var]
        asked[attack.name] = [record(site, cut, access, int(goal), seed)[0] for goal in chosen]
    return asked


def record(
    site: Site, attack: Attack, access: Access, goal: int, seed: int, detail: Images | None = None
) -> tuple[Asked, float]:
    """Returns what an attack asked, and the model's confidence in what it found."""
    recorded = Recorded(site.target, detail)
    view = View(recorded, access, QueryLedger(1))
    rng = np.random.default_rng([seed, goal])
    *_, last = attack.run(view, site.prior, np.array([goal]), rng=rng)
    asked = recorded.asked
    found = recorded.scores(last.reconstructions)[0, goal]
    return asked, float(found)
