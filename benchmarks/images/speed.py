"""Speed, over a peer and over the model's own passes, and peak memory."""

from __future__ import annotations

import copy
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.claims import Claim, Table, tell
from benchmarks.images.att_faces import PIXELS, SPEC
from darkroom.access import Access
from darkroom.errors import MissingExtraError
from darkroom.images.attacks.base import Attack, milestones
from darkroom.images.attacks.gradient import GradientAttack
from darkroom.images.attacks.mi_face import MIFaceAttack
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import QueryLedger
from darkroom.vision.priors.spaces import MeanPrior

GOALS = np.arange(40)


def speed_claims(target: TorchTarget, *, quick: bool, seed: int) -> tuple[list[Claim], list[Table]]:
    """Times our attacks, the peer's and the model's bare passes, in turns, on 40 people.

    Every attack is set up so that nothing ends it early, and it is checked that nothing did.

    Args:
        target: The multilayer perceptron.
        quick: Whether to take fewer iterations.
        seed: For the attacks.
    """
    steps, longer, repeats, many = (10, 30, 3, 9) if quick else (50, 60, 5, 15)
    prior = MeanPrior.black(SPEC)
    tell(f"timing ART: {steps} iterations")
    peer = time_peer(target, steps)
    same = MIFaceAttack(steps=steps, patience=steps + 1, confidence=1.0)
    time_attack(same, target, prior, seed)
    mine = min(time_attack(same, target, prior, seed) for _ in range(repeats))
    text = "speed: mi-face over ART 1.20 MIFace, same iterations, 40 people, MLP"
    claims, rows = [Claim(text, 40.0, peer / mine)], [["mi-face", steps, peer, mine, None, None]]
    ours: dict[str, Attack] = {
        "mi-face": MIFaceAttack(steps=longer, patience=longer + 1, confidence=1.0),
        "gradient": GradientAttack(steps=longer, settle=longer + 1),
        "gradient without moves": GradientAttack(
            steps=longer, settle=longer + 1, shift=0, turn=0, zoom=0, flip=0
        ),
    }
    for name, attack in ours.items():
        forward = comparisons(attack)
        tell(f"timing {name}")
        pairs = []
        for turn in range(many):
            if turn % 2:  # whoever goes second finds the machine as the first has left it
                bare = time_bare(target, attack, forward)
                pairs.append((time_attack(attack, target, prior, seed), bare))
            else:
                mine = time_attack(attack, target, prior, seed)
                pairs.append((mine, time_bare(target, attack, forward)))
        # What else the machine does falls on both of a pair alike, or spoils that pair alone.
        overhead = median(one / other for one, other in pairs)
        mine, bare = (median(times) for times in zip(*pairs, strict=True))
        text = f"speed: {name} over the model's own passes"
        claims.append(Claim(text, 1.15, overhead, at_most=True))
        rows.append([name, longer, None, mine, bare, overhead])
    columns = ("attack", "iterations", "ART s", "ours s", "bare passes s", "overhead")
    return claims, [Table("Seconds for 40 people against the MLP", columns, rows)]


def comparisons(attack: Attack) -> int:
    """Returns how many forward passes without a gradient the attack takes of the whole batch."""
    if isinstance(attack, GradientAttack):
        return (len(milestones(attack.steps)) + 1) * (1 + attack.probes)
    return 0


def time_peer(target: TorchTarget, steps: int) -> float:
    """Returns the seconds that ART's attack takes for 40 people and ``steps`` iterations.

    Its batch size of one is its fastest; a threshold of one keeps its inverted stop rule from
    ending a search, which is checked by counting gradients. The model is given as PyTorch makes
    it and ART's own examples use it, with parameters that require gradients.

    Raises:
        MissingExtraError: If ART is not installed.
    """
    try:
        from art.attacks.inference.model_inversion import MIFace
        from art.estimators.classification import PyTorchClassifier
    except ImportError as error:
        raise MissingExtraError("adversarial-robustness-toolbox", "bench") from error
    model = nn.Sequential(copy.deepcopy(target.model).requires_grad_(True), nn.Softmax(dim=1))
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), SPEC.shape, len(GOALS), clip_values=(0.0, 1.0)
    )
    gradient: Callable[..., Any] = classifier.class_gradient
    calls = []

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return gradient(*arguments, **named)

    classifier.class_gradient = counted
    attack = MIFace(
        classifier,
        max_iter=steps,
        window_length=steps + 1,
        threshold=1.0,
        batch_size=1,
        verbose=False,
    )
    start = np.zeros((len(GOALS), *SPEC.shape), np.float32)
    begun = time.perf_counter()
    attack.infer(start, GOALS)
    seconds = time.perf_counter() - begun
    assert len(calls) == steps * len(GOALS), f"{len(calls)} gradients"
    return seconds


def time_attack(attack: Attack, target: TorchTarget, prior: MeanPrior, seed: int) -> float:
    """Returns the seconds of one run over 40 people, none of which ended early."""
    view = View(target, Access.WEIGHTS, QueryLedger(len(GOALS)))
    begun = time.perf_counter()
    for _ in attack.run(view, prior, GOALS, rng=np.random.default_rng(seed)):
        pass
    seconds = time.perf_counter() - begun
    assert (view.ledger.spent == attack.expected_queries()).all(), view.ledger.spent
    return seconds


def time_bare(target: TorchTarget, attack: Attack, forward: int) -> float:
    """Returns the seconds of as many passes of the model alone as an attack takes.

    Args:
        target: Whose model is run.
        attack: Says how many passes.
        forward: How many of them take no gradient.
    """
    images = torch.zeros(len(GOALS), *SPEC.shape)
    goals = torch.from_numpy(GOALS)[:, None]

    def confidence(seen: Tensor) -> Tensor:
        scores: Tensor = target.model(seen)
        return scores.log_softmax(dim=1).gather(1, goals).sum()

    begun = time.perf_counter()
    for _ in range(attack.expected_queries() - forward):
        seen = images.detach().requires_grad_(True)
        torch.autograd.grad(confidence(seen), seen)
    with torch.no_grad():
        for _ in range(forward):
            confidence(images)
    return time.perf_counter() - begun


def memory_claims(*, quick: bool, seed: int) -> list[Claim]:
    """Measures the peak memory of a large audit, and whether turns change its answers.

    Args:
        quick: Whether to take 300 people instead of 1,000.
        seed: For weights and attack.
    """
    people = 300 if quick else 1000
    tell(f"measuring the memory of {people} people")
    command = f"from benchmarks.images.speed import report_memory; report_memory({people}, {seed})"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=root, capture_output=True, text=True, check=True
    )
    gigabytes = float(json.loads(done.stdout)["bytes"]) / 1e9
    tell("comparing answers in turns and at once")
    # The margin to one class alone has a gradient that no sum over rows rounds.
    exact, usual = (
        np.abs(
            attack_many(60, steps=20, memory=1 << 30, seed=seed, softness=softness)
            - attack_many(60, steps=20, memory=1 << 20, seed=seed, softness=softness)
        ).max()
        for softness in (0.0, GradientAttack.softness)
    )
    text = "memory: largest difference of answers in turns and at once"
    return [
        Claim(f"memory: GB at peak, {people} people, softmax", 2.0, gigabytes, at_most=True),
        Claim(f"{text}, margin to one class", 1e-4, float(exact), at_most=True),
        Claim(f"{text}, grey levels", 0.5, float(255 * usual), at_most=True),
    ]


def report_memory(people: int, seed: int) -> None:
    """Runs a large audit and prints this process's peak memory as JSON."""
    attack_many(people, steps=50, memory=1 << 30, seed=seed)
    print(json.dumps({"bytes": peak_memory()}))


def attack_many(
    people: int, *, steps: int, memory: int, seed: int, softness: float = GradientAttack.softness
) -> NDArray[np.float32]:
    """Attacks every class of a softmax regression with random weights.

    Returns:
        The reconstructions, ``(people, 1, 112, 92)``.
    """
    layer = nn.Linear(PIXELS, people)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.weight.copy_(0.1 * torch.randn(layer.weight.shape, generator=generator))
        layer.bias.zero_()
    target = TorchTarget(nn.Sequential(nn.Flatten(), layer), SPEC.shape)
    attack = GradientAttack(steps=steps, memory=memory, settle=steps, softness=softness)
    view = View(target, Access.WEIGHTS, QueryLedger(people))
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    *_, last = attack.run(view, prior, np.arange(people), rng=np.random.default_rng(seed))
    return last.reconstructions


def peak_memory() -> int:
    """Returns the largest resident size of this process so far, in bytes.

    What the operating system's usage record says begins with the parent's peak on Linux, so the
    process's own status is read where there is one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
