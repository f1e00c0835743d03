"""Targets with whom they are attacked about and who judges, and what attacks had by each budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.claims import tell
from benchmarks.images.att_faces import SPEC, Images, Labels, flat, load_faces
from benchmarks.images.att_faces import train as train_classifier
from benchmarks.images.faces import ATTACKED, STRANGERS, train_panel
from darkroom.access import Access
from darkroom.defenses.pipeline import Pipeline
from darkroom.demo.face_net import train_face_net
from darkroom.demo.images import (
    BYSTANDER_PHOTOS,
    BYSTANDERS,
    EMPLOYEE_PHOTOS,
    EMPLOYEES,
    STRANGER_PHOTOS,
    TRAINED_ON,
)
from darkroom.demo.images import STRANGERS as RENDERED_STRANGERS
from darkroom.demo.people.employees import render_faces
from darkroom.images.attacks.base import Attack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger
from darkroom.statistics.intervals import Interval, newcombe
from darkroom.vision.judges.gallery import Gallery, fit_gallery
from darkroom.vision.judges.panel import Panel
from darkroom.vision.judges.ranks import bits_gained, log_rank_right, log_ranks_of_guesses
from darkroom.vision.priors.spaces import EigenfacePrior
from darkroom.vision.spec import ImageSpec

BUDGETS = (10, 100, 300, 1_000, 3_000, 10_000, 20_000)
WAYS = ("0-19", "20-39")
"""Who of the 40 people is attacked; the 20 others are public. Both ways together tell more."""


GUESSES = 200
"""Draws of the prior that say how people rank in a gallery without the model."""


class Stage(NamedTuple):
    """A target with whom it is attacked about, and who judges.

    Attributes:
        name: The target's.
        people: Who is attacked.
        target: The model.
        panel: Judges of the people attacked.
        prior: What the attacker knows: eigenfaces of strangers.
        goals: The classes attacked.
        baseline: How many a guess without the model shows.
        gallery: The people attacked among others who took part in nothing, where there are any.
        guessed: The expected log2 of each goal's rank among them without the model, ``(goals,)``.
    """

    name: str
    people: str
    target: TorchTarget
    panel: Panel
    prior: EigenfacePrior
    goals: Labels
    baseline: int
    gallery: Gallery | None = None
    guessed: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        name: str,
        people: str,
        target: TorchTarget,
        panel: Panel,
        prior: EigenfacePrior,
        goals: Labels,
    ) -> Stage:
        """Judges a guess without the model."""
        with torch.no_grad():
            draw = prior.draw(len(goals), torch.Generator().manual_seed(0))
            guess: Images = prior.decode(draw).numpy()
        named = int(panel.judge(guess).names(goals).sum())
        return cls(name, people, target, panel, prior, goals, named)

    def with_gallery(self, gallery: Gallery) -> Stage:
        """Ranks guesses without the model in a gallery, beside which attacks gain bits."""
        with torch.no_grad():
            draws = self.prior.draw(GUESSES, torch.Generator().manual_seed(1))
            likeness = gallery.likeness(self.prior.decode(draws).numpy())
        guessed = log_ranks_of_guesses(likeness, gallery.goals)[: len(self.goals)]
        return self._replace(gallery=gallery, guessed=guessed)

    def bits(self, images: Images) -> float | None:
        """Returns by how many bits images of all goals narrow them down; ``None`` if unknown."""
        if self.gallery is None or self.guessed is None:
            return None
        likeness = self.gallery.likeness(images)
        people = np.r_[self.goals, self.gallery.goals : likeness.shape[1]]
        return bits_gained(log_rank_right(likeness[:, people]), self.guessed).estimate


class Course(NamedTuple):
    """What an attack had by each budget.

    Attributes:
        stage: Whom it attacked.
        attack: Its name.
        access: What a query returned.
        defense: What stood in between.
        hits: People recognised by each of :data:`BUDGETS` that the run reached, and the last.
        bits: By how many bits people were narrowed down by the same budgets, where it is known.
        rows: The most rows that a person cost.
        alone: The most that one person alone would have cost.
        seconds: For all people.
    """

    stage: Stage
    attack: str
    access: str
    defense: str
    hits: dict[int, int]
    bits: dict[int, float | None]
    rows: int
    alone: int
    seconds: float

    def success(self, budget: int | None = None) -> float:
        """Returns the share recognised by a budget, or in the end."""
        return self.recognised(budget) / len(self.stage.goals)

    def advantage(self) -> Interval:
        """Returns the share in the end above that of a guess without the model."""
        people = len(self.stage.goals)
        return newcombe(self.recognised(None), people, self.stage.baseline, people)

    def recognised(self, budget: int | None) -> int:
        """Returns how many were recognised by a budget, or in the end."""
        reached = [mark for mark in self.hits if budget is None or mark <= budget]
        return self.hits[max(reached)] if reached else 0

    def narrowed(self, budget: int | None) -> float | None:
        """Returns the bits gained by a budget, or in the end."""
        reached = [mark for mark in self.bits if budget is None or mark <= budget]
        return self.bits[max(reached)] if reached else None

    def row(self) -> list[object]:
        """Returns the values of one row of the table."""
        shown = [
            self.success(budget) if min(self.hits) <= budget <= self.rows * 1.2 else None
            for budget in BUDGETS
        ]
        return [
            self.stage.name,
            self.stage.people,
            self.attack,
            self.access,
            self.defense,
            *shown,
            self.success(),
            self.stage.baseline / len(self.stage.goals),
            self.rows,
            self.alone,
            round(self.seconds, 1),
        ]


def att_stages(names: Sequence[str], way: str, seed: int) -> list[Stage]:
    """Trains AT&T targets for one of :data:`WAYS`, whose people become the first 20 classes."""
    images = load_faces()
    if way == WAYS[1]:
        images = np.roll(images, -len(ATTACKED), axis=0)
    public, public_people = flat(images[STRANGERS], STRANGERS)
    panel = train_panel(images, public, public_people, seed)
    prior = EigenfacePrior.fit(public, SPEC, seed=seed)
    stages = []
    for name in names:
        tell(f"training {name}, people {way} attacked")
        target = train_classifier(name, images, seed).target
        stages.append(Stage.of(name, way, target, panel, prior, ATTACKED))
    return stages


def employees_stage(seed: int, people: int) -> Stage:
    """Returns the demo's model of rendered people, with the first of them as goals."""
    tell("rendering employees and training their model")
    faces = render_faces(EMPLOYEES, EMPLOYEE_PHOTOS, role="employees", seed=seed).images
    strangers = render_faces(
        RENDERED_STRANGERS, STRANGER_PHOTOS, role="strangers", seed=seed
    ).images
    everyone = np.arange(EMPLOYEES)
    photos, labels = flat(faces[:, :TRAINED_ON], everyone)
    model = train_face_net(photos, labels, classes=EMPLOYEES, seed=seed)
    spec = ImageSpec((3, 64, 64))
    public, public_people = flat(strangers, np.arange(RENDERED_STRANGERS))
    held_out, names = flat(faces[:, TRAINED_ON:], everyone)
    panel = Panel.fit(
        held_out, names, public_images=public, public_people=public_people, seed=seed + 1000
    )
    prior = EigenfacePrior.fit(public, spec, seed=seed)
    target, goals = TorchTarget(model, spec.shape), everyone[:people]
    stage = Stage.of("employees", f"0-{people - 1}", target, panel, prior, goals)
    others = render_faces(BYSTANDERS, BYSTANDER_PHOTOS, role="bystanders", seed=seed).images
    return stage.with_gallery(
        fit_gallery((public, public_people), (held_out, names), flat(others, np.arange(BYSTANDERS)))
    )


def follow(
    stage: Stage,
    attack: Attack,
    access: Access,
    defense: Pipeline,
    seed: int,
    *,
    limit: Limit | None = None,
) -> Course:
    """Runs an attack and judges what it has at each milestone."""
    tell(f"{stage.name} {stage.people}: {attack.name} with {access}, defence {defense.name}")
    ledger = QueryLedger(len(stage.goals), limit)
    view = View(
        stage.target, access, ledger, defense=defense, noise=np.random.default_rng([seed, 6])
    )
    hits: dict[int, int] = {}
    bits: dict[int, float | None] = {}
    begun = time.perf_counter()
    rng = np.random.default_rng([seed, 1])
    for progress in attack.run(view, stage.prior, stage.goals, rng=rng):
        judged = stage.panel.judge(progress.reconstructions).names(stage.goals)
        mark = int(progress.queries.max())
        hits[mark], bits[mark] = int(judged.sum()), stage.bits(progress.reconstructions)
    return Course(
        stage,
        attack.name,
        str(view.access),
        defense.name,
        hits,
        bits,
        int(ledger.spent.max()),
        int(ledger.alone.max()),
        time.perf_counter() - begun,
    )
