"""Several leaked templates of each person, on templates of which all is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.verifiers.conftest import SPEC

from darkroom.errors import DataError
from darkroom.verifiers.checks import check_subject
from darkroom.verifiers.many_leaked import leaking
from darkroom.verifiers.measures.leaked import Enrolled, leaked_together
from darkroom.verifiers.plan import LeakSection
from darkroom.verifiers.protection.base import Protection
from darkroom.verifiers.protection.binarised import BinarisedHash
from darkroom.verifiers.protection.outliers import trusted, unlike
from darkroom.verifiers.protection.plain import Plain
from darkroom.verifiers.protection.polyprotect import PolyProtect
from darkroom.verifiers.protection.recovery import recovered
from darkroom.verifiers.protection.rotation import Rotation
from darkroom.verifiers.protection.verifier import ProtectedVerifier
from darkroom.verifiers.subject import VerifierSubject
from darkroom.verifiers.targets.embedding import EmbeddingVerifier, Leak, Store
from darkroom.verifiers.targets.encoders import FunctionEncoder
from darkroom.verifiers.targets.metrics import Metric, unit

SIZE, PEOPLE, PHOTOS = 24, 8, 6
_RNG = np.random.default_rng(0)
_EVERYBODY = _RNG.standard_normal((60, SIZE))
TRUTH = unit(_EVERYBODY[:PEOPLE])
OF_PHOTOS = np.stack(
    [unit(_EVERYBODY + 0.8 * _RNG.standard_normal(_EVERYBODY.shape)) for _ in range(PHOTOS + 1)]
)
PUBLIC = unit(_RNG.standard_normal((200, SIZE)))
ENROLLED = Enrolled(OF_PHOTOS[0], OF_PHOTOS[PHOTOS], np.arange(60), PUBLIC, np.arange(len(PUBLIC)))


def photos(count: int) -> Leak:
    return Leak(OF_PHOTOS[:count, :PEOPLE], renewed=False)


def copies(count: int, people: int = PEOPLE) -> Leak:
    return Leak(np.repeat(OF_PHOTOS[:1, :people], count, axis=0), renewed=True)


def traced(leak: Leak, protection: Protection | None = None) -> np.ndarray:
    """What an attacker makes of a leak."""
    encoder = FunctionEncoder(lambda images: np.zeros((len(images), SIZE)), SPEC, name="none")
    store = Store(leak.templates[0], np.arange(leak.templates.shape[1]))
    plain = EmbeddingVerifier(encoder, store, Metric.COSINE)
    found = plain if protection is None else ProtectedVerifier(plain, protection, 7)
    leaks = found.leaking(leak).leaks(np.arange(len(store.templates)))
    return recovered(leaks, PUBLIC, np.random.default_rng(1))


def near(rows: np.ndarray, others: np.ndarray) -> float:
    """The mean cosine of rows."""
    return float((unit(rows) * unit(others)).sum(axis=1).mean())


@pytest.mark.parametrize("protection", [None, Rotation(), Rotation(key_known=True)])
def test_copies_of_one_template_tell_no_more_than_one(protection: Protection | None) -> None:
    assert near(traced(copies(4), protection), traced(copies(1), protection)) == pytest.approx(1)


def test_copies_find_nobody_better_than_one() -> None:
    one, together = leaked_together(Plain(key_known=True), copies(5), ENROLLED, 7)
    assert together == one


@pytest.mark.parametrize("protection", [None, Rotation(key_known=True)])
def test_photos_tell_more_the_more_there_are(protection: Protection | None) -> None:
    found = [near(traced(photos(count), protection), TRUTH) for count in (1, 3, 6)]
    # The mean of n: 1 / sqrt(1 + 0.64 / n), in 24 dimensions about.
    assert found == pytest.approx([0.781, 0.908, 0.951], abs=0.04)


@pytest.mark.parametrize("protection", [Plain(key_known=True), BinarisedHash(key_known=True)])
def test_the_right_person_is_found_the_better_the_more_photos(protection: Protection) -> None:
    everybody = Leak(OF_PHOTOS[:PHOTOS], renewed=False)
    one, together = leaked_together(protection, everybody, ENROLLED, 7)
    assert together.bits.low > one.bits.estimate
    assert together.first.estimate > one.first.estimate
    assert together.candidates == 60


@pytest.mark.parametrize("bits", [12, 32])
def test_signs_under_several_keys_add_equations(bits: int) -> None:
    protection = BinarisedHash(bits=bits, key_known=True)
    one, many = (near(traced(copies(n), protection), OF_PHOTOS[0, :PEOPLE]) for n in (1, 6))
    assert many > one + 0.15


def test_polynomials_under_enough_keys_are_solved() -> None:
    protection = PolyProtect(overlap=0, key_known=True)
    few, enough = (near(traced(copies(n, 2), protection), OF_PHOTOS[0, :2]) for n in (1, 8))
    assert few < 0.6
    assert enough > 0.85


@pytest.mark.parametrize("protection", [Rotation(), BinarisedHash(), PolyProtect()])
def test_without_the_keys_more_stores_tell_no_more(protection: Protection) -> None:
    assert np.array_equal(traced(copies(4), protection), traced(copies(1), protection))


def test_accounts_in_every_store_help_more() -> None:
    protection = BinarisedHash(bits=32, pairs=100)
    one, many = (near(traced(copies(n), protection), OF_PHOTOS[0, :PEOPLE]) for n in (1, 5))
    assert many > one + 0.1


def strange(leak: Leak) -> Leak:
    """The leak with somebody else's template in the third place of the second person."""
    templates = leak.templates.copy()
    templates[2, 1] = OF_PHOTOS[5, 7]
    return replace(leak, templates=templates)


@pytest.mark.parametrize("protection", [None, Rotation(), Rotation(key_known=True)])
def test_somebody_elses_template_is_left_out(protection: Protection | None) -> None:
    mixed = strange(photos(4))
    assert np.argwhere(unlike(mixed.templates, PUBLIC)).tolist() == [[2, 1]]
    without = Leak(OF_PHOTOS[[0, 1, 3], :PEOPLE], renewed=False)
    found, right = traced(mixed, protection), traced(without, protection)
    if protection != Rotation():  # which leads nowhere
        assert near(found[1:2], right[1:2]) == pytest.approx(1)


def test_a_store_with_somebody_elses_template_is_left_out_of_the_equations() -> None:
    protection = BinarisedHash(bits=80, key_known=True)
    mixed, whole = traced(strange(copies(4)), protection), traced(copies(3), protection)
    assert near(mixed[1:2], OF_PHOTOS[0, 1:2]) > 0.9
    assert near(mixed[1:2], whole[1:2]) > 0.97


def test_of_two_that_differ_nobody_knows_which_is_wrong() -> None:
    two = strange(photos(4)).templates[[0, 2]]
    assert np.argwhere(unlike(two, PUBLIC)[:, :2]).tolist() == [[0, 1], [1, 1]]
    assert trusted(two, PUBLIC)[:, 1].all()


def test_templates_of_enrolled_photos_leak_and_the_check_names_a_strange_one(
    leaky: VerifierSubject,
) -> None:
    subject = leaking(leaky, LeakSection(templates=3))
    assert subject.embedding is not None
    assert subject.embedding.leak is not None
    assert subject.embedding.leak.templates.shape == (3, 6, 24)
    assert subject.digest() != leaky.digest()
    alike = leaking(leaky, LeakSection(templates=3, renewed=True))
    *_, check = check_subject(alike, lambda *_: None)
    assert (check.name, check.outcome) == ("leak", "passed")
    templates = np.repeat(subject.embedding.leak.templates[:1], 3, axis=0)
    templates[1, 4] = -templates[1, 4]
    *_, check = check_subject(subject.with_leak(Leak(templates, False)), lambda *_: None)
    assert check.outcome == "noted"
    assert "1 of 18 leaked templates" in check.found
    assert "person-4 has 1" in check.found


def test_more_templates_than_there_are_cannot_leak(leaky: VerifierSubject) -> None:
    with pytest.raises(DataError, match="templates = 4, but person-0 has 3"):
        leaking(leaky, LeakSection(templates=4))
    stored = Store(OF_PHOTOS[:2, :6].reshape(12, SIZE), np.tile(np.arange(6), 2))
    with pytest.raises(DataError, match="has 2"):
        leaking(leaky, LeakSection(templates=3), stored)
    assert leaking(leaky, LeakSection(templates=9, renewed=True)) is not leaky
