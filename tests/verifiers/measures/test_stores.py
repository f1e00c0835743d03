"""What leaked templates tell, plain and protected, on templates of which all is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from darkroom.errors import PlanError
from darkroom.verifiers.measures.finding import Found, found_with_key, found_without_key
from darkroom.verifiers.measures.linking import linkage, unlinkability
from darkroom.verifiers.protection.alignment import procrustes
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.binarised import BinarisedHash
from darkroom.verifiers.protection.plain import Plain
from darkroom.verifiers.protection.polyprotect import PolyProtect
from darkroom.verifiers.protection.rotation import Rotation, secret_rotation
from darkroom.verifiers.targets.metrics import unit

PEOPLE = np.arange(60)
PROTECTIONS = [Plain(), Rotation(), BinarisedHash(128), PolyProtect(overlap=0), PolyProtect()]


def templates(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of people, from two photos each, and of others who are enrolled too."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((160, 24))
    noise = rng.standard_normal((2, 160, 24)) * 0.25
    one, two = unit(means + noise[0]), unit(means + noise[1])
    return one[:60], two[:60], one[60:]


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda one: one.name)
def test_a_protection_keeps_people_apart_and_a_batch_is_its_rows(protection: Protection) -> None:
    stored, candidates, _ = templates()
    together = protection.protected(stored, 5)
    alone = np.concatenate([protection.protected(one[None], 5) for one in stored])
    assert np.allclose(together, alone)
    assert not np.allclose(together, protection.protected(stored, 6)) or protection.name == "plain"
    found = found_with_key(protection, stored, candidates, PEOPLE, 5)
    assert found.first.estimate > 0.5
    assert found.candidates == 60


def test_a_rotation_hides_people_until_pairs_are_known() -> None:
    stored, candidates, others = templates()
    firsts = [
        found_without_key(
            Rotation(), stored, candidates, PEOPLE, 5, pairs=pairs, others=others
        ).first.estimate
        for pairs in (0, 10, 50)
    ]
    assert firsts[0] < 0.1
    assert firsts[0] < firsts[1] < firsts[2]
    assert firsts[2] > 0.95


@pytest.mark.parametrize("protection", [BinarisedHash(128), PolyProtect()], ids=lambda o: o.name)
def test_without_a_key_the_others_name_nobody(protection: Protection) -> None:
    stored, candidates, others = templates()
    found = found_without_key(protection, stored, candidates, PEOPLE, 5, pairs=0, others=others)
    assert found.first.estimate < 0.15


def test_a_rotation_is_found_exactly_from_as_many_pairs_as_numbers() -> None:
    rng = np.random.default_rng(1)
    rows, secret = rng.standard_normal((24, 24)), secret_rotation(24, 7)
    assert np.allclose(secret @ secret.T, np.eye(24))
    assert np.allclose(procrustes(rows, rows @ secret), secret)


def test_the_polynomials_are_those_of_the_paper() -> None:
    protection = PolyProtect(terms=3, overlap=1)
    coefficients, exponents = protection._secret(9)
    assert sorted(exponents) == [1, 2, 3]
    assert all(1 <= abs(one) <= 50 for one in coefficients)
    v = np.array([0.5, -0.2, 0.1, 0.3, 0.7, -0.4])
    expected = [
        sum(c * x**e for c, x, e in zip(coefficients, part, exponents, strict=True))
        for part in (v[0:3], v[2:5], [*v[4:6], 0.0])
    ]
    assert protection.protected(v[None], 9)[0] == pytest.approx(expected)


def test_stores_with_different_keys_are_linked_where_nothing_protects() -> None:
    stored, candidates, _ = templates()
    found = {
        one.name: unlinkability(*linkage(one, stored, candidates, PEOPLE, keys=(1, 2)))
        for one in (Plain(), Rotation(), BinarisedHash(128))
    }
    assert found["plain"] > 0.95
    assert found["rotation"] < 0.35
    assert found["binarised"] < 0.35


def test_the_measure_of_linking_by_hand() -> None:
    # Two bins: mated 15 and 5 of 20, others 5 and 15 of 20. LR is 3 in one bin, which counts
    # 2 * 3 / 4 - 1 = 0.5 for three quarters of mated pairs.
    mated = np.array([1.0] * 15 + [0.0] * 5)
    others = np.array([1.0] * 5 + [0.0] * 15)
    assert unlinkability(mated, others) == pytest.approx(0.75 * 0.5)
    assert unlinkability(mated, mated) == 0
    assert unlinkability(np.ones(20), np.zeros(20)) == 1
    assert unlinkability(np.ones(20), np.ones(20)) == 0


def test_equals_are_ranked_by_lot() -> None:
    found = Found.of(np.ones((5, 5)))
    assert found.median == 3
    assert found.first.estimate == 0
    assert Found.of(np.eye(5)).first.estimate == 1


@pytest.mark.parametrize("wrong", [{"terms": 1}, {"overlap": 5}, {"overlap": -1}, {"largest": 0}])
def test_polynomials_that_there_are_not_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="polyprotect"):
        PolyProtect(**wrong)
