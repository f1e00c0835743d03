"""Hugging Face tokenizers as attacks need them: every token's bytes, and where it stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from tokenizers import Tokenizer

from darkroom.errors import TargetError
from darkroom.text.targets.base import Encoded, Tokens
from darkroom.text.targets.conversations import MARK

SOURCE_ENDS = "\x1e"
"""Stands in a text between what an encoder reads and what the decoder writes."""

NO_TOKEN = -1
"""Stands between the tokens that an encoder reads and those of the decoder."""


class HuggingFaceCodec:
    """A fast tokenizer.

    Attributes:
        drops_space: Whether white space between words belongs to no token, as in BERT's.
        mask: The token that stands for a missing one, or ``None``.
        identity: All that decides how text becomes tokens.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, mask: int | None = None, starts: int | None = None
    ) -> None:
        """Reads how tokens are spelled from the tokenizer's decoder.

        Args:
            tokenizer: Of the ``tokenizers`` library.
            mask: The mask token, or ``None``.
            starts: The token that a decoder begins with, where an encoder reads another text.
        """
        self._starts = starts
        # A copy, so that switching padding and truncation off changes nobody else's.
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.mask = mask
        self.identity = self._tokenizer.to_str()
        described = json.loads(self.identity)
        self._decoders = _kinds(described.get("decoder"))
        self.drops_space = "WordPiece" in self._decoders or "BertPreTokenizer" in _kinds(
            described.get("pre_tokenizer")
        )
        # Tokens added to a vocabulary stand for their own characters, whatever the decoder; special
        # ones do so where they are written out, as in a chat template.
        self._added: dict[int, bytes] = {}
        self._marks: dict[int, bytes] = {}
        for token in described.get("added_tokens", []):
            kind = self._marks if token["special"] else self._added
            kind[int(token["id"])] = str(token["content"]).encode()
        prefix = described["model"].get("continuing_subword_prefix")
        self._continuing = prefix if isinstance(prefix, str) else ""
        self._unknown = described["model"].get("unk_token")

    @cached_property
    def vocabulary(self) -> tuple[bytes | None, ...]:
        """The bytes of every token; see :class:`darkroom.text.targets.base.Codec`."""
        words = self._tokenizer.get_vocab(with_added_tokens=True)
        spelled: list[bytes | None] = [None] * (max(words.values(), default=-1) + 1)
        for word, token in words.items():
            if token not in self._marks and word != self._unknown:
                added = self._added.get(token)
                spelled[token] = self._bytes(word) if added is None else added
        return tuple(spelled)

    def _bytes(self, word: str) -> bytes:
        if "ByteLevel" in self._decoders:
            return bytes(_BYTE_OF[character] for character in word)
        if "ByteFallback" in self._decoders and len(word) == 6 and word.startswith("<0x"):
            return bytes([int(word[3:5], 16)])
        if "Metaspace" in self._decoders or "Replace" in self._decoders:
            word = word.replace("\u2581", " ")
        if self._continuing and word.startswith(self._continuing):
            word = word[len(self._continuing) :]
        return word.encode()

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Returns the canonical tokens of each text; see :class:`darkroom.text.targets.base.Codec`.

        A text may say first what an encoder reads, up to :data:`SOURCE_ENDS`; its tokens are marks
        of the start then. One that begins with :data:`MARK` is given no marks.
        """
        sources, written = zip(*map(self._parted, texts), strict=True) if texts else ((), ())
        marked = [not text.startswith(MARK) for text in written]
        encodings = self._encodings(written, marked)
        answers = []
        for source, text, own, encoding in zip(sources, written, marked, encodings, strict=True):
            one = self._split(encoding, text if own else text[len(MARK) :])
            answers.append(self._behind(one, source, 0 if own else len(MARK)))
        return answers

    def _encodings(self, texts: Sequence[str], marked: Sequence[bool]) -> list[Any]:
        """Returns the library's encodings of texts, with marks or without."""
        answers: list[Any] = [None] * len(texts)
        for marks in set(marked):
            rows = [row for row, one in enumerate(marked) if one is marks]
            some = [texts[row] if marks else texts[row][len(MARK) :] for row in rows]
            found = self._tokenizer.encode_batch(some, add_special_tokens=marks)
            for row, encoding in zip(rows, found, strict=True):
                answers[row] = encoding
        return answers

    def _parted(self, text: str) -> tuple[str | None, str]:
        """Returns what an encoder reads, if that is said, and the rest."""
        source, ends, written = text.partition(SOURCE_ENDS)
        return (source, written) if ends else (None, text)

    def _behind(self, one: Encoded, source: str | None, skipped: int) -> Encoded:
        """Puts what an encoder reads before the tokens, and moves their places behind its text."""
        opening = one.opening
        if self._starts is not None:
            if source is None:
                raise TargetError("a text for an encoder with a decoder must say what each reads")
            opening = (*self._source(source), NO_TOKEN, self._starts, *opening)
        if source is not None:
            skipped += len((source + SOURCE_ENDS).encode())
        if not skipped:
            return one._replace(opening=opening)
        starts, ends = (
            tuple(place + skipped for place in places) for places in (one.starts, one.ends)
        )
        return Encoded(opening, one.tokens, one.closing, starts, ends)

    @lru_cache(maxsize=1024)  # noqa: B019 - as long as the codec lives
    def _source(self, text: str) -> Tokens:
        return tuple(self._tokenizer.encode(text).ids)

    def _split(self, encoding: Any, text: str) -> Encoded:
        ids, marks = encoding.ids, encoding.special_tokens_mask
        first, last = 0, len(ids)
        while first < last and marks[first]:
            first += 1
        while last > first and marks[last - 1]:
            last -= 1
        tokens: Tokens = tuple(ids[first:last])
        starts, ends = self._places(tokens, encoding.offsets[first:last], text)
        return Encoded(tuple(ids[:first]), tokens, tuple(ids[last:]), starts, ends)

    def _spelled(self, token: int) -> bytes | None:
        spelled = self.vocabulary[token]
        return self._marks.get(token) if spelled is None else spelled

    def _places(
        self, tokens: Tokens, offsets: list[tuple[int, int]], text: str
    ) -> tuple[Tokens, Tokens]:
        """Returns where each token starts and ends, in bytes.

        The library's offsets may leave out white space that a token holds, so the tokens' own
        bytes are counted, from the end because some tokenizers add a space in front.
        """
        if self.drops_space:
            return _told(offsets, text)
        spelled = [self._spelled(token) for token in tokens]
        joined = b"".join(piece for piece in spelled if piece is not None)
        whole = text.encode()
        if None in spelled or not joined.endswith(whole):
            return _told(offsets, text)
        place = len(whole) - len(joined)
        starts, ends = [], []
        for piece in spelled:
            starts.append(place)
            place += len(piece or b"")
            ends.append(place)
        return tuple(starts), tuple(ends)


def _told(offsets: list[tuple[int, int]], text: str) -> tuple[Tokens, Tokens]:
    """Returns where each token starts and ends, in bytes, as the library says it in characters."""
    starts, ends = zip(*offsets, strict=True) if offsets else ((), ())
    if text.isascii():
        return starts, ends
    return (
        tuple(len(text[:place].encode()) for place in starts),
        tuple(len(text[:place].encode()) for place in ends),
    )


def _kinds(described: object) -> set[str]:
    """Returns the types of a part of a tokenizer and of the parts within it."""
    if isinstance(described, list):
        return {kind for part in described for kind in _kinds(part)}
    if not isinstance(described, dict):
        return set()
    nested = {kind for value in described.values() for kind in _kinds(value)}
    kind = described.get("type")
    return nested | ({kind} if isinstance(kind, str) else set())


def _byte_characters() -> dict[str, int]:
    """Returns the byte that each character of a byte-level vocabulary stands for.

    Printable bytes stand for themselves, the others for the characters from 256 on, in order
    (Radford et al. 2019).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    pairs = [(chr(byte), byte) for byte in printable]
    return dict(pairs + [(chr(256 + place), byte) for place, byte in enumerate(others)])


_BYTE_OF = _byte_characters()


def require_fast(tokenizer: Any, where: str) -> Tokenizer:
    """Returns the ``tokenizers`` object behind a ``transformers`` tokenizer.

    Raises:
        TargetError: If it has none.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise TargetError(
            f"{where}: its tokenizer is not a fast one: convert it, so that the folder has a "
            "tokenizer.json"
        )
    return backend
