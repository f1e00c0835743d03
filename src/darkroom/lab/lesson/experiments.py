"""What each question of the lesson measures, with the audit's own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from darkroom.lab.develop.choices import DEFENSES, TRAININGS
from darkroom.lab.lesson.attacks import Course, Watch, attacked, await_judges, people_of
from darkroom.report.wording import DASH, amount, count, duration, percent

if TYPE_CHECKING:
    from darkroom.lab.develop.events import Shown
    from darkroom.lab.lesson.rooms import Rooms

PAIR, FEW, SEVERAL = 2, 3, 6
"""People of an experiment: the more that each costs, the fewer."""

DAY = 86_400
NEVER = "not in what it asked"

Rows = Sequence[tuple[str, ...]]


class Found(NamedTuple):
    """What an experiment came to.

    Attributes:
        sentence: In words.
        columns: Titles of a table.
        rows: The table.
    """

    sentence: str
    columns: tuple[str, ...]
    rows: Rows


Experiment = Callable[["Rooms", Watch], Found]


def average(rooms: Rooms, watch: Watch) -> Found:
    """Compares the picture that an attack begins with with the one that it ends with."""
    course = _attacked(rooms, watch, "Attacking with the weights", SEVERAL)
    names = rooms.studio.subject.private.names
    rows = [
        (names[one.person], _sure(one), _agreed(one), _sure(other), _agreed(other))
        for one, other in zip(course.first, course.last, strict=True)
    ]
    most = max(one.confidence or 0.0 for one in course.first)
    begun = sum(bool(one.recovered) for one in course.first)
    sentence = (
        f"The model is {percent(most)} sure at most that it is one of {len(rows)} people, and the "
        f"judges recognise {begun} of them in it. After {count(course.spent)} queries each they "
        f"recognise {course.recognised} of {len(rows)}."
    )
    titles = ("Person", "Model, average face", "Judges", "Model, at the end", "Judges")
    return Found(sentence, titles, rows)


def confidence(rooms: Rooms, watch: Watch) -> Found:
    """Compares attackers by what they see."""
    seen = {"weights": "the weights", "scores": "every confidence", "label": "the name alone"}
    courses = {
        words: _attacked(rooms, watch, f"Attacking with {words}", FEW, access=access)
        for access, words in seen.items()
    }
    rows = [(words, _of(one), _half(one), count(one.spent)) for words, one in courses.items()]
    scores, label = courses["every confidence"], courses["the name alone"]
    sentence = (
        f"It is what the attacker climbs. Who sees every confidence has {_of(scores)} people "
        f"within {count(scores.spent)} queries each; who sees the name alone has {_of(label)} "
        f"within {count(label.spent)}. {_times(scores, label)}"
    )
    return Found(
        sentence, ("The attacker sees", "Recognised", "Half of them after", "Queries each"), rows
    )


def enhance(rooms: Rooms, watch: Watch) -> Found:
    """Compares what the attacker knew beforehand."""
    priors = {"mean": "free pixels around the average face", "eigenfaces": "eigenfaces"}
    courses = {
        words: _attacked(rooms, watch, f"Attacking with {words}", SEVERAL, prior=prior)
        for prior, words in priors.items()
    }
    rows = [
        (
            words,
            _mean([one.confidence for one in course.last], percent),
            _of(course),
            _mean([one.bits for one in course.last], amount),
        )
        for words, course in courses.items()
    ]
    free, faces = courses.values()
    sentence = (
        f"The model is {rows[0][1]} sure of what began with free pixels, on average, and "
        f"{rows[1][1]} of what began with eigenfaces. In the former the judges recognise "
        f"{_of(free)} people, in the latter {_of(faces)}."
    )
    titles = ("What it begins with", "Model, on average", "Recognised", "Bits narrowed down")
    return Found(sentence, titles, rows)


def certainty(rooms: Rooms, watch: Watch) -> Found:
    """Sets noise of which the model is sure beside faces of which it is sure."""
    faces = _attacked(rooms, watch, "Attacking", SEVERAL)
    noise = _attacked(rooms, watch, "Making noise that fools the model", SEVERAL, noise=True)
    rows = [
        (
            what,
            _mean([one.confidence for one in course.last], percent),
            f"{sum(bool(one.plausible) for one in course.last)} of {len(course.last)}",
            _of(course),
        )
        for what, course in (("The attack", faces), ("Noise", noise))
    ]
    sure = sum((one.confidence or 0.0) >= 0.99 for one in noise.last)
    sentence = (
        f"The model is at least 99% sure of {sure} of {len(noise.last)} "
        f"pictures of noise too; the judges recognise {_of(noise)} in noise, and {_of(faces)} in "
        "what the attack found."
    )
    return Found(
        sentence, ("Picture", "Model, on average", "Passes for a face", "Recognised"), rows
    )


def limits(rooms: Rooms, watch: Watch) -> Found:
    """Turns queries until people are recognised into days."""
    course = _attacked(rooms, watch, "Attacking with every confidence", FEW, access="scores")
    median = course.median
    rates = (1, 10, 100, 1000)
    if median is None:
        rows = [(count(rate), NEVER, NEVER) for rate in rates]
        sentence = (
            f"Within {count(course.spent)} queries each the judges recognise {_of(course)} people: "
            "half of them were not found, so no limit of this size was put to the test."
        )
    else:
        rows = [(count(rate), _time(median / rate), _time(median / rate / 100)) for rate in rates]
        sentence = (
            f"Half of the people are recognised after {count(median)} queries each. At ten a day "
            f"that takes {_time(median / 10)} for each person, and with a hundred accounts "
            f"{_time(median / 1000)}."
        )
    return Found(sentence, ("Queries a day", "With 1 account", "With 100 accounts"), rows)


def rounding(rooms: Rooms, watch: Watch) -> Found:
    """Sets defences of the answers beside one another, for attackers who know and who do not."""
    labels = {one.value: one.label for one in DEFENSES}
    plain = _attacked(rooms, watch, "No defence", FEW, access="scores")
    rows = [(labels["none"], _rate(plain.accuracy), _of(plain), DASH)]
    stood = []
    for name in ("rounding-1", "noise", "sticky-noise"):
        told, untold = (
            _attacked(rooms, watch, labels[name], FEW, access="scores", defense=name, told=knows)
            for knows in (True, False)
        )
        rows.append((labels[name], _rate(told.accuracy), _of(told), _of(untold)))
        stood += [labels[name]] * (told.recognised == 0)
    kept = ", ".join(stood) if stood else "none of them"
    sentence = (
        f"Without a defence the judges recognise {_of(plain)} people. Against an attacker who "
        f"knows, {kept} kept everybody hidden within {count(plain.spent)} queries or so."
    )
    titles = ("Defence", "Accuracy", "Recognised, attacker knows", "Attacker does not know")
    return Found(sentence, titles, rows)


def flat(rooms: Rooms, watch: Watch) -> Found:
    """Sets a model trained for flat confidence beside the model as it is."""
    rows = []
    for training, words in (("none", "As it is"), ("uniform-confidence", TRAININGS[1].label)):
        for access, seen in (("scores", "every confidence"), ("label", "the name alone")):
            course = _attacked(
                rooms, watch, f"{words}, {seen}", PAIR, access=access, training=training
            )
            rows.append((words, seen, _rate(course.accuracy), _of(course)))
    sentence = (
        f"Against who sees every confidence, {rows[2][3]} people are recognised where it was "
        f"{rows[0][3]}; against who sees the name alone, {rows[3][3]} where it was {rows[1][3]}."
    )
    return Found(sentence, ("Model", "The attacker sees", "Accuracy", "Recognised"), rows)


def privacy(rooms: Rooms, watch: Watch) -> Found:
    """Sets a model trained with differential privacy beside the model as it is."""
    words = {"none": "As it is", "dp-sgd": "DP-SGD, epsilon 8 for a photo"}
    courses = {name: _attacked(rooms, watch, words[name], SEVERAL, training=name) for name in words}
    rows = [
        (
            words[name],
            _rate(one.accuracy),
            _mean([shown.confidence for shown in one.last], percent),
            _of(one),
        )
        for name, one in courses.items()
    ]
    before, after = courses["none"], courses["dp-sgd"]
    sentence = (
        f"With the weights, the judges recognise {_of(after)} people where it was {_of(before)}. "
        f"The model is right about {_rate(after.accuracy)} of new photos where it was "
        f"{_rate(before.accuracy)}."
    )
    return Found(sentence, ("Model", "Accuracy", "How sure it is", "Recognised"), rows)


def _attacked(rooms: Rooms, watch: Watch, what: str, most: int, **choice: object) -> Course:
    await_judges(rooms.studio, watch)
    people = people_of(rooms.studio, most)
    return attacked(rooms.studio, watch, what, people=people, **choice)


def _of(course: Course) -> str:
    return f"{course.recognised} of {len(course.last)}"


def _half(course: Course) -> str:
    return NEVER if course.median is None else f"{count(course.median)} queries"


def _times(one: Course, other: Course) -> str:
    if one.median is None or other.median is None:
        return ""
    return (
        f"Half of the people are recognised after {count(one.median)} queries in the first case, "
        f"after {count(other.median)} in the second."
    )


def _sure(shown: Shown) -> str:
    return DASH if shown.confidence is None else percent(shown.confidence)


def _agreed(shown: Shown) -> str:
    return f"{sum(shown.votes or ())} of {len(shown.votes or ())}"


def _rate(share: float | None) -> str:
    return DASH if share is None else percent(share)


def _mean(values: Sequence[float | None], written: Callable[[float], str]) -> str:
    known = [one for one in values if one is not None]
    return written(sum(known) / len(known)) if known else DASH


def _time(days: float) -> str:
    """Writes a time in days, or in what is shorter."""
    return duration(days * DAY) if days < 2 else f"{days:.0f} days"


IMAGE_EXPERIMENTS: dict[str, Experiment] = {
    one.__name__: one
    for one in (average, confidence, enhance, certainty, limits, rounding, flat, privacy)
}
