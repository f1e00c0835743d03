"""Which changes are tried on code, and what is said of those that make no difference."""

from __future__ import annotations

import importlib

import pytest
from tests.support.needs import benched

benched("cosmic_ray")

SOURCE = '''\
"""A module."""


def clipped(value: int | None, most: int = 3) -> int:
    """Returns no more than 10."""
    if value is not None and value > most:
        return most
    return 0
'''


@pytest.fixture(scope="module")
def changes() -> list[tuple[str, str]]:
    from benchmarks.mutation.mutants import mutants_of

    found = list(mutants_of(SOURCE))
    lines = SOURCE.splitlines()
    assert all(lines[one.line - 1].strip() == one.was for one in found)
    assert all(one.source != SOURCE for one in found)
    return [(one.was, one.becomes) for one in found]


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("if value is not None and value > most:", "if value is not None and value >= most:"),
        ("if value is not None and value > most:", "if value is not None or value > most:"),
        ("if value is not None and value > most:", "if value is  None and value > most:"),
        ("return 0", "return 1"),
        (
            "def clipped(value: int | None, most: int = 3) -> int:",
            "def clipped(value: int | None, most: int = 4) -> int:",
        ),
    ],
)
def test_what_is_easily_confused_is_tried(
    changes: list[tuple[str, str]], was: str, becomes: str
) -> None:
    tidy = [(one, " ".join(other.split())) for one, other in changes]
    assert (was, " ".join(becomes.split())) in tidy


def test_annotations_and_docstrings_are_left_alone(changes: list[tuple[str, str]]) -> None:
    assert not [one for one in changes if "int & None" in one[1] or "no more than" in one[0]]
    assert len(set(changes)) == len(changes)


def test_every_reason_is_for_a_module_that_is_tried() -> None:
    from benchmarks.mutation.claims import PARTS, equivalents

    tried = {one.module for subjects in PARTS.values() for one in subjects}
    reasons = equivalents()
    assert {change.module for change in reasons} <= tried
    assert all(len(because.split()) > 3 for because in reasons.values())
    for module in tried:
        importlib.import_module(module)
