"""Log-probabilities in OpenAI's answers: read strictly, defended, cut, and written back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.defenses.logprobs import LogprobDefense
from darkroom.guard.wire.strict_json import Unclear, as_count, as_object, as_text
from darkroom.wire.openai import SLACK, UNKNOWN

HIDDEN = -9999.0
"""What OpenAI writes for a token that is not among the likeliest."""

_LONGEST_TOKEN = 1024


class Word(NamedTuple):
    """A token with its log-probability.

    Attributes:
        text: Its characters.
        code: Its bytes, ``None`` where they are not told.
        logprob: Natural; minus infinity where it is not known.
    """

    text: str
    code: list[int] | None
    logprob: float


class Told(NamedTuple):
    """What an answer tells of its tokens.

    Attributes:
        form: Whose form it has.
        words: The tokens written; ``None`` as its log-probability for the first of a prompt.
        tops: The likeliest tokens at each place; empty where none are told.
        offsets: Where each token starts, of completions.
        refusal: Tokens of a refusal, of chat.
    """

    form: Literal["chat", "completions"]
    words: list[Word]
    tops: list[list[Word]]
    offsets: list[int] | None
    refusal: bool

    def written(
        self, defenses: Sequence[LogprobDefense], rng: np.random.Generator, most: int
    ) -> dict[str, Any]:
        """Returns the same form with less in it.

        The token written and the likeliest ones at a place are defended as one row, and a token
        that is both gets one value, so that fresh noise is drawn once for it. The likeliest are
        put in the order of what leaves.

        Args:
            defenses: What is done to each place's values, in order.
            rng: What they draw from.
            most: How many of the likeliest leave.
        """
        values = self._values()
        first_unknown: NDArray[np.bool_] = np.isnan(values[:, 0])
        values[np.isnan(values)] = -np.inf
        for defense in defenses:
            values = defense(values, rng)
        values = np.where(np.isnan(values), -np.inf, np.minimum(values, 0.0))
        places = [self._place(place, row, most) for place, row in enumerate(values)]
        return self._chat(places) if self.form == "chat" else self._plain(places, first_unknown)

    def _values(self) -> NDArray[np.float64]:
        """Returns one row a place: the likeliest tokens, and the one written if not among them."""
        width = max((len(top) for top in self.tops), default=0) + 1
        values = np.full((len(self.words), width), -np.inf)
        for place, (word, top) in enumerate(zip(self.words, self.tops, strict=True)):
            if _same(word, top) is None:
                values[place, 0] = word.logprob
            values[place, 1 : 1 + len(top)] = [one.logprob for one in top]
        return values

    def _place(
        self, place: int, row: NDArray[np.float64], most: int
    ) -> tuple[float, list[tuple[Word, float]]]:
        word, top = self.words[place], self.tops[place]
        same = _same(word, top)
        own = float(row[0 if same is None else 1 + same])
        pairs = [(one, float(row[1 + number])) for number, one in enumerate(top)]
        # What came before the cut decides nothing but by its value that leaves.
        kept = [pair for pair in pairs if pair[1] > -np.inf]
        kept.sort(key=lambda pair: (-pair[1], pair[0].text, pair[0].code or []))
        return (own if own > -np.inf else HIDDEN), kept[:most]

    def _chat(self, places: list[tuple[float, list[tuple[Word, float]]]]) -> dict[str, Any]:
        entries = [
            {
                **_entry(word, own),
                "top_logprobs": [_entry(one, value) for one, value in top],
            }
            for word, (own, top) in zip(self.words, places, strict=True)
        ]
        return {
            "content": None if self.refusal else entries,
            "refusal": entries if self.refusal else None,
        }

    def _plain(
        self,
        places: list[tuple[float, list[tuple[Word, float]]]],
        first_unknown: NDArray[np.bool_],
    ) -> dict[str, Any]:
        tops = [{one.text: value for one, value in top} or None for _, top in places]
        return {
            "tokens": [word.text for word in self.words],
            "token_logprobs": [
                None if unknown else own
                for (own, _), unknown in zip(places, first_unknown, strict=True)
            ],
            "top_logprobs": tops if any(tops) else None,
            "text_offset": self.offsets,
        }


def chat_logprobs(told: dict[str, Any]) -> Told:
    """Reads ``{"content": [...], "refusal": ...}``.

    Raises:
        Unclear: If it has another form, or values are no log-probabilities.
    """
    refused = told.get("content") is None and told.get("refusal") is not None
    entries = told.get("refusal" if refused else "content") or []
    if not isinstance(entries, list):
        raise Unclear("its log-probabilities are no list")
    words, tops = [], []
    for entry in entries:
        words.append(_word(entry))
        top = entry.get("top_logprobs") or []
        if not isinstance(top, list):
            raise Unclear("the likeliest tokens are no list")
        tops.append(_possible([_word(one) for one in top]))
    return Told("chat", words, tops, None, refused)


def completion_logprobs(told: dict[str, Any]) -> Told:
    """Reads ``{"tokens", "token_logprobs", "top_logprobs", "text_offset"}``.

    Raises:
        Unclear: If it has another form, or values are no log-probabilities.
    """
    texts, values = told.get("tokens"), told.get("token_logprobs")
    if not isinstance(texts, list) or not isinstance(values, list) or len(texts) != len(values):
        raise Unclear("it has not one log-probability for each token")
    words = [
        Word(
            as_text(text, "a token", _LONGEST_TOKEN),
            None,
            math.nan if value is None and place == 0 else _logprob(value),
        )
        for place, (text, value) in enumerate(zip(texts, values, strict=True))
    ]
    likeliest = told.get("top_logprobs") or [None] * len(words)
    if not isinstance(likeliest, list) or len(likeliest) != len(words):
        raise Unclear("it has not the likeliest tokens of each place")
    tops = [
        _possible(
            [
                Word(as_text(text, "a token", _LONGEST_TOKEN), None, _logprob(value))
                for text, value in as_object(one or {}, "the likeliest tokens").items()
            ]
        )
        for one in likeliest
    ]
    offsets = told.get("text_offset")
    if offsets is not None:
        if not isinstance(offsets, list) or len(offsets) != len(words):
            raise Unclear("it has not one offset for each token")
        offsets = [as_count(one, "an offset", 0, 2**40) for one in offsets]
    return Told("completions", words, tops, offsets, refusal=False)


def _same(word: Word, top: list[Word]) -> int | None:
    """Returns where a token is among the likeliest."""
    return next(
        (n for n, one in enumerate(top) if one.text == word.text and one.code == word.code), None
    )


def _word(entry: object) -> Word:
    told = as_object(entry, "a token")
    code = told.get("bytes")
    if code is not None:
        if not isinstance(code, list) or len(code) > _LONGEST_TOKEN:
            raise Unclear("the bytes of a token are none")
        code = [as_count(one, "a byte", 0, 255) for one in code]
    text = as_text(told.get("token"), "a token", _LONGEST_TOKEN)
    return Word(text, code, _logprob(told.get("logprob")))


def _logprob(value: object) -> float:
    if type(value) not in (int, float):
        raise Unclear("a log-probability is no number")
    assert isinstance(value, int | float)
    if not math.isfinite(value) or value > SLACK:
        raise Unclear("a log-probability is none")
    return float(value) if value > UNKNOWN else -math.inf


def _possible(top: list[Word]) -> list[Word]:
    """Refuses values of different tokens that add up to more than one.

    Raises:
        Unclear: If they do.
    """
    if math.fsum(math.exp(one.logprob) for one in top) > 1 + 10 * SLACK * (1 + len(top)):
        raise Unclear("its probabilities add up to more than one")
    return top


def _entry(word: Word, value: float) -> dict[str, Any]:
    return {"token": word.text, "logprob": value, "bytes": word.code}
