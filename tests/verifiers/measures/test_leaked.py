"""What a leaked store tells of people, on templates of which all is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from darkroom.errors import DataError
from darkroom.verifiers.leaks import enrolled_templates, leaked_record
from darkroom.verifiers.measures.attributes import read_attributes
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.binarised import BinarisedHash
from darkroom.verifiers.protection.rotation import Rotation
from darkroom.verifiers.record import LeakedStore
from darkroom.verifiers.subject import VerifierSubject, behind


def measured(subject: VerifierSubject, protection: Protection | None) -> LeakedStore:
    """Measures a store; the attribute is whether a template's first number is above the median."""
    enrolled = enrolled_templates(subject)
    assert enrolled is not None
    assert len(enrolled.stored) == 6 + 80  # strangers of whom there are two photos
    level = float(np.median(enrolled.known[:, 0]))

    def told(rows: np.ndarray) -> list[str | None]:
        return [str(value > level) for value in rows[:, 0]]

    own = subject.embedding
    assert own is not None
    public: list[str | None] = [None] * 60
    for row, who in enumerate(enrolled.who):
        public[who] = told(enrolled.known[row : row + 1])[0]
    unit = own.store.means / np.linalg.norm(own.store.means, axis=1, keepdims=True)
    theirs = {"first": told(unit)}
    stored = subject if protection is None else behind(subject, protection, 7)
    return leaked_record(stored, protection, enrolled, (7, 8), theirs, {"first": public})


def test_a_plain_store_names_links_and_cannot_be_renewed(leaky: VerifierSubject) -> None:
    found = measured(leaky, None)
    assert found.candidates == 86
    assert found.first.estimate > 0.25  # one of 86 by lot
    assert found.linkable > 0.35
    assert found.renewed.estimate == 1
    assert found.attributes[0].right.estimate >= 4 / 6


@pytest.mark.parametrize("protection", [Rotation(), BinarisedHash()])
def test_a_protected_store_does_none_of_that(
    protection: Protection, leaky: VerifierSubject
) -> None:
    found = measured(leaky, protection)
    assert found.first.estimate < 0.1
    assert found.linkable < 0.25
    assert found.renewed.estimate < 0.1


def test_with_the_keys_it_is_as_a_plain_one(leaky: VerifierSubject) -> None:
    plain, known = measured(leaky, None), measured(leaky, Rotation(key_known=True))
    assert known.first == plain.first
    assert known.attributes == plain.attributes


@pytest.mark.parametrize(
    ("text", "said"),
    [("name,sex\nada,f", "no column id"), ("id,sex\nbob,f", "has nobody of these people")],
)
def test_a_table_of_attributes_that_is_none(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_attributes(tmp_path / "a.csv", ["ada"])


def test_what_a_table_does_not_have_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,sex,beard\nada,f,\nbob,m,yes\n")
    found = read_attributes(tmp_path / "a.csv", ["bob", "ada", "eve"])
    assert found == {"sex": ["m", "f", None], "beard": ["yes", None, None]}
