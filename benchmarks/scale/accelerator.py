"""What gradient adds to a ResNet-50's own passes, and judges of a thousand people on a GPU."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from benchmarks.claims import Claim, Table, tell
from benchmarks.images.speed import comparisons
from benchmarks.scale.resnet import resnet50
from darkroom.access import Access
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.judges.panel import Panel
from darkroom.vision.judges.recognisers import own_judges
from darkroom.vision.priors.spaces import MeanPrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((3, 112, 112))
BATCH, CLASSES = 256, 1000
SMALL = ImageSpec((3, 64, 64))
FEW = 40  # goals on a processor, as the speed claims of faces have it
PEOPLE, EACH, SIDE = 1000, 4, 48

TEXTS = (
    "processor: seconds through gradient over bare passes, ResNet-50, 64 px, batch 40",
    "GPU: rows a second through gradient over bare passes, ResNet-50, 112 px, batch 256",
    "GPU: seconds until judges of 1,000 people are trained",
)


def accelerator_claims(folder: Path, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Times gradient on the processor, and both on a GPU where there is one.

    Args:
        folder: Not used.
        quick: Fewer steps.
        seed: For weights, moves and photos.
    """
    del folder
    speed, seconds, name = None, None, "GPU: none here"
    few = GradientAttack(steps=3 if quick else 12, settle=99)
    bare, ours = gradient_pace(
        _net(FEW, seed), SMALL, few, torch.device("cpu"), batch=FEW, seed=seed
    )
    rows: list[list[object]] = [
        ["ResNet-50 alone, processor", bare],
        ["through gradient, processor", ours],
    ]
    overhead = bare / ours
    if torch.cuda.is_available():
        device, name = torch.device("cuda"), f"GPU: {torch.cuda.get_device_name()}"
        net = _net(CLASSES, seed)
        free, _ = torch.cuda.mem_get_info()
        attack = GradientAttack(steps=20 if quick else 60, settle=99, memory=free // 2)
        bare, ours = gradient_pace(net, SPEC, attack, device, batch=BATCH, seed=seed)
        rows += [["ResNet-50 alone", bare], ["through gradient", ours]]
        speed = ours / bare
        seconds = judges_seconds(PEOPLE, SIDE, 500, device, seed)
    claims = [
        Claim(TEXTS[0], 1.15, overhead, at_most=True),
        Claim(TEXTS[1], 0.8, speed),
        Claim(TEXTS[2], 60.0, seconds, at_most=True),
    ]
    return claims, [Table(f"Passes of a ResNet-50, {name}", ("passes", "rows a second"), rows)]


def _net(classes: int, seed: int) -> nn.Module:
    """Returns an untrained ResNet-50 whose weights a seed decides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return resnet50(classes)


def gradient_pace(
    net: nn.Module,
    spec: ImageSpec,
    attack: GradientAttack,
    device: torch.device,
    *,
    batch: int,
    seed: int,
    turns: int = 5,
) -> tuple[float, float]:
    """Returns rows a second of as many passes of a model alone, and through an attack on it.

    Both are medians over pairs of turns, after one that warms up.

    Args:
        net: Takes images of ``spec``, answers ``batch`` classes or more.
        spec: Of the images.
        attack: Which nothing ends early.
        device: Where the model runs.
        batch: Goals.
        seed: For the attack.
        turns: Pairs.
    """
    target = TorchTarget(net, spec.shape, device=str(device), memory=attack.memory)
    prior = MeanPrior(torch.full(spec.shape, 0.5), spec)
    goals = np.arange(batch)
    pairs = []
    for turn in range(turns + 1):
        tell(f"passes alone and through gradient, {turn} of {turns}")
        alone = _alone(target, attack, batch)
        view = View(target, Access.WEIGHTS, QueryLedger(batch))
        _settled(device)
        began = time.perf_counter()
        for _ in attack.run(view, prior, goals, rng=np.random.default_rng(seed)):
            pass
        _settled(device)
        pairs.append((alone, time.perf_counter() - began))
        assert (view.ledger.spent == attack.expected_queries()).all(), view.ledger.spent
    rows = batch * attack.expected_queries()
    alone, ours = (median(times) for times in zip(*pairs[1:], strict=True))
    return rows / alone, rows / ours


def _alone(target: TorchTarget, attack: GradientAttack, batch: int) -> float:
    """Returns the seconds of an attack's passes by the model alone, images there already."""
    images = torch.full((batch, *target.spec.shape), 0.5, device=target.device)
    goals = torch.arange(batch, device=target.device)[:, None]
    forward = comparisons(attack)
    _settled(target.device)
    began = time.perf_counter()
    for _ in range(attack.expected_queries() - forward):
        seen = images.detach().requires_grad_(True)
        told = target.model(seen).log_softmax(dim=1).gather(1, goals).sum()
        torch.autograd.grad(told, seen)
    with torch.no_grad():
        for _ in range(forward):
            target.model(images).log_softmax(dim=1).gather(1, goals)
    _settled(target.device)
    return time.perf_counter() - began


def _settled(device: torch.device) -> None:
    """Waits until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def judges_seconds(people: int, side: int, steps: int, device: torch.device, seed: int) -> float:
    """Returns the seconds in which a panel of judges is trained, on faces of noise.

    Half as many strangers are known.

    Args:
        people: To tell apart.
        side: Pixels.
        steps: Of the net's training.
        device: Where judges learn.
        seed: For faces and judges.
    """
    tell(f"judges of {people} people")
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people + people // 2), EACH)
    faces = rng.random((who[-1] + 1, 3, side, side), np.float32)
    images = 0.8 * faces[who] + 0.2 * rng.random((len(who), 3, side, side), np.float32)
    own = who < people
    began = time.perf_counter()
    Panel.fit(
        images[own],
        who[own],
        public_images=images[~own],
        public_people=who[~own],
        seed=seed,
        judges=own_judges(steps),
        device=device,
    )
    _settled(device)
    return time.perf_counter() - began
