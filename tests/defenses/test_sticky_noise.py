"""Noise that is fixed for an input, and the secret that fixes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from darkroom.defenses.pipeline import describe
from darkroom.defenses.registry import OUTPUT_DEFENSES
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.errors import PlanError

KEY = b"a secret of the tests"


def test_near_duplicates_share_their_noise_unless_bytes_count() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((1, 1, 20, 20)).astype(np.float32)
    near = image + 1e-5 * rng.standard_normal((50, 1, 20, 20)).astype(np.float32)
    far = rng.random((50, 1, 20, 20)).astype(np.float32) * 2
    scores = np.full((50, 4), 0.25)

    def kinds(defense: StickyNoise, inputs: NDArray[np.float32]) -> int:
        return len(np.unique(defense(scores, rng, inputs), axis=0))

    assert kinds(StickyNoise(key=KEY), near) <= 2
    assert kinds(StickyNoise(key=KEY), far) > 40
    assert kinds(StickyNoise(key=KEY, exact=True), near) == 50


def test_another_secret_or_model_draws_other_noise() -> None:
    rng = np.random.default_rng(0)
    scores, inputs = np.full((1, 8), 0.125), rng.random((1, 30))
    answers = [
        StickyNoise(key=key, version=version)(scores, rng, inputs)
        for key, version in ((KEY, "1"), (KEY, "2"), (KEY + b"!", "1"))
    ]
    assert len(np.unique(np.concatenate(answers), axis=0)) == 3


def test_cells_are_the_same_for_any_layout_and_for_both_zeros() -> None:
    rng = np.random.default_rng(0)
    scores = np.full((2, 4), 0.25)
    for exact in (False, True):
        defense = StickyNoise(key=KEY, exact=exact)
        plus, minus = np.zeros((2, 30)), np.full((2, 30), -0.0)
        np.testing.assert_array_equal(defense(scores, rng, plus), defense(scores, rng, minus))
        turned = np.asfortranarray(rng.random((2, 30)))
        np.testing.assert_array_equal(
            defense(scores, rng, turned), defense(scores, rng, turned.copy(order="C"))
        )


def test_inputs_that_are_no_numbers_or_endless_still_have_cells() -> None:
    inputs = np.array([[np.nan, np.inf, -np.inf, 1e300]])
    answers = StickyNoise(key=KEY)(np.full((1, 3), 1 / 3), np.random.default_rng(0), inputs)
    assert np.isfinite(answers).all()


def test_a_secret_is_read_and_never_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(b"0123456789abcdef\n")
    monkeypatch.setenv("DARKROOM_TEST_SECRET", "0123456789abcdef")
    by_file = OUTPUT_DEFENSES.make("sticky-noise", {"secret": "file:secret"}).prepared(tmp_path)
    named = OUTPUT_DEFENSES.make("sticky-noise", {"secret": "env:DARKROOM_TEST_SECRET"})
    by_name = named.prepared(tmp_path)
    rng, scores, inputs = np.random.default_rng(0), np.full((1, 4), 0.25), np.ones((1, 9))
    assert isinstance(by_file, StickyNoise)
    assert isinstance(by_name, StickyNoise)
    np.testing.assert_array_equal(by_file(scores, rng, inputs), by_name(scores, rng, inputs))
    for text in (repr(by_file), describe(by_file), str(by_file.decisive())):
        assert "0123456789abcdef" not in text
    monkeypatch.setenv("DARKROOM_TEST_SECRET", "short")
    with pytest.raises(PlanError, match="needs 16"):
        named.prepared(tmp_path)


def test_what_must_see_the_input_says_so() -> None:
    with pytest.raises(PlanError, match="must see the inputs"):
        StickyNoise(key=KEY)(np.full((1, 2), 0.5), np.random.default_rng(0))


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_sticky_noise_has_the_deviation_it_says(kind: str) -> None:
    rng = np.random.default_rng(0)
    scores, inputs = np.full((20_000, 2), 0.5), rng.random((20_000, 40)) * 9
    first = StickyNoise(0.01, kind, key=KEY)(scores, rng, inputs)[:, 0]
    assert first.std() == pytest.approx(0.01 / np.sqrt(2), rel=0.05)
    assert first.mean() == pytest.approx(0.5, abs=0.001)
