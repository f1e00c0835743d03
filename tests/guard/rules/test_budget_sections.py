"""What a policy may say of budgets, routes and models, and which paths one covers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from darkroom.guard.budget_sections import (
    BudgetSection,
    RouteSection,
    ServedModelSection,
    matching,
    spans,
)
from darkroom.guard.windows import Window


@pytest.mark.parametrize(
    ("paths", "path", "matched"),
    [
        (["/a"], "/a", True),
        (["/a"], "/a/b", False),
        (["/a", "/b"], "/b", True),
        (["/a*"], "/a/b/c", True),
        (["/a*c"], "/abc", True),
        (["/a*c"], "/abd", False),
        # Brackets and question marks are signs like others.
        (["/a[b]"], "/ab", False),
        (["/a[b]"], "/a[b]", True),
        (["/a?"], "/ab", False),
        (["/a?"], "/a?", True),
        (["/a.b"], "/axb", False),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_does(
    paths: list[str], path: str, matched: bool
) -> None:
    assert bool(matching(paths).fullmatch(path)) == matched


@pytest.mark.parametrize(
    ("wide", "narrow", "all_of_it"),
    [
        ("/*", "/a", True),
        ("/a", "/*", False),
        ("/a/*", "/a/*/b", True),
        ("/a/*/b", "/a/*", False),
        ("/a", "/a", True),
        ("/a?", "/a*", False),
    ],
)
def test_a_path_spans_another_when_it_matches_all_of_it(
    wide: str, narrow: str, all_of_it: bool
) -> None:
    assert spans(wide, narrow) == all_of_it


def budget(**changes: Any) -> BudgetSection:
    return BudgetSection(**{"name": "daily", "rows": 10, **changes})


def test_a_budget_says_what_it_counts() -> None:
    assert (budget().limit, budget().unit, budget().span) == (10, "rows", Window(None))
    spoken = budget(rows=None, tokens=50, window="1h")
    assert (spoken.limit, spoken.unit, spoken.span) == (50, "tokens", Window(3_600_000))
    assert budget(rows=1).limit == 1
    assert budget(rows=10**12).limit == 10**12
    assert budget(rows=None, tokens=10**12).limit == 10**12
    assert budget(rows=None, tokens=1).limit == 1


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, "10 rows per client, window day"),
        (
            {"per": "group", "groups": ["a", "b"]},
            "10 rows per group's clients, window day of group a, b",
        ),
        ({"clients": ["x"], "window": "1h"}, "10 rows per client, window 1h of client x"),
        ({"per": "model", "routes": ["slow"]}, "10 rows per model, window day of route slow"),
        (
            {"rows": None, "tokens": 5, "models": ["m"]},
            "5 tokens per client, window day of model m",
        ),
    ],
)
def test_a_budget_is_told_to_people(changes: dict[str, Any], rule: str) -> None:
    assert budget(**changes).rule == rule


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": None}, "give rows or tokens, one of them"),
        ({"tokens": 5}, "give rows or tokens, one of them"),
        ({"rows": 0}, "greater than or equal to 1"),
        ({"rows": 10**12 + 1}, "less than or equal to"),
        ({"rows": None, "tokens": 0}, "greater than or equal to 1"),
        ({"rows": None, "tokens": 10**12 + 1}, "less than or equal to"),
        ({"window": "1w"}, "neither 'day' nor a span"),
        ({"clients": ["x"], "per": "model"}, "clients goes with per = 'client'"),
        ({"groups": ["x"], "per": "model"}, "groups goes with per = 'client' or 'group'"),
        ({"groups": ["x"], "clients": ["y"]}, "give clients or groups, not both"),
        ({"models": ["x"], "routes": ["y"]}, "give models or routes, not both"),
        ({"per": "class", "routes": ["y"]}, "a budget of classes counts rows, and on all routes"),
        ({"per": "class", "rows": None, "tokens": 5}, "a budget of classes counts rows"),
        ({"per": "person", "rows": None, "tokens": 5}, "a budget of people counts rows"),
        ({"name": "Daily"}, "pattern"),
        ({"name": "d" * 65}, "pattern"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        budget(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"clients": ["x"]},
        {"groups": ["x"]},
        {"groups": ["x"], "per": "group"},
        {"models": ["x"], "per": "class"},
        {"per": "person"},
        {"models": ["x"], "groups": ["y"]},
        {"routes": ["x"], "clients": ["y"]},
        {"name": "d" * 64},
    ],
)
def test_a_budget_that_can_be_meant_is_taken(changes: dict[str, Any]) -> None:
    assert budget(**changes).limit == 10


@pytest.mark.parametrize("path", ["a", "", "/a?b", "/a#b", "/a b", "/a\tb", "/a\nb"])
def test_what_is_no_path_is_refused(path: str) -> None:
    for made in (RouteSection, ServedModelSection):
        with pytest.raises(ValidationError, match="is no path such as"):
            made(name="a", paths=["/fine", path])
        with pytest.raises(ValidationError, match="at least 1 item"):
            made(name="a", paths=[])
        assert made(name="a", paths=["/a/*"]).paths == ["/a/*"]


def test_headers_are_for_a_server_of_its_own() -> None:
    with pytest.raises(ValidationError, match="headers_from_env goes with url"):
        ServedModelSection(name="a", paths=["/a"], headers_from_env={"x": "Y"})
    made = ServedModelSection(name="a", paths=["/a"], url="http://m:1", headers_from_env={"x": "Y"})
    assert (made.url, made.names) == ("http://m:1", [])
    with pytest.raises(ValidationError, match="pattern"):
        ServedModelSection(name="a", paths=["/a"], url="m:1")
