"""MI-Face on models small enough to know the right answer."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from darkroom.access import Access
from darkroom.errors import PlanError
from darkroom.images.attacks.base import Progress
from darkroom.images.attacks.mi_face import MIFaceAttack, Start
from darkroom.images.attacks.process import denoise, sharpen
from darkroom.images.targets.torch import TorchTarget
from darkroom.images.targets.view import View
from darkroom.ledger import Limit, QueryLedger
from darkroom.vision.priors.base import ImagePrior
from darkroom.vision.priors.spaces import GeneratorPrior, MeanPrior
from darkroom.vision.spec import ImageSpec

SPEC = ImageSpec((1, 3, 4))


class Linear(nn.Module):
    """Softmax regression with known weights; counts what it is asked."""

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weights, self.bias = nn.Parameter(weights), nn.Parameter(bias)
        self.batches: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        return torch.addmm(self.bias, images.flatten(1), self.weights.T)


def linear(classes: int = 5, scale: float = 2.0, spec: ImageSpec = SPEC) -> Linear:
    generator = torch.Generator().manual_seed(3)
    pixels = int(np.prod(spec.shape))
    weights = scale * torch.randn(classes, pixels, generator=generator)
    return Linear(weights, 0.1 * torch.randn(classes, generator=generator))


def view_of(
    model: nn.Module, goals: int, limit: Limit | None = None, spec: ImageSpec = SPEC
) -> View:
    target = TorchTarget(model, spec.shape, value_range=(spec.low, spec.high))
    if isinstance(model, Linear):
        model.batches.clear()
    return View(target, Access.WEIGHTS, QueryLedger(goals, limit))


def attack_all(
    attack: MIFaceAttack, view: View, prior: ImagePrior, goals: list[int] | None = None
) -> list[Progress]:
    chosen = np.arange(view.classes) if goals is None else np.array(goals)
    return list(attack.run(view, prior, chosen, rng=np.random.default_rng(0)))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max())
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares


def one_at_a_time(
    model: Linear, goal: int, attack: MIFaceAttack, start: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, int]:
    """The algorithm for one goal on a linear model, in plain Python and double precision.

    Returns:
        The image, its confidence and the queries spent.
    """
    weights, bias = model.weights.detach().double().numpy(), model.bias.detach().double().numpy()

    def ask(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        f = softmax(weights @ x + bias)
        return 1 - f[goal], -f[goal] * (weights[goal] - f @ weights)

    x = start
    cost, gradient = ask(x)
    best, queries = (cost, x), 1
    window: deque[float] = deque(maxlen=attack.patience)
    for _ in range(attack.steps):
        window.append(cost)
        x = np.clip(x - attack.learning_rate * gradient, 0, 1)
        cost, gradient = ask(x)
        queries += 1
        best = min(best, (cost, x), key=lambda pair: pair[0])
        stuck = len(window) == attack.patience and cost >= max(window)
        if stuck or 1 - cost >= attack.confidence:
            break
    return best[1], 1 - best[0], queries


def test_first_step_is_the_algebras() -> None:
    model = linear(scale=0.5)
    mean = torch.full(SPEC.shape, 0.5)
    attack = MIFaceAttack(steps=1, learning_rate=0.05)
    answer = attack_all(attack, view_of(model, 5), MeanPrior(mean, SPEC))[-1]
    weights, bias = model.weights.detach().double().numpy(), model.bias.detach().double().numpy()
    f = softmax(weights @ np.full(12, 0.5) + bias)
    # d f_g / d x = f_g (w_g - sum_k f_k w_k)
    expected = 0.5 + 0.05 * f[:, None] * (weights - f @ weights)
    np.testing.assert_allclose(answer.reconstructions.reshape(5, 12), expected, atol=1e-6)
    assert answer.queries.tolist() == [2] * 5


@pytest.mark.parametrize("patience", [1, 3, 20])
@pytest.mark.parametrize(("learning_rate", "scale"), [(1.0, 1.0), (0.3, 3.0), (2.0, 0.7)])
@pytest.mark.parametrize("start", ["prior", "black"])
def test_the_batch_is_the_algorithm_one_at_a_time(
    patience: int, learning_rate: float, scale: float, start: Start
) -> None:
    model = linear(scale=scale)
    mean = torch.rand(SPEC.shape, generator=torch.Generator().manual_seed(1))
    attack = MIFaceAttack(
        steps=40, patience=patience, learning_rate=learning_rate, start=start, confidence=0.97
    )
    answer = attack_all(attack, view_of(model, 5), MeanPrior(mean, SPEC))[-1]
    begin = mean.double().numpy().ravel() * (start == "prior")
    expected = [one_at_a_time(model, goal, attack, begin) for goal in range(5)]
    assert answer.queries.tolist() == [queries for _, _, queries in expected]
    np.testing.assert_allclose(answer.confidence, [sure for _, sure, _ in expected], atol=1e-5)
    images = np.stack([image for image, _, _ in expected])
    np.testing.assert_allclose(answer.reconstructions.reshape(5, 12), images, atol=1e-5)


@pytest.mark.medium
def test_goals_far_below_one_percent_are_not_given_up() -> None:
    """A listed peer stops such goals after one step, because it keeps rows by the wrong test."""
    model = linear(classes=200, scale=1.0)
    mean = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    view = view_of(model, 200)
    answers = attack_all(MIFaceAttack(steps=2000, learning_rate=1.0), view, mean)
    start = view_of(model, 1).scores(np.full((1, *SPEC.shape), 0.5, np.float32), np.array([0]))[0]
    low = (start < 0.01) & (start > 1e-3)
    assert low.sum() > 10
    assert (answers[-1].queries[low] > 50).all()
    assert (answers[-1].confidence[low] > 2 * start[low]).mean() > 0.9


class Hill(nn.Module):
    """Two classes whose margin is a narrow hill at mean intensity 0.4: long steps leap over it."""

    def forward(self, images: Tensor) -> Tensor:
        height = 3 - 400 * (images.flatten(1).mean(dim=1) - 0.4).square()
        return torch.stack([height, torch.zeros_like(height)], dim=1)


@pytest.mark.medium
def test_the_best_seen_is_returned_and_not_the_last() -> None:
    prior = MeanPrior(torch.full(SPEC.shape, 0.35), SPEC)
    attack = MIFaceAttack(steps=40, learning_rate=4.0, patience=100, confidence=0.999)
    target = TorchTarget(Hill(), SPEC.shape)
    answers = attack_all(attack, View(target, Access.WEIGHTS, QueryLedger(1)), prior, [0])
    confidences = [answer.confidence[0] for answer in answers[1:]]
    assert confidences == sorted(confidences)
    seen = target.scores(answers[-1].reconstructions)[0, 0]
    assert seen == pytest.approx(answers[-1].confidence[0], abs=1e-6)
    shorter = [
        attack_all(
            MIFaceAttack(steps=n, learning_rate=4.0, patience=100, confidence=0.999),
            View(target, Access.WEIGHTS, QueryLedger(1)),
            prior,
            [0],
        )[-1].confidence[0]
        for n in range(1, 40)
    ]
    assert shorter == sorted(shorter)
    assert answers[-1].confidence[0] == max(shorter)


def test_a_start_better_than_every_step_is_kept() -> None:
    prior = MeanPrior(torch.full(SPEC.shape, 0.4), SPEC)
    off = prior.start() + 0.001
    prior = MeanPrior(prior.decode(off[None])[0], SPEC)
    attack = MIFaceAttack(steps=1, learning_rate=1e3, confidence=0.999)
    view = View(TorchTarget(Hill(), SPEC.shape), Access.WEIGHTS, QueryLedger(1))
    answer = attack_all(attack, view, prior, [0])[-1]
    np.testing.assert_allclose(answer.reconstructions[0], prior.decode(off[None] * 0)[0])


def test_gamma_ends_a_goal_and_is_confidence_not_cost() -> None:
    """Read literally, the paper's listing ends every search at its first step."""
    model = Linear(8 * torch.eye(5, 12), torch.zeros(5))
    mean = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    short, long = (
        attack_all(MIFaceAttack(steps=2000, confidence=sure), view_of(model, 5), mean)[-1]
        for sure in (0.6, 0.95)
    )
    assert (short.confidence >= 0.6).all()
    assert (long.confidence >= 0.95).all()
    assert (short.queries > 2).all()
    assert (short.queries < long.queries).all()
    assert (long.queries < 2001).all()


@pytest.mark.medium
def test_finished_goals_leave_the_batch_and_each_is_asked_once_a_step() -> None:
    model = linear(scale=3.0)
    mean = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    answer = attack_all(MIFaceAttack(steps=500, confidence=0.9), view_of(model, 5), mean)[-1]
    assert sum(model.batches) == answer.queries.sum()
    # One row and then two go alone, to measure what a row takes.
    assert model.batches[:3] == [1, 2, 2]
    sizes = model.batches[3:]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 5
    asked = [int((answer.queries > step).sum()) for step in range(int(answer.queries.max()))]
    assert [5, *sizes] == asked


def test_passes_do_not_grow_with_the_square_of_the_goals() -> None:
    """A listed peer takes one backward pass of the whole batch for every class in it."""
    model = linear(classes=40)
    mean = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    attack = MIFaceAttack(steps=9, confidence=1.0)
    attack_all(attack, view_of(model, 40), mean)
    assert model.batches == [1, 2, 37, *[40] * 9]


def test_patience_one_stops_at_the_first_step_that_is_no_better() -> None:
    flat = Linear(torch.zeros(3, 12), torch.zeros(3))
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    one = attack_all(MIFaceAttack(patience=1), view_of(flat, 3), prior)[-1]
    seven = attack_all(MIFaceAttack(patience=7), view_of(flat, 3), prior)[-1]
    assert one.queries.tolist() == [2] * 3
    assert seven.queries.tolist() == [8] * 3


def test_black_starts_at_zeros() -> None:
    spec = ImageSpec((1, 3, 4), -1.0, 1.0)
    model = linear(scale=0.0, spec=spec)
    prior = MeanPrior(torch.zeros(spec.shape), spec)
    starts: dict[Start, float] = {"black": -1.0, "prior": 0.0}
    for start, value in starts.items():
        attack = MIFaceAttack(steps=1, start=start)
        answer = attack_all(attack, view_of(model, 5, spec=spec), prior)[-1]
        np.testing.assert_array_equal(answer.reconstructions, np.full((5, 1, 3, 4), value))


def test_black_pixels_are_not_stuck_at_the_edge_of_the_range() -> None:
    model = linear(scale=1.0)
    prior = MeanPrior(torch.rand(SPEC.shape, generator=torch.Generator().manual_seed(2)), SPEC)
    attack = MIFaceAttack(steps=1, start="black", learning_rate=1.0)
    answer = attack_all(attack, view_of(model, 5), prior)[-1]
    assert (answer.reconstructions > 0).mean() > 0.3


@pytest.mark.parametrize("limit", [Limit(per_goal=7), Limit(total=23), Limit(total=1)])
def test_the_budget_is_kept_and_the_best_so_far_returned(limit: Limit) -> None:
    model = linear(scale=1.0)
    view = view_of(model, 5, limit)
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    answer = attack_all(MIFaceAttack(confidence=1.0), view, prior)[-1]
    assert sum(model.batches) == view.ledger.total == answer.queries.sum()
    assert view.ledger.total == {7: 35, 23: 20, 1: 1}[limit.per_goal or limit.total or 0]
    assert answer.reconstructions.shape == (5, *SPEC.shape)
    if limit.per_goal:
        free = attack_all(MIFaceAttack(steps=6, confidence=1.0), view_of(model, 5), prior)[-1]
        np.testing.assert_array_equal(answer.reconstructions, free.reconstructions)


def test_what_a_part_of_the_last_step_found_is_kept() -> None:
    model = linear(scale=1.0)
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    view = view_of(model, 5, Limit(total=4))
    answer = attack_all(MIFaceAttack(memory=1), view, prior)[-1]
    assert answer.queries.tolist() == [1, 1, 1, 1, 0]
    assert np.isnan(answer.confidence).tolist() == [False] * 4 + [True]


@pytest.mark.medium
def test_in_turns_and_at_once() -> None:
    model = linear(scale=1.0)
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    answers = [
        attack_all(MIFaceAttack(steps=100, memory=memory), view_of(model, 5), prior)[-1]
        for memory in (1, 1 << 30)
    ]
    np.testing.assert_allclose(answers[0].reconstructions, answers[1].reconstructions, atol=1e-5)
    np.testing.assert_array_equal(answers[0].queries, answers[1].queries)


@pytest.mark.medium
def test_a_goal_alone_and_among_others_repeated_and_out_of_order() -> None:
    model = linear(scale=1.0)
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    attack = MIFaceAttack(steps=100)
    together = attack_all(attack, view_of(model, 4), prior, [3, 0, 3, 1])[-1]
    for position, goal in enumerate([3, 0, 3, 1]):
        alone = attack_all(attack, view_of(model, 1), prior, [goal])[-1]
        np.testing.assert_allclose(
            together.reconstructions[position], alone.reconstructions[0], atol=1e-5
        )
        assert together.queries[position] == alone.queries[0]


@pytest.mark.medium
def test_the_same_seed_gives_the_same_answer() -> None:
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    attack = MIFaceAttack(steps=400)
    first, second = (attack_all(attack, view_of(linear(), 5), prior) for _ in range(2))
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.reconstructions, other.reconstructions)
        np.testing.assert_array_equal(one.queries, other.queries)


def test_progress_never_falls() -> None:
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    attack = MIFaceAttack(learning_rate=1.0, confidence=1.0, steps=300)
    answers = attack_all(attack, view_of(linear(), 5), prior)
    assert len(answers) > 5
    for earlier, later in itertools.pairwise(answers[1:]):
        assert (later.queries >= earlier.queries).all()
        assert (later.confidence >= earlier.confidence).all()


@pytest.mark.medium
def test_the_auxiliary_term_holds_to_the_prior() -> None:
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    far, near = (
        attack_all(
            MIFaceAttack(steps=200, auxiliary=weight, confidence=1.0), view_of(linear(), 5), prior
        )[-1].reconstructions
        for weight in (0.0, 1.0)
    )
    assert np.abs(near - 0.5).mean() < 0.5 * np.abs(far - 0.5).mean()


def test_process_cleans_every_nth_step() -> None:
    spec = ImageSpec((1, 12, 10), -1.0, 1.0)
    model = linear(scale=0.0, spec=spec)
    mean = 2 * torch.rand(spec.shape, generator=torch.Generator().manual_seed(0)) - 1
    model.weights.data[0, 0] = 1e-6
    prior = MeanPrior(mean, spec)
    target = TorchTarget(model, spec.shape, value_range=(-1.0, 1.0))
    cleaned = 2 * sharpen(denoise((mean[None] + 1) / 2)) - 1
    for every, expected in ((1, cleaned), (2, mean[None])):
        attack = MIFaceAttack(steps=1, process="denoise-sharpen", process_every=every)
        seen: list[Tensor] = []
        hook = model.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0]))
        view = View(target, Access.WEIGHTS, QueryLedger(1))
        attack_all(attack, view, prior, [0])
        hook.remove()
        torch.testing.assert_close(seen[-1].detach(), expected, atol=1e-5, rtol=0)


def autoencoder(spec: ImageSpec) -> GeneratorPrior:
    """A linear code of six numbers whose decoder is the transpose of its encoder."""
    pixels = int(np.prod(spec.shape))
    basis = torch.linalg.qr(torch.randn(pixels, 6, generator=torch.Generator().manual_seed(0)))[0]
    decoder, encoder = nn.Linear(6, pixels), nn.Linear(pixels, 6)
    decoder.weight.data, encoder.weight.data = basis.clone(), basis.T.clone()
    decoder.bias.data.fill_(0.5)
    encoder.bias.data = -(basis.T @ torch.full((pixels,), 0.5))
    return GeneratorPrior(
        nn.Sequential(decoder, nn.Unflatten(1, spec.shape)),
        6,
        spec,
        encoder=nn.Sequential(nn.Flatten(), encoder),
    )


@pytest.mark.medium
def test_latent_search_with_process() -> None:
    spec = ImageSpec((1, 8, 7))
    view = view_of(linear(scale=1.0, spec=spec), 5, spec=spec)
    attack = MIFaceAttack(steps=50, process="denoise-sharpen", learning_rate=1.0)
    answers = attack_all(attack, view, autoencoder(spec))
    assert (answers[-1].confidence > answers[2].confidence).any()


@pytest.mark.parametrize(
    "attack", [MIFaceAttack(process="denoise-sharpen"), MIFaceAttack(start="black")]
)
def test_a_prior_without_a_way_back(attack: MIFaceAttack) -> None:
    generator = nn.Sequential(nn.Linear(3, 12), nn.Unflatten(1, SPEC.shape))
    prior = GeneratorPrior(generator, 3, SPEC)
    with pytest.raises(PlanError, match="encoder"):
        attack_all(attack, view_of(linear(), 5), prior)


def test_what_it_says_it_asks_is_what_it_asks() -> None:
    flat = Linear(torch.zeros(3, 12), torch.zeros(3))
    prior = MeanPrior(torch.full(SPEC.shape, 0.5), SPEC)
    attack = MIFaceAttack(steps=11)
    answer = attack_all(attack, view_of(flat, 3), prior)[-1]
    assert answer.queries.tolist() == [attack.expected_queries()] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"steps": 0},
        {"patience": 0},
        {"process_every": 0},
        {"memory": 0},
        {"learning_rate": 0.0},
        {"auxiliary": -1.0},
        {"confidence": 0.0},
        {"confidence": 1.1},
        {"process": "blur"},
        {"start": "white"},
    ],
)
def test_values_that_make_no_search(arguments: dict[str, float]) -> None:
    with pytest.raises(PlanError, match="attack mi-face"):
        MIFaceAttack(**arguments)  # type: ignore[arg-type]
