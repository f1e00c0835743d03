"""Verifiers of which is known what an attack must find, and nets that learned from nobody."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from benchmarks.claims import Claim, Table, tell
from benchmarks.verifiers.courses import Course, follow
from benchmarks.verifiers.worlds import World, photos
from darkroom.access import VerifierAccess
from darkroom.demo.face_encoder import FaceEncoder
from darkroom.ledger import QueryLedger
from darkroom.statistics.intervals import Interval
from darkroom.statistics.means import mean_interval
from darkroom.verifiers.attacks.base import Attack
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.attacks.gradient import GradientAttack
from darkroom.verifiers.attacks.template import TemplateAttack
from darkroom.verifiers.subject import VerifierSubject, enrol
from darkroom.verifiers.targets.base import Encoder, Floats, Images, Labels
from darkroom.verifiers.targets.embedding import EmbeddingVerifier, Store
from darkroom.verifiers.targets.encoders import FunctionEncoder, TorchEncoder
from darkroom.verifiers.targets.view import View

_SIDE, _KEPT, _LOOKED_AT = 16, 4, 120
_AT_ONCE, _PARTS = 500, 4


def untrained(world: World, seed: int, rows: int) -> tuple[list[Claim], list[Table], list[Course]]:
    """Attacks three encoders that learned nothing of people, beside what they recognise.

    - *Templates of noise* follow from the exact bytes of a photo: scores lead nowhere, so that an
      attack must have the dictionary's rate.
    - *Features without identity* are the directions in which photos of one person differ most, and
      people least. Scores lead to the enrolled photo's light and pose, and so to acceptance; but
      pictures must show nobody. They are learned from 2,000 people whom nobody else has: directions
      learned from 500, with three photos each, still tell other people apart.
    - *Random weights* is no control: an untrained net still gives templates that are alike for
      photos that look alike, and so recognises people. What it recognises stands beside it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random = TorchEncoder(FaceEncoder(), world.subject.spec)
    old = world.subject
    nobody = _WithoutIdentity(*_many(seed))
    found = {
        name: _attacked(world, encoder, name, rows, seed)
        for name, encoder in (
            ("templates of noise", FunctionEncoder(_noise, old.spec, name="noise")),
            ("features without identity", FunctionEncoder(nobody, old.spec, name="features")),
            ("random weights", random),
        )
    }
    courses = [one.course for one in found.values()]
    claims = _control_claims(found["templates of noise"], found["features without identity"])
    return claims, [_recognising(old, found, rows)], courses


def _recognising(subject: VerifierSubject, found: dict[str, _Attacked], rows: int) -> Table:
    """Returns what each encoder recognises, and what an attack gets of it."""
    return Table(
        f"Encoders that learned from nobody: what they recognise, and what `evolution` gets, 300 "
        f"and {rows:,} rows",
        (
            *("encoder", "AUC", "low", "high", "EER", "people refused"),
            *("accepted, 300", "dictionary"),
            *("above it, low", "high", f"shown, {rows:,}", "bits", "low", "high"),
        ),
        [
            ["trained on others", *recognised(subject).row(), *[None] * 8],
            *[[name, *one.row()] for name, one in found.items()],
        ],
    )


def _control_claims(noise: _Attacked, features: _Attacked) -> list[Claim]:
    return [
        Claim(
            "control, templates of noise: accepted at 0.1% above the dictionary, lower end",
            0.0,
            noise.course.at(300).advantage().low,
            at_most=True,
        ),
        _shown("templates of noise", noise.course),
        Claim(
            "control, features without identity: AUC, lower end",
            0.5,
            features.recognises.auc.low,
            at_most=True,
        ),
        _shown("features without identity", features.course),
        Claim(
            "control, features without identity: bits among strangers, lower end",
            0.0,
            features.course.marks[-1].bits.low,
            at_most=True,
        ),
    ]


def _shown(name: str, course: Course) -> Claim:
    last = course.marks[-1]
    return Claim(f"control, {name}: people shown", 0.1, last.shown / last.people, at_most=True)


class Recognised(NamedTuple):
    """What a verifier recognises.

    Attributes:
        auc: The area under the curve, with an interval over people.
        eer: The equal error rate.
        refused: The share of other photos of the people refused at the operating point.
    """

    auc: Interval
    eer: float
    refused: float

    def row(self) -> list[object]:
        """Returns the values of a line of the table."""
        return [*self.auc, self.eer, self.refused]


class _Attacked(NamedTuple):
    """What is known of an encoder, and what an attack got of it.

    Attributes:
        recognises: Its people.
        course: Of the attack.
    """

    recognises: Recognised
    course: Course

    def row(self) -> list[object]:
        """Returns the values of a line of the table."""
        mark, last = self.course.at(300), self.course.marks[-1]
        gained = mark.advantage()
        return [
            *self.recognises.row(),
            *(mark.hard / mark.people, mark.dictionary.estimate, gained.low, gained.high),
            *(last.shown / last.people, *last.bits),
        ]


def recognised(subject: VerifierSubject) -> Recognised:
    """Returns what a verifier recognises.

    Args:
        subject: Has other photos of the people, and scores of strangers.
    """
    held = subject.held_out
    places = np.searchsorted(subject.goals, held.people)
    own = subject.target.scores(held.images, places)
    others = np.sort(subject.impostor_scores, axis=None)
    below = np.searchsorted(others, own, side="left") + np.searchsorted(others, own, side="right")
    areas = np.bincount(places, below / 2 / len(others)) / np.bincount(places)
    own.sort()
    refused = np.searchsorted(own, others, side="left") / len(own)
    accepted = 1 - np.arange(len(others)) / len(others)
    rejects = subject.operating.false_rejects
    return Recognised(
        mean_interval(areas, lowest=0.0, highest=1.0),
        float(np.maximum(refused, accepted).min()),
        float("nan") if rejects is None else rejects.estimate,
    )


def _noise(images: Images) -> Floats:
    pixels = (images * 255).round().astype(np.uint8)
    seeds = [zlib.crc32(one.tobytes()) for one in pixels]
    return np.stack([np.random.default_rng(one).standard_normal(64) for one in seeds])


class _WithoutIdentity:
    """Projects small pictures onto the directions that tell people apart the least.

    Of the directions in which pictures differ most, those with the smallest share of what lies
    between people (Fisher's ratio, from its other end). Of few photos, the directions found tell
    these people apart the least by chance, and others all the same.
    """

    def __init__(self, rows: Floats, who: Labels) -> None:
        """Learns from small pictures, ``(n, values)``, of people numbered from 0."""
        self.mean = rows.mean(axis=0)
        means = np.stack([rows[who == one].mean(axis=0) for one in range(who.max() + 1)])
        within = np.cov((rows - means[who]).T)
        between = np.cov(means.T) - within * (who.max() + 1) / len(who)
        main = np.linalg.eigh(within + between)[1][:, -_LOOKED_AT:]
        apart, alike = main.T @ within @ main, main.T @ between @ main
        half = np.linalg.inv(np.linalg.cholesky(apart))
        self.axes = main @ half.T @ np.linalg.eigh(half @ alike @ half.T)[1][:, :_KEPT]

    def __call__(self, images: Images) -> Floats:
        """Returns ``(n, 4)``."""
        found: Floats = (_small(images) - self.mean) @ self.axes
        return found


def _many(seed: int) -> tuple[Floats, Labels]:
    """Returns small pictures of 2,000 people who take part in nothing else, and who is on each."""
    parts = [photos(_AT_ONCE, 4, "bystanders", 1000 * (seed + 1) + part) for part in range(_PARTS)]
    rows = np.concatenate([_small(part.images) for part in parts])
    return rows, np.concatenate([part.people + _AT_ONCE * at for at, part in enumerate(parts)])


def _small(images: Images) -> Floats:
    small = functional.adaptive_avg_pool2d(torch.from_numpy(images), _SIDE)
    rows: Floats = small.flatten(1).double().numpy()
    return rows


def _attacked(world: World, encoder: Encoder, name: str, rows: int, seed: int) -> _Attacked:
    """Enrols the same people at another encoder, and attacks it before the same judges."""
    tell(f"control: {name}")
    old = world.subject
    subject = enrol(encoder, old.private, old.trained, old.public, old.strangers)
    other = world._replace(subject=subject, at_one_percent=_at_one_percent(subject.impostor_scores))
    course = follow(other, EvolutionAttack(rows=rows), (300, rows), seed)
    return _Attacked(recognised(subject), course._replace(attack=f"evolution, {name}"))


def _at_one_percent(scores: np.ndarray) -> float:
    ordered = np.sort(scores, axis=None)[::-1]
    return float(ordered[len(ordered) // 100])


def exchanged(world: World, seed: int) -> tuple[list[Claim], list[Table]]:
    """Gives everybody's template to the next: pictures must be those of the next.

    A decoder makes the same picture of a template whosever name stands beside it, to the last
    digit. Gradients begin at draws that go with the name, so that their pictures are only alike:
    how many show the person is a rate, to be read beside that of everybody's own template.
    """
    tell("control: the template of another person")
    target, count = world.subject.embedding, len(world.subject.goals)
    assert target is not None
    following = np.roll(np.arange(count), -1)
    store = Store(target.store.means[following], np.arange(count))
    swapped = EmbeddingVerifier(target.encoder, store, target.metric, threshold=target.threshold)
    decoder, goals = TemplateAttack(), world.subject.goals
    own, other = (_pictures(world, decoder, one, seed) for one in (target, swapped))
    apart = float(np.abs(own[following] - other).max())
    grown = [_pictures(world, GradientAttack(), one, seed) for one in (target, swapped)]
    judged = [world.panel.judge(one) for one in grown]
    rows = [
        ["own template", float(judged[0].names(goals).mean()), None],
        [
            "another's template: that other person (it was a claim of 0.7)",
            float(judged[1].names(goals[following]).mean()),
            float(judged[0].names(goals).mean()),
        ],
        ["another's template: the person asked for", float(judged[1].names(goals).mean()), None],
    ]
    claims = [
        Claim(
            "control, another's template: a decoder's pictures differ from that other's own",
            1e-6,
            apart,
            at_most=True,
        ),
        Claim(
            "control, another's template: pictures show the person asked for",
            0.1,
            float(judged[1].names(goals).mean()),
            at_most=True,
        ),
    ]
    title = f"Pictures that `gradient` makes of exchanged templates, {count} people: share shown"
    return claims, [Table(title, ("picture", "shown", "by own template"), rows)]


def _pictures(world: World, attack: Attack, verifier: EmbeddingVerifier, seed: int) -> Images:
    count = len(world.subject.goals)
    access = VerifierAccess(attack.access)
    view = View(verifier, access, QueryLedger(count), np.arange(count))
    *_, last = attack.run(view, world.knowledge, rng=np.random.default_rng([seed, 1]))
    return last.reconstructions
