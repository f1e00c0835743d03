"""Whether the model knows its people, and if not, why: found by trying."""

from __future__ import annotations

from collections.abc import Callable

from darkroom.auditing.record import Check
from darkroom.images.checks.causes.strangers import blame
from darkroom.images.checks.causes.trials import find_fix
from darkroom.images.checks.knowledge import knowledge
from darkroom.images.checks.sample import Answers
from darkroom.images.subject import Subject
from darkroom.vision.photos import Photos

NAME = "accuracy"

_ALL, _GOOD, _FAIR = 0.98, 0.9, 0.5


def check_accuracy(
    subject: Subject,
    asked: Photos,
    answers: Answers,
    outputs: Check,
    advance: Callable[[int, int], None],
) -> Check:
    """Asks whether the model names the people on photos that it was trained on.

    Args:
        subject: The model and the photos.
        asked: Some of the photos that it was trained on.
        answers: What it said of them.
        outputs: What was found of its outputs: what is no classifier names nobody.
        advance: Told how much was tried.
    """
    known = knowledge(answers.labels, asked.people)
    found = f"Of photos that it was trained on, the model names {known.words()} rightly."
    share, served = known.interval.estimate, subject.target.served
    if share >= _ALL or (served and share >= _GOOD):
        return Check(name=NAME, outcome="passed", found=found)
    if outputs.outcome == "failed":
        return outputs.model_copy(update={"name": NAME, "found": found})
    fix = find_fix(subject, asked, answers, advance)
    if fix is not None:
        far = fix.known.far_above(known)
        if far or fix.surely_better(answers.labels == asked.people, asked.people):
            return Check(
                name=NAME,
                outcome="failed" if far else "noted",
                found=f"{found} With {fix.words} it names {fix.known.words()}.",
                cause=fix.cause,
                remedy=fix.remedy,
            )
    if known.none:
        cause, words, remedy = blame(subject, answers)
        found = f"{found} It knows its people no better than chance. {words}"
        return Check(name=NAME, outcome="failed", found=found, cause=cause, remedy=remedy)
    if not known.sure:
        return Check(
            name=NAME,
            outcome="noted",
            found=f"{found} People and photos are too few to tell this from chance.",
        )
    if share < _FAIR:
        return Check(name=NAME, outcome="noted", found=f"{found} That is little, and no chance.")
    return Check(name=NAME, outcome="passed", found=found)
