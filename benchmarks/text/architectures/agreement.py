"""Surprise and rank of secrets against plain ``transformers`` on whole lines."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.claims import Claim, Table, tell
from benchmarks.text.architectures.nets import Net, nets
from darkroom.errors import DarkroomError
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import Places, SecretGoal
from darkroom.text.exposure.measure import path_surprises
from darkroom.text.exposure.rank import TOLERANCE, ranks
from darkroom.text.formats.secrets import make_format
from darkroom.text.targets.codec import SOURCE_ENDS
from darkroom.text.targets.transformers import TransformersTarget
from darkroom.text.targets.view import LanguageView

BEFORE, AFTER, SOURCE = "the code of ann is ", ".", "the code of ann is what"
FORMAT = r"[ab1]\d{2}"
SHORT = r"[ab1]\d"
ASKED = 5
"""So many secrets are ranked."""

Floats = NDArray[np.float64]


class Agreement(NamedTuple):
    """How far Darkroom and plain ``transformers`` agree on one architecture.

    Attributes:
        kind: The architecture.
        model: The library's class.
        tokenizer: Its tokenizer.
        reads: How it is read.
        apart: The largest difference of two surprises, in bits; NaN where it was refused.
        ranks: Ranks that differ.
        said: The line that refused it.
        rounding: Where they are farther apart than :data:`TOLERANCE`: how far plain
            ``transformers`` in single precision is from itself in double.
    """

    kind: str
    model: str
    tokenizer: str
    reads: str
    apart: float
    ranks: int
    said: str = ""
    rounding: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether they agree as far as single precision goes, or one line says why not."""
        if self.said:
            return "\n" not in self.said
        return self.apart <= max(TOLERANCE, self.rounding) and self.ranks == 0


def claims(*, quick: bool) -> tuple[list[Claim], Table]:
    """Compares all architectures.

    Args:
        quick: Whether secrets have a tenth of the candidates.
    """
    found = [agreement(net, SHORT if quick else FORMAT) for net in nets()]
    right = sum(one.holds and not one.said for one in found)
    shown = [
        (
            *one[:4],
            "" if one.said else f"{one.apart:.1e}",
            f"{one.rounding:.1e}" if one.rounding else "",
            one.ranks,
            one.said[:80],
        )
        for one in found
    ]
    return (
        [
            Claim(
                "architectures whose surprises and ranks are those of plain transformers", 34, right
            ),
            Claim(
                "architectures with another answer and no line that says so",
                0,
                sum(not one.holds for one in found),
                at_most=True,
            ),
        ],
        Table(
            "Architectures: surprises and ranks less plain transformers' on whole lines, float32",
            (
                *("architecture", "class", "tokenizer", "reads", "bits apart"),
                *("float32 from float64", "ranks apart", "refused"),
            ),
            shown,
        ),
    )


def agreement(net: Net, pattern: str = FORMAT) -> Agreement:
    """Compares one architecture.

    Args:
        net: The architecture.
        pattern: The format of secrets.
    """
    model, tokenizer = net.make()
    name = type(model).__name__
    try:
        target = TransformersTarget(model, tokenizer, name=net.kind, batch=64)
        reads = "masks" if target.masked else target.reading.way
        apart, wrong, rounding = _compared(target, tokenizer, pattern)
    except DarkroomError as error:
        return Agreement(net.kind, name, net.tokenizer, "", float("nan"), 0, str(error))
    tell(f"{net.kind}: {name}, {reads}: {apart:.1e} bits, {wrong} ranks apart")
    return Agreement(net.kind, name, net.tokenizer, reads, apart, wrong, rounding=rounding)


def _compared(target: TransformersTarget, tokenizer: Any, pattern: str) -> tuple[float, int, float]:
    secrets = make_format(pattern)
    every = [secrets.at(index) for index in range(secrets.size)]
    before = f"{SOURCE}{SOURCE_ENDS}{BEFORE}" if target.network.encodes else BEFORE
    view = LanguageView(target, target.access, QueryLedger(ASKED))
    spot = Places(view).of(SecretGoal(before, AFTER, secrets))
    ours = path_surprises(target, [spot], [every])[0]
    theirs = brute_force(target.model, tokenizer, every, masked=target.masked)
    chosen = np.random.default_rng(0).integers(len(every), size=ASKED)
    found = ranks(view, [spot] * ASKED, ours[chosen], rows=10**6)
    truth = [int((theirs <= theirs[one] + TOLERANCE).sum()) for one in chosen]
    wrong = sum(one != (rank, rank) for one, rank in zip(found, truth, strict=True))
    apart = float(np.abs(ours - theirs).max())
    if apart <= TOLERANCE:
        return apart, wrong, 0.0
    double = copy.deepcopy(target.model).double()
    exact = brute_force(double, tokenizer, every, masked=target.masked)
    return apart, wrong, float(np.abs(exact - theirs).max())


def brute_force(model: Any, tokenizer: Any, secrets: Sequence[str], *, masked: bool) -> Floats:
    """Returns the bits of secrets, each in its whole line, by plain ``transformers``."""
    encoded = [
        tokenizer(BEFORE + secret + AFTER, return_offsets_mapping=True) for secret in secrets
    ]
    first, last = _shared(encoded, secrets)
    answers = np.zeros(len(secrets))
    for number, one in enumerate(encoded):
        ids = torch.tensor([one["input_ids"]])
        places = range(first, ids.shape[1] - last)
        if masked:
            answers[number] = _filled(model, ids, places, tokenizer.mask_token_id)
        else:
            answers[number] = _continued(model, tokenizer, ids, places)
    return answers


def _shared(encoded: Sequence[Any], secrets: Sequence[str]) -> tuple[int, int]:
    """Returns how many tokens before and behind are the same whatever the secret is."""
    rows = [one["input_ids"] for one in encoded]
    marks = [one["offset_mapping"] for one in encoded]
    before, behind = [], []
    for secret, places in zip(secrets, marks, strict=True):
        ends = len(BEFORE + secret)
        before.append(sum(end <= len(BEFORE) and (start, end) != (0, 0) for start, end in places))
        behind.append(sum(start >= ends for start, _ in places))
    opening = next(n for n, place in enumerate(marks[0]) if place != (0, 0))
    closing = sum(place == (0, 0) for place in marks[0]) - opening
    same = next(n for n, column in enumerate(zip(*rows, strict=False)) if len(set(column)) > 1)
    reverse = (row[::-1] for row in rows)
    same_behind = next(
        n for n, column in enumerate(zip(*reverse, strict=False)) if len(set(column)) > 1
    )
    return min(same, opening + min(before)), min(same_behind, closing + min(behind))


@torch.inference_mode()
def _continued(model: Any, tokenizer: Any, ids: torch.Tensor, places: Sequence[int]) -> float:
    """Reads the whole line once."""
    first = 1
    if model.config.is_encoder_decoder:
        source = torch.tensor([tokenizer(SOURCE)["input_ids"]])
        start = torch.tensor([[model.config.decoder_start_token_id]])
        behind = torch.cat([start, ids], dim=1)
        logits, first = model(input_ids=source, decoder_input_ids=behind).logits, 0
    else:
        logits = model(input_ids=ids).logits
    told = logits[0].double().log_softmax(-1)
    nats = sum(float(told[place - first, ids[0, place]]) for place in places)
    return -nats / float(np.log(2))


@torch.inference_mode()
def _filled(model: Any, ids: torch.Tensor, places: Sequence[int], mask: int) -> float:
    """Fills masks from left to right."""
    bits, row = 0.0, ids.clone()
    row[0, list(places)] = mask
    for place in places:
        answer = model(input_ids=row)
        logits = answer.logits if "logits" in answer else answer.prediction_logits
        bits -= float(logits[0, place].double().log_softmax(-1)[ids[0, place]]) / np.log(2)
        row[0, place] = ids[0, place]
    return bits
