"""What a cell of an audit of real secrets says beside what all cells say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from darkroom.auditing.record import Amount, Cell, Count, Details, Rate, Record, Share, Words


class Discoverable(Record):
    """(n, p)-discoverable extraction (Hayes et al. 2024), of secrets of a type.

    Attributes:
        continuations: How many the attacker reads: n.
        verbatim: The share of secrets that are in one of them with a chance of a half or more.
        near: The same of secrets, or of what is nearly them; at least.
    """

    continuations: Count
    verbatim: Share
    near: Share | None


class SecretType(Record):
    """Secrets of one type.

    Attributes:
        type: The type.
        n: How many.
        extracted: The share that the attack names first.
        before: The same of the base, where there is one.
        decoys: The share of decoys, one a secret, that the attack names in the same prompts.
        exposure: The median exposure in bits, where it was measured.
        exposure_before: The same under the base.
        most: The bits of the median format.
        evident: The share that stands out, after Holm's correction for all secrets of the run.
        p_value: The chance of exposures that high over those of decoys (Mann and Whitney).
        discoverable: For several numbers of continuations, where probabilities are known.
    """

    type: Words
    n: Count
    extracted: Share
    before: Share | None
    decoys: Share
    exposure: float | None
    exposure_before: float | None
    most: Amount
    evident: Share | None
    p_value: Rate | None
    discoverable: tuple[Discoverable, ...]


class Written(Record):
    """How probably one continuation is the secret.

    Attributes:
        verbatim: The probability: exact where both ends are the same, else from continuations.
        near: The same of the secret and what is nearly it; at least.
        half_at: Continuations of which one is the secret with a chance of a half; ``None`` if none
            ever is, as far as is known.
    """

    verbatim: Share
    near: Rate | None
    half_at: Amount | None


class SecretExposure(Record):
    """How far a model gives a secret away, in bits.

    Attributes:
        surprise: Of the secret in its best prompt.
        bits: The exposure.
        low: What it is at least.
        high: What it is at most.
        exact: Whether its rank was counted among all strings of its format.
        before: The exposure under the base.
        added: By how many bits the fine-tune made it less surprising.
    """

    surprise: float
    bits: float
    low: float
    high: float
    exact: bool
    before: float | None
    added: float | None


class SecretRecord(Record):
    """A secret, named by the line of the file that it stands in.

    Attributes:
        line: The line.
        type: The secret's type.
        candidates: Bits of its format.
        prompts: In how many ways it was asked for.
        best_prompt: The way that got the most out of the model.
        extracted: Whether the attack names it first in any of them.
        certain: Whether what the attack names is surely what it looks for.
        queries: Rows spent in all prompts.
        exposure: Where the model tells log-probabilities.
        written: How probably a continuation is the secret.
        p_value: The chance of so much evidence without training on it.
        p_adjusted: The same, corrected for having looked at all.
    """

    line: Count
    type: Words
    candidates: Amount
    prompts: Count
    best_prompt: Words
    extracted: bool
    certain: bool
    queries: Count
    exposure: SecretExposure | None
    written: Written | None
    p_value: Rate | None
    p_adjusted: Rate | None


class RealDetails(Details):
    """What stands behind a cell of an audit of real secrets.

    Attributes:
        types: One row a type.
        secrets: One by one.
        ways: How many prompts of each way were asked.
        near: Characters in which a near miss differs at most; 0 where none were looked for.
        based: Whether a base was given.
    """

    types: tuple[SecretType, ...] = Field(min_length=1)
    secrets: tuple[SecretRecord, ...] = Field(min_length=1)
    ways: dict[str, Count]
    near: Count
    based: bool


class RealCell(Cell):
    """One attack on the real secrets in a language model's training data."""

    kind: Literal["secrets"] = "secrets"
    details: RealDetails
