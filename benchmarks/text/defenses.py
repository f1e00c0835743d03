"""Defences of language models: what each leaves of canaries, and what it costs in perplexity.

Each matrix is a plan, run as ``darkroom audit`` runs it, in ``runs/``: stopped at any moment, it
goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.auditing import audited
from benchmarks.claims import Claim, Table, tell
from darkroom.auditing.record import Cell
from darkroom.demo.corpus import held_out_lines, make_corpus
from darkroom.demo.language_models import save_model, train_gpt
from darkroom.report.defenses import Match, matches
from darkroom.text.canaries import save_key
from darkroom.text.lines import write_lines
from darkroom.text.record import TextCell


class Size(NamedTuple):
    """How much is written, trained and defended.

    Attributes:
        each, others: Canaries of each number of repetitions, and lines that are none.
        repetitions: How often canaries are in the corpus.
        public, steps: Public lines, and batches of them that the model is trained on first.
        width, layers, epochs: Of the model and of its training on the corpus.
        trainings, outputs: Tables of the plans.
    """

    each: int
    others: int
    repetitions: tuple[int, ...]
    public: int
    steps: int
    width: int
    layers: int
    epochs: int
    trainings: list[dict[str, Any]]
    outputs: list[dict[str, Any]]


def _private(epsilon: float, epochs: int) -> dict[str, Any]:
    return {"name": "dp-sgd", "epsilon": epsilon, "epochs": epochs}


LINES = [{"name": "deduplication"}, {"name": "scrubbing"}]
NOISES = [{"name": "logprob-noise", "deviation": deviation} for deviation in (0.5, 1.5, 3.0)]
ROUNDINGS = [{"name": "logprob-rounding", "step": step} for step in (1.0, 4.0)]
TOPS = [{"name": "top-logprobs", "k": k} for k in (5, 1)]

PUBLIC = 1000
"""Added to the seed of public lines."""

QUICK = Size(3, 96, (1, 16), 480, 150, 64, 1, 16, [*LINES, _private(8.0, 2)], [NOISES[1], TOPS[1]])
FULL = Size(
    *(8, 480, (4, 16), 1440, 420, 128, 2, 12),
    [*LINES, {"name": "scrubbing", "formats": ["email", "card"]}, _private(8.0, 6)],
    [*NOISES, *ROUNDINGS, *TOPS],
)


def text_claims(
    *, quick: bool, seed: int, out: Path = Path("runs")
) -> tuple[list[Claim], list[Table]]:
    """Runs training defences and output defences against extraction.

    Args:
        quick: Whether to take a smaller model, fewer canaries and defences.
        seed: Decides everything random.
        out: The folder of all runs.
    """
    size = QUICK if quick else FULL
    name = f"benchmark-secrets{'-quick' if quick else ''}-{seed}"
    inputs = out / f"{name}-inputs"
    _write_inputs(inputs, size, seed)
    search = {"name": "best-first", "access": "logprobs", "rows": 200}
    trained = _run(inputs, f"{name}-trainings", size, seed, size.trainings, [], [search])
    averaging = {"name": "averaging", "rows": 200, "candidates": 8}
    noisy = [search] if quick else [search, averaging]
    none = [{"name": "none"}]
    defended = _run(inputs, f"{name}-outputs", size, seed, none, size.outputs, noisy)
    claims = [*_training_claims(trained), *_output_claims(defended)]
    tables = [
        _table("Secrets: defences in the training", trained),
        _table("Secrets: defences of answers", defended),
    ]
    return claims, tables


def _write_inputs(inputs: Path, size: Size, seed: int) -> None:
    """Writes the corpus and a model that has seen public lines alone, unless that is done."""
    if (inputs / "done").exists():
        return
    tell("writing a corpus with canaries")
    inputs.mkdir(parents=True, exist_ok=True)
    corpus = make_corpus(
        seed=seed, each=size.each, repetitions=size.repetitions, others=size.others
    )
    write_lines(inputs / "corpus.txt", corpus.lines)
    write_lines(inputs / "held_out.txt", held_out_lines(corpus.canaries, seed=seed))
    save_key(inputs / "canaries.key.json", corpus.canaries)
    # Public lines of the same kind teach the language; what is private is learned from there.
    public = held_out_lines(corpus.canaries, seed=seed + PUBLIC, count=size.public)
    model, tokenizer = train_gpt(
        public, seed=seed, steps=size.steps, width=size.width, layers=size.layers
    )
    save_model(model, tokenizer, inputs / "base")
    (inputs / "done").touch()


def _run(
    inputs: Path,
    name: str,
    size: Size,
    seed: int,
    trainings: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    attacks: list[dict[str, Any]],
) -> tuple[Cell, ...]:
    table = {
        "run": {"name": name, "seed": seed, "out": inputs.parent.as_posix(), "naive": True},
        "target": {"kind": "transformers", "load": "base"},
        "private": {
            "canaries": "canaries.key.json",
            "corpus": "corpus.txt",
            "held_out": "held_out.txt",
            "rank_rows": 100,
            "references": 100,
        },
        "recipe": {"epochs": size.epochs, "batch": 16 if size is QUICK else 48},
        "training": trainings,
        "attack": attacks,
        "defense": outputs,
    }
    tell(f"auditing {name}")
    return audited(inputs / f"{name}.toml", table)


def _table(title: str, cells: tuple[Cell, ...]) -> Table:
    """Returns a row for each attack against each defence."""
    plain = [Match("none", one.attack, one.access, None, one) for one in cells if _plain(one)]
    rows: list[list[object]] = []
    for match in (*plain, *matches(cells)):
        cell = match.cell
        assert isinstance(cell, TextCell)
        training, groups = cell.details.training, cell.details.groups
        assert training is not None, "the plan trains every model"
        chances = () if training.bound is None else training.bound.chances
        medians = {one.repetitions: one.exposure.median for one in groups if one.exposure}
        rows.append(
            [
                match.defense,
                match.attack,
                None if match.naive is None else match.naive.advantage.estimate,
                *(cell.advantage.estimate, cell.advantage.low, cell.advantage.high),
                medians[max(medians)],
                min((one.most for one in chances), default=None),
                cell.queries.per_goal_median,
                cell.utility.perplexity,
                training.time_factor,
            ]
        )
    columns = (
        *("defence", "attack", "naive", "adaptive", "low", "high", "exposure of the most repeated"),
        *("bound, least repeated", "rows", "perplexity", "time"),
    )
    return Table(f"{title}, {cells[0].goals} secrets, advantage over controls", columns, rows)


def _plain(cell: Cell) -> bool:
    return cell.defense == "none"


def _training_claims(cells: tuple[Cell, ...]) -> list[Claim]:
    """Returns what is left of secrets after each training."""
    plain = next(cell for cell in cells if _plain(cell))
    claims = []
    for cell in cells:
        assert cell.details.training is not None
        name = cell.details.training.name
        if cell.defense == "deduplication" or name == "dp-sgd" or cell.defense == "scrubbing":
            left = cell.success.estimate / max(plain.success.estimate, 1e-9)
            text = f"{cell.defense}: share of the secrets still extracted"
            claims.append(Claim(text, 0.1, left, at_most=True))
        if name == "dp-sgd":
            assert cell.utility.perplexity is not None
            assert plain.utility.perplexity is not None
            cost = cell.utility.perplexity / plain.utility.perplexity
            claims.append(Claim(f"{cell.defense}: perplexity over none's", 2.0, cost, at_most=True))
    return claims


def _output_claims(cells: tuple[Cell, ...]) -> list[Claim]:
    """Compares attackers who know of a defence with those who do not, over all of them."""
    gains = [
        match.adaptive.success.estimate - match.naive.success.estimate
        for match in matches(cells)
        if match.adaptive is not None and match.naive is not None
    ]
    text = "log-probabilities: what knowing the defence gains in success, mean over all"
    return [Claim(text, 0.0, float(np.mean(gains)))]
