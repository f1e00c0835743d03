"""Whether a language model is the one that its owner trained: weights, tokenizer, answers.

A model without its weights, with a head that was drawn at random, or behind the tokenizer of
another one leaks nothing that an audit could see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.access import LanguageAccess
from darkroom.auditing.record import Check
from darkroom.errors import TargetError
from darkroom.remote.target import ServedTarget
from darkroom.text.targets.base import LanguageTarget, free
from darkroom.text.targets.codec import SOURCE_ENDS
from darkroom.text.targets.loading import Loading

Floats = NDArray[np.float64]

ENGLISH = (
    "The weather was fine, and so they went for a walk along the river.",
    "She said that she would be back at the end of the week.",
    "It is one of the most important questions of our time.",
    "He did not know what to do with the rest of the day.",
)
"""Lines that most language models know something of."""

_LINES = 6
_GAP = 0.25
"""Bits a token by which words in their order are less surprising to a model that knows any."""

_DIFFERENT, _NOTED = 0.05, 0.005
"""Differences of a token's probability that no arithmetic explains, and that a reader is told."""


class Knowledge(NamedTuple):
    """How surprising some lines are to a model.

    Attributes:
        bits: A token, on average.
        shuffled: The same, of each shuffling of the lines' words.
    """

    bits: float
    shuffled: Floats

    @property
    def gap(self) -> float:
        """How much less surprising the lines are than their words in another order."""
        return float(self.shuffled.mean() - self.bits)

    def known(self, untrained: float) -> bool:
        """Tells whether the model knows the order of words, and is no worse than chance."""
        in_order = self.bits < self.shuffled.min() and self.gap >= _GAP
        return in_order and self.bits < untrained


def check_model(
    target: LanguageTarget, lines: Sequence[Sequence[str]], rng: np.random.Generator
) -> list[Check]:
    """Checks weights, knowledge and answers.

    Args:
        target: The model.
        lines: Sets of lines of which a sound model knows at least one; those that it was trained
            on first.
        rng: Shuffles words.
    """
    loading = getattr(target, "loading", None)
    checks = [] if loading is None else [_weights(loading)]
    if not target.access.includes(LanguageAccess.LOGPROBS):
        return checks
    spoken = [some for some in (*map(_long_enough, lines), list(ENGLISH)) if some]
    try:
        tried = _tried(target, spoken, rng)
    except TargetError as error:
        return [*checks, _untold(error)]
    checks.append(_language(target, loading, [one for _, one in tried]))
    if not isinstance(target, ServedTarget):
        checks.append(_answers(target, tried[0][0]))
    return checks


def _tried(
    target: LanguageTarget, lines: Sequence[Sequence[str]], rng: np.random.Generator
) -> list[tuple[Sequence[str], Knowledge]]:
    """Returns what is known of sets of lines, until one is known; those too long are left out.

    Raises:
        TargetError: If no set can be read.
    """
    tried: list[tuple[Sequence[str], Knowledge]] = []
    refusal: TargetError | None = None
    for some in lines:
        try:
            tried.append((some, knowledge(target, some, rng)))
        except TargetError as error:
            refusal = error
            continue
        if tried[-1][1].known(_untrained_bits(target)):
            break
    if refusal is not None and not tried:
        raise refusal
    return tried


def _untold(error: TargetError) -> Check:
    return Check(
        name="language",
        outcome="noted",
        found="The model could read none of the lines whole, so that it is not known whether it "
        f"knows its language: {error}.",
    )


def _weights(loading: Loading) -> Check:
    """Looks at what was not in the folder."""
    shown = ", ".join(loading.missing[:3])
    more = f" and {len(loading.missing) - 3} more" if len(loading.missing) > 3 else ""
    if loading.half:
        return Check(
            name="weights",
            outcome="failed",
            found="The folder's config.json says that the model is an encoder and a decoder. What "
            f"was loaded ({loading.loaded}) is the decoder alone, which was trained to be told "
            "what to write.",
            cause="half a model",
            remedy="Give a model that continues text or fills masks.",
        )
    if loading.missing:
        return Check(
            name="weights",
            outcome="failed",
            found=f"The folder holds {loading.architecture or 'a model'}. {loading.loaded} also "
            f"needs {shown}{more}, which were drawn at random.",
            cause="no language-model head" if loading.no_head else "weights missing",
            remedy="Save the whole language model with save_pretrained, its head included.",
        )
    left = len(loading.unexpected)
    adapter = f" It holds an adapter ({loading.adapter})." if loading.adapter else ""
    unused = f" {left} weights in the folder have no place in it." if left else ""
    return Check(
        name="weights",
        outcome="passed",
        found=f"Every weight of {loading.loaded} was in the folder.{adapter}{unused}",
    )


def _language(target: LanguageTarget, loading: Loading | None, tried: Sequence[Knowledge]) -> Check:
    """Compares lines with their own words shuffled, and with a model that learned nothing."""
    untrained = _untrained_bits(target)
    if tried[-1].known(untrained):
        return _said(tried[-1], untrained, "passed")
    best = max(tried, key=lambda one: one.gap)
    least = min(one.bits for one in tried)
    if least < 0.9 * untrained:
        return _said(best, untrained, "noted")
    cause = "tokenizer of another model" if least > untrained + 0.7 else "weights not loaded"
    remedy = {
        "weights not loaded": "Load the trained weights; a model as it is before training knows "
        "nothing.",
        "tokenizer of another model": "Save the tokenizer that the model was trained with beside "
        "it.",
        "no language-model head": "Save the whole language model with save_pretrained, its head "
        "included.",
    }
    if loading is not None and (loading.no_head or _of_no_language(loading)):
        cause = "no language-model head"
    return _said(best, untrained, "failed").model_copy(
        update={"cause": cause, "remedy": remedy[cause]}
    )


def _said(one: Knowledge, untrained: float, outcome: str) -> Check:
    verdict = {
        "passed": "The model knows the order of words",
        "noted": "The model hardly knows the order of words",
        "failed": "The model knows nothing of its language",
    }[outcome]
    return Check.model_validate(
        {
            "name": "language",
            "outcome": outcome,
            "found": f"{verdict}: {one.bits:.1f} bits a token, {one.shuffled.mean():.1f} with the "
            f"words shuffled, {untrained:.1f} for a model of its vocabulary that was never "
            "trained.",
        }
    )


def _of_no_language(loading: Loading) -> bool:
    """Tells whether the folder names another model than was loaded, without a head for words."""
    heads = ("LMHeadModel", "ForCausalLM", "ForMaskedLM", "ForPreTraining")
    return loading.architecture != loading.loaded and not loading.architecture.endswith(heads)


def knowledge(target: LanguageTarget, lines: Sequence[str], rng: np.random.Generator) -> Knowledge:
    """Measures how surprising lines are in their order, and with their words shuffled.

    Args:
        target: A model that tells log-probabilities of given text.
        lines: Each of eight characters or more.
        rng: Shuffles.

    Raises:
        TargetError: If a line cannot be read, or a server's content filter refuses all.
    """
    # A row a line, or a token where masks are filled; a served model is asked for few.
    times = 3 if isinstance(target, ServedTarget) else 4 if target.masked else 19
    chosen = [lines[place] for place in rng.permutation(len(lines))[:_LINES]]
    if target.masked or isinstance(target, ServedTarget):
        chosen = chosen[:3]
    texts = [parts_of(line) for line in chosen]
    rounds = [
        texts,
        *([[first, *_shuffled(rest, rng)] for first, *rest in texts] for _ in range(times)),
    ]
    rows = [parts for some in rounds for parts in some]
    scores = target.score([parts[0] for parts in rows], ["".join(p[1:]) for p in rows], free())
    bits = np.array([-float(np.mean(one)) / math.log(2) for one in scores])
    table = bits.reshape(len(rounds), len(texts))
    told = np.isfinite(table).all(axis=0)
    if not told.any():
        raise TargetError(f"target {target.name}: its content filter refuses all of the lines")
    means = table[:, told].mean(axis=1)
    return Knowledge(float(means[0]), means[1:])


def parts_of(line: str) -> list[str]:
    """Returns a line's words, each with the space before it, or its characters if it has few.

    What an encoder reads stands before the first.
    """
    source, ends, written = line.rpartition(SOURCE_ENDS)
    first, *rest = written.split(" ")
    many = len(rest) > 3 and first
    first, *rest = [first, *(f" {word}" for word in rest)] if many else list(written)
    return [source + ends + first, *rest]


def _shuffled(parts: Sequence[str], rng: np.random.Generator) -> list[str]:
    return [parts[place] for place in rng.permutation(len(parts))]


def _long_enough(lines: Sequence[str]) -> list[str]:
    """Returns lines whose parts can stand in many orders, and that a model can read."""
    return [line for line in dict.fromkeys(lines) if 8 <= len(line) <= 600]


def _untrained_bits(target: LanguageTarget) -> float:
    """Returns the bits a token of a model that takes every token for as likely as any other."""
    if not target.knows_tokens:
        return 17.0  # of the largest vocabularies in use
    return math.log2(max(2, len(target.codec.vocabulary)))


def _answers(target: LanguageTarget, lines: Sequence[str]) -> Check:
    """Asks the same twice, alone and among longer and shorter texts."""
    rows = [parts_of(line) for line in lines[:3]]
    rows.append(rows[0][: max(2, len(rows[0]) // 2)])
    prompts, endings = [parts[0] for parts in rows], ["".join(parts[1:]) for parts in rows]
    alone = [target.score([p], [e], free())[0] for p, e in zip(prompts, endings, strict=True)]
    again = [target.score([p], [e], free())[0] for p, e in zip(prompts, endings, strict=True)]
    itself = _apart(alone, again)
    batch = _apart(alone, target.score(prompts, endings, free()))
    outcome, cause, remedy = "passed", "", ""
    if itself > _DIFFERENT:
        outcome, cause = "failed", "random answers"
        remedy = "Put the model in evaluation mode, and take out what draws at random."
    elif batch > _DIFFERENT:
        outcome, cause = "failed", "batch dependence"
        remedy = "Heed the attention mask, so that texts of other lengths do not matter."
    elif max(itself, batch) > _NOTED:
        outcome = "noted"
    return Check.model_validate(
        {
            "name": "answers",
            "outcome": outcome,
            "found": f"Probabilities of the same tokens differ by {itself:.2g} at most when asked "
            f"again, and by {batch:.2g} when asked among other texts.",
            "cause": cause,
            "remedy": remedy,
        }
    )


def _apart(some: Sequence[Floats], others: Sequence[Floats]) -> float:
    """Returns how far the probabilities of the same tokens are apart, at most."""
    return max(
        float(np.abs(np.exp(one) - np.exp(other)).max()) if len(one) == len(other) else 1.0
        for one, other in zip(some, others, strict=True)
    )
