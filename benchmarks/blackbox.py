"""Reconstructing faces through an API: success against queries, for each way of answering."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.att_faces import SPEC, flat, load_faces, train
from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.faces import ATTACKED, STRANGERS, train_panel
from darkroom.access import Access
from darkroom.attacks.base import Attack
from darkroom.attacks.evolution import EvolutionAttack
from darkroom.attacks.finite_difference import FiniteDifferenceAttack
from darkroom.attacks.gradient import GradientAttack
from darkroom.defenses.outputs import Noise, Pipeline, Rounding
from darkroom.defenses.outputs import TopK as KeepTopK
from darkroom.ledger import Limit, QueryLedger
from darkroom.metrics.false_positives import Rate
from darkroom.metrics.judges import Panel
from darkroom.priors.base import ImagePrior
from darkroom.priors.images import EigenfacePrior
from darkroom.targets.torch import TorchTarget
from darkroom.targets.view import View

BUDGETS = (10, 30, 100, 300, 1000, 3000, 10_000)
"""Rows a person at which success is read off."""

CLAIMED = 3000
"""Rows a person at which the claims are made."""

SLACK = {"softmax": 0.05, "mlp": 0.05, "cnn": 0.10}
"""How far ``evolution`` may stay behind the white-box attack on each target."""


class Contender(NamedTuple):
    """One row of the table, for every target.

    Attributes:
        name: What the table calls it.
        make: Returns the attack for so many rows a person.
        access: What it is run with.
        defense: What lies between it and the answers.
    """

    name: str
    make: Callable[[int], Attack]
    access: Access = Access.SCORES
    defense: Pipeline = Pipeline()


def evolution(rows: int) -> Attack:
    """Returns ``evolution`` as a plan's words make it."""
    return EvolutionAttack(rows=rows)


WHITE_BOX = Contender("gradient", lambda _: GradientAttack(), Access.WEIGHTS)
PLAIN = Contender("evolution", evolution)
ROUNDED = Contender("evolution", evolution, defense=Pipeline((Rounding(2),)))
CONTENDERS = (
    WHITE_BOX,
    PLAIN,
    ROUNDED,
    Contender("evolution", evolution, defense=Pipeline((Noise(0.05),))),
    Contender("evolution", evolution, Access.TOP_K, Pipeline((KeepTopK(3),))),
    Contender("finite-difference", lambda rows: FiniteDifferenceAttack(rows=rows)),
)
"""The rows of the table. The first three are those of the claims."""


class Curve(NamedTuple):
    """How one contender did against one target.

    Attributes:
        success: How many people the judges recognise after each of :data:`BUDGETS`, or ``None``
            where that much was not asked for.
        queries: The median a person.
        seconds: For all people.
    """

    success: list[Rate | None]
    queries: float
    seconds: float

    def at(self, budget: int) -> float:
        """Returns the success at a budget, or at the largest one below it that was measured."""
        known = [
            rate.interval.estimate
            for limit, rate in zip(BUDGETS, self.success, strict=True)
            if rate is not None and rate.interval is not None and limit <= budget
        ]
        return known[-1] if known else 0.0


def run(*, quick: bool, seed: int) -> Outcome:
    """Measures everything; see the module.

    Args:
        quick: Whether to attack the softmax classifier alone, with at most 3,000 rows a person
            and only by the attacks of the claims.
        seed: Decides everything random.

    Raises:
        DataError: If the photos are absent.
    """
    images = load_faces()
    names = ("softmax", "mlp") if quick else ("softmax", "mlp", "cnn")
    targets = {}
    for name in names:
        tell(f"training {name}")
        targets[name] = train(name, images, seed).target
    public, people = flat(images[STRANGERS], STRANGERS)
    panel = train_panel(images, public, people, seed)
    prior = EigenfacePrior.fit(public, SPEC, seed=seed)
    attacked = {name: target for name, target in targets.items() if not quick or name == "softmax"}
    claims, table = _att_claims(attacked, prior, panel, quick, seed)
    speed, timings = overhead_claims(targets, prior, quick=quick)
    return Outcome([*claims, *speed], [table, timings])


def _att_claims(
    targets: dict[str, TorchTarget], prior: ImagePrior, panel: Panel, quick: bool, seed: int
) -> tuple[list[Claim], Table]:
    """Attacks every target with every contender and draws up the claims."""
    rows, claims = [], []
    for name, target in targets.items():
        curves = {}
        for contender in CONTENDERS[:3] if quick else CONTENDERS:
            tell(f"{name}: {contender.name} with {contender.access}, {contender.defense.name}")
            most = CLAIMED if quick else BUDGETS[-1]
            curve = measure(contender, target, prior, panel, most=most, seed=seed)
            curves[contender] = curve
            rows.append([name, *_row(contender, curve)])
        claims += _claims(name, curves[WHITE_BOX], curves[PLAIN], curves[ROUNDED])
    rows.append(
        ["any", "none", "-", "-", *[_baseline(prior, panel, seed)] * len(BUDGETS), 0.0, 0.0]
    )
    columns = ("target", "attack", "access", "defence", *map(str, BUDGETS), "queries", "seconds")
    title = "Judged success by rows a person: AT&T at 112x92, 20 of 40 people, eigenfaces"
    return claims, Table(title, columns, rows)


def _claims(name: str, white: Curve, plain: Curve, rounded: Curve) -> list[Claim]:
    """Returns what is claimed of ``evolution`` against one target."""
    best, reached = white.at(BUDGETS[-1]), plain.at(CLAIMED)
    return [
        Claim(
            f"AT&T {name}: white-box success less that of evolution in {CLAIMED} rows",
            SLACK[name],
            round(best - reached, 6),
            at_most=True,
        ),
        Claim(
            f"AT&T {name}: what rounding to two decimals takes from it",
            0.10,
            round(reached - rounded.at(CLAIMED), 6),
            at_most=True,
        ),
    ]


def measure(
    contender: Contender,
    target: TorchTarget,
    prior: ImagePrior,
    panel: Panel,
    *,
    most: int,
    seed: int,
) -> Curve:
    """Runs a contender and judges the best it had at every budget.

    Args:
        contender: The attack, and what it sees.
        target: The model.
        prior: What the attacker knows beforehand.
        panel: The judges.
        most: Rows a person at most.
        seed: Decides everything random.
    """
    ledger = QueryLedger(len(ATTACKED), Limit(per_goal=most))
    noise = np.random.default_rng([seed, 2])
    view = View(target, contender.access, ledger, defense=contender.defense, noise=noise)
    begun = time.perf_counter()
    answers = contender.make(most).run(view, prior, ATTACKED, rng=np.random.default_rng([seed, 1]))
    success: list[Rate | None] = [None] * len(BUDGETS)
    seconds = 0.0
    for progress in answers:
        seconds += time.perf_counter() - begun
        rate = Rate.of(panel.judge(progress.reconstructions).names(ATTACKED))
        cost = int(progress.queries.max())
        for place, budget in enumerate(BUDGETS):
            if cost <= budget <= most:
                success[place] = rate
        begun = time.perf_counter()
    return Curve(success, float(np.median(ledger.spent)), seconds)


def _row(contender: Contender, curve: Curve) -> list[object]:
    rates = [
        None if rate is None or rate.interval is None else rate.interval.estimate
        for rate in curve.success
    ]
    seen = [contender.name, str(contender.access), contender.defense.name]
    return [*seen, *rates, curve.queries, round(curve.seconds, 1)]


@torch.no_grad()
def _baseline(prior: ImagePrior, panel: Panel, seed: int) -> float:
    """Returns the success of a guess without the model."""
    drawn = prior.draw(len(ATTACKED), torch.Generator().manual_seed(seed))
    return float(panel.judge(prior.decode(drawn).numpy()).names(ATTACKED).mean())


def overhead_claims(
    targets: dict[str, TorchTarget], prior: ImagePrior, *, quick: bool
) -> tuple[list[Claim], Table]:
    """Compares rows a second through ``evolution`` with the bare model's.

    Both are counted in processor time of one thread, in turns, and the best of each is taken, so
    that what else the machine does matters little.

    Args:
        targets: The models; the claim is about ``mlp``, whose layer is the paper's.
        prior: What the attacker knows beforehand.
        quick: Whether to take fewer rows.
    """
    tell("timing evolution against the bare model")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timings = {name: _overhead(target, prior, quick) for name, target in targets.items()}
    finally:
        torch.set_num_threads(threads)
    columns = ("target", "rows/s bare", "rows/s decoding", "rows/s evolution", "share of bare")
    rows = [
        [name, *(round(1 / one) for one in timing), timing.bare / timing.evolution]
        for name, timing in timings.items()
    ]
    share = timings["mlp"].bare / timings["mlp"].evolution
    claim = Claim("speed: rows a second through evolution over the bare MLP's", 0.85, share)
    return [claim], Table("Rows a processor second, 20 people at a time", columns, rows)


class Timing(NamedTuple):
    """Processor seconds a row.

    Attributes:
        bare: Of the model alone, in batches as large as the attack's.
        decoding: Of the prior alone.
        evolution: Of the attack, its model and prior included.
    """

    bare: float
    decoding: float
    evolution: float


def _overhead(target: TorchTarget, prior: ImagePrior, quick: bool) -> Timing:
    """Times model, prior and attack in turns; the best of each counts."""
    attack = EvolutionAttack(rows=1000 if quick else CLAIMED, confidence=1.0)
    batch = len(ATTACKED) * attack.population
    latents = prior.draw(batch, torch.Generator().manual_seed(0))
    with torch.no_grad():
        images = prior.decode(latents).numpy()

    def attacked() -> int:
        ledger = QueryLedger(len(ATTACKED))
        view = View(target, Access.SCORES, ledger)
        for _ in attack.run(view, prior, ATTACKED, rng=np.random.default_rng(0)):
            pass
        return ledger.total

    with torch.no_grad():
        turns = [
            Timing(
                _seconds_a_row(lambda: len(target.scores(images)), 3),
                _seconds_a_row(lambda: len(prior.decode(latents)), 3),
                _seconds_a_row(attacked, 1),
            )
            for _ in range(1 if quick else 2)
        ]
    return Timing(*(min(column) for column in zip(*turns, strict=True)))


def _seconds_a_row(work: Callable[[], int], times: int) -> float:
    """Returns the processor seconds that work takes, which says how many rows it did."""
    begun = time.process_time()
    rows = sum(work() for _ in range(times))
    return (time.process_time() - begun) / rows
