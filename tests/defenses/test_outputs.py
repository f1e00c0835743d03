"""Output defences answer probabilities, whatever they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense, normalised
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline, describe
from darkroom.defenses.purifier import Centred, Purify
from darkroom.defenses.registry import OUTPUT_DEFENSES
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.stealthy_shield import KeyedStealthyShield, StealthyShield
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.defenses.temperature import Temperature
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.errors import PlanError

KEY = b"a secret of the tests"

DEFENSES: list[OutputDefense] = [
    Rounding(0),
    Rounding(1),
    Rounding(2),
    Rounding(step=0.05),
    Noise(0.05),
    Noise(3.0, "laplace"),
    StickyNoise(0.05, key=KEY),
    StickyNoise(3.0, "laplace", key=KEY, cell=0.01),
    StickyNoise(exact=True, key=KEY),
    TopK(1),
    TopK(3),
    LabelOnly(),
    Temperature(0.1),
    Temperature(3.0),
    ReverseSigmoid(),
    ReverseSigmoid(1.0, 3.0),
    Purify(0.7),
    Purify(1.0),
    StealthyShield(0.5),
    StealthyShield(0.05, 2.0),
    KeyedStealthyShield(0.3, key=KEY),
]

weights = arrays(
    np.float64,
    st.tuples(st.integers(0, 4), st.integers(2, 7)),
    elements=st.one_of(
        st.just(0.0), st.just(1.0), st.just(5e-324), st.floats(0, 1, allow_subnormal=True)
    ),
)


def fit(defense: OutputDefense, classes: int) -> Pipeline:
    """The defence with what it must know of a model that mostly names the right class."""
    answers = normalised(np.eye(classes) + np.random.default_rng(5).random((classes, classes)))
    return Pipeline((defense,)).fitted(answers, np.arange(classes))


def inputs_of(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Something that each row of answers could be about."""
    return np.column_stack([rows, np.sqrt(rows)])


def test_every_defence_is_tried() -> None:
    assert {type(one) for one in DEFENSES} == set(OUTPUT_DEFENSES.own.values())
    assert all(one.cost for one in DEFENSES)


@pytest.mark.parametrize("defense", DEFENSES, ids=describe)
@given(raw=weights)
def test_answers_are_probabilities(defense: OutputDefense, raw: NDArray[np.float64]) -> None:
    given_scores = normalised(raw)
    before = given_scores.copy()
    chosen = fit(defense, raw.shape[1])
    answers = chosen(given_scores, np.random.default_rng(0), inputs_of(given_scores))
    np.testing.assert_array_equal(given_scores, before)
    assert answers.shape == raw.shape
    assert np.isfinite(answers).all()
    assert (answers >= 0).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1)


@pytest.mark.parametrize("defense", DEFENSES, ids=describe)
@given(raw=weights)
def test_a_batch_equals_its_rows(defense: OutputDefense, raw: NDArray[np.float64]) -> None:
    scores, chosen = normalised(raw), fit(defense, raw.shape[1])
    whole = chosen(scores, np.random.default_rng(1), inputs_of(scores))
    rng = np.random.default_rng(1)
    for row, expected in zip(scores, whole, strict=True):
        alone = chosen(row[None], rng, inputs_of(row[None]))
        np.testing.assert_array_equal(alone[0], expected)


@pytest.mark.parametrize("defense", DEFENSES, ids=describe)
def test_a_large_batch_equals_its_rows(defense: OutputDefense) -> None:
    """More classes than a part has, more rows than a block, more features than are added up."""
    rng = np.random.default_rng(2)
    scores, chosen = rng.dirichlet(np.full(300, 0.1), 500), fit(defense, 300)
    inputs = rng.random((500, 3, 20, 20), dtype=np.float32)
    whole = chosen(scores, np.random.default_rng(1), inputs)
    fresh = np.random.default_rng(1)
    alone = [chosen(scores[i : i + 1], fresh, inputs[i : i + 1]) for i in range(500)]
    np.testing.assert_array_equal(np.concatenate(alone), whole)


@pytest.mark.parametrize("defense", DEFENSES, ids=describe)
def test_a_deterministic_defence_answers_the_same_again(defense: OutputDefense) -> None:
    rng = np.random.default_rng(3)
    scores, inputs = rng.dirichlet(np.full(6, 0.5), 40), rng.random((40, 30))
    chosen = fit(defense, 6)
    first, again = chosen(scores, rng, inputs), chosen(scores, rng, inputs)
    assert (first == again).all() == defense.deterministic


@pytest.mark.parametrize(
    "defense", [one for one in DEFENSES if not one.changes_label], ids=describe
)
@given(raw=weights)
def test_those_that_say_so_keep_the_label_among_the_winners(
    defense: OutputDefense, raw: NDArray[np.float64]
) -> None:
    scores = normalised(raw)
    answers = fit(defense, raw.shape[1])(scores, np.random.default_rng(0), inputs_of(scores))
    winners = answers == answers.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(
        np.take_along_axis(winners, scores.argmax(axis=1)[:, None], axis=1), True
    )


def test_known_answers() -> None:
    rng = np.random.default_rng(0)
    scores = np.array([[0.5, 0.26, 0.24]])
    np.testing.assert_allclose(Rounding(1)(scores, rng), [[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(TopK(2)(scores, rng), [[0.5 / 0.76, 0.26 / 0.76, 0]])
    np.testing.assert_allclose(LabelOnly()(scores, rng), [[1, 0, 0]])
    assert Noise(0.0)(scores, rng).tolist() == scores.tolist()


def test_noise_has_the_deviation_it_says() -> None:
    scores = np.full((20_000, 2), 0.5)
    for kind in ("gaussian", "laplace"):
        first = Noise(0.01, kind)(scores, np.random.default_rng(3))[:, 0]
        # (1/2 + e) / (1 + e + d) is about 1/2 + (e - d) / 2.
        assert first.std() == pytest.approx(0.01 / np.sqrt(2), rel=0.05)


def test_a_pipeline_applies_in_order_and_leaves_the_least() -> None:
    pipeline = Pipeline((Rounding(1), TopK(2)))
    scores = np.array([[0.44, 0.36, 0.2]])
    answers = pipeline(scores, np.random.default_rng(0))
    np.testing.assert_allclose(answers, [[0.5, 0.5, 0]])
    assert pipeline.leaves is Access.TOP_K
    assert pipeline.name == "rounding(decimals=1) + top-k(k=2)"
    assert Pipeline((TopK(2), LabelOnly())).leaves is Access.LABEL
    assert (Pipeline().name, Pipeline().leaves) == ("none", Access.SCORES)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("roundin", {}, "did you mean 'rounding'"),
        ("rounding", {"digits": 2}, "no parameter 'digits'"),
        ("rounding", {"decimals": -1}, "0 to 15"),
        ("rounding", {"decimals": "many"}, "got 'many'"),
        ("noise", {"deviation": -1}, "0 or more"),
        ("noise", {"kind": "pink"}, "gaussian or laplace"),
        ("top-k", {"k": 0}, "1 or more"),
        ("rounding", {"step": 0}, "above 0"),
        ("temperature", {"degree": 0}, "above 0"),
        ("reverse-sigmoid", {"beta": 2}, "0 to 1"),
        ("purify", {"share": 1.5}, "0 to 1"),
        ("purify", {"means": "nowhere.npy"}, "nowhere.npy"),
        ("purify", {"table": [[1]]}, "no parameter 'table'"),
        ("stealthy-shield", {"temperature": 0}, "above 0"),
        ("sticky-noise", {}, "needs a secret"),
        ("sticky-noise", {"secret": "hunter2-hunter2-hunter2"}, "where it is"),
        ("sticky-noise", {"secret": "env:DARKROOM_NO_SUCH_SECRET"}, "DARKROOM_NO_SUCH_SECRET"),
        ("sticky-noise", {"secret": "file:no-such-file"}, "no-such-file"),
        ("sticky-noise", {"key": "x"}, "no parameter 'key'"),
        ("sticky-noise", {"cell": 0}, "above 0"),
    ],
)
def test_wrong_words_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        OUTPUT_DEFENSES.make(name, parameters).prepared(Path())
    assert "\n" not in str(caught.value)


def test_rounding_to_steps() -> None:
    scores = np.array([[0.52, 0.27, 0.21]])
    np.testing.assert_allclose(
        Rounding(step=0.25)(scores, np.random.default_rng(0)), [[0.5, 0.25, 0.25]]
    )
    assert describe(Rounding(step=0.25)) == "rounding(step=0.25)"


def test_reverse_sigmoid_follows_the_paper() -> None:
    """Against the formula written out, with the inverse of the sigmoid that the paper uses."""
    y = np.array([[0.6, 0.3, 0.1]])
    inverse = np.log(y / (1 - y))
    expected = y - 0.4 * (1 / (1 + np.exp(-0.3 * inverse)) - 0.5)
    answers = ReverseSigmoid(0.4, 0.3)(y, np.random.default_rng(0))
    np.testing.assert_allclose(answers, expected / expected.sum())


def test_purify_shrinks_toward_the_mean_of_the_class_named() -> None:
    means = np.array([[0.9, 0.1], [0.2, 0.8]])
    answers = Purify(0.5, table=means)(np.array([[0.6, 0.4], [0.0, 1.0]]), np.random.default_rng(0))
    np.testing.assert_allclose(answers, [[0.75, 0.25], [0.1, 0.9]])


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_sticky_noise_has_the_deviation_it_says(kind: str) -> None:
    rng = np.random.default_rng(0)
    scores, inputs = np.full((20_000, 2), 0.5), rng.random((20_000, 40)) * 9
    first = StickyNoise(0.01, kind, key=KEY)(scores, rng, inputs)[:, 0]
    assert first.std() == pytest.approx(0.01 / np.sqrt(2), rel=0.05)
    assert first.mean() == pytest.approx(0.5, abs=0.001)


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


def test_class_means_come_from_answers_or_from_a_file(tmp_path: Path) -> None:
    scores = np.array([[0.6, 0.4]])
    with pytest.raises(PlanError, match="mean answers of 2 classes"):
        Purify()(scores, np.random.default_rng(0))
    np.save(tmp_path / "means.npy", [[3.0, 1.0], [0.0, 1.0]])
    read = OUTPUT_DEFENSES.make("purify", {"means": "means.npy", "share": 1.0}).prepared(tmp_path)
    np.testing.assert_allclose(read(scores, np.random.default_rng(0)), [[0.75, 0.25]], atol=1e-5)
    assert isinstance(read, Centred)
    assert read.fitted(scores, np.array([1])) is read
    assert read.decisive()["means"] != "means.npy"
    np.save(tmp_path / "means.npy", np.ones((2, 3)))
    with pytest.raises(PlanError, match="square"):
        OUTPUT_DEFENSES.make("purify", {"means": "means.npy"}).prepared(tmp_path)


def divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    terms: NDArray[np.float64] = (p * np.log((p + 1e-300) / q)).sum(axis=-1)
    return terms


@pytest.mark.parametrize("classes", [2, 3, 40])
def test_the_shield_finds_the_nearest_answer_in_its_ball(classes: int) -> None:
    """No other answer in the ball comes nearer to the mean: a thousand are tried for each row."""
    rng = np.random.default_rng(classes)
    scores = rng.dirichlet(np.full(classes, 0.6), 20)
    means = normalised(rng.dirichlet(np.full(classes, 0.6), classes) + 1e-4)
    # So cold that the class drawn is the one that wins.
    defense = StealthyShield(0.2, 1e-6, table=means)
    answers = defense(scores, rng)
    toward = means[scores.argmax(axis=1)]
    allowed = 0.2 * -(scores * np.log(scores)).sum(axis=1)
    assert (np.abs(answers - scores).sum(axis=1) <= allowed + 1e-3).all()
    assert (divergence(answers, toward) <= divergence(scores, toward) + 1e-9).all()
    for row, answer in enumerate(answers):
        others = rng.dirichlet(np.ones(classes), 1000) - scores[row]
        reach = np.minimum(1, allowed[row] / np.abs(others).sum(axis=1))
        tried = scores[row] + reach[:, None] * others
        local = answer + 0.01 * rng.standard_normal((1000, classes))
        local -= (local.sum(axis=1, keepdims=True) - 1) / classes
        inside = (local >= 0).all(axis=1) & (np.abs(local - scores[row]).sum(axis=1) < allowed[row])
        tried = np.concatenate([tried, local[inside]])
        assert (divergence(tried, toward[row]) >= divergence(answer, toward[row]) - 1e-3).all()


def test_the_shield_draws_classes_by_the_softmax_of_scores() -> None:
    scores = np.tile([[0.3, 0.45, 0.25]], (40_000, 1))
    # With means that name one class alone and a ball that holds everything, answers tell the draw.
    answers = StealthyShield(9.0, 0.2, table=np.eye(3) + 1e-9)(scores, np.random.default_rng(0))
    weights = np.exp(scores[0] / 0.2)
    drawn = np.bincount(answers.argmax(axis=1), minlength=3) / len(answers)
    np.testing.assert_allclose(drawn, weights / weights.sum(), atol=0.01)


@pytest.mark.parametrize("k", [1, 5, 20, 60])
def test_top_k_of_many_classes_with_ties(k: int) -> None:
    """However they are found, the largest are those of a stable sort."""
    scores = normalised(np.random.default_rng(k).integers(0, 5, (30, 60)).astype(np.float64))
    kept = TopK(k)(scores, np.random.default_rng(0)) > 0
    expected = np.zeros_like(kept)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.put_along_axis(expected, order, True, axis=1)
    np.testing.assert_array_equal(kept, expected & (scores > 0))
