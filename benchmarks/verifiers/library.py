"""dlib's recogniser, as pip installs it, on the faces of AT&T."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.claims import Claim, Table, tell
from benchmarks.images.att_faces import SPEC, flat, load_faces
from benchmarks.verifiers.courses import COLUMNS, Mark, follow
from benchmarks.verifiers.likeness import likeness_table
from benchmarks.verifiers.worlds import World, judged
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.subject import enrol
from darkroom.verifiers.targets.dlib import DlibEncoder
from darkroom.verifiers.targets.metrics import Metric
from darkroom.verifiers.targets.sections import LIBRARY_THRESHOLD
from darkroom.vision.photos import Photos

ENROL = 4
_WAYS = ("0-19", "20-39")


def library_claims(people: int, rows: int, ways: int, seed: int) -> tuple[list[Claim], list[Table]]:
    """Attacks some of twenty people, whose judges and strangers are of AT&T too, both ways round.

    Args:
        people: How many are attacked.
        rows: A person.
        ways: 1, or 2 for those who were strangers too.
        seed: Decides everything random.
    """
    worlds = [att_world(people, first, seed) for first in (0, 20)[:ways]]
    half = max(100, rows // 2)
    steps = sorted({60, 120, 240, 600, half, rows})
    courses = [follow(world, EvolutionAttack(rows=rows), steps, seed) for world in worlds]
    marks = [course.marks[-1] for course in courses]
    attacked = sum(mark.people for mark in marks)
    accepted = sum(mark.hard for mark in marks) / attacked
    claims = [
        Claim(f"dlib at its own threshold: accepted in {rows} rows", 0.9, accepted),
    ]
    return claims, [
        Table(
            f"dlib on AT&T: {attacked} people, both ways round, after {rows} rows",
            ("what", "share", "low", "high"),
            [[what, *found] for what, found in _together(worlds, marks)],
        ),
        Table(
            "dlib on AT&T, threshold 0.6 (columns of 0.1%: at that threshold)",
            ("way", *COLUMNS),
            [
                [way, *line]
                for way, course in zip(_WAYS, courses, strict=False)
                for line in course.rows()
            ],
        ),
        _operating(worlds),
        likeness_table(worlds, [course.at(half).pictures for course in courses], half, seed),
    ]


def _operating(worlds: list[World]) -> Table:
    points = [world.subject.operating for world in worlds]
    return Table(
        "dlib on AT&T: strangers accepted, and people refused",
        ("way", "false accepts", "low", "high", "false rejects", "low", "high"),
        [
            [way, *point.false_accepts, *(point.false_rejects or (None, None, None))]
            for way, point in zip(_WAYS, points, strict=False)
        ],
    )


def _together(worlds: list[World], marks: list[Mark]) -> list[tuple[str, Interval]]:
    """Returns what all people come to: acceptance, the dictionary, likeness, and what could be.

    The reach of the prior says how many of the people the judges recognise in their own enrolled
    photo once it has passed through the prior: no attack through it can be expected to show more.
    """
    people = sum(mark.people for mark in marks)
    dictionary = np.mean([mark.dictionary for mark in marks], axis=0)
    reached, likest = 0, 0
    for world in worlds:
        subject, prior = world.subject, world.knowledge.prior
        firsts = subject.seen.images[np.searchsorted(subject.seen.people, subject.goals)]
        with torch.no_grad():
            through = prior.decode(prior.project(prior.encode(torch.from_numpy(firsts)))).numpy()
        reached += int(world.panel.judge(through).names(subject.goals).sum())
        closest = subject.impostor_scores.argmax(axis=0)
        likest += int(
            world.panel.judge(subject.impostors.images[closest]).names(subject.goals).sum()
        )
    return [
        ("accepted", clopper_pearson(sum(mark.hard for mark in marks), people)),
        ("accepted by a dictionary of as many strangers", Interval(*dictionary.tolist())),
        ("shown to the judges", clopper_pearson(sum(mark.shown for mark in marks), people)),
        ("shown by the likest stranger", clopper_pearson(likest, people)),
        ("pass the gate", clopper_pearson(sum(mark.faces for mark in marks), people)),
        ("reach of the prior: shown by their own photo in it", clopper_pearson(reached, people)),
    ]


def att_world(people: int, first: int, seed: int) -> World:
    """Enrols some of twenty people of AT&T at dlib, with the other twenty as the attacker's.

    Args:
        people: How many are enrolled.
        first: The first of them.
        seed: Decides everything random.
    """
    images = np.roll(load_faces(), -first, axis=0)
    tell(f"enrolling AT&T {first} to {first + people - 1} at dlib")
    private = Photos.of(*flat(images[:people], np.arange(people)))
    public = Photos.of(*flat(images[20:], np.arange(20)))
    apart = Photos.of(*flat(images[people:20], np.arange(20 - people)))
    subject = enrol(
        DlibEncoder(SPEC),
        private,
        private.numbers < ENROL,
        public,
        apart if people <= 10 else None,
        metric=Metric.EUCLIDEAN,
        threshold=LIBRARY_THRESHOLD,
    )
    return judged(subject, 300, seed)
