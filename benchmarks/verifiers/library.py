"""dlib's recogniser, as pip installs it, on the faces of AT&T."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.claims import Claim, Table, tell
from benchmarks.images.att_faces import SPEC, flat, load_faces
from benchmarks.verifiers.courses import COLUMNS, Course, Mark, follow
from benchmarks.verifiers.worlds import World, judged
from darkroom.statistics.intervals import Interval, clopper_pearson
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.subject import enrol
from darkroom.verifiers.targets.dlib import DlibEncoder
from darkroom.verifiers.targets.metrics import Metric
from darkroom.verifiers.targets.sections import LIBRARY_THRESHOLD
from darkroom.vision.photos import Photos

ENROL = 4


def library_claims(people: int, rows: int, ways: int, seed: int) -> tuple[list[Claim], list[Table]]:
    """Attacks some of twenty people, whose judges and strangers are of AT&T too, both ways round.

    Args:
        people: How many are attacked.
        rows: A person.
        ways: 1, or 2 for those who were strangers too.
        seed: Decides everything random.
    """
    courses = [_way(people, rows, first, seed) for first in (0, 20)[:ways]]
    marks = [course.marks[-1] for _, course in courses]
    attacked = sum(mark.people for mark in marks)
    accepted = sum(mark.hard for mark in marks) / attacked
    claims = [
        Claim(f"dlib at its own threshold: accepted in {rows} rows", 0.9, accepted),
    ]
    ways_round = list(zip(("0-19", "20-39"), courses, strict=False))
    distances = [
        [
            way,
            *world.subject.operating.false_accepts,
            *(world.subject.operating.false_rejects or (None, None, None)),
        ]
        for way, (world, _) in ways_round
    ]
    return claims, [
        Table(
            f"dlib on AT&T: {attacked} people, both ways round, after {rows} rows",
            ("what", "share", "low", "high"),
            [[what, *found] for what, found in _together([world for world, _ in courses], marks)],
        ),
        Table(
            "dlib on AT&T, threshold 0.6 (columns of 0.1%: at that threshold)",
            ("way", *COLUMNS),
            [
                [way, *line]
                for way, (_, course) in zip(("0-19", "20-39"), courses, strict=False)
                for line in course.rows()
            ],
        ),
        Table(
            "dlib on AT&T: strangers accepted, and people refused",
            ("way", "false accepts", "low", "high", "false rejects", "low", "high"),
            distances,
        ),
    ]


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


def _way(people: int, rows: int, first: int, seed: int) -> tuple[World, Course]:
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
    world = judged(subject, 300, seed)
    return world, follow(world, EvolutionAttack(rows=rows), (60, 120, 240, 600, rows), seed)
