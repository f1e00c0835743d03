"""Verifiers of which is known what an attack must find."""

from __future__ import annotations

import zlib

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
from darkroom.verifiers.targets.base import Encoder, Floats, Images
from darkroom.verifiers.targets.embedding import EmbeddingVerifier, Store
from darkroom.verifiers.targets.encoders import FunctionEncoder, TorchEncoder
from darkroom.verifiers.targets.view import View


def untrained(world: World, seed: int, rows: int) -> tuple[list[Claim], list[Course]]:
    """Attacks two encoders that learned from nobody: random weights, and templates of noise.

    A net with random weights still answers alike for photos that look alike, so it is no encoder
    that says nothing. One whose templates follow from the exact bytes of a photo is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random = TorchEncoder(FaceEncoder(), world.subject.spec)
    noise = FunctionEncoder(_noise, world.subject.spec, name="noise")
    found = [
        _attacked(world, encoder, name, rows, seed)
        for name, encoder in (("random weights", random), ("templates of noise", noise))
    ]
    return [claim for claims, _ in found for claim in claims], [one for _, one in found]


def _noise(images: Images) -> Floats:
    pixels = (images * 255).round().astype(np.uint8)
    seeds = [zlib.crc32(one.tobytes()) for one in pixels]
    return np.stack([np.random.default_rng(one).standard_normal(64) for one in seeds])


def _attacked(
    world: World, encoder: Encoder, name: str, rows: int, seed: int
) -> tuple[list[Claim], Course]:
    """Enrols the same people at another encoder, and attacks it before the same judges."""
    tell(f"control: {name}")
    old = world.subject
    subject = enrol(encoder, old.private, old.trained, old.public, old.strangers)
    other = world._replace(subject=subject, at_one_percent=_at_one_percent(subject.impostor_scores))
    course = follow(other, EvolutionAttack(rows=rows), (300, rows), seed)
    mark, last = course.at(300), course.marks[-1]
    text = f"control, {name}: accepted at 0.1% above the dictionary, lower end"
    claims = [
        Claim(text, 0.0, mark.advantage().low, at_most=True),
        Claim(f"control, {name}: people shown", 0.1, last.shown / last.people, at_most=True),
    ]
    return claims, course._replace(attack=f"evolution, {name}")


def _at_one_percent(scores: np.ndarray) -> float:
    ordered = np.sort(scores, axis=None)[::-1]
    return float(ordered[len(ordered) // 100])


def exchanged(world: World, seed: int) -> list[Claim]:
    """Gives everybody's template to the next: the picture must show the next."""
    tell("control: the template of another person")
    target, count = world.subject.embedding, len(world.subject.goals)
    assert target is not None
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
