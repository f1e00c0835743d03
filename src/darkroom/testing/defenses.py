"""Checks of output defences: they say what they do, and that is what they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.defenses.base import OutputDefense, normalised
from darkroom.defenses.logprobs import LogprobDefense
from darkroom.defenses.pipeline import Pipeline
from darkroom.testing.promises import check_part, require

Defense = OutputDefense | LogprobDefense
Answers = NDArray[np.float64]


def fitted(defense: OutputDefense, classes: int) -> Pipeline:
    """Returns a defence with what it must know of a model that mostly names the right class."""
    answers = normalised(np.eye(classes) + np.random.default_rng(5).random((classes, classes)))
    return Pipeline((defense,)).fitted(answers, np.arange(classes))


def answers_to(defense: Defense, rows: int, classes: int = 6, *, evenness: float = 0.5) -> Answers:
    """Returns what a model could answer that a defence is for.

    Args:
        defense: Of scores, of predicted numbers or of log-probabilities.
        rows: How many answers.
        classes: How many scores each has; numbers come alone.
        evenness: Of the scores; the larger, the closer together they are.
    """
    rng = np.random.default_rng(2)
    if isinstance(defense, LogprobDefense):
        return np.log(rng.dirichlet(np.full(classes, evenness), rows) + 1e-9)
    if defense.numbers:
        return rng.normal(0.0, 30.0, (rows, 1))
    return rng.dirichlet(np.full(classes, evenness), rows)


def defended(
    defense: Defense,
    answers: Answers,
    inputs: NDArray[np.floating] | None = None,
    *,
    rng: np.random.Generator | int = 1,
) -> Answers:
    """Returns what leaves.

    Args:
        defense: The defence.
        answers: What the model says.
        inputs: What it was asked about, ``(n, features)``; something of its own for each row, far
            from the others, when left out.
        rng: The source of noise, or its seed.
    """
    rng = np.random.default_rng(rng)
    if isinstance(defense, LogprobDefense):
        return defense(answers, rng)
    if inputs is None:
        inputs = 9 * np.random.default_rng(4).random((len(answers), 30))
    return fitted(defense, answers.shape[1])(answers, rng, inputs)


def answers_probabilities(defense: OutputDefense, scores: Answers) -> None:
    """Probabilities become probabilities, of the same shape, and what was given stays."""
    before = scores.copy()
    left = defended(defense, scores, _about(scores))
    name = defense.name
    require(np.array_equal(scores, before), f"{name} changes the scores that it is given")
    require(left.shape == scores.shape, f"{name} answers {left.shape} to {scores.shape}")
    require(np.isfinite(left).all() and (left >= 0).all(), f"{name} answers no probabilities")
    require(np.allclose(left.sum(axis=1), 1), f"{name}: its answers do not sum to one")


def answers_rows_alike(
    defense: Defense, answers: Answers, inputs: NDArray[np.floating] | None = None
) -> None:
    """A batch and its rows one by one give the same answers, in the order of draws."""
    inputs = _about(answers) if inputs is None else inputs
    rng = np.random.default_rng(1)
    whole = defended(defense, answers, inputs)
    alone = [
        defended(defense, answers[row : row + 1], inputs[row : row + 1], rng=rng)
        for row in range(len(answers))
    ]
    require(
        np.array_equal(np.concatenate([whole[:0], *alone]), whole),
        f"{defense.name} answers a batch otherwise than its rows one by one",
    )


def _about(answers: Answers) -> Answers:
    """Returns something that each row of answers could be about."""
    return np.column_stack([answers, np.sqrt(np.abs(answers))])


def answers_nothing_to_nothing(defense: Defense) -> None:
    """No rows become no rows."""
    none = answers_to(defense, 0)
    require(defended(defense, none).shape == none.shape, f"{defense.name} fails without rows")


def repeats_itself_where_it_says_so(defense: Defense) -> None:
    """What is deterministic answers the same again, and nothing else does."""
    answers = answers_to(defense, 40)
    same = np.array_equal(defended(defense, answers), defended(defense, answers, rng=2))
    says = defense.effect.deterministic
    require(same == says, f"{defense.name} says deterministic={says}, and is not so")


def keeps_labels_where_it_says_so(defense: Defense) -> None:
    """The winner stays among the winners, unless it says otherwise; then some change."""
    answers = answers_to(defense, 2000, 40, evenness=20.0)
    if isinstance(defense, OutputDefense) and not defense.numbers:
        # In half of them no class leads by far, and most have hardly any score.
        answers[:1000, 10:] = 1e-9
        answers = normalised(answers)
    left, winners = defended(defense, answers), answers.argmax(axis=1)
    # Rounding makes ties, which change no label.
    best = np.take_along_axis(left, winners[:, None], axis=1)[:, 0]
    kept, name = np.array_equal(best, left.max(axis=1)), defense.name
    if defense.effect.changes_label:
        require(not kept, f"{name} says that it changes labels, and changes none")
    else:
        require(kept, f"{name} changes labels: say changes_label=True in its effect")


def tells_no_more_than_it_leaves(defense: Defense) -> None:
    """As many scores are told as ``kept`` or ``leaves`` say, all where neither says less."""
    answers, effect = answers_to(defense, 300), defense.effect
    left = defended(defense, answers)
    hidden = np.isneginf(left) if isinstance(defense, LogprobDefense) else left == 0
    told = (~hidden).sum(axis=1)
    if effect.kept is not None:
        most = told.max()
        require(most == effect.kept, f"{defense.name} tells {most} scores, not {effect.kept}")
    elif effect.leaves is Access.LABEL and left.shape[1] > 1:
        require((left.max(axis=1) == 1).all(), f"{defense.name} tells more than a label")
    elif effect.exact or effect.curves or effect.share:
        require((told == left.shape[1]).all(), f"{defense.name} hides scores: say how many it kept")


def tells_the_truth_otherwise(defense: Defense) -> None:
    """Where the effect says no more, what is told is as it was, up to the sum of the scores."""
    answers = answers_to(defense, 300)
    left = defended(defense, answers)
    if isinstance(defense, LogprobDefense):
        kept = ~np.isneginf(left)
        true = np.array_equal(left[kept], answers[kept])
    elif defense.effect.leaves is Access.LABEL:
        return
    else:
        true = np.allclose(left, normalised(np.where(left > 0, answers, 0.0)), rtol=1e-7, atol=0)
    require(true, f"{defense.name} changes scores, and its effect does not say how")


def rounds_to_its_step(defense: Defense) -> None:
    """Answers are multiples of ``step``, the nearest ones."""
    # Of two classes' scores, whatever they are rounded to adds up to one as before.
    answers, effect = answers_to(defense, 300, 2), defense.effect
    left = defended(defense, answers)
    steps = left / effect.step
    near = np.allclose(steps, np.round(steps), rtol=1e-7, atol=1e-6)
    require(near, f"{defense.name} answers no multiples of its step {effect.step:g}")
    off = np.abs(left - answers).max()
    far = f"{defense.name} goes {off:g} for steps of {effect.step:g}"
    require(off <= effect.step / 2 + 1e-12, far)
    if effect.decimals is not None:
        few = np.allclose(left, np.round(left, effect.decimals), rtol=1e-7, atol=1e-12)
        require(few, f"{defense.name} answers more than {effect.decimals} decimals")


def has_the_noise_it_says(defense: Defense) -> None:
    """Noise has the standard deviation and the kind that the effect says, and no bias."""
    small = _quiet(defense)
    if small is None:
        return
    answers = np.full((20_000, 2), 0.5)
    noise = (defended(small, answers) - answers)[:, 0] / small.effect.deviation
    if isinstance(defense, OutputDefense) and not defense.numbers:
        # (1/2 + e) / (1 + e + d) is about 1/2 + (e - d) / 2.
        noise *= np.sqrt(2)
    spread, mean = float(noise.std()), float(noise.mean())
    require(abs(spread - 1) <= 0.05, f"{defense.name}: its noise is {spread:.2f} times as wide")
    require(abs(mean) <= 0.05, f"{defense.name}: its noise moves scores by {mean:.2f} deviations")
    # The fourth moment is 3 of a Gaussian, 4.5 of the difference of two of Laplace's.
    laplace = bool(np.mean(noise**4) > 3.75)
    says = defense.effect.laplace
    require(laplace == says, f"{defense.name} says laplace={says}, and its noise is not so")


def _quiet(defense: Defense) -> Defense | None:
    """Returns the same with noise so narrow that no score comes near 0 or 1, if there is such."""
    if any(field.name == "deviation" for field in fields(defense)):  # type: ignore[arg-type]
        quiet: Any = replace(defense, deviation=0.01)  # type: ignore[type-var]
        return quiet  # type: ignore[no-any-return]
    return defense if defense.effect.deviation <= 0.02 else None


def sticks_to_its_cells(defense: Defense) -> None:
    """Draws stick to cells that near-duplicates mostly share, or to the exact bytes of an input."""
    rng = np.random.default_rng(0)
    image = rng.random((1, 400))
    near = image + 1e-5 * rng.standard_normal((50, 400))
    far = 2 * rng.random((50, 400))
    scores = np.full((50, 40), 1 / 40)

    def draws(inputs: Answers) -> int:
        return len(np.unique(defended(defense, scores, inputs), axis=0))

    once = draws(np.repeat(image, 50, axis=0))
    require(once == 1, f"{defense.name} draws {once} times for the same input")
    require(draws(far) > 20, f"{defense.name} draws the same for inputs far apart")
    shared, cell = draws(near), defense.effect.cell
    said = f"{defense.name} says cell={cell}, and draws {shared} times for near-duplicates"
    require((shared <= 2) == bool(cell), said)


def goes_toward_a_class_that_is_drawn(defense: Defense) -> None:
    """Answers to the same scores go toward each of the classes."""
    scores = np.array([[0.3, 0.3, 0.4]])
    left = np.unique(defended(defense, scores.repeat(400, axis=0)).round(9), axis=0)
    toward = sorted((left - scores).argmax(axis=1).tolist())
    require(toward == [0, 1, 2], f"{defense.name} is drawn to no class: say drawn=False")


def has_curves_that_are_undone(defense: Defense) -> None:
    """Undoing the effect's curves gives the scores back, where one class leads."""
    rng = np.random.default_rng(0)
    others = 10 ** rng.uniform(-7, -2.1, (500, 6))
    scores = np.column_stack([1 - others.sum(axis=1), others])
    for row in scores:
        rng.shuffle(row)
    left = defended(defense, scores)
    require(np.abs(left - scores).max() > 0.01, f"{defense.name} bends nothing: say no curves")
    for curve in defense.effect.curves:
        left = curve.undone(left)
    undone = np.allclose(left, scores, atol=1e-5) and np.allclose(
        np.log(left), np.log(scores), atol=0.05
    )
    require(undone, f"{defense.name}: its curves undone give other scores")


def mixes_the_share_it_says(defense: Defense) -> None:
    """A share of each answer is the same in all answers that name a class."""
    scores, share = answers_to(defense, 300), defense.effect.share
    mixed = defended(defense, scores) - (1 - share) * scores
    for label in range(scores.shape[1]):
        same = mixed[scores.argmax(axis=1) == label]
        alike = np.allclose(same, same[:1], atol=1e-12) and np.allclose(same.sum(axis=1), share)
        named = (same.argmax(axis=1) == label).all()
        require(alike and named, f"{defense.name} mixes in no share of {share:g} of a class's mean")


SAID: dict[str, Callable[[Defense], None]] = {
    "step": rounds_to_its_step,
    "deviation": has_the_noise_it_says,
    "cell": sticks_to_its_cells,
    "drawn": goes_toward_a_class_that_is_drawn,
    "curves": has_curves_that_are_undone,
    "share": mixes_the_share_it_says,
}
"""What is measured where an effect says something under a name."""


def does_what_it_says(defense: Defense) -> None:
    """The effect is what happens; nothing is measured where the defence does not say."""
    effect = defense.effect
    if effect.silent:
        return
    repeats_itself_where_it_says_so(defense)
    keeps_labels_where_it_says_so(defense)
    tells_no_more_than_it_leaves(defense)
    if effect.exact:
        tells_the_truth_otherwise(defense)
    for says, promise in SAID.items():
        if getattr(effect, says) != getattr(type(effect)(), says):
            promise(defense)


def check_output_defense(defense: Defense) -> None:
    """Checks an output defence of scores, of predicted numbers or of log-probabilities.

    Args:
        defense: The defence, :meth:`prepared` where it names secrets or files.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    check_part(defense)
    answers_nothing_to_nothing(defense)
    if isinstance(defense, OutputDefense) and not defense.numbers:
        for raw in (np.eye(3), np.full((2, 5), 5e-324), np.random.default_rng(0).random((20, 7))):
            answers_probabilities(defense, normalised(raw))
            answers_rows_alike(defense, normalised(raw))
    inputs = np.random.default_rng(3).random((500, 3, 20, 20), dtype=np.float32)
    answers_rows_alike(defense, answers_to(defense, 500, 300, evenness=0.1), inputs)
    does_what_it_says(defense)
