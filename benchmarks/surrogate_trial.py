"""``python -m benchmarks.surrogate_trial``: the surrogate attack alone, success against rows.

It attacks people of the AT&T faces, or with ``--target employees`` those of the demo.
"""

from __future__ import annotations

import argparse

from benchmarks.att_faces import load_faces, train
from benchmarks.blackbox import Stage, att_stages, employees_stage, follow
from darkroom.access import Access
from darkroom.attacks.surrogate import SurrogateAttack
from darkroom.defenses.outputs import Pipeline
from darkroom.metrics.intervals import newcombe


def trial(stage: Stage, attack: SurrogateAttack, seed: int) -> None:
    """Runs the attack and prints a line a milestone."""
    course = follow(stage, attack, Access.LABEL, Pipeline(), seed)
    people = len(stage.goals)
    print(f"{stage.name}: {people} people, baseline {stage.baseline}")
    print(" rows  judged  advantage  interval")
    for rows, judged in course.hits.items():
        gain = newcombe(judged, people, stage.baseline, people)
        print(f"{rows:5d} {judged:7d} {gain.estimate:10.2f}  [{gain.low:.2f}, {gain.high:.2f}]")
    print(f"{course.seconds:.0f} seconds")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="The surrogate attack, success against rows.")
    parser.add_argument(
        "--target",
        default="softmax",
        choices=("softmax", "mlp", "cnn", "employees"),
        help="a classifier of the AT&T faces, or the demo's",
    )
    parser.add_argument("--rows", type=int, default=SurrogateAttack.rows, help="a person")
    parser.add_argument("--people", type=int, default=20, help="how many employees to attack")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.target == "employees":
        stage = employees_stage(chosen.seed, chosen.people)
    else:
        images = load_faces()
        classifier = train(chosen.target, images, chosen.seed)
        (stage,) = att_stages({chosen.target: classifier}, images, chosen.seed)
    trial(stage, SurrogateAttack(rows=chosen.rows), chosen.seed)


if __name__ == "__main__":
    main()
