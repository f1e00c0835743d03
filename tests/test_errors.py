"""Errors are one readable line each."""

from __future__ import annotations

import pytest

from darkroom import errors
from darkroom.errors import DarkroomError, MissingExtraError, nearest

KNOWN = ["gradient", "mi-face", "boundary"]


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("gradinet", "gradient"),
        ("mi_face", "mi-face"),
        ("boundry", "boundary"),
        ("Gradient", "gradient"),
    ],
)
def test_nearest_names_what_was_meant(name: str, guess: str) -> None:
    assert nearest(name, KNOWN) == f"did you mean {guess!r}? Known: boundary, gradient, mi-face"


def test_nearest_does_not_guess_at_nonsense() -> None:
    assert nearest("xyzzy", KNOWN) == "Known: boundary, gradient, mi-face"


def test_a_missing_library_names_the_extra_that_brings_it() -> None:
    assert str(MissingExtraError("torch", "vision")) == (
        "torch is not installed: run pip install 'darkroom[vision]'"
    )


def test_every_error_can_be_caught_as_one() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    mistakes = [kind for kind in kinds if issubclass(kind, Exception)]
    assert len(mistakes) >= 6
    assert all(issubclass(kind, DarkroomError) for kind in mistakes)
