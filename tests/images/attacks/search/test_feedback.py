"""What is read out of answers, against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense
from darkroom.defenses.noise import Noise
from darkroom.defenses.pipeline import Pipeline
from darkroom.defenses.purifier import Purify
from darkroom.defenses.reverse_sigmoid import ReverseSigmoid
from darkroom.defenses.rounding import Rounding
from darkroom.defenses.stealthy_shield import StealthyShield
from darkroom.defenses.sticky_noise import StickyNoise
from darkroom.defenses.temperature import Temperature
from darkroom.defenses.top_k import LabelOnly, TopK
from darkroom.images.attacks.search.channel import Channel
from darkroom.images.attacks.search.feedback import Answers, Feedback, affordable
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import BudgetExhausted, Limit, QueryLedger

CLASSES = 6
SHAPE = (1, 1, CLASSES)


class Identity(nn.Module):
    """Answers its pixels as logits, so a test chooses the scores."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def view(
    *defenses: OutputDefense,
    access: Access = Access.SCORES,
    k: int = 3,
    limit: Limit | None = None,
    told: bool = True,
) -> View:
    target = TorchTarget(Identity(), SHAPE, value_range=(-30.0, 30.0))
    ledger = QueryLedger(2, limit)
    return View(target, access, ledger, defense=Pipeline(defenses), k=k, told=told)


def ask(chosen: View, logits: NDArray[np.float32], goal: int = 0, repeats: int = 1) -> Answers:
    images = logits.reshape(-1, *SHAPE)
    positions = np.zeros(len(images), dtype=np.int64)
    return Feedback(chosen, np.array([goal, 1])).ask(images, positions, repeats=repeats)


def draw(n: int, scale: float = 3.0) -> NDArray[np.float32]:
    return (scale * np.random.default_rng(0).standard_normal((n, CLASSES))).astype(np.float32)


@pytest.mark.parametrize("goal", [0, 3])
def test_undefended_the_objective_is_the_lead_in_logits(goal: int) -> None:
    logits = draw(50)
    answers = ask(view(), logits, goal)
    others = np.delete(logits, goal, axis=1).max(axis=1)
    np.testing.assert_allclose(answers.objective, others - logits[:, goal], atol=1e-4)
    shares = torch.from_numpy(logits).double().softmax(dim=1).numpy()
    np.testing.assert_allclose(answers.confidence, shares[:, goal], atol=1e-6)
    np.testing.assert_allclose(answers.logs, np.log(shares), atol=1e-4)


def test_tiny_scores_still_tell_apart() -> None:
    logits = np.zeros((2, CLASSES), np.float32)
    logits[:, 1], logits[:, 0] = 25, [-25, -24]
    objective = ask(view(), logits).objective
    assert objective[0] - objective[1] == pytest.approx(1, abs=1e-3)


def test_who_has_the_weights_sees_through_the_defence() -> None:
    chosen = view(Rounding(1), access=Access.WEIGHTS)
    assert Channel.of(chosen) == Channel(CLASSES, CLASSES)
    np.testing.assert_allclose(ask(chosen, draw(9)).objective, ask(view(), draw(9)).objective)


def test_a_score_that_rounds_to_zero_leaves_the_others_to_follow() -> None:
    logits = np.array([[-9, 3, 0, 0, 0, 0], [-9, 1, 0, 0, 0, 0]], np.float32)
    answers = ask(view(Rounding(1)), logits)
    np.testing.assert_array_equal(answers.confidence, [0, 0])
    assert np.isfinite(answers.objective).all()
    assert answers.objective[1] < answers.objective[0]


def test_what_rounding_hides_is_no_difference() -> None:
    logits = np.array([[12, 0, 0, 0, 0, 0], [15, 0, 0, 0, 0, 0]], np.float32)
    objective = ask(view(Rounding(2)), logits).objective
    assert objective[0] == objective[1]


@pytest.mark.parametrize("access", [Access.TOP_K, Access.SCORES])
def test_among_the_largest_the_order_is_that_of_all_scores(access: Access) -> None:
    """Also behind the defence, which divides by the sum of what it leaves."""
    defenses = (TopK(3),) if access is Access.SCORES else ()
    answers = ask(view(*defenses, access=access), draw(40))
    told = ~np.isnan(answers.confidence)
    assert 5 < told.sum() < 35
    full = ask(view(), draw(40))
    np.testing.assert_allclose(answers.objective[told], full.objective[told], atol=1e-4)
    assert (answers.objective[~told] > 0).all()


def test_a_goal_that_is_not_named_is_worse_than_if_it_were_the_last_one() -> None:
    logits = np.array([[2.0, 3, 2.5, 0, 0, 0], [1.9, 3, 2.5, 2.0, 0, 0]], np.float32)
    named, unnamed = ask(view(access=Access.TOP_K), logits).objective
    assert unnamed > named


def test_an_unnamed_goal_gains_from_a_smaller_lead_of_the_first() -> None:
    logits = np.array([[0, 5, 2, 1, 0.5, 0], [0, 3, 2, 1, 0.5, 0]], np.float32)
    strong, weak = ask(view(access=Access.TOP_K), logits).objective
    assert weak < strong


def test_repeats_are_charged_and_averaged() -> None:
    chosen = view(Noise(0.1))
    assert Channel.of(chosen).repeats == 4
    logits = np.array([[2, 2.5, 0, 0, 0, 0]], np.float32)
    feedback = Feedback(chosen, np.array([0, 1]))
    images, positions = logits.reshape(-1, *SHAPE), np.zeros(1, dtype=np.int64)
    one = [float(feedback.ask(images, positions).confidence[0]) for _ in range(60)]
    assert chosen.ledger.total == 240
    many = [float(feedback.ask(images, positions, repeats=64).confidence[0]) for _ in range(60)]
    assert np.std(many) < np.std(one) / 2.5
    truth = torch.from_numpy(logits).double().softmax(dim=1)[0, 0].item()
    assert np.mean(many) == pytest.approx(truth, abs=0.02)


def test_rows_beyond_the_budget_are_not_asked() -> None:
    chosen = view(Noise(0.1), limit=Limit(per_goal=5))
    feedback = Feedback(chosen, np.array([0, 1]))
    with pytest.raises(BudgetExhausted):
        feedback.ask(draw(2).reshape(-1, *SHAPE), np.zeros(2, dtype=np.int64))
    assert chosen.ledger.total == 0


def test_the_sentences_name_what_hides_scores() -> None:
    assert Channel.of(view()).adaptation == ()
    said = Channel.of(view(Rounding(2), Noise(0.1), access=Access.TOP_K)).adaptation
    assert len(said) == 3
    assert "name 3 of 6 classes" in said[0]
    assert "rounded to 2 decimals" in said[1]
    assert "asked 4 times" in said[2]
    assert not Channel.of(view(Noise(0.0))).noisy


def test_several_defences_add_up() -> None:
    channel = Channel.of(view(Noise(0.03), Noise(0.04), Rounding(3), Rounding(1)))
    assert channel.effect.deviation == pytest.approx(0.05)
    assert (channel.effect.decimals, channel.resolution) == (1, 0.1)


def test_labels_alone_leave_nothing_to_read() -> None:
    assert view(LabelOnly()).access is Access.LABEL


@pytest.mark.parametrize(
    ("limit", "positions", "expected"),
    [
        (None, [0, 1], None),
        (Limit(per_goal=10), [0, 1], 7),
        (Limit(per_goal=10), [1], 9),
        (Limit(total=11), [0, 1], 3),
        (Limit(total=11), [0], 7),
        (Limit(per_goal=4, total=100), [0], 1),
    ],
)
def test_what_can_still_be_paid(
    limit: Limit | None, positions: list[int], expected: int | None
) -> None:
    ledger = QueryLedger(2, limit)
    ledger.charge(np.array([0, 0, 0, 1]))
    assert affordable(ledger, np.array(positions)) == expected


@pytest.mark.parametrize(
    "defenses",
    [
        (Temperature(4.0),),
        (ReverseSigmoid(),),
        (ReverseSigmoid(0.8, 0.1),),
        (Temperature(0.5), ReverseSigmoid()),
    ],
    ids=repr,
)
def test_curves_are_undone_by_whoever_knows_of_them(defenses: tuple[OutputDefense, ...]) -> None:
    """The lead comes back as it was; who is not told sees another."""
    # One class of each answer leads by far, as a trained model's does.
    logits = draw(60, 2.0)
    logits[np.arange(60), np.arange(60) % CLASSES] += 6
    plain = ask(view(), logits)
    told = ask(view(*defenses), logits)
    # Where another class has a middling score, the reverse sigmoid cannot be undone for certain.
    certain = np.sort(plain.logs, axis=1)[:, -2] < np.log(0.008)
    assert certain.sum() > 15
    np.testing.assert_allclose(told.objective[certain], plain.objective[certain], atol=0.05)
    untold = ask(view(*defenses, told=False), logits)
    assert np.abs(untold.objective - plain.objective)[certain].min() > 0.5


def test_reverse_sigmoid_misleads_the_naive() -> None:
    """As the goal's small score rises, what is answered falls; who knows is not led astray."""
    logits = np.array([[2.0, 8, 0, 0, 0, 0], [4.0, 8, 0, 0, 0, 0]], np.float32)
    low, high = ask(view(ReverseSigmoid(), told=False), logits).objective
    assert high > low
    low, high = ask(view(ReverseSigmoid()), logits).objective
    assert high < low


def test_what_class_means_add_is_taken_off_as_answers_come_in() -> None:
    rng = np.random.default_rng(0)
    means = rng.dirichlet(np.ones(CLASSES), CLASSES) + 3 * np.eye(CLASSES)
    purify = Purify(0.6, table=means / means.sum(axis=1, keepdims=True))
    logits = draw(600, 4.0)
    plain = ask(view(), logits)
    small = (plain.confidence < 0.2) & (plain.confidence > 1e-3)
    assert small.sum() > 20

    def off(told: bool) -> float:
        found = ask(view(purify, told=told), logits)
        return float(np.median(np.abs(found.goal - plain.goal)[small]))

    assert off(told=True) < 0.2 * off(told=False)


def test_near_duplicates_are_asked_where_noise_sticks() -> None:
    """Averages of them come near; of repeats they do not."""
    logits = np.array([[2, 2.5, 0, 0, 0, 0]], np.float32)
    truth = torch.from_numpy(logits).double().softmax(dim=1)[0, 0].item()
    images, positions = logits.reshape(-1, *SHAPE), np.zeros(1, dtype=np.int64)
    errors: dict[bool, list[float]] = {True: [], False: []}
    for number in range(20):
        sticky = StickyNoise(0.1, exact=True, key=b"%016d" % number)
        # The range is 60 wide, so that a nudge by a thousandth of it hardly moves a logit.
        chosen = view(sticky)
        assert Channel.of(chosen).jitter > 0
        told = Feedback(chosen, np.array([0, 1]), np.random.default_rng(0))
        errors[True].append(float(told.ask(images, positions, repeats=64).confidence[0]) - truth)
        # Told of fresh noise in its place, the attacker repeats.
        chosen.defense = Pipeline((Noise(0.1),))
        repeated = Feedback(chosen, np.array([0, 1]))
        answer = repeated.ask(images, positions, repeats=64)
        errors[False].append(float(answer.confidence[0]) - truth)
    assert np.std(errors[True]) < np.std(errors[False]) / 3


def test_drawn_classes_are_averaged() -> None:
    chosen = view(StealthyShield(table=np.full((CLASSES, CLASSES), 1 / CLASSES)))
    channel = Channel.of(chosen)
    assert (channel.noisy, channel.effect.deviation, channel.repeats) == (True, 0, 4)
    assert np.isfinite(ask(chosen, draw(5), repeats=4).objective).all()
    assert "averaged" in channel.adaptation[0]


def test_who_is_not_told_knows_of_nothing() -> None:
    chosen = view(LabelOnly(), told=False)
    assert chosen.access is Access.SCORES
    assert Channel.of(chosen) == Channel(CLASSES, CLASSES)
    assert Channel.of(chosen).adaptation == ()
    answers = chosen.scores(draw(3).reshape(-1, *SHAPE), np.zeros(3, np.int64))
    assert set(answers.ravel().tolist()) == {0.0, 1.0}


def test_where_near_duplicates_share_their_noise_they_serve_comparisons_alone() -> None:
    wide = Channel.of(view(StickyNoise(0.5, key=b"k" * 16)))
    narrow = Channel.of(view(StickyNoise(0.5, exact=True, key=b"k" * 16)))
    assert (wide.sticks, wide.repeats, wide.noisy) == (True, 1, True)
    assert narrow.repeats > 50
    assert "when candidates are compared" in wide.adaptation[0]
