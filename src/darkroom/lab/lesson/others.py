"""What the lesson measures of secrets and of patients, and all its experiments by question."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from darkroom.errors import DarkroomError
from darkroom.lab.lesson.attacks import EVERY, Watch
from darkroom.lab.lesson.experiments import IMAGE_EXPERIMENTS, Experiment, Found
from darkroom.lab.studio.stages import Loading
from darkroom.report.wording import DASH, count, percent, several, spread

if TYPE_CHECKING:
    from darkroom.lab.lesson.rooms import Rooms
    from darkroom.tables.record import Part
    from darkroom.text.job import TextJob

EACH = 3
"""Secrets that are looked for of each number of repetitions."""


def secret(rooms: Rooms, watch: Watch) -> Found:
    """Searches for secrets by how often they were in the training data."""
    _await(rooms.secrets, watch)
    job = rooms.secrets.job
    canaries = job.subject.canaries.canaries
    rows, found_at = [], []
    for repetitions in sorted({one.repetitions for one in canaries}):
        places = [n for n, one in enumerate(canaries) if one.repetitions == repetitions][:EACH]
        ended = [_searched(job, place, watch, repetitions) for place in places]
        right = [one.asked for one in ended if one.found]
        found_at += [repetitions] * (2 * len(right) > len(ended))
        asked = f"{count(statistics.median(right))} questions" if right else DASH
        times = several(repetitions, "time", "times") if repetitions else "never"
        rows.append((times, f"{len(right)} of {len(ended)}", asked))
    sentence = (
        "No code that was looked for is given away."
        if not found_at
        else f"Most codes that were there {several(min(found_at), 'time', 'times')} are found, by "
        "asking which character comes next."
    )
    return Found(sentence, ("In the training data", "Found", "Median of those"), rows)


def _searched(job: TextJob, canary: int, watch: Watch, repetitions: int) -> Any:
    from darkroom.lab.secrets.events import SearchChoice
    from darkroom.lab.secrets.search import LiveSearch

    search = LiveSearch(job, SearchChoice(canary=canary, pace="full"))
    search.begin()
    try:
        while not search.join(EVERY):
            watch.say(f"Searching for what was there {several(repetitions, 'time', 'times')}")
    finally:
        search.stop()
    assert search.ended is not None
    if search.ended.why != "done":
        raise DarkroomError(search.ended.sentence)
    return search.ended


def attribute(rooms: Rooms, watch: Watch) -> Found:
    """Says how often the attack and imputation are right about patients."""
    _await(rooms.attributes, watch)
    table = rooms.attributes.job
    rows = []
    for one in table.attacks.values():
        details = one.cell.details
        for who, part in (("learned from", details.members), ("never seen", details.others)):
            if part is not None:
                rows.append((one.plan.attack.name, who, *_shares(part)))
    first = next(iter(table.attacks.values())).cell.details
    sentence = _attribute_sentence(first.members, first.others)
    titles = ("Attack", "Patients", "The attacker is right", "Imputation is right")
    return Found(sentence, titles, rows)


def _shares(part: Part) -> tuple[str, str]:
    one, other = part.success.attack, part.success.imputation
    return (
        f"{percent(one.estimate)} ({spread(one)})",
        f"{percent(other.estimate)} ({spread(other)})",
    )


def _attribute_sentence(members: Part, others: Part | None) -> str:
    def told(part: Part) -> str:
        attack, imputation = part.success.attack, part.success.imputation
        return f"{percent(attack.estimate)}, where imputation has {percent(imputation.estimate)}"

    sentence = f"Of patients it learned from, asking the model tells {told(members)}."
    return sentence if others is None else f"{sentence} Of others it tells {told(others)}."


def _await(model: Loading[Any], watch: Watch) -> None:
    """Loads a model, and waits for it.

    Raises:
        DarkroomError: If it cannot be had.
        Stopped: If nobody waits any more.
    """
    model.load()
    while not model.wait(EVERY):
        watch.gate.check()
        watch.tell(model.stage)
    model.job  # noqa: B018 - raises what is wrong with it


EXPERIMENTS: dict[str, Experiment] = {
    **IMAGE_EXPERIMENTS,
    secret.__name__: secret,
    attribute.__name__: attribute,
}
"""Every question's, by its key."""
