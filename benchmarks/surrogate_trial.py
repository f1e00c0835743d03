"""``python -m benchmarks.surrogate_trial``: the surrogate attack alone, success against rows.

It attacks people of the AT&T faces, or with ``--inputs`` the employees of a ``darkroom demo``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.policy_trial import Setup, att_setup, employees_setup
from darkroom.access import Access
from darkroom.attacks.surrogate import SurrogateAttack
from darkroom.ledger import QueryLedger
from darkroom.metrics.intervals import newcombe
from darkroom.targets.view import View


def trial(setup: Setup, attack: SurrogateAttack, seed: int) -> None:
    """Runs the attack and prints a line a milestone.

    The target's confidence is looked up afterwards; the attack sees labels.
    """
    target, panel, prior, people = setup
    n = len(people)
    with torch.no_grad():
        guess = prior.decode(prior.draw(n, torch.Generator().manual_seed(seed))).numpy()
    baseline = int(panel.judge(guess).names(people).sum())
    view = View(target, Access.LABEL, QueryLedger(n))
    print(f"{n} people, baseline {baseline}")
    print("rows  confidence  judged  advantage  interval", flush=True)
    begun = time.process_time()
    for progress in attack.run(view, prior, people, rng=np.random.default_rng([seed, 1])):
        confidence = target.scores(progress.reconstructions)[np.arange(n), people]
        judged = int(panel.judge(progress.reconstructions).names(people).sum())
        gain = newcombe(judged, n, baseline, n)
        print(
            f"{int(progress.queries.max()):5d} {np.median(confidence):10.3f} "
            f"{judged:7d} {gain.estimate:10.2f}  [{gain.low:.2f}, {gain.high:.2f}]",
            flush=True,
        )
    print(f"{(time.process_time() - begun) / n:.1f} seconds of one core a person")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="The surrogate attack, success against rows.")
    parser.add_argument("--target", default="softmax", help="of the AT&T faces: softmax, mlp, cnn")
    parser.add_argument("--inputs", type=Path, help="a demo's folder demo-inputs, instead of AT&T")
    parser.add_argument("--rows", type=int, default=SurrogateAttack.rows, help="a person")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    setup = (
        employees_setup(chosen.inputs, chosen.seed)
        if chosen.inputs
        else att_setup(chosen.target, chosen.seed)
    )
    trial(setup, SurrogateAttack(rows=chosen.rows), chosen.seed)


if __name__ == "__main__":
    main()
