"""The detector: what it keeps, what it finds odd, and when that is an alarm."""

from __future__ import annotations

import itertools
import pickle
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2
from tests.support.examples import few

from darkroom.errors import DataError
from darkroom.guard.detector.cusum import SURE, Charts, _widened
from darkroom.guard.detector.detector import Batch, Detector, Verdict
from darkroom.guard.detector.features import Space
from darkroom.guard.detector.streams import (
    CHARTS,
    FEATURES,
    LEAST,
    WINDOW,
    Rows,
    Stream,
    Streams,
    features_of_one,
)

Floats = NDArray[np.float64]
WIDTH, CLASSES = 20, 5


def real_inputs(rng: np.random.Generator, rows: int) -> Floats:
    """Returns inputs along a few directions, with a little noise."""
    mixing = np.random.default_rng(99).normal(size=(6, WIDTH))
    return rng.normal(size=(rows, 6)) @ mixing + 0.05 * rng.normal(size=(rows, WIDTH))


def scored(rng: np.random.Generator, winners: NDArray[np.int64], sure: Floats) -> Floats:
    """Returns probabilities with these winners."""
    scores = np.tile(((1 - sure) / (CLASSES - 1))[:, None], (1, CLASSES))
    scores[np.arange(len(winners)), winners] = sure
    return scores


def honest(rng: np.random.Generator, requests: int) -> Iterator[Batch]:
    for _ in range(requests):
        rows = int(rng.integers(1, 4))
        winners = rng.integers(CLASSES, size=rows)
        scores = scored(rng, winners, rng.beta(30, 2, rows))
        yield Batch(f"client {rng.integers(8)}", real_inputs(rng, rows), scores)


def climbing(rng: np.random.Generator, rows: int, goal: int = 2) -> Batch:
    """Returns what an attack asks: small steps away from real inputs, ever more confident."""
    walk = np.cumsum(0.02 * rng.normal(size=(rows, WIDTH)), axis=0)
    return Batch("attacker", walk, scored(rng, np.full(rows, goal), np.linspace(0.25, 0.9, rows)))


@pytest.fixture(scope="module")
def fitted() -> Detector:
    rng = np.random.default_rng(0)
    space = Space.fit(real_inputs(rng, 300), components=5)
    return Detector.fit(space, honest(rng, 1500), days=10)


@pytest.fixture
def detector(fitted: Detector) -> Detector:
    return Detector(fitted.space, list(fitted.charts.values()))


@pytest.mark.parametrize("rows", [10, 50])
def test_components_are_those_of_a_singular_value_decomposition(rows: int) -> None:
    inputs = np.random.default_rng(0).normal(size=(rows, WIDTH)) * np.arange(1, WIDTH + 1)
    space = Space.fit(inputs, components=4)
    centred = inputs - inputs.mean(axis=0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    assert np.allclose(np.abs(space.components @ vectors[:4].T), np.eye(4), atol=1e-3)
    assert np.allclose(space.deviations, values[:4] / np.sqrt(rows - 1), rtol=1e-3)
    sketch = space.sketch(inputs)
    left = centred - (centred @ vectors[:4].T) @ vectors[:4]
    share = np.square(left).sum(axis=1) / np.square(centred).sum(axis=1)
    assert np.allclose(sketch.outside, np.log(share + 1e-6), atol=1e-2)
    alone = [space.sketch(inputs[[row]]) for row in range(rows)]
    assert np.allclose(sketch.inside, [float(one.inside[0]) for one in alone], atol=1e-4)


def test_inputs_that_fit_nothing_are_refused() -> None:
    with pytest.raises(DataError):
        Space.fit(np.zeros((2, 3)))
    with pytest.raises(DataError):
        Space.fit(np.full((5, 3), np.nan))
    with pytest.raises(DataError):
        Space.fit(np.eye(5)).sketch(np.zeros((1, 4)))


def rows_of(rng: np.random.Generator, count: int) -> Rows:
    unknown = rng.random(count) < 0.1
    confidence = np.where(unknown, np.nan, rng.normal(size=count))
    return Rows(
        rng.normal(size=(count, 3)).astype(np.float32),
        rng.normal(size=count),
        rng.normal(size=count),
        confidence,
        np.where(unknown, -1, rng.integers(3, size=count)),
    )


def slowly(rows: Rows) -> Floats:
    """Returns windowed features one row at a time, as their descriptions say."""
    found = np.full((len(rows.winners), 3), np.nan)
    for row in range(len(rows.winners)):
        first = max(0, row - WINDOW)
        before = rows.places[first:row].astype(np.float64)
        if len(before) >= LEAST:
            nearest = np.linalg.norm(before - rows.places[row], axis=1).min()
            found[row, 0] = 0.5 * np.log(nearest**2 + 1e-6)
        known = rows.winners[first:row]
        known = known[known >= 0]
        if len(known) >= LEAST and rows.winners[row] >= 0:
            found[row, 1] = np.mean(known == rows.winners[row])
        last = rows.confidence[max(0, row + 1 - WINDOW) : row + 1]
        told = np.isfinite(last)
        if told.sum() >= 2 * LEAST:
            correlation = np.corrcoef(np.flatnonzero(told), last[told])[0, 1]
            found[row, 2] = np.arctanh(correlation.clip(-0.999, 0.999)) * np.sqrt(told.sum() - 3)
    return found


@few
@given(
    seed=st.integers(0, 999),
    count=st.integers(0, 400),
    cuts=st.lists(st.integers(0, 400), max_size=5),
)
def test_features_are_those_of_a_slow_and_plain_way_however_rows_are_batched(
    seed: int, count: int, cuts: list[int]
) -> None:
    rows = rows_of(np.random.default_rng(seed), count)
    stream = Stream(3)
    places = sorted({0, count, *(cut for cut in cuts if cut < count)})
    parts = [stream.features(rows.take(slice(a, b))) for a, b in itertools.pairwise(places)]
    found = np.concatenate([*parts, np.empty((0, len(FEATURES)))])
    assert np.allclose(found[:, 3:], slowly(rows), atol=1e-4, equal_nan=True)
    assert np.array_equal(found[:, 0], rows.outside)


@few
@given(seed=st.integers(0, 999), count=st.integers(1, 80))
def test_a_row_alone_has_the_same_features_in_several_streams(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    pasts = [rows_of(rng, int(rng.integers(0, 2 * WINDOW))) for _ in range(3)]
    alone, together = ([Stream(3) for _ in pasts] for _ in range(2))
    for past, one, other in zip(pasts, alone, together, strict=True):
        one.features(past)
        other.features(past)
    for row in (rows_of(rng, 1) for _ in range(count)):
        wanted = np.concatenate([one.features(row) for one in alone])
        assert np.allclose(features_of_one(together, row), wanted, atol=1e-4, equal_nan=True)


@few
@given(seed=st.integers(0, 999))
def test_a_step_of_several_streams_is_that_of_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(50, len(FEATURES))) for _ in range(3)]
    each = [
        Charts.fit(([one[:25]], [one[25:]]), 1.0)._replace(limits=np.full(len(CHARTS), 2.0))
        for one in rows
    ]
    each[1].tables[2] = np.nan
    each[2].limits[:3] = np.inf
    features = np.where(rng.random((3, len(FEATURES))) < 0.2, np.nan, 2 * rng.normal(size=(3, 6)))
    features[0, :2] = each[0].tables[:2, 100]  # what real traffic had itself
    levels = rng.exponential(size=(3, len(CHARTS)))
    before = rng.random(levels.shape) < 0.5
    sums, alarmed = Charts.together(each).step(levels, before, features)
    for place, charts in enumerate(each):
        wanted = charts.sums(levels[place], charts.oddness(features[place : place + 1]))
        assert np.allclose(sums[place], wanted[0])
        assert np.array_equal(alarmed[place], charts.alarmed(before[place], wanted))


@few
@given(seed=st.integers(0, 999), count=st.integers(1, 100), cut=st.integers(0, 100))
def test_sums_are_those_of_a_loop(seed: int, count: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    odd = rng.exponential(size=(count, len(CHARTS)))
    odd[rng.random(odd.shape) < 0.1] = np.nan
    charts = Charts(np.empty(0), np.full(len(CHARTS), 1.2), np.full(len(CHARTS), 9.0))
    level = np.zeros(len(CHARTS))
    levels = []
    for row in odd:
        level = np.maximum(0, level + np.where(np.isnan(row), 0, row - 1.2))
        levels.append(level)
    assert np.allclose(charts.sums(np.zeros(len(CHARTS)), odd), levels)
    cut = min(cut, count - 1)
    if cut:
        before = charts.sums(np.zeros(len(CHARTS)), odd[:cut])
        assert np.allclose(charts.sums(before[-1], odd[cut:]), levels[cut:])


@few
@given(seed=st.integers(0, 999), count=st.integers(1, 60))
def test_an_alarm_lasts_until_its_sum_has_halved(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    charts = Charts(np.empty(0), np.ones(3), np.array([4.0, 6.0, np.inf]))
    sums = np.abs(np.cumsum(rng.normal(size=(count, 3)), axis=0))
    state = before = rng.random(3) < 0.5
    for row in sums:
        over, ended = row >= charts.limits, row <= charts.limits / 2
        state = np.where(over, True, np.where(ended, False, state))
    assert np.array_equal(charts.alarmed(before, sums), state)


@pytest.mark.medium
def test_a_sum_that_hovers_at_its_limit_is_one_alarm(fitted: Detector) -> None:
    """Odd rows until an alarm, then real ones until it is a little below, and odd ones again."""
    rng = np.random.default_rng(5)
    detector = Detector(fitted.space, list(fitted.charts.values()))
    odd = climbing(rng, 400)
    assert odd.inputs is not None
    assert odd.scores is not None
    calm = (one._replace(client="attacker") for one in honest(rng, 400))
    places, begun, above, crossings = iter(range(400)), 0, False, 0
    for _ in range(250):
        row = next(places)
        batch = Batch("attacker", odd.inputs[row : row + 1], odd.scores[row : row + 1])
        verdict = detector.watch(next(calm) if above else batch)
        crossings += not above and verdict.client >= 1
        begun += verdict.begun if verdict.client >= 1 and not above else 0
        above = verdict.client >= 1
    assert crossings > 2
    assert begun < crossings


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_a_tail_is_widened_by_the_interval_of_its_mean(count: int) -> None:
    exact = 2 * count / chi2.ppf(1 - SURE, 2 * count)
    assert _widened(count) == pytest.approx(exact, rel=0.3 if count == 1 else 0.03)
    rng = np.random.default_rng(count)
    means = rng.exponential(size=(4000, count)).mean(axis=1)
    assert np.mean(means * _widened(count) >= 1) >= SURE - 0.01


def test_oddness_is_minus_the_logarithm_of_how_rare_a_value_is() -> None:
    rng = np.random.default_rng(0)
    streams = [rng.normal(size=(3000, len(FEATURES)))]
    charts = Charts.fit((streams, streams), 1.0)
    odd = charts.oddness(rng.normal(size=(5000, len(FEATURES))))
    assert np.allclose(odd[:, 2:-1].mean(axis=0), 1, atol=0.1)
    assert np.allclose(odd[:, -1], odd[:, :-1].mean(axis=1))
    low, high = np.full((1, len(FEATURES)), -9.0), np.full((1, len(FEATURES)), 9.0)
    for name, place in zip(FEATURES, range(len(FEATURES)), strict=True):
        at_low, at_high = charts.oddness(low)[0, place], charts.oddness(high)[0, place]
        assert at_low > 5 if name in ("outside", "inside", "confidence", "step") else at_low < 0.1
        assert at_high > 5 if name not in ("confidence", "step") else at_high < 0.1
    unknown = charts.oddness(np.full((2, len(FEATURES)), np.nan))
    assert np.isnan(unknown).all()


@pytest.mark.medium
def test_false_alarms_are_about_as_many_as_allowed(fitted: Detector) -> None:
    watcher = Detector(fitted.space, list(fitted.charts.values()))
    traffic = honest(np.random.default_rng(100), 1500)
    # Ten days, one a day allowed.
    assert sum(watcher.watch(batch).begun for batch in traffic) <= 10


@pytest.mark.medium
def test_an_attack_alarms_and_others_do_not(detector: Detector) -> None:
    rng = np.random.default_rng(7)
    for batch in honest(rng, 100):
        detector.watch(batch)
    attack = climbing(rng, 60)
    verdict = detector.watch(attack)
    assert verdict.alarmed
    assert verdict.client >= 1
    assert verdict.begun >= 1
    assert any(reason.startswith("client: ") for reason in verdict.reasons)
    assert detector.watch(attack).begun < verdict.begun
    calm = detector.watch(next(honest(rng, 1)))
    assert calm.client < 1


@pytest.mark.medium
def test_an_alarm_ends_when_a_client_goes_back_to_real_traffic(detector: Detector) -> None:
    rng = np.random.default_rng(8)
    assert detector.watch(climbing(rng, 200)).client >= 1
    calm = (batch._replace(client="attacker") for batch in honest(rng, 700))
    levels = [detector.watch(batch).client for batch in calm]
    assert levels[-1] < 1


@pytest.mark.medium
def test_an_account_for_every_row_does_not_hide_an_attack(detector: Detector) -> None:
    rng = np.random.default_rng(9)
    inputs, scores = climbing(rng, 120)[1:]
    assert inputs is not None
    assert scores is not None
    verdicts = [
        detector.watch(Batch(row, inputs[row : row + 1], scores[row : row + 1]))
        for row in range(120)
    ]
    assert max(max(one.classes, one.everyone) for one in verdicts) >= 1


@pytest.mark.medium
def test_clients_and_their_memory_are_bounded(fitted: Detector) -> None:
    detector = Detector(fitted.space, list(fitted.charts.values()), clients=50)
    rng = np.random.default_rng(1)
    inputs, scores = real_inputs(rng, 1), scored(rng, np.array([0]), np.array([0.9]))
    tracemalloc.start()
    for client in range(100):
        detector.watch(Batch(client, inputs, scores))
    before = tracemalloc.get_traced_memory()[0]
    for client in range(100, 300):
        detector.watch(Batch(client, inputs, scores))
    detector.watch(Batch("much", np.tile(inputs, (2_000, 1)), np.tile(scores, (2_000, 1))))
    assert tracemalloc.get_traced_memory()[0] - before < 50_000
    tracemalloc.stop()
    assert detector.clients == 50


def test_the_client_unused_for_longest_is_forgotten() -> None:
    streams = Streams(1, 2)
    first = streams.of("a")
    streams.of("b")
    assert streams.of("a") is first
    streams.of("c")
    assert streams.of("a") is first
    assert len(streams) == 2


@pytest.mark.medium
def test_rows_without_numbers_or_scores_are_taken_for_what_they_are(detector: Detector) -> None:
    rng = np.random.default_rng(2)
    scores = scored(rng, np.array([1, 2]), np.array([0.9, 0.8]))
    for batch in (
        Batch("a", None, scores),
        Batch("a", real_inputs(rng, 2), None),
        Batch("a", np.zeros((2, WIDTH + 1)), scores),
        Batch("a", None, None),
        Batch("a", np.zeros((0, WIDTH)), np.zeros((0, CLASSES))),
        Batch("a", np.full((2, WIDTH), 1e300), scores),
        Batch("a", np.full((2, WIDTH), -1e300), np.eye(CLASSES)[:2]),
    ):
        verdict = detector.watch(batch)
        assert np.isfinite([verdict.client, verdict.classes, verdict.everyone]).all()
    without = Detector.fit(None, (one._replace(inputs=None) for one in honest(rng, 600)), days=4)
    assert without.watch(climbing(rng, 100)._replace(inputs=None)).alarmed


@pytest.mark.medium
def test_what_was_fitted_is_saved_and_read_again(fitted: Detector, tmp_path: Path) -> None:
    path = tmp_path / "detector.npz"
    fitted.save(path)
    assert path.stat().st_mode & 0o077 == 0
    found: list[list[Verdict]] = []
    for detector in (Detector(fitted.space, list(fitted.charts.values())), Detector.load(path)):
        rng = np.random.default_rng(3)
        found.append([detector.watch(batch) for batch in [*honest(rng, 20), climbing(rng, 50)]])
    assert found[0] == found[1]


def test_files_that_hold_no_detector_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "detector.npz"
    with pytest.raises(DataError):
        Detector.load(path)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "half.npz", form=np.array("darkroom/detector/1"))
    np.savez(tmp_path / "object.npz", form=np.array([{}], object))
    path.write_bytes(pickle.dumps({"a": 1}))
    for name in ("other.npz", "half.npz", "object.npz", "detector.npz"):
        with pytest.raises(DataError):
            Detector.load(tmp_path / name)


def test_too_little_traffic_is_refused() -> None:
    rng = np.random.default_rng(4)
    with pytest.raises(DataError, match="200"):
        Detector.fit(None, honest(rng, 3), days=1)
    with pytest.raises(DataError, match="days"):
        Detector.fit(None, honest(rng, 3), days=0)
