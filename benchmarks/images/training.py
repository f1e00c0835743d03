"""Training defences on rendered employees: what each leaves to attackers, and what it costs.

The matrix is one plan, run as ``darkroom audit`` runs it, in ``runs/``: stopped at any moment, it
goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tomli_w
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from benchmarks.claims import Claim, Table, tell
from darkroom.auditing.record import Cell, Training
from darkroom.demo.face_net import face_net
from darkroom.demo.images import EMPLOYEE_PHOTOS, EMPLOYEES, STRANGER_PHOTOS, STRANGERS, TRAINED_ON
from darkroom.demo.people.employees import render_faces
from darkroom.images.training.not_people import averaged, blurred
from darkroom.runs import audit_plan

UNIFORM = "uniform-confidence"
ALLOWED_LOSS = 0.02
ALLOWED_CONFIDENCE = 0.05
"""By how much the mean confidence in what is nobody may be above that of the uniform answer."""

PRIVATE: dict[str, Any] = {
    "name": "dp-sgd",
    "group_norm": True,
    "batch": 160,
    "pretrain_epochs": 12,
    "frozen": 0.95,
}
"""Only the last layer ever sees a private photo; the others are trained on strangers."""

TRAININGS: list[dict[str, Any]] = [
    {"name": UNIFORM},
    *({**PRIVATE, "epsilon": epsilon} for epsilon in (1.0, 3.0, 8.0, float("inf"))),
    {**PRIVATE, "epsilon": 8.0, "unit": "person"},
    {"name": "negative-label-smoothing"},
    {"name": "bido"},
    {"name": "mid"},
    {"name": "transfer"},
]
ATTACKS: list[dict[str, Any]] = [
    {"name": "gradient", "prior": "generator", "prior_weight": 3.0},
    {"name": "gradient", "prior": "eigenfaces"},
    {"name": "evolution", "rows": 1000},
    {"name": "surrogate", "rows": 300},
]

Images = NDArray[np.float32]


class Size(NamedTuple):
    """How much is rendered, trained and attacked.

    Attributes:
        people, photos, trained_on: Employees, photos of each, and how many the model sees.
        strangers: Other people, with four photos each.
        epochs, batch: Passes over the photos, and photos a step.
        trainings: Tables of the plan.
        attacks: Tables of the plan.
    """

    people: int
    photos: int
    trained_on: int
    strangers: int
    epochs: int
    batch: int
    trainings: list[dict[str, Any]]
    attacks: list[dict[str, Any]]


FULL = Size(EMPLOYEES, EMPLOYEE_PHOTOS, TRAINED_ON, STRANGERS, 24, 40, TRAININGS, ATTACKS)
QUICK = Size(
    *(20, 28, 20, 100, 36, 40),
    [{"name": UNIFORM}, {**PRIVATE, "epsilon": 1.0, "batch": 80, "epochs": 20}],
    [ATTACKS[1], {"name": "evolution", "rows": 300}, {"name": "surrogate", "rows": 100}],
)


def training_claims(
    *, quick: bool, seed: int, out: Path = Path("runs")
) -> tuple[list[Claim], list[Table]]:
    """Runs the matrix of training defences and attacks, or goes on with it.

    Args:
        quick: Whether to take fewer people, photos, defences and queries.
        seed: Decides everything random.
        out: The folder of all runs.
    """
    size = QUICK if quick else FULL
    name = f"benchmark-training{'-quick' if quick else ''}-{seed}"
    plan = _write_plan(out / f"{name}-inputs", name, size, seed, out)
    tell(f"auditing {len(size.trainings) + 1} models with {len(size.attacks)} attacks")
    found = audit_plan(plan, resume=True, progress=False)
    table = _table(found.cells)
    rows = _nobody_rows(found.folder, plan.parent, size, seed)
    columns = ("images", "none", UNIFORM, "uniform answer")
    nobody = Table("Mean confidence in what is nobody", columns, rows)
    return [*_private_claims(found.cells), *_uniform_claims(found.cells, rows)], [table, nobody]


def _write_plan(inputs: Path, name: str, size: Size, seed: int, out: Path) -> Path:
    """Renders the people and writes the plan, unless that is done."""
    plan = inputs / "plan.toml"
    table = {
        "run": {"name": name, "seed": seed, "out": str(out)},
        "target": {"load": "face_model:build", "shape": [3, 64, 64]},
        "private": {"images": "employees.npz", "trained_on": f"0:{size.trained_on}"},
        "public": {"images": "strangers.npz"},
        "recipe": {"epochs": size.epochs, "batch": size.batch},
        "training": size.trainings,
        "attack": size.attacks,
    }
    words = tomli_w.dumps(table)
    if plan.exists() and plan.read_text(encoding="utf-8") == words:
        return plan
    tell("rendering employees and strangers")
    inputs.mkdir(parents=True, exist_ok=True)
    (inputs / "face_model.py").write_text(
        "from darkroom.demo.face_net import face_net\n\n\n"
        f"def build():\n    return face_net({size.people})\n",
        encoding="utf-8",
    )
    employees = render_faces(size.people, size.photos, role="employees", seed=seed)
    strangers = render_faces(size.strangers, STRANGER_PHOTOS, role="strangers", seed=seed)
    np.savez(inputs / "employees.npz", images=employees.images)
    np.savez(inputs / "strangers.npz", images=strangers.images)
    plan.write_text(words, encoding="utf-8")
    return plan


def _table(cells: Sequence[Cell]) -> Table:
    """Returns a row for each defence and attack."""
    rows: list[list[object]] = []
    for cell in cells:
        training = _training(cell)
        privacy, bound = training.privacy, training.bound
        rows.append(
            [
                _short(training),
                cell.attack,
                cell.prior,
                cell.access,
                *(cell.success.estimate, cell.success.low, cell.success.high),
                cell.baseline.estimate,
                *(cell.advantage.low, cell.advantage.high),
                None if bound is None else bound.chances[0].most,
                cell.confidence.median,
                cell.utility.accuracy,
                None if privacy is None or math.isinf(privacy.epsilon) else privacy.epsilon,
                training.time_factor,
            ]
        )
    columns = (
        *("defence", "attack", "prior", "access", "judged", "low", "high", "baseline"),
        *("advantage low", "high ", "bound", "confidence", "accuracy", "epsilon", "time factor"),
    )
    return Table("Training defences on employees", columns, rows)


def _training(cell: Cell) -> Training:
    training = cell.details.training
    assert training is not None, "the plan trains every model"
    return training


def _short(training: Training) -> str:
    """Names a training in few words."""
    privacy = training.privacy
    if privacy is None:
        return training.name
    return f"{training.name} {privacy.epsilon:.2g} a {privacy.unit}"


def _private_claims(cells: Sequence[Cell]) -> list[Claim]:
    """Returns claims on differential privacy: no advantage at epsilon 1, none above the bound."""
    above = []
    for cell in cells:
        bound = _training(cell).bound
        if bound is not None:
            # Of a person, which comes first.
            above.append(cell.success.estimate - bound.chances[0].most)
    claims = [
        Claim(
            "dp-sgd: most by which a judged success is above its bound",
            0.0,
            max(above),
            at_most=True,
        )
    ]
    for cell in cells:
        privacy = _training(cell).privacy
        if privacy is not None and privacy.epsilon <= 1:
            who = f"{cell.attack} with {cell.prior}"
            claims.append(
                Claim(
                    f"dp-sgd at epsilon 1: lower end of the advantage of {who}",
                    0.0,
                    cell.advantage.low,
                    at_most=True,
                )
            )
    return claims


def _uniform_claims(cells: Sequence[Cell], nobody: list[list[object]]) -> list[Claim]:
    """Returns claims on accuracy and on confidence in what is nobody."""
    accuracy = {_training(cell).name: cell.utility.accuracy or 0.0 for cell in cells}
    claims = [
        Claim(
            f"{UNIFORM}: loss of accuracy",
            ALLOWED_LOSS,
            accuracy["none"] - accuracy[UNIFORM],
            at_most=True,
        )
    ]
    for kind in ("blurred", "averaged", "random"):
        above = max(
            float(row[2]) - float(row[3])  # type: ignore[arg-type]
            for row in nobody
            if str(row[0]).startswith(kind)
        )
        text = f"{UNIFORM}: mean confidence on the worst {kind} images, above the uniform answer"
        claims.append(Claim(text, ALLOWED_CONFIDENCE, above, at_most=True))
    return claims


def nobody_images(held_out: Images, people: NDArray[np.int64], seed: int) -> dict[str, Tensor]:
    """Returns images that no training has seen, of strengths that none was told.

    Args:
        held_out: Photos that the model never saw, ``(n, channels, height, width)`` in [0, 1].
        people: Who is on each.
        seed: Unlike the training's.
    """
    generator = torch.Generator().manual_seed(seed)
    photos = torch.from_numpy(held_out)
    n, shape = min(200, len(photos)), photos.shape[1:]
    rows = torch.randperm(len(photos), generator=generator)[:n]
    images = {
        f"blurred, deviation {deviation:g} pixels": blurred(
            photos[rows], torch.full((n,), float(deviation))
        )
        for deviation in (3, 4.5, 7, 12)
    }
    boxes = functional.avg_pool2d(photos[rows], 8)
    images["blurred, 8 x 8 pixels in one"] = functional.interpolate(
        boxes, size=tuple(shape[1:]), mode="bilinear"
    )
    for members in (3, 6, 20, 100):
        groups = torch.randint(len(photos), (n, members), generator=generator)
        images[f"averaged, {members} photos of anybody"] = averaged(photos, groups)
    images["random, each value by itself"] = torch.rand(n, *shape, generator=generator)
    grey = 0.5 + 0.2 * torch.randn(n, *shape, generator=generator)
    images["random, normal around grey"] = grey.clamp(0, 1)
    spots = torch.rand(n, shape[0], 6, 6, generator=generator)
    images["random, clouds"] = functional.interpolate(spots, size=tuple(shape[1:]), mode="bicubic")
    own = [photos[torch.from_numpy(people == person)].mean(dim=0) for person in np.unique(people)]
    images["one person's held-out photos averaged"] = torch.stack(own)
    return images


def _nobody_rows(run: Path, inputs: Path, size: Size, seed: int) -> list[list[object]]:
    """Returns the mean confidence of both models in each kind of image."""
    from darkroom.auditing.progress import Reporter
    from darkroom.images.job import ImageJob
    from darkroom.kinds import load_job
    from darkroom.training.models import TrainedModel

    job = load_job(inputs / "plan.toml", Reporter(shown=False))
    assert isinstance(job, ImageJob)
    models = {}
    for model in job.models():
        assert isinstance(model, TrainedModel)
        if model.defense.name in ("none", UNIFORM):
            module = face_net(size.people)
            module.load_state_dict(load_file(run / "models" / model.stored.file.name))
            models[model.defense.name] = module.eval()
    held_out = job.subject.held_out
    others = {
        **nobody_images(held_out.images, held_out.people, seed + 10_000),
        "strangers": torch.from_numpy(
            render_faces(50, 2, role="strangers", seed=seed + 1).images.reshape(-1, 3, 64, 64)
        ),
        "held-out photos of employees": torch.from_numpy(held_out.images),
    }
    return [
        [kind, *(_confidence(models[name], images) for name in ("none", UNIFORM)), 1 / size.people]
        for kind, images in others.items()
    ]


def _confidence(module: torch.nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        parts = [module(part).softmax(dim=1).amax(dim=1) for part in images.split(200)]  # type: ignore[no-untyped-call]
    return float(torch.cat(parts).mean())
