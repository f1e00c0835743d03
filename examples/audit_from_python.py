"""Audits a model from Python, on rendered faces, in a minute or two.

Example:
    python examples/audit_from_python.py
"""

from __future__ import annotations

import numpy as np

import darkroom
from darkroom.demo.face_net import train_face_net
from darkroom.demo.people.employees import render_faces

PEOPLE, PHOTOS, SEEN = 10, 10, 7


def main() -> None:
    """Trains a small model and prints what an attacker with its weights recovers."""
    employees = render_faces(PEOPLE, PHOTOS, role="employees").images
    strangers = render_faces(60, 4, role="strangers").images
    labels = np.repeat(np.arange(PEOPLE), SEEN)
    seen = employees[:, :SEEN].reshape(-1, *employees.shape[2:])
    model = train_face_net(seen, labels, classes=PEOPLE, seed=0)

    run = darkroom.audit(
        model,
        (employees.reshape(-1, *employees.shape[2:]), np.repeat(np.arange(PEOPLE), PHOTOS)),
        public=strangers.reshape(-1, *strangers.shape[2:]),
        trained_on=f"0:{SEEN}",
        attacks=[{"name": "gradient", "prior": "eigenfaces"}],
        name="from-python",
        resume=True,
    )
    print(run.cells[0].success, run.report)


if __name__ == "__main__":
    main()
