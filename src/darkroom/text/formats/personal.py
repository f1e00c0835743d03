"""Formats of what people have: bank accounts, dates, names, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

from pydantic import Field

from darkroom.errors import PlanError
from darkroom.text.formats.automata import Automaton, concatenate, explore, strings
from darkroom.text.formats.names import CITIES, FIRST, LAST, STREETS
from darkroom.text.formats.patterns import compile_pattern
from darkroom.text.formats.spec import Spec, words

IBAN_DIGITS = {
    "AT": 16,
    "BE": 12,
    "CZ": 20,
    "DE": 18,
    "DK": 14,
    "ES": 20,
    "FI": 14,
    "HU": 24,
    "NO": 11,
    "PL": 24,
    "PT": 21,
    "SE": 20,
}
"""Digits of an account number in countries where it has no letters (ISO 13616 registry)."""


class Iban(Spec):
    """An international bank account number, whose two digits check the others (ISO 7064).

    Difference from the standard: check digits that some countries have within the account number
    are not heeded, so that every account number of a country's length is one.

    Attributes:
        country: Two letters.
        separator: Stands between groups of four, or nothing.
    """

    kind: Literal["iban"] = "iban"
    country: str = "DE"
    separator: Literal["", " "] = ""

    def expression(self) -> str:
        """Returns a regular expression of all of them, and of little else."""
        digits = IBAN_DIGITS.get(self.country, 18)
        return rf"{self.country}\d{{2}}(?: ?\d){{{digits}}}"

    def automaton(self) -> Automaton:
        """Returns all numbers that pass the check: one for each account number."""
        if self.country not in IBAN_DIGITS:
            known = ", ".join(IBAN_DIGITS)
            raise PlanError(f"secret format iban: country {self.country!r}: choose one of {known}")
        digits = IBAN_DIGITS[self.country]
        letters = int("".join(str(int(letter, 36)) for letter in self.country))
        # The number behind its country and check digits leaves 1 when divided by 97.
        weights = [10, 1, *(pow(10, 5 + digits - place, 97) for place in range(digits))]

        def edges(state: _Read) -> Iterable[tuple[int, _Read]]:
            place, total, first, separated = state
            if place == 2 + len(weights):
                return []
            if self.separator and place and place % 4 == 0 and not separated:
                return [(ord(self.separator), (place, total, first, True))]
            if place < 2:
                return [(ord(self.country[place]), (place + 1, total, first, False))]
            onward = []
            for digit in range(10):
                check = 10 * first + digit
                if place == 3 and not 2 <= check <= 98:
                    continue
                added = (total + digit * weights[place - 2]) % 97
                onward.append(
                    (ord(str(digit)), (place + 1, added, digit if place == 2 else 0, False))
                )
            return onward

        start: _Read = (0, letters * 100 % 97, 0, False)
        return explore(start, edges, lambda state: state[:2] == (2 + len(weights), 1))


_Read = tuple[int, int, int, bool]
"""Characters read, the remainder so far, the first check digit, whether a separator came last."""


class Date(Spec):
    """A day of the calendar.

    Attributes:
        style: How it is written, in the letters of ``strftime``.
        first: The first year.
        last: The last year.
    """

    kind: Literal["date"] = "date"
    style: str = "%Y-%m-%d"
    first: int = Field(1930, ge=1000, le=9999)
    last: int = Field(2029, ge=1000, le=9999)

    def expression(self) -> str:
        """Returns a regular expression of all of them, and of little else."""
        days = (self._day(month, number) for month in range(1, 13) for number in (1, 10, 28))
        shapes = {re.sub(r"\d", r"\\d", re.escape(day)) for day in days}
        return "|".join(sorted(shapes, key=len, reverse=True))

    def _day(self, month: int, day: int) -> str:
        return date(self.first, month, day).strftime(self.style)

    def automaton(self) -> Automaton:
        """Returns every day that there is, leap days among them."""
        if self.last < self.first or self.last - self.first > 200:
            raise PlanError(
                f"secret format date: {self.first} to {self.last}: give years that rise, 200 at "
                "most"
            )
        day, days = date(self.first, 1, 1), []
        while day.year <= self.last and day < date.max:
            days.append(day.strftime(self.style))
            day += timedelta(days=1)
        return words(days)


class Name(Spec):
    """A first and a last name.

    Attributes:
        first: First names.
        last: Last names.
    """

    kind: Literal["name"] = "name"
    first: tuple[str, ...] = Field(FIRST, min_length=1)
    last: tuple[str, ...] = Field(LAST, min_length=1)

    def expression(self) -> str:
        """Returns a regular expression of all of them, and of little else."""
        return f"{_either(self.first)} {_either(self.last)}"

    def automaton(self) -> Automaton:
        """Returns every first name with every last name."""
        return concatenate([words(self.first), strings([b" "]), words(self.last)])


class Address(Spec):
    """A street with a number from 1 to 199, a postcode of five digits, and a town.

    Attributes:
        streets: Names of streets.
        cities: Names of towns.
    """

    kind: Literal["address"] = "address"
    streets: tuple[str, ...] = Field(STREETS, min_length=1)
    cities: tuple[str, ...] = Field(CITIES, min_length=1)

    def expression(self) -> str:
        """Returns a regular expression of all of them, and of little else."""
        return rf"\d{{1,3}} {_either(self.streets)}, \d{{5}} {_either(self.cities)}"

    def automaton(self) -> Automaton:
        """Returns such as ``12 Mill Lane, 40213 Ashford``."""
        number, postcode = compile_pattern(r"[1-9]\d?|1\d\d"), compile_pattern(r"\d{5}")
        gap, comma = strings([b" "]), strings([b", "])
        parts = [number, gap, words(self.streets), comma, postcode, gap, words(self.cities)]
        return concatenate(parts)


def _either(some: Iterable[str]) -> str:
    longest_first = sorted(map(re.escape, some), key=len, reverse=True)
    return f"(?:{'|'.join(longest_first)})"
