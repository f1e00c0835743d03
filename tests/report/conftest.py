"""A run folder as the audit leaves it, small, with faces drawn by arithmetic."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.report import write_report


def interval(estimate: float, low: float, high: float) -> dict[str, float]:
    """An interval as ``results.json`` has it."""
    return {"estimate": estimate, "low": low, "high": high}


def measured(estimate: float | None, n: int = 200, *, tried: bool = True) -> dict[str, Any]:
    """A judge's rate; without an estimate, one that was tried and never came about."""
    tries = n if tried else None
    if estimate is None:
        return {"estimate": None, "low": None, "high": None, "n": 0, "tried": tries}
    low, high = max(0.0, estimate - 0.02), min(1.0, estimate + 0.02)
    return {**interval(estimate, low, high), "n": n, "tried": tries}


def draw_faces(people: int, channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """Ovals of ``(people, channels, height, width)``, each of another width and shade."""
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    rng = np.random.default_rng(0)
    wide, shade = rng.uniform(0.4, 0.9, people), rng.uniform(90, 230, (people, channels))
    oval = (columns / wide[:, None, None]) ** 2 + rows**2 < 0.8
    grain = rng.integers(0, 12, (people, channels, height, width))
    faces = oval[:, None] * shade[:, :, None, None] + grain
    pixels: NDArray[np.uint8] = faces.clip(0, 255).astype(np.uint8)
    return pixels


def gate(residual: float, mahalanobis: float = 1.0, likeness: float = 0.7) -> dict[str, float]:
    """What the plausibility gate measured, or its limits."""
    return {
        "residual": residual,
        "mahalanobis": mahalanobis,
        "likeness": likeness,
        "noise": 0.2,
    }


def people(goals: int, hits: int) -> list[dict[str, Any]]:
    """The first ``hits`` people are recognised; the later of them are the worse off."""
    return [
        {
            "goal": goal,
            "name": f"employee-{goal:04d}",
            "queries": 100 + goal,
            "confidence": 0.9994 - goal / 1000,
            "measures": gate(0.12 if goal < hits else 0.55),
            "plausible": goal < hits,
            "votes": [goal < hits, goal < hits, False],
            "success": goal < hits,
            "photo": {"index": 2, "ssim": 0.61, "distance": 0.8},
            "rank": hits - goal if goal < hits else 1000,
            "p_value": 0.0005 * (hits - goal) if goal < hits else 0.5,
            "p_adjusted": min(1.0, 0.0005 * (hits - goal) * goals) if goal < hits else 1.0,
        }
        for goal in range(goals)
    ]


def image_cell(key: str = "cell1", goals: int = 4, hits: int = 3) -> dict[str, Any]:
    """The content of a ``cell.json`` of images."""
    share = hits / goals
    success = interval(share, max(0.0, share - 0.1), min(1.0, share + 0.1))
    advantage = interval(share - 0.02, share - 0.12, min(1.0, share + 0.08))
    rows = people(goals, hits)
    ends = {"low": 0.0, "high": 1.0}
    curve = [
        {"queries": 1, "success": 0.0, **ends, "bits": 0.1},
        {"queries": 200, "success": share, **ends, "bits": 8.2},
    ]
    worst = min(rows, key=lambda row: (row["p_value"], -row["confidence"]))
    false_positives = {"noise": 0.0, "adversarial": 0.005, "others": 0.002}
    names = {f"false_positive_{kind}": rate for kind, rate in false_positives.items()}
    return {
        "key": key,
        "kind": "images",
        "target": "face-login",
        "defense": "none",
        "attack": "gradient",
        "attacker": "adaptive",
        "access": "weights",
        "prior": "generator",
        "goals": goals,
        "queries": {"per_goal_median": 150, "total": 150 * goals},
        "success": success,
        "baseline": interval(0.02, 0.01, 0.04),
        "advantage": advantage,
        "bits": {"estimate": 8.2, "low": 7.4, "high": 9.0, "most": 11.0},
        "curve": curve,
        "confidence": {"median": 0.9994, "reached": 0.75},
        "judges": {"accuracy": 0.97, **names},
        "utility": {
            "accuracy": 0.975,
            "calibration_error": None,
            "label_changes": None,
            "dead": None,
            "mean_absolute_error": None,
            "perplexity": None,
        },
        "cost": None,
        "seconds": 1.5,
        "details": {
            "threat_model": ["The attacker holds the weights.", "The attacker knows the classes."],
            "attack": {"name": "gradient", "parameters": {"steps": 200}, "paper": ""},
            "prior": {"name": "generator", "parameters": {}, "paper": ""},
            "judge_names": ["convolutional net", "linear discriminant", "nearest neighbour"],
            "judges": {
                "accuracy": measured(0.97, tried=False),
                "each": [measured(rate, tried=False) for rate in (0.96, 0.95, 0.9)],
                "gate": measured(0.99, tried=False),
                "held_out": True,
                **{name: measured(rate) for name, rate in names.items()},
            },
            "gate": gate(0.39, mahalanobis=1.6, likeness=0.5),
            "snapshots": [0, 10, 200],
            "people": rows,
            "worst_off": {
                "goal": worst["goal"],
                "name": worst["name"],
                "p_value": worst["p_value"],
                "p_adjusted": worst["p_adjusted"],
                "rank": worst["rank"],
                "sentence": f"{worst['name']} is nearer than all 2,000 strangers.",
                "alone": [0.2, 0.3],
                "by_heart": 0.875,
            },
            "ranking": {
                "strangers": 2000,
                "photos": 4,
                "first": 0.5,
                "first_ten": 0.75,
                "guessed": 1.44,
                "of_photos": 9.2,
                "p_together": 0.0002,
                "sentence": "Together the reconstructions fit the right people.",
            },
            "draws": 1000,
            "training": None,
            "guard": None,
        },
    }


def training(**changes: Any) -> dict[str, Any]:
    """How a model was trained with differential privacy, and what that guarantees."""
    privacy = {
        "unit": "photo",
        "epsilon": 7.25,
        "delta": 1e-5,
        "noise_multiplier": 1.375,
        "sample_rate": 0.125,
        "steps": 480,
    }
    chances = [
        {"about": "person", "examples": 20, "most": 0.83},
        {"about": "photo", "examples": 1, "most": 0.21},
    ]
    return {
        "defense": "dp-sgd(epsilon=7.25)",
        "seconds": 84.0,
        "privacy": privacy,
        "name": "dp-sgd",
        "paper": "Abadi et al. 2016",
        "time_factor": 3.6,
        "bound": {"baseline": 0.031, "chances": chances, "exceeded": False},
        **changes,
    }


def run_record(keys: list[str]) -> dict[str, Any]:
    """The content of ``run.json``."""
    return {
        "schema": "darkroom/run/2",
        "run": {
            "name": "demo",
            "seed": 7,
            "versions": {"darkroom": "0.1.0", "python": "3.11.7"},
            "machine": {"processor": "any", "cores": 2, "system": "Linux"},
        },
        "authorized_by": "Dana Frei, data-protection officer",
        "command": "darkroom audit plan.toml",
        "started": "2026-11-23T20:25:00+00:00",
        "limit": None,
        "target": {
            "name": "face-login",
            "kind": "torch",
            "range": [0, 1],
        },
        "tested": [["Input", "1 x 24 x 20, values 0 to 1"], ["Private photos", "40 of 4 people"]],
        "cells": keys,
    }


_VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Reads a page: its text, its tags, and whether every tag is closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source, self.text = source, ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(source)
        self.text = " ".join(self.text.split())
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def classed(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of a class."""
        return [a for _, a in self.tags if name in (a.get("class") or "").split()]


@dataclass
class RunFolder:
    """A run to be changed and then written."""

    image_cell = staticmethod(image_cell)
    interval = staticmethod(interval)
    measured = staticmethod(measured)
    people = staticmethod(people)

    path: Path
    cells: list[dict[str, Any]] = field(default_factory=lambda: [image_cell()])
    shape: tuple[int, int, int] = (1, 24, 20)
    plan: str = '[run]\nname = "demo"\n'
    record: dict[str, Any] = field(default_factory=lambda: run_record([]))

    @property
    def cell(self) -> dict[str, Any]:
        """The first cell."""
        return self.cells[0]

    def write(self) -> Path:
        """Writes every file and returns the folder."""
        self.path.mkdir(exist_ok=True)
        self.record["cells"] = [cell["key"] for cell in self.cells]
        (self.path / "run.json").write_text(json.dumps(self.record))
        (self.path / "plan.toml").write_text(self.plan)
        for cell in self.cells:
            folder = self.path / "cells" / cell["key"]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cell.json").write_text(json.dumps(cell))
            self.write_pictures(folder / "reconstructions.npz", cell["goals"])
        return self.path

    def report(self) -> Page:
        """Writes the run and its report, and reads the page."""
        self.write()
        return self.read_report()

    def read_report(self) -> Page:
        """Writes the report of what is on disk, and reads the page."""
        return Page(write_report(self.path).read_text())

    def write_pictures(self, path: Path, goals: int) -> None:
        """Writes photos, and between them and their mean two steps of a reconstruction."""
        photos = draw_faces(goals, *self.shape)
        mean = np.broadcast_to(photos.mean(0), photos.shape)
        steps = [(share * photos + (1 - share) * mean).astype(np.uint8) for share in (0, 0.5, 0.9)]
        np.savez(
            path,
            images=(steps[-1] / 255).astype(np.float32),
            goals=np.arange(goals),
            snapshots=np.stack(steps),
            photos=photos,
        )


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of one cell that reconstructs three of four people."""
    return RunFolder(tmp_path / "demo")
