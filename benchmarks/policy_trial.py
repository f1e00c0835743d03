"""``python -m benchmarks.policy_trial``: the policy attack alone, success against rows.

It attacks people of the AT&T faces, or with ``--inputs`` the employees of a ``darkroom demo``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file

from benchmarks.att_faces import SPEC, Images, Labels, flat, load_faces, train
from benchmarks.faces import ATTACKED, STRANGERS, train_panel
from darkroom.access import Access
from darkroom.attacks.policy import PolicyAttack
from darkroom.data.face_net import demo_face_net
from darkroom.data.photos import load_photos
from darkroom.demo import TRAINED_ON
from darkroom.ledger import QueryLedger
from darkroom.metrics.intervals import newcombe
from darkroom.metrics.judges import Panel
from darkroom.priors.images import EigenfacePrior
from darkroom.targets.base import ImageSpec
from darkroom.targets.torch import TorchTarget
from darkroom.targets.view import View


class Setup(NamedTuple):
    """What is attacked and who judges."""

    target: TorchTarget
    panel: Panel
    prior: EigenfacePrior
    people: Labels


def att_setup(name: str, seed: int) -> Setup:
    """Returns one of the AT&T classifiers, with eigenfaces of the people not attacked."""
    images = load_faces()
    public, public_people = flat(images[STRANGERS], STRANGERS)
    return Setup(
        train(name, images, seed).target,
        train_panel(images, public, public_people, seed),
        EigenfacePrior.fit(public, SPEC, seed=seed),
        ATTACKED,
    )


def employees_setup(inputs: Path, seed: int) -> Setup:
    """Returns the demo's network, with eigenfaces of its strangers."""
    spec = ImageSpec((3, 64, 64))
    model = demo_face_net()
    model.load_state_dict(load_file(inputs / "face_net.safetensors"))
    private = load_photos(inputs / "employees", spec)
    public = load_photos(inputs / "strangers", spec)
    people = np.unique(private.people)
    held_out = np.concatenate([np.flatnonzero(private.people == p)[TRAINED_ON:] for p in people])
    panel = Panel.fit(
        private.images[held_out],
        private.people[held_out],
        public_images=public.images,
        public_people=public.people,
        seed=seed + 1000,
    )
    prior = EigenfacePrior.fit(public.images, spec, seed=seed)
    return Setup(TorchTarget(model.eval(), spec.shape), panel, prior, people)


def trial(setup: Setup, attack: PolicyAttack, seed: int) -> None:
    """Runs the attack and prints a line a milestone."""
    target, panel, prior, people = setup
    with torch.no_grad():
        draw = prior.draw(len(people), torch.Generator().manual_seed(seed))
        guess: Images = prior.decode(draw).numpy()
    baseline = int(panel.judge(guess).names(people).sum())
    view = View(target, Access.SCORES, QueryLedger(len(people)))
    print(f"{len(people)} people, baseline {baseline}")
    print("rows  confidence  judged  advantage  interval", flush=True)
    begun = time.process_time()
    for progress in attack.run(view, prior, people, rng=np.random.default_rng([seed, 1])):
        judged = int(panel.judge(progress.reconstructions).names(people).sum())
        gain = newcombe(judged, len(people), baseline, len(people))
        print(
            f"{int(progress.queries.max()):5d} {np.nanmedian(progress.confidence):10.3f} "
            f"{judged:7d} {gain.estimate:10.2f}  [{gain.low:.2f}, {gain.high:.2f}]",
            flush=True,
        )
    print(f"{(time.process_time() - begun) / len(people):.1f} seconds of one core a person")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="The policy attack alone, success against rows.")
    parser.add_argument("--target", default="softmax", help="of the AT&T faces: softmax, mlp, cnn")
    parser.add_argument("--inputs", type=Path, help="a demo's folder demo-inputs, instead of AT&T")
    parser.add_argument("--people", type=int, help="attack the first so many; all when left out")
    parser.add_argument("--rows", type=int, default=PolicyAttack.rows, help="a person")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    setup = (
        employees_setup(chosen.inputs, chosen.seed)
        if chosen.inputs
        else att_setup(chosen.target, chosen.seed)
    )
    setup = setup._replace(people=setup.people[: chosen.people])
    trial(setup, PolicyAttack(rows=chosen.rows), chosen.seed)


if __name__ == "__main__":
    main()
