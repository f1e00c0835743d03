"""Verifiers of which is known what an attack must find."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.claims import Claim, tell
from benchmarks.verifiers.courses import Course, follow
from benchmarks.verifiers.worlds import World
from darkroom.access import VerifierAccess
from darkroom.demo.face_encoder import FaceEncoder
from darkroom.ledger import QueryLedger
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.attacks.gradient import GradientAttack
from darkroom.verifiers.subject import enrol
from darkroom.verifiers.targets.embedding import EmbeddingVerifier, Store
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.verifiers.targets.view import View


def untrained(world: World, seed: int, rows: int) -> tuple[list[Claim], Course]:
    """Attacks an encoder with random weights, which nobody's photos ever reached."""
    tell("control: an encoder with random weights")
    subject = world.subject
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = FaceEncoder()
    control = enrol(
        TorchEncoder(encoder, subject.spec),
        subject.private,
        subject.trained,
        subject.public,
        subject.strangers,
    )
    # The people and the judges are the same.
    other = world._replace(subject=control, at_one_percent=_at_one_percent(control.impostor_scores))
    course = follow(other, EvolutionAttack(rows=rows), (300, rows), seed)
    mark = course.at(300)
    claims = [
        Claim(
            "control, random weights: accepted at 0.1% above the dictionary, lower end",
            0.0,
            mark.advantage().low,
            at_most=True,
        ),
        Claim(
            "control, random weights: people shown",
            0.1,
            course.marks[-1].shown / mark.people,
            at_most=True,
        ),
    ]
    return claims, course._replace(attack="evolution, random weights")


def _at_one_percent(scores: np.ndarray) -> float:
    ordered = np.sort(scores, axis=None)[::-1]
    return float(ordered[len(ordered) // 100])


def exchanged(world: World, seed: int) -> list[Claim]:
    """Gives everybody's template to the next: the picture must show the next."""
    tell("control: the template of another person")
    target, count = world.subject.target, len(world.subject.goals)
    following = np.roll(np.arange(count), -1)
    store = Store(target.store.means[following], np.arange(count))
    swapped = EmbeddingVerifier(target.encoder, store, target.metric, threshold=target.threshold)
    view = View(swapped, VerifierAccess.WEIGHTS, QueryLedger(count), np.arange(count))
    *_, last = GradientAttack().run(view, world.knowledge, rng=np.random.default_rng([seed, 1]))
    judgement, goals = world.panel.judge(last.reconstructions), world.subject.goals
    return [
        Claim(
            "control, another's template: pictures show that other person",
            0.7,
            float(judgement.names(goals[following]).mean()),
        ),
        Claim(
            "control, another's template: pictures show the person asked for",
            0.1,
            float(judgement.names(goals).mean()),
            at_most=True,
        ),
    ]
