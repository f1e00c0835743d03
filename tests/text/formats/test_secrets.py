from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.errors import PlanError
from darkroom.text.formats.automata import concatenate, strings, union
from darkroom.text.formats.secrets import (
    Card,
    Email,
    Pattern,
    SecretFormat,
    Words,
    luhn_value,
    make_format,
)

SMALL = [
    r"\d{2}-[AB]",
    r"(a|ab)(c|bc)",
    r"x{0,3}y?",
    r"[a-c]{1,2}(-[0-1])?",
    r"(?:(red|green)-)?\d",
    r"[é-ë]{2}|ü",
    r"\(\w\)",
]


def members(pattern: str) -> set[str]:
    """All strings over the characters that the pattern uses which Python's own engine matches."""
    alphabet = {
        r"\(\w\)": "()abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
        r"(?:(red|green)-)?\d": None,
    }.get(pattern, "0123456789-ABabcxyéêëü")
    if alphabet is None:
        prefixes = ["", "red-", "green-"]
        return {prefix + digit for prefix in prefixes for digit in "0123456789"}
    longest = 3 if len(alphabet) > 25 else 4
    found = set()
    for length in range(longest + 1):
        for letters in itertools.product(alphabet, repeat=length):
            word = "".join(letters)
            if re.fullmatch(pattern, word, re.ASCII):
                found.add(word)
    return found


@pytest.mark.medium
@pytest.mark.parametrize("pattern", SMALL)
def test_a_pattern_holds_what_pythons_own_engine_matches(pattern: str) -> None:
    expected = members(pattern)
    secrets = make_format(Pattern(pattern=pattern))
    listed = [secrets.at(index) for index in range(secrets.size)]
    assert set(listed) == expected
    assert len(listed) == len(expected)
    assert listed == sorted(expected, key=str.encode)
    assert [secrets.index(secret) for secret in listed] == list(range(secrets.size))
    assert "no such" not in secrets


@given(
    st.lists(st.text("ab", max_size=3), min_size=1), st.lists(st.text("ab", max_size=3), min_size=1)
)
def test_joining_sets_of_strings(one: list[str], other: list[str]) -> None:
    parts = [strings(word.encode() for word in words) for words in (one, other)]
    both, chained = union(parts), concatenate(parts)
    expected_both = sorted({word.encode() for word in one + other})
    expected_chained = sorted({(a + b).encode() for a in one for b in other})
    assert [both.at(i) for i in range(both.size)] == expected_both
    assert [chained.at(i) for i in range(chained.size)] == expected_chained


@given(st.integers(0, 10**13 - 1))
def test_a_card_passes_the_luhn_check(index: int) -> None:
    card = make_format("card:prefix=51,separator=-")
    number = card.at(index)
    assert re.fullmatch(r"51\d\d-\d{4}-\d{4}-\d{4}", number)
    digits = number.replace("-", "")
    assert sum(luhn_value(int(d), i % 2 == 0) for i, d in enumerate(digits)) % 10 == 0
    assert card.index(number) == index
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert wrong not in card


def test_known_card_numbers() -> None:
    assert "4111111111111111" in make_format("card")
    assert "4111111111111112" not in make_format("card")
    assert "378282246310005" in make_format(Card(prefix="37", digits=15))


def test_sizes_are_exact_however_large() -> None:
    assert make_format("ssn").size == 10**9
    assert make_format("card").size == 10**14
    assert make_format("api-key").size == 62**32
    assert make_format("passport").size == 17 * 27**8
    assert make_format("api-key").bits == pytest.approx(190.53, abs=0.01)


def test_an_address_that_can_be_made_in_two_ways_is_counted_once() -> None:
    address = make_format(Email(first=("Ann", "Anna"), last=("a.b", "b"), domains=("x.y",)))
    listed = [address.at(index) for index in range(address.size)]
    expected = {
        f"{local}@x.y"
        for first in ("ann", "anna")
        for last in ("a.b", "b")
        for local in (f"{first}.{last}", f"{first[0]}.{last}", f"{first}{last}")
    }
    assert set(listed) == expected
    assert len(listed) == len(expected)


@pytest.mark.parametrize("spec", ["api-key", "pin", r"[ab]{3}"])
def test_drawing_without_replacement(spec: str) -> None:
    secrets = make_format(spec)
    first = secrets.sample(3, np.random.default_rng(0))
    rest = secrets.sample(5, np.random.default_rng(1), exclude=first)
    assert len({*first, *rest}) == 8
    assert all(secret in secrets for secret in rest)
    assert rest == secrets.sample(5, np.random.default_rng(1), exclude=first)


def test_a_draw_favours_nobody() -> None:
    codes = make_format(r"[A-J]\d{4}")
    drawn = codes.sample(2000, np.random.default_rng(0))
    firsts = np.bincount([ord(code[0]) - ord("A") for code in drawn], minlength=10)
    assert (abs(firsts - 200) < 60).all()  # four standard deviations and a half


def test_drawing_all_and_more() -> None:
    secrets = make_format(r"[ab]{2}")
    assert sorted(secrets.sample(4, np.random.default_rng(0))) == ["aa", "ab", "ba", "bb"]
    with pytest.raises(PlanError, match="only 4 are there"):
        secrets.sample(5, np.random.default_rng(0))


def test_a_mask_shows_what_all_secrets_share() -> None:
    assert make_format("ssn").mask("123-45-6789") == "•••-••-••••"
    assert make_format("api-key").mask("sk-" + "a" * 32) == "sk-" + "•" * 32
    for words in (("ab", "abc"), ("é", "è")):
        assert make_format(Words(words=words)).mask(words[0]) == "•" * 6


def test_a_list_of_words_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("alpha\nbeta\n\nalpha\n")
    assert make_format(f"words:{tmp_path / 'words.txt'}").size == 2
    with pytest.raises(PlanError, match="no readable list"):
        make_format(f"words:{tmp_path / 'none.txt'}")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"\d+", "endlessly"),
        (r"a.c", "not supported"),
        (r"(ab", "not closed"),
        (r"ab)", "closes nothing"),
        (r"[b-a]x1", "turn it round"),
        (r"[^a]1", "left out"),
        (r"a{3,2}", "rise"),
        (r"a{x}", "no count"),
        (r"a{1,999}", "at most"),
        (r"[a", "ends too early"),
        (r"\q1", "not supported"),
        (r"(?=a)1", "look around"),
        (r"[]1", "empty"),
        (r"\d{200}\d{200}", "shorten"),
        ("pasport", "passport"),
        ("card:digits=99", "less than or equal to 19"),
        ("card:prefix=4111,lenght=9", "lenght"),
    ],
)
def test_a_format_that_cannot_be_read_is_one_clear_line(pattern: str, why: str) -> None:
    with pytest.raises(PlanError, match=why) as caught:
        make_format(pattern)
    assert "\n" not in str(caught.value)


def test_a_string_that_is_no_secret_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="not of the format") as caught:
        make_format("ssn").index("hunter2")
    assert "hunter2" not in str(caught.value)


def test_equal_endings_share_states() -> None:
    secrets = SecretFormat(Pattern(pattern=r"[a-z]{30}"))
    assert len(secrets.automaton.edges) == 31
