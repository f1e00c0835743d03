"""Reconstructing faces: the demo, AT&T as in the first paper, and speed against a peer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.images.att_faces import (
    HELD_OUT,
    SPEC,
    TRAINED,
    Classifier,
    Images,
    Labels,
    flat,
    load_faces,
    train,
)
from benchmarks.images.speed import memory_claims, speed_claims
from darkroom.access import Access
from darkroom.auditing.record import Cell
from darkroom.demo.images import run_face_demo
from darkroom.images.attacks.base import Attack
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.mi_face import MIFaceAttack
from darkroom.images.false_positives import false_positive_rates
from darkroom.images.record import ImageCell
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.judges.accuracy import Rate, judge_accuracy
from darkroom.vision.judges.panel import Panel
from darkroom.vision.priors.autoencoder import train_variational_autoencoder
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import EigenfacePrior, MeanPrior

ATTACKED = np.arange(20)
STRANGERS = np.arange(20, 40)
BARS = {"softmax": 0.90, "mlp": 0.90, "cnn": 0.80}
"""The judged success that the gradient attack with eigenfaces must reach against each target."""


class Trial(NamedTuple):
    """One attack on one target.

    Attributes:
        target, attack, prior: Their names.
        success: How many people the judges recognise.
        baseline: How many they recognise in a guess without the model.
        confidence: The target's median confidence.
        queries: The median a person.
        seconds: For all people.
    """

    target: str
    attack: str
    prior: str
    success: Rate
    baseline: Rate
    confidence: float
    queries: float
    seconds: float

    def row(self) -> list[object]:
        """Returns the values of one row of the table."""
        return [
            self.target,
            self.attack,
            self.prior,
            *_interval(self.success),
            _interval(self.baseline)[0],
            self.confidence,
            self.queries,
            round(self.seconds, 1),
        ]


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures everything; see the module.

    Args:
        quick: Whether to leave out the generator prior, give the published attack fewer steps, and
            take fewer iterations and people in the tests of speed and memory.
        seed: Decides everything random.

    Raises:
        DataError: If the photos are absent.
    """
    images = load_faces()
    classifiers = {}
    for name in ("softmax", "mlp", "dae", "cnn"):
        tell(f"training {name}")
        classifiers[name] = train(name, images, seed)
    demo = _demo(seed)
    claims, tables = att_claims(classifiers, images, quick, seed)
    speed, timings = speed_claims(classifiers["mlp"].target, quick=quick, seed=seed)
    memory = memory_claims(quick=quick, seed=seed)
    return Outcome([*demo, *claims, *speed, *memory], [*tables, *timings])


def _demo(seed: int) -> list[Claim]:
    """Runs the demo in a folder of its own and returns its claims."""
    tell("running the demo")
    with tempfile.TemporaryDirectory() as folder:
        return demo_claims(run_face_demo(Path(folder), seed=seed, progress=False).cells)


def demo_claims(found: Sequence[Cell]) -> list[Claim]:
    """Turns the demo's cells into claims.

    Success and baseline are those of the undefended gradient attack with the generator prior;
    where there are several such cells, of the worst. The judges' errors are the largest of any
    cell, and the confidence is that of the same cells as the success.

    Args:
        found: Of the demo on faces.
    """
    cells = [cell for cell in found if isinstance(cell, ImageCell)]
    chosen = [
        cell
        for cell in cells
        if (cell.defense, cell.prior, cell.attack) == ("none", "generator", "gradient")
    ]
    judges = [cell.judges for cell in cells]
    reached = _least([cell.confidence.reached for cell in chosen])
    success = _least([cell.success.estimate for cell in chosen])
    baseline = _most([cell.baseline.estimate for cell in chosen])
    noise = _most([judge.false_positive_noise for judge in judges])
    adversarial = _most([judge.false_positive_adversarial for judge in judges])
    return [
        Claim("demo: people on whom confidence 0.999 is reached", 0.95, reached),
        Claim("demo: judged success, generator prior", 0.85, success),
        Claim("demo: success of a guess without the model", 0.15, baseline, at_most=True),
        Claim("demo: judges see a person in noise", 0.05, noise, at_most=True),
        Claim("demo: judges see a person in adversarial photos", 0.05, adversarial, at_most=True),
    ]


def _least(values: list[float | None]) -> float | None:
    return None if None in values else min((v for v in values if v is not None), default=None)


def _most(values: list[float | None]) -> float | None:
    return None if None in values else max((v for v in values if v is not None), default=None)


def att_claims(
    classifiers: dict[str, Classifier], images: Images, quick: bool, seed: int
) -> tuple[list[Claim], list[Table]]:
    """Attacks 20 of the 40 people in every target with every attack.

    Args:
        classifiers: The targets.
        images: All photos.
        quick: Whether the published attack gets fewer steps.
        seed: Decides everything random.

    Returns:
        The claims on success, and the tables behind them.
    """
    public, public_people = flat(images[STRANGERS], STRANGERS)
    panel = train_panel(images, public, public_people, seed)
    priors = [MeanPrior.fit(public, SPEC), EigenfacePrior.fit(public, SPEC, seed=seed)]
    if not quick:
        tell("training the generator")
        priors.append(train_variational_autoencoder(public, SPEC, seed=seed))
    trials = []
    for name, classifier in classifiers.items():
        for attack, prior in _attacks(classifier, priors, quick):
            tell(f"{name}: {attack.name} with {prior.name}")
            trials.append(_try(name, classifier, attack, prior, panel, seed))
    columns = (
        *("target", "attack", "prior", "judged", "low", "high"),
        *("baseline", "confidence", "queries", "seconds"),
    )
    tables = [
        _judges_table(classifiers, images, panel, seed),
        Table("AT&T at 112x92, 20 of 40 people attacked", columns, [t.row() for t in trials]),
    ]
    best = {t.target: t for t in trials if (t.attack, t.prior) == ("gradient", "eigenfaces")}
    claims = [
        Claim(
            f"AT&T {name}: judged success, gradient with eigenfaces",
            bar,
            _interval(best[name].success)[0],
        )
        for name, bar in BARS.items()
        if name in best
    ]
    return claims, tables


def train_panel(images: Images, public: Images, public_people: Labels, seed: int) -> Panel:
    """Trains judges on photos of the attacked that no target saw, and on all of the strangers'."""
    tell("training judges")
    photos, people = flat(images[ATTACKED, HELD_OUT], ATTACKED)
    return Panel.fit(
        photos, people, public_images=public, public_people=public_people, seed=seed + 1000
    )


def _attacks(
    classifier: Classifier, priors: list[ImagePrior], quick: bool
) -> Iterator[tuple[Attack, ImagePrior]]:
    """Yields the published attack, its latent form where there is a latent space, and ours."""
    steps = 100 if quick else 5000
    yield MIFaceAttack(start="black", steps=steps), MeanPrior.black(SPEC)
    if classifier.latent is not None:
        attack = MIFaceAttack(
            start="black", process="denoise-sharpen", steps=min(steps, 100), patience=100
        )
        yield attack, classifier.latent
    for prior in priors:
        yield GradientAttack(prior_weight=3.0 if prior.name == "generator" else 1.0), prior


def _try(
    name: str,
    classifier: Classifier,
    attack: Attack,
    prior: ImagePrior,
    panel: Panel,
    seed: int,
) -> Trial:
    """Runs one attack on one target, judges it, and judges a guess without the model."""
    view = View(classifier.target, Access.WEIGHTS, QueryLedger(len(ATTACKED)))
    begun = time.perf_counter()
    *_, last = attack.run(view, prior, ATTACKED, rng=np.random.default_rng([seed, 1]))
    seconds = time.perf_counter() - begun
    with torch.no_grad():
        draw = prior.draw(len(ATTACKED), torch.Generator().manual_seed(seed))
        guess = prior.decode(draw).numpy()
    return Trial(
        name,
        attack.name,
        "its own first layer" if prior is classifier.latent else prior.name,
        Rate.of(panel.judge(last.reconstructions).names(ATTACKED)),
        Rate.of(panel.judge(guess).names(ATTACKED)),
        float(np.median(last.confidence)),
        float(np.median(last.queries)),
        seconds,
    )


def _judges_table(
    classifiers: dict[str, Classifier], images: Images, panel: Panel, seed: int
) -> Table:
    """Measures every target's accuracy and how far the judges can be trusted with it."""
    photos, people = flat(images[ATTACKED, TRAINED], ATTACKED)
    accuracy = _interval(judge_accuracy(panel, photos, people).panel)[0]
    rows: list[list[object]] = []
    for name, classifier in classifiers.items():
        tell(f"{name}: trying to fool the judges")
        wrong = false_positive_rates(
            panel, classifier.target, photos, people, goals=ATTACKED, seed=seed
        )
        rates = [_interval(rate)[0] for rate in wrong]
        rows.append([name, classifier.accuracy, classifier.paper, accuracy, *rates])
    columns = (
        "target",
        "accuracy",
        "paper",
        "judges' accuracy",
        "wrong on noise",
        "wrong on adversarial photos",
        "wrong on others",
    )
    return Table("Targets and judges", columns, rows)


def _interval(rate: Rate) -> tuple[float | None, float | None, float | None]:
    """Returns estimate, low and high, or three times ``None`` where nothing is known."""
    if rate.interval is None:
        return None, None, None
    return rate.interval.estimate, rate.interval.low, rate.interval.high
