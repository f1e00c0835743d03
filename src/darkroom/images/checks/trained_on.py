"""Whether the photos said to be trained on are those that the model knows best."""

from __future__ import annotations

from darkroom.auditing.record import Check
from darkroom.images.checks.knowledge import knowledge
from darkroom.images.checks.sample import Answers, ask, rows_for
from darkroom.images.subject import Subject
from darkroom.statistics.intervals import newcombe
from darkroom.vision.photos import Photos, spread

NAME = "trained_on"

_FAR = 0.05


def check_trained_on(subject: Subject, asked: Photos, answers: Answers) -> Check:
    """Compares accuracy on photos that the model was trained on with that on the others.

    Args:
        subject: The model and the photos.
        asked: Some of the photos that it was trained on.
        answers: What it said of them.
    """
    held_out = subject.held_out
    if not len(held_out.people) or subject.target.served:
        found = "Every photo is said to be trained on."
        if subject.target.served:
            found = "Not asked: it would cost a server's quota."
        return Check(name=NAME, outcome="passed", found=found)
    others = spread(held_out, rows_for(subject.target))
    seen = knowledge(answers.labels, asked.people)
    kept = knowledge(ask(subject.target, others.images).labels, others.people)
    gain = newcombe(kept.hits, kept.photos, seen.hits, seen.photos)
    found = (
        f"The model names {seen.interval.estimate:.0%} of the photos that it was trained on and "
        f"{kept.interval.estimate:.0%} of the others."
    )
    if gain.low > 0 and gain.estimate > _FAR:
        return Check(
            name=NAME,
            outcome="noted",
            found=f"{found} The others are those that it knows better.",
            cause="trained_on",
            remedy="Check [private] trained_on: it selects the photos of each person that the "
            "model was trained on.",
        )
    return Check(name=NAME, outcome="passed", found=found)
