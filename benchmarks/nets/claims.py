"""``python -m benchmarks nets``: bits of people out of ten ordinary networks, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.nets.networks import TRIED, TUNED, Net, train
from benchmarks.nets.people import FULL, QUICK, SPEC, Known, Ranker, World
from darkroom.access import Access
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.statistics.intervals import Interval
from darkroom.statistics.means import mean_interval
from darkroom.vision.judges.panel import Panel
from darkroom.vision.judges.ranks import Floats

BEFORE = GradientAttack(softness=0.0, noise=0.0, average=False)
"""The attack as it was: the margin to the best other class, no noise, the best point seen."""

AS_MANY = replace(BEFORE, settle=BEFORE.steps)
"""The same at all the rows that either may take."""

AFTER = GradientAttack()

GAINED = 0.5
"""Bits a person more, on networks that had no part in choosing the settings."""


class Answer(NamedTuple):
    """What an attack got out of a network.

    Attributes:
        bits: Gained over a guess, by goal, ``(goals,)``.
        success: Whether judges name the right person, by goal, ``(goals,)``.
        rows: Rows a goal, on average.
    """

    bits: Floats
    success: NDArray[np.bool_]
    rows: float


class Attacked(NamedTuple):
    """A network, and what came out.

    Attributes:
        net: Which.
        accuracy: On held-out photos.
        photo: Bits of one real photo of each, by goal, ``(goals,)``.
        before, as_many, after: What :data:`BEFORE`, :data:`AS_MANY` and :data:`AFTER` got.
    """

    net: Net
    accuracy: float
    photo: Floats
    before: Answer
    as_many: Answer
    after: Answer

    def row(self) -> list[object]:
        """Returns its row in the table."""
        settings = "tuned on" if self.net in TUNED else "tried on"
        return [self.net.name, settings, self.accuracy, *figures([self])]


COLUMNS = (
    *("net", "settings", "accuracy", "photo", "before", "as many", "after"),
    *("gain", "low", "high", "judged before", "judged after"),
    *("rows before", "as many ", "after "),
)


def figures(nets: Sequence[Attacked]) -> list[object]:
    """Returns mean bits, the gain with its interval, shares recognised and rows, over all goals."""
    answers = [[getattr(one, name) for one in nets] for name in ("before", "as_many", "after")]
    bits = [np.concatenate([one.bits for one in part]) for part in answers]
    judged = [float(np.concatenate([one.success for one in part]).mean()) for part in answers]
    rows = [round(float(np.mean([one.rows for one in part]))) for part in answers]
    photo = float(np.concatenate([one.photo for one in nets]).mean())
    means = [float(part.mean()) for part in bits]
    gain = difference(bits[2], bits[0])
    return [photo, *means, *gain, judged[0], judged[2], *rows]


def run(*, quick: bool, seed: int) -> Outcome:
    """Trains the networks and attacks them.

    Args:
        quick: One network of each five, with fewer people.
        seed: Decides everything random.
    """
    cast = QUICK if quick else FULL
    nets = [*TUNED[:1], *TRIED[:1]] if quick else [*TUNED, *TRIED]
    world = World.render(cast, len(nets) + 1, seed)
    *people, nobody = world.known
    found = [attacked(world, known, net, seed) for known, net in zip(people, nets, strict=True)]
    tuned, tried = ([one for one in found if one.net in part] for part in (TUNED, TRIED))
    sums: list[list[object]] = [
        ["all tuned on", "", None, *figures(tuned)],
        ["all tried on", "", None, *figures(tried)],
        ["all", "", None, *figures(found)],
    ]
    title = f"{cast.known} people a network, ranked among {cast.strangers:,} strangers: bits"
    return Outcome(
        [*gain_claims(tuned, tried), *nothing_claims(world, nobody, seed)],
        [Table(title, COLUMNS, [*(one.row() for one in found), *sums])],
    )


def gain_claims(tuned: Sequence[Attacked], tried: Sequence[Attacked]) -> list[Claim]:
    """Compares both attacks, above all on the networks that settings were not chosen on."""
    before, as_many, after = (
        np.concatenate([getattr(one, name).bits for one in tried])
        for name in ("before", "as_many", "after")
    )
    judged = np.concatenate([one.after.success for one in tried]).mean()
    once = np.concatenate([one.before.success for one in tried]).mean()
    every = np.concatenate([one.after.bits - one.before.bits for one in (*tuned, *tried)])
    text = "bits gained on the nets that were not tuned on, mean"
    return [
        Claim(text, GAINED, float((after - before).mean())),
        Claim(f"{text}, lower end", 0.0, difference(after, before).low),
        Claim(f"{text}, over as many rows", 0.0, float((after - as_many).mean())),
        Claim("judged success on the same, after less before", 0.0, float(judged - once)),
        Claim("bits gained on all nets, mean", GAINED, float(every.mean())),
    ]


def nothing_claims(world: World, known: Known, seed: int) -> list[Claim]:
    """Attacks a network that learned names dealt out by lot, behind which is no one."""
    images, names = known.trained_on
    dealt = np.random.default_rng([seed, 2]).permutation(names)
    tell("training a network of shuffled names")
    model = train(TRIED[0], images, dealt, seed=seed)
    ranker = world.ranker(known, world.prior)
    bits = answered(world, model, known, ranker, AFTER, seed).bits
    low = mean_interval(bits, lowest=float(bits.min()), highest=float(bits.max())).low
    text = "bits out of a plain CNN of shuffled names: lower end of the interval"
    return [Claim(text, 0.0, low, at_most=True)]


def attacked(world: World, known: Known, net: Net, seed: int) -> Attacked:
    """Trains one network and attacks it three times."""
    tell(f"training and attacking: {net.name}")
    model = train(net, *known.trained_on, seed=seed)
    ranker = world.ranker(known, world.prior)
    panel = world.panel(known, seed + 1000)
    answers = [
        answered(world, model, known, ranker, attack, seed, panel)
        for attack in (BEFORE, AS_MANY, AFTER)
    ]
    return Attacked(net, accuracy(model, known), ranker.bits(known.images[:, -1]), *answers)


def answered(
    world: World,
    model: nn.Module,
    known: Known,
    ranker: Ranker,
    attack: GradientAttack,
    seed: int,
    panel: Panel | None = None,
) -> Answer:
    """Runs an attack on all people of a network; without a panel, nobody is recognised."""
    goals = np.arange(len(known.images))
    ledger = QueryLedger(len(goals))
    view = View(TorchTarget(model, SPEC.shape), Access.WEIGHTS, ledger)
    *_, last = attack.run(view, world.prior, goals, rng=np.random.default_rng([seed, 1]))
    shown = last.reconstructions
    success = np.zeros(len(goals), np.bool_)
    if panel is not None:
        success = panel.judge(shown).names(goals)
    return Answer(ranker.bits(shown), success, float(ledger.spent.mean()))


def accuracy(model: nn.Module, known: Known) -> float:
    """Returns how often a network names people on photos that it never saw."""
    images, names = known.held_out
    with torch.no_grad():
        named = model(torch.from_numpy(images)).argmax(dim=1).numpy()
    return float((named == names).mean())


def difference(one: Floats, other: Floats) -> Interval:
    """Returns the 95% interval of the mean of paired differences."""
    gained = one - other
    return mean_interval(gained, lowest=float(gained.min()), highest=float(gained.max()))
