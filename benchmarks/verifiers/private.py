"""An encoder trained with DP-SGD, beside the same without."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.claims import Claim, Table, tell
from benchmarks.verifiers.controls import recognised
from benchmarks.verifiers.courses import Course, follow
from benchmarks.verifiers.worlds import World
from darkroom.demo.face_encoder import FaceEncoder
from darkroom.statistics.intervals import clopper_pearson
from darkroom.training.defense import Trained
from darkroom.verifiers.attacks.evolution import EvolutionAttack
from darkroom.verifiers.subject import enrol
from darkroom.verifiers.targets.encoders import TorchEncoder
from darkroom.verifiers.targets.metrics import Metric
from darkroom.verifiers.training.heads import HeadedEncoder, headed
from darkroom.vision.photos import Photos
from darkroom.vision.training.augment import vary
from darkroom.vision.training.base import ImageTraining, Undefended
from darkroom.vision.training.course import ImageCourse, Recipe, Strangers
from darkroom.vision.training.dp_sgd import PrivateSGD
from darkroom.vision.training.guarantees import chances

SIZE = 64


class _Way(NamedTuple):
    """How an encoder is trained.

    Attributes:
        name: What a table calls it.
        defense: The training.
        photos: On which.
    """

    name: str
    defense: ImageTraining
    photos: Photos


def private_claims(
    world: World, *, quick: bool, seed: int
) -> tuple[list[Claim], list[Table], list[Course]]:
    """Trains encoders on the people from whom that of the world learned, and attacks them.

    Epsilon is for a person: all photos of one are averaged before clipping. The public people, who
    are not protected, teach the encoder first. What they alone teach, without any private photo and
    so with an epsilon of nothing, stands beside it.
    """
    learned, public = world.learned, world.subject.public
    assert learned is not None
    epochs = (6, 2) if quick else (12, 4)
    spent = PrivateSGD(
        epsilon=8.0,
        unit="person",
        group_norm=True,
        pretrain_epochs=epochs[0],
        epochs=epochs[1],
        batch=150,
        learning_rate=0.02,
    )
    ways = [
        _Way("without a defence", Undefended(), learned),
        _Way("dp-sgd", spent, learned),
        _Way("public people alone", Undefended(), public),
    ]
    lines, courses, refused = list[list[object]](), list[Course](), list[float]()
    seconds = 0.0
    for way in ways:
        tell(f"training an encoder: {way.name}")
        trained = _trained(world, way, epochs[0], seed)
        seconds = seconds or trained.facts.seconds
        row, course = _measured(world, way, trained, seconds, quick, seed)
        lines.append(row)
        courses.append(course)
        refused.append(float(str(row[7])))
    return _claims(*refused), [_table(lines)], courses


def _claims(plain: float, private: float, without: float) -> list[Claim]:
    said = "dp-sgd, epsilon 8 a person: people refused more than"
    return [
        Claim(f"{said} without a defence", 0.2, private - plain, at_most=True),
        Claim(f"{said} by public people alone", 0.0, private - without, at_most=True),
    ]


def _table(lines: list[list[object]]) -> Table:
    return Table(
        "Encoders under a head, trained with DP-SGD and without: the bound is about the encoder "
        "alone, of a person in its training",
        (
            *("training", "epsilon", "for a", "bound", "without it", "times as long"),
            *("AUC", "people refused", "accepted, 300", "dictionary", "above it, low", "high"),
            *("shown", "low", "high", "bits"),
        ),
        lines,
    )


def _trained(world: World, way: _Way, epochs: int, seed: int) -> Trained[nn.Module]:
    learned, public = way.photos, world.subject.public
    people, labels = np.unique(learned.people, return_inverse=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = FaceEncoder()
    course = ImageCourse.of(
        headed(encoder, SIZE, len(people), Metric.COSINE, seed),
        learned.images,
        labels.astype(np.int64),
        seed=seed,
        strangers=Strangers(public.images, public.people),
        recipe=Recipe(epochs=epochs, batch=64, augment=vary),
    )
    return way.defense.train(course)


def _measured(
    world: World, way: _Way, trained: Trained[nn.Module], control: float, quick: bool, seed: int
) -> tuple[list[object], Course]:
    """Enrols the same people at a trained encoder, and attacks it."""
    module, old, learned = trained.model, world.subject, world.learned
    assert isinstance(module, HeadedEncoder)
    assert learned is not None
    encoder = TorchEncoder(module.encoder, old.spec)
    subject = enrol(encoder, old.private, old.trained, old.public, old.strangers)
    scores = np.sort(subject.impostor_scores, axis=None)[::-1]
    other = world._replace(subject=subject, at_one_percent=float(scores[len(scores) // 100]))
    rows = 300 if quick else 600
    course = follow(other, EvolutionAttack(rows=rows), (300, rows), seed)
    privacy, facts, count = trained.facts.privacy, trained.facts, len(np.unique(learned.people))
    most = int(np.unique(learned.people, return_counts=True)[1].max())
    mark, last = course.at(300), course.marks[-1]
    gained, known = mark.advantage(), recognised(subject)
    bound = 1.0 if way.photos is learned else 1 / count
    if privacy is not None:
        bound = chances(privacy, 1 / count, most)[0].most
    row: list[object] = [
        way.name,
        *((None, None, bound) if privacy is None else (privacy.epsilon, privacy.unit, bound)),
        *(1 / count, facts.seconds / control, known.auc.estimate, known.refused),
        *(mark.hard / mark.people, mark.dictionary.estimate, gained.low, gained.high),
        *clopper_pearson(last.shown, last.people),
        last.bits.estimate,
    ]
    return row, course._replace(attack="evolution", defense=f"{way.name}, head dropped")
