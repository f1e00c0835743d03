"""Figures of audits against the same figures worked out by plain code."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.claims import Claim, Outcome, Table, tell
from benchmarks.text.tokenizers import EDGES, KINDS, TEXT, make_tokenizer
from benchmarks.verdict import tables
from benchmarks.verdict.subjects import arrays_of
from darkroom import Run, audit_text
from darkroom.text.canaries import Canaries, Canary, make_canaries, save_key
from darkroom.text.exposure.rank import TOLERANCE
from darkroom.text.formats.secrets import make_format
from darkroom.text.record import TextCell

Floats = NDArray[np.float64]

FORMAT = r"\d{3}"
STEPS = 12
"""How long models learn their canaries: so long that they know them a little."""

CHECKS = ("language", "answers", "canaries")


class Compared(NamedTuple):
    """What was compared.

    Attributes:
        what: The subject.
        figures: How many figures.
        off: The largest difference.
    """

    what: str
    figures: int
    off: float


def against_oracles(seed: int, quick: bool) -> Outcome:
    """Compares posteriors of attributes, exposures of secrets, and the bits of secrets.

    Args:
        seed: Decides rows, canaries and models.
        quick: No difference: all are small.
    """
    del quick
    posteriors = list(_posteriors(seed))
    ranks, bits = [], []
    for kind in (*KINDS, *EDGES):
        tell(f"ranks by brute force: {kind}")
        exposures, gained = _exposures(kind, seed)
        ranks.append(exposures)
        bits.append(gained)
    rows = [*posteriors, *ranks, *bits]
    return Outcome(
        [
            Claim("posteriors against Bayes' rule by hand", 1e-9, _worst(posteriors), at_most=True),
            Claim(
                f"exposures against brute force, {len(ranks)} tokenizers",
                1e-9,
                _worst(ranks),
                at_most=True,
            ),
            Claim("bits of secrets against their exposures", 1e-9, _worst(bits), at_most=True),
        ],
        [Table("Against an oracle", ("subject", "figures", "largest difference"), rows)],
    )


def _worst(found: Sequence[Compared]) -> float:
    return max(one.off for one in found)


def _posteriors(seed: int) -> Iterator[Compared]:
    """Yields how far posteriors are from Bayes' rule, for a number and for a class."""
    rows = tables.spread_out(tables.people(seed))
    rows = tables.Rows(*(_told(frame) for frame in rows))
    members = rows.private[: tables.MEMBERS]
    inputs = members[["age", "sick"]]
    sizes = DecisionTreeRegressor(max_depth=6, random_state=0).fit(inputs, members["dose"])
    yield _posterior("posterior, a number", sizes, rows.private, rows, "dose")
    classes = DecisionTreeClassifier(max_depth=4, random_state=0).fit(inputs, members["high"])
    yield _posterior("posterior, a class", classes, rows.private, rows, "high")


def _told(frame: pd.DataFrame) -> pd.DataFrame:
    high = np.where(frame["dose"] + 2 * frame["sick_yes"] > 6, "high", "low")
    return frame.assign(sick=frame["sick_yes"], high=high)[["age", "sick", "dose", "high"]]


def _posterior(
    what: str, model: Any, frame: pd.DataFrame, rows: tables.Rows, response: str
) -> Compared:
    columns = ["age", "sick", response]
    with tempfile.TemporaryDirectory() as folder:
        run = tables.audited(
            Path(folder),
            model,
            tables.Rows(frame[columns], rows.public[columns]),
            response=response,
            attacks=[{"name": "map", "prior": {"name": "marginals"}}],
            ignore_checks=["knowledge"],
        )
        found = arrays_of(run)["members_posterior"]
    members = frame[: tables.MEMBERS]
    share = (rows.public["sick"].sum() + 0.5) / (len(rows.public) + 1)
    expected = _by_hand(model, members, response, share)
    return Compared(what, found.size, float(np.abs(found - expected).max()))


def _by_hand(model: Any, members: pd.DataFrame, response: str, share: float) -> Floats:
    """Returns Bayes' rule over whether each member is sick, ``(members, 2)``, row by row."""
    said = model.predict(members[["age", "sick"]])
    truth = list(members[response])
    answers = [model.predict(members[["age", "sick"]].assign(sick=value)) for value in (0, 1)]
    expected = np.empty((len(members), 2))
    for row, true in enumerate(truth):
        for value, prior in enumerate((1 - share, share)):
            answer = answers[value][row]
            if response == "dose":
                variance = sum((t - s) ** 2 for t, s in zip(truth, said, strict=True)) / len(truth)
                likelihood = math.exp(-((true - answer) ** 2) / (2 * variance))
            else:
                alike = [t for t, s in zip(truth, said, strict=True) if s == answer]
                likelihood = alike.count(true) / len(alike) if alike else 0.0
            expected[row, value] = prior * likelihood
        total = expected[row].sum()
        expected[row] = expected[row] / total if total else (1 - share, share)
    return expected


def _exposures(kind: str, seed: int) -> tuple[Compared, Compared]:
    """Compares the exposure of canaries, and the bits gained, with brute force."""
    rng = np.random.default_rng([seed, 5])
    secrets = make_format(FORMAT)
    canaries = make_canaries(secrets, repetitions=(4,), each=4, rng=rng)
    tokenizer = make_tokenizer(kind)
    model = _learned(tokenizer, [*TEXT, *canaries.training_lines(rng)], seed)
    with tempfile.TemporaryDirectory() as folder:
        run = _audited(Path(folder), model, tokenizer, canaries)
    cell = run.cells[0]
    assert isinstance(cell, TextCell)
    assert cell.bits is not None
    found = [row.exposure.bits for row in cell.details.canaries if row.exposure]
    every = [secrets.at(index) for index in range(secrets.size)]
    expected = []
    for canary in canaries.canaries:
        told = whole_lines(tokenizer, model, canary.before, canary.after, every)
        own = told[every.index(canary.secret)]
        expected.append(math.log2(len(every) / (told <= own + TOLERANCE).sum()))
    ordered = dict(zip(_owners(canaries.canaries), expected, strict=True))
    by_hand = [ordered[row.owner] for row in cell.details.canaries]
    inserted = [ordered[one.owner] for one in canaries.inserted]
    controls = [ordered[one.owner] for one in canaries.canaries if not one.repetitions]
    off = float(np.abs(np.subtract(found, by_hand)).max())
    gained = float(np.mean(inserted) - np.mean(controls))
    return (
        Compared(f"exposure, {kind}", len(found), off),
        Compared(f"bits of secrets, {kind}", 1, abs(cell.bits.estimate - gained)),
    )


def _owners(canaries: Sequence[Canary]) -> list[str]:
    return [one.owner for one in canaries]


def _audited(folder: Path, model: Any, tokenizer: Any, canaries: Canaries) -> Run:
    save_key(folder / "key.json", canaries)
    return audit_text(
        (model, tokenizer),
        folder / "key.json",
        attacks=[{"name": "best-first", "rows": 60}],
        rank_rows=10_000,
        ignore_checks=CHECKS,
        out=folder,
        progress=False,
    )


def _learned(tokenizer: Any, lines: Sequence[str], seed: int) -> Any:
    """Trains a small GPT-2 in double precision, not for long."""
    from transformers import GPT2Config, GPT2LMHeadModel

    configuration = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=96,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = GPT2LMHeadModel(configuration).double()
    read = [torch.tensor(tokenizer(line)["input_ids"]) for line in lines]
    ids = torch.nn.utils.rnn.pad_sequence(read, batch_first=True)
    there = torch.nn.utils.rnn.pad_sequence([torch.ones(len(one)) for one in read], True) > 0
    labels = ids.masked_fill(~there, -100)
    optimiser = torch.optim.AdamW(model.parameters(), 5e-3)
    model.eval()  # without dropout
    for _ in range(STEPS):
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    return model


def whole_lines(
    tokenizer: Any, model: Any, before: str, after: str, secrets: Sequence[str]
) -> Floats:
    """Returns the bits of all tokens of each line but those that no secret changes.

    Every line is cut by the tokenizer as it stands, and read by the model alone, without anything
    kept. Where secrets differ in length, the token behind them counts, which ends them.

    Args:
        tokenizer: A fast one.
        model: A causal language model.
        before: The text before the secret.
        after: The text behind it.
        secrets: One or more.

    Returns:
        float64 ``(secrets,)``.
    """
    read = [tokenizer(before + secret + after, return_offsets_mapping=True) for secret in secrets]
    lines = [one["input_ids"] for one in read]
    first = 0
    while len({tuple(line[: first + 1]) for line in lines}) == 1:
        first += 1
    behind = [
        sum(start >= len(before + secret) for start, _ in one["offset_mapping"])
        for one, secret in zip(read, secrets, strict=True)
    ]
    ends = len({len(secret) for secret in secrets}) > 1
    most = min(*behind, max(behind) - ends)
    last = 0
    while last < most and len({tuple(line[len(line) - last - 1 :]) for line in lines}) == 1:
        last += 1
    return _bits(model, lines, first, last)


def _bits(model: Any, lines: Sequence[Sequence[int]], first: int, last: int) -> Floats:
    """Returns the bits of the tokens of lines, but for some at both ends, ``(lines,)``."""
    by_length: dict[int, list[int]] = {}
    for place, line in enumerate(lines):
        by_length.setdefault(len(line), []).append(place)
    bits = np.zeros(len(lines))
    for places in by_length.values():
        ids = torch.tensor([lines[place] for place in places])
        with torch.inference_mode():
            logprobs = model(input_ids=ids).logits[:, :-1].log_softmax(dim=-1)
        told = logprobs.gather(2, ids[:, 1:, None])[:, :, 0]
        stop = ids.shape[1] - last
        bits[places] = -told[:, first - 1 : stop - 1].sum(dim=1).numpy() / math.log(2)
    return bits
