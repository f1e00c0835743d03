"""The format of a real secret: what it has in common with others of its type.

Decoys are drawn from it uniformly. They must look as likely as the secret to whoever never saw it,
so that digits are exchanged for digits, letters of codes for letters of the same case, and words of
names, e-mail addresses and postal addresses for other words of that kind: made-up ones, and those
of the other secrets of the file. What everybody can know stays as it is: the domain of an e-mail
address, the country code of a number, separators.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from darkroom.errors import DarkroomError, DataError
from darkroom.text.formats.names import FIRST, LAST
from darkroom.text.formats.secrets import SecretFormat, make_format
from darkroom.text.formats.shapes import Shape
from darkroom.text.real.secrets_file import RealSecret

TYPES = ("name", "email", "phone", "address", "number")
"""Types with a shape of their own; others are taken for numbers and codes."""

STREETS = (
    "Abbey", "Bridge", "Castle", "Cedar", "Chapel", "Church", "Elm", "Field", "Forest", "Garden",
    "Harbour", "High", "Hill", "King", "Lake", "Linden", "Main", "Market", "Meadow", "Mill", "New",
    "North", "Oak", "Orchard", "Park", "Queen", "River", "School", "South", "Spring", "Station",
    "Valley", "Victoria", "West", "Willow", "Windsor",
)  # fmt: skip
TOWNS = (
    "Aarau", "Basel", "Bergen", "Bremen", "Cork", "Delft", "Gent", "Graz", "Leeds", "Linz", "Lyon",
    "Malmo", "Nantes", "Oulu", "Porto", "Riga", "Seville", "Tartu", "Turin", "Utrecht", "Vaduz",
    "Verona", "York", "Zagreb",
)  # fmt: skip

_PIECES = re.compile(r"[^\W\d_]+|\d|[\W_]")
_ALIKE = 5
"""Secrets of one shape that show what all of them have in common."""

_FEWEST = 20
"""Decoys that a format must have."""

Slot = tuple[str, ...]
Words = Callable[[int, int], Iterable[str]]
"""What may stand for a word, by its place and that of the last word."""


def formats_of(secrets: Sequence[RealSecret], where: str) -> list[SecretFormat]:
    """Returns the format of each secret.

    Args:
        secrets: All of a file.
        where: What messages call the file.

    Raises:
        DataError: If a format that the file gives cannot be read or does not hold its secret, or
            too few strings have a secret's shape; the message names the line.
    """
    alike: dict[str, list[str]] = {}
    for one in secrets:
        alike.setdefault(one.type, []).append(one.secret)
    words = {kind: _words_of(kind, others) for kind, others in alike.items()}
    slots = [() if one.format is not None else _slots(one, words[one.type]) for one in secrets]
    slots = _with_constants(secrets, slots)
    found = []
    for one, own in zip(secrets, slots, strict=True):
        place = f"{where}: line {one.line}"
        if one.format is not None:
            made = _given(one.format, place)
            if one.secret not in made:
                raise DataError(f"{place}: its secret is not of its format: mend either")
        else:
            made = _shaped(one.type, own, place)
        if made.size < _FEWEST:
            raise DataError(
                f"{place}: only {made.size} strings have its format, too few for decoys: give a "
                "wider one"
            )
        found.append(made)
    return found


def _with_constants(
    secrets: Sequence[RealSecret], slots: Sequence[tuple[Slot, ...]]
) -> list[tuple[Slot, ...]]:
    """Keeps what all secrets of a shape have in common, such as the first digits of a country's.

    An attacker who knows one of them knows that of all; decoys with other digits would be unlikely
    to any model.
    """
    groups: dict[tuple[str, tuple[Slot, ...]], list[int]] = {}
    for number, (one, own) in enumerate(zip(secrets, slots, strict=True)):
        groups.setdefault((one.type, own), []).append(number)
    kept = list(slots)
    for (_, own), members in groups.items():
        if len(members) < _ALIKE or not own:
            continue
        parted = [_parted(secrets[number].secret, own) for number in members]
        common = tuple(
            (pieces[0],) if len(set(pieces)) == 1 else slot
            for slot, pieces in zip(own, zip(*parted, strict=True), strict=True)
        )
        if common != own and any(len(slot) > 1 for slot in common):
            for number in members:
                kept[number] = common
    return kept


def _parted(text: str, slots: tuple[Slot, ...]) -> list[str]:
    """Returns what stands in each slot of a text."""
    pieces = []
    for slot in slots:
        fitting = [one for one in slot if text.startswith(one)]
        piece = max(fitting, key=len)
        pieces.append(piece)
        text = text[len(piece) :]
    return pieces


def _given(text: str, place: str) -> SecretFormat:
    try:
        return _read(text)
    except DarkroomError:
        # The library's message repeats the text, which may hold more than a format.
        raise DataError(f"{place}: its format cannot be read: see the docs of formats") from None


@lru_cache(maxsize=4096)
def _read(text: str) -> SecretFormat:
    return make_format(text)


@lru_cache(maxsize=4096)
def _made(kind: str, slots: tuple[Slot, ...]) -> SecretFormat:
    return SecretFormat(Shape(title=kind, slots=slots))


def _shaped(kind: str, slots: tuple[Slot, ...], place: str) -> SecretFormat:
    try:
        return _made(kind, slots)
    except DarkroomError:
        raise DataError(f"{place}: its secret is too long for a shape: give a format") from None


def _words_of(kind: str, others: Sequence[str]) -> Words:
    """Returns what may stand for the words of secrets of a type.

    Args:
        kind: The type.
        others: All secrets of this type.
    """
    if kind == "email":
        local = tuple(dict.fromkeys(_words(other.partition("@")[0] for other in others)))
        return lambda *places: _locals(local, places[1])
    if kind == "name":
        return _names(others)
    spoken = dict.fromkeys((*STREETS, *TOWNS, *_words(others))) if kind == "address" else ()
    return lambda *_: spoken


def _slots(one: RealSecret, words: Words) -> tuple[Slot, ...]:
    """Parts a secret into slots."""
    if one.type == "email" and "@" in one.secret:
        local, at, domain = one.secret.partition("@")
        return (*_pieces(local, words), (at + domain,))
    if one.type in ("name", "address"):
        return tuple(_pieces(one.secret, words))
    # A country code is no secret.
    known = re.match(r"\+\d{1,3}(?=[ \-(./])", one.secret) if one.type == "phone" else None
    kept = known[0] if known else ""
    return (*(((kept,),) if kept else ()), *_codes(one.secret[len(kept) :]))


def _names(others: Sequence[str]) -> Words:
    """Returns what may stand at a place of a name: first names first, last names last."""
    parts = [some for some in (_words([other]) for other in others) if some]
    first = dict.fromkeys((*FIRST, *(some[0] for some in parts)))
    last = dict.fromkeys((*LAST, *(some[-1] for some in parts)))

    def words(place: int, final: int) -> Iterable[str]:
        return last if place == final and final else first

    return words


def _locals(words: Sequence[str], final: int) -> tuple[str, ...]:
    """Returns what may stand at a place of the first half of an e-mail address."""
    if final:
        return (*FIRST, *LAST, *words)
    initials = sorted({first[0] for first in FIRST})
    return (*FIRST, *LAST, *words, *(first + last.lower() for first in initials for last in LAST))


def _words(texts: Iterable[str]) -> list[str]:
    return [piece for text in texts for piece in _PIECES.findall(text) if len(piece) > 1]


def _pieces(text: str, words: Words) -> list[Slot]:
    """Parts a text into words, digits and what stands between."""
    found = _PIECES.findall(text)
    spoken = [place for place, piece in enumerate(found) if piece[0].isalpha() and len(piece) > 1]
    slots: list[Slot] = []
    for place, piece in enumerate(found):
        if place in spoken:
            some = {_alike(word, piece) for word in words(spoken.index(place), len(spoken) - 1)}
            slots.append(tuple(sorted({*some, piece})))
        else:
            slots.append(_characters(piece))
    return slots


def _codes(text: str) -> list[Slot]:
    return [_characters(letter) for letter in text]


def _characters(letter: str) -> Slot:
    """Returns the characters of the same class."""
    for some in (string.digits, string.ascii_lowercase, string.ascii_uppercase):
        if letter in some and letter:
            return tuple(some)
    return (letter,)


def _alike(word: str, like: str) -> str:
    """Returns a word in the case of another."""
    return word.lower() if like.islower() else word.upper() if like.isupper() else word
