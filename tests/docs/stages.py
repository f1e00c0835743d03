"""What blocks of pages take for granted: models, data and files of their reader, as small ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from starlette.applications import Starlette
from tests.guard.conftest import policy_table
from torch import nn

import darkroom
from darkroom.demo.language_models import save_model, train_gpt
from darkroom.demo.tables import progression_trees
from darkroom.demo.text import write_canaries
from darkroom.files import write_private
from darkroom.guard.detector.detector import Batch
from darkroom.tables.data import load_diabetes_table

SIDE, PEOPLE, SEEN, PHOTOS = 16, 4, 7, 9

Names = Mapping[str, Any]


def _photos(people: int, photos: int, seed: int) -> Any:
    """Draws people as patterns of their own, float32 ``(n, 1, SIDE, SIDE)`` in [0, 1]."""
    rng = np.random.default_rng(seed)
    faces = rng.random((people, 1, 1, 4, 4)).repeat(4, axis=3).repeat(4, axis=4)
    drawn = 0.2 + 0.6 * faces + 0.05 * rng.standard_normal((people, photos, 1, SIDE, SIDE))
    return drawn.clip(0, 1).astype(np.float32).reshape(-1, 1, SIDE, SIDE)


def _small(call: Callable[..., Any], **usual: Any) -> Callable[..., Any]:
    """Returns an audit that is small and silent where a block does not say otherwise."""

    def audit(*given: Any, **told: Any) -> Any:
        return call(*given, **{**usual, "progress": False, "resume": True, **told})

    return audit


def _net() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, PEOPLE))


def images(patch: Any) -> Names:
    """A net that knows four people."""
    patch.setattr(darkroom, "audit", _small(darkroom.audit, judges={"steps": 8}))
    photos, people = _photos(PEOPLE, PHOTOS, 0), np.arange(PEOPLE).repeat(PHOTOS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _net()
    seen = torch.from_numpy(photos), torch.from_numpy(people)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(seen[0]), seen[1]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    others = _photos(12, 3, 1)
    return {
        "model": model,
        "images": photos,
        "people": people,
        "photos": (photos, people),
        "strangers": others,
    }


def trainings(patch: Any) -> Names:
    """A net to train, a table to train on, and a language model to train further."""
    known = images(patch)
    patch.setattr(darkroom, "audit", _small(darkroom.audit, recipe={"epochs": 1}, trained_on="0:7"))
    patch.setattr(darkroom, "audit_table", _small(darkroom.audit_table))
    table = load_diabetes_table()
    lines = [f"The code of Ada is {number}-{number + 1}." for number in range(100, 108)]
    save_model(*train_gpt(lines, steps=20, width=16, layers=1), Path("base-model"))
    return {
        **known,
        "module": _net(),
        "labels": known["people"],
        "others": known["strangers"],
        "who": np.arange(12).repeat(3),
        "private": table.iloc[:320],
        "public": table.iloc[320:],
        "inputs": table.iloc[:250].drop(columns="progression"),
        "response": table.iloc[:250]["progression"],
        "lines": lines,
    }


def diabetes(patch: Any) -> Names:
    """A forest of scikit-learn's table."""
    patch.setattr(darkroom, "audit_table", _small(darkroom.audit_table))
    table = load_diabetes_table()
    return {"model": progression_trees(), "private": table.iloc[:320], "public": table.iloc[320:]}


def dosing(patch: Any) -> Names:
    """The same table under the page's names."""
    known = diabetes(patch)
    names = {"progression": "dose", "sex": "genotype"}
    model = known["model"]

    def predict(rows: pd.DataFrame) -> Any:
        return model.predict(rows.rename(columns={new: old for old, new in names.items()}))

    audit = darkroom.audit_table

    def shorter(*given: Any, **told: Any) -> Any:
        # Only the first 250 of these rows were seen, and a function has no trees.
        return audit(*given, **{**told, "trained_on": "0:250", "attacks": ["map"]})

    patch.setattr(darkroom, "audit_table", shorter)
    frames = {name: known[name].rename(columns=names) for name in ("private", "public")}
    return {"model": predict, **frames}


def canaries(patch: Any) -> Names:
    """A language model that has seen some lines for a moment."""
    patch.setattr(darkroom, "audit_text", _small(darkroom.audit_text, rank_rows=10, references=20))
    write_canaries(
        r"\d{3}", Path("canaries.txt"), Path("canaries.key.json"), repetitions="4", each=2, seed=0
    )
    lines = Path("canaries.txt").read_text(encoding="utf-8").splitlines()
    save_model(*train_gpt(lines, steps=20, width=16, layers=1), Path("gpt"))
    return {}


def application(patch: Any) -> Names:
    """An application in whose front a guard is put."""
    lines = ['[guard]\nmodel = "tiny"\n[store]\ncreate = true\n[[wire]]\nname = "json"']
    lines += [
        f'[[client]]\nname = "{one["name"]}"\nkey = "{one["key"]}"'
        for one in policy_table()["client"]
    ]
    write_private(Path("guard.toml"), "\n".join(lines).encode())
    return {"app": Starlette()}


def checkpoint(patch: Any) -> Names:
    """A checkpoint with more in it than weights."""
    torch.save({"state_dict": _net().state_dict(), "epoch": 3}, "model.ckpt")
    return {}


def traffic(patch: Any) -> Names:
    """A week of honest clients."""
    rng = np.random.default_rng(0)

    def batch(client: str) -> Batch:
        return Batch(client, rng.normal(size=(2, 12)), rng.dirichlet(np.ones(3), size=2))

    asked = batch("alice")
    return {
        "example_inputs": rng.normal(size=(300, 12)),
        "honest_batches": [batch(f"client {number % 8}") for number in range(1500)],
        "client": asked.client,
        "inputs": asked.inputs,
        "scores": asked.scores,
    }


STAGES: Mapping[str, Callable[[Any], Names]] = {
    "README.md": images,
    "docs/start/image.md": images,
    "docs/start/table.md": diabetes,
    "docs/start/language-model.md": canaries,
    "docs/how-to/guard.md": application,
    "docs/how-to/your-own-model.md": checkpoint,
    "docs/understand/guard-detector.md": traffic,
    "docs/understand/tables.md": dosing,
    "docs/understand/training-defences.md": trainings,
    "examples/extension/README.md": images,
}
"""What the blocks of a page find, by page."""
