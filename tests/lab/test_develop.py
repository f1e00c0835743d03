"""What the page is told of an attack is what the audit's own code finds."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.lab.conftest import Lab

from darkroom.lab.develop.choices import Choice
from darkroom.lab.develop.parts import assemble

Event = dict[str, Any]


@pytest.fixture
def client(lab: Lab) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab.address, timeout=30) as opened:
        opened.get(lab.opened)
        yield opened


@contextmanager
def attacking(client: httpx.Client, **choice: Any) -> Iterator[Iterator[Event]]:
    """Begins an attack and yields what it tells."""
    with client.stream("POST", "/develop/attacks", json=choice) as answer:
        assert answer.status_code == 200, answer.read()
        yield (json.loads(line) for line in answer.iter_lines() if line)


def pixels(shown: Event) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns a picture's bytes, ``(1, 1, height, width)``."""
    head, _, data = shown["picture"].partition(",")
    assert head == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    return np.asarray(picture)[None, None]


def until(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def judged(lab: Lab) -> None:
    """Waits for the judges, and for what guesses come to."""
    until(lambda: lab.studio.bench is not None, 60)


@pytest.mark.medium
def test_milestones_are_those_of_the_attack(lab: Lab, client: httpx.Client) -> None:
    choice = {"people": [1, 4], "access": "weights", "prior": "eigenfaces", "pace": "full"}
    with attacking(client, **choice) as events:
        found = [one for one in events if one["event"] == "milestone"]
    known = lab.studio.known("eigenfaces", lambda _: None)
    parts = assemble(Choice.model_validate(choice), lab.studio.job, known.prior)
    rng = np.random.default_rng([0, 1])
    expected = list(parts.attack.run(parts.view, parts.prior, parts.goals, rng=rng))
    assert len(found) == len(expected)
    for event, progress in zip(found, expected, strict=True):
        for place, shown in enumerate(event["people"]):
            unit = lab.studio.subject.unit(progress.reconstructions[place : place + 1])
            np.testing.assert_array_equal(pixels(shown), np.rint(255 * unit).astype(np.uint8))
    assert found[0]["queries"] == [0, 0]
    assert found[-1]["queries"] == expected[-1].queries.tolist()


@pytest.mark.medium
@pytest.mark.parametrize("access", ["weights", "scores", "label"])
def test_the_confidence_is_the_models_in_the_picture_shown(
    lab: Lab, client: httpx.Client, access: str
) -> None:
    judged(lab)
    shown = []
    with attacking(client, people=[2], access=access, pace="watch") as events:
        for one in events:
            shown += one.get("people", [])
            if len(shown) >= 12:
                break
    for one in shown:
        images = (pixels(one) / 255).astype(np.float32)
        scores = lab.studio.subject.target.scores(images)
        assert one["confidence"] == pytest.approx(scores[0, 2], abs=1e-9)
    assert len({one["confidence"] for one in shown}) > 1
    assert all(len(one["votes"]) == 3 for one in shown)


@pytest.mark.medium
def test_votes_are_those_of_the_panel(lab: Lab, client: httpx.Client) -> None:
    judged(lab)
    with attacking(client, people=[1], pace="full") as events:
        last = [one for one in events if one["event"] == "milestone"][-1]["people"][0]
    bench = lab.studio.bench
    assert bench is not None
    judgement = bench.panel.judge((pixels(last) / 255).astype(np.float32))
    goal = np.array([1])
    assert last["votes"] == judgement.votes(goal)[0].tolist()
    assert last["recovered"] == bool(judgement.names(goal)[0])


@pytest.mark.medium
def test_noise_fools_the_model_and_passes_for_no_face(lab: Lab, client: httpx.Client) -> None:
    judged(lab)
    with attacking(client, people=[3], noise=True, pace="full") as events:
        last = [one for one in events if one["event"] == "milestone"][-1]["people"][0]
    assert last["confidence"] > 0.99
    assert not last["recovered"]


@pytest.mark.medium
def test_an_attack_ends_with_its_stream(lab: Lab, client: httpx.Client) -> None:
    with attacking(client, people=[1]) as events:
        identity = next(events)["identity"]
        next(one for one in events if one["event"] == "frame")
        attack = lab.running[identity]
        assert not attack.join(0)
    until(lambda: identity not in lab.running)
    assert attack.join(5)
    assert attack.ended.why == "stopped"


@pytest.mark.medium
def test_a_paused_attack_asks_nothing_until_it_takes_a_step(lab: Lab, client: httpx.Client) -> None:
    with attacking(client, people=[1]) as events, httpx.Client(base_url=lab.address) as other:
        other.cookies = client.cookies
        identity = next(events)["identity"]
        next(one for one in events if one["event"] == "frame")
        assert other.post(f"/develop/attacks/{identity}/pause", json={}).status_code == 204
        frame = next(one for one in events if one["event"] == "frame" and one["paused"])
        ledger = lab.running[identity]._parts.view.ledger
        time.sleep(0.1)
        before = ledger.total
        time.sleep(0.2)
        assert ledger.total == before >= frame["queries"][0]
        other.post(f"/develop/attacks/{identity}/step", json={})
        until(lambda: ledger.total > before)
        time.sleep(0.1)
        assert ledger.total == before + 1
        other.post(f"/develop/attacks/{identity}/resume", json={})
        until(lambda: ledger.total > before + 1)
    assert client.post(f"/develop/attacks/{identity}/pause", json={}).status_code in (204, 404)


@pytest.mark.medium
def test_two_pages_do_not_disturb_each_other(client: httpx.Client) -> None:
    def milestones(events: Iterator[Event]) -> list[list[str]]:
        marks = [one for one in events if one["event"] == "milestone"]
        return [[shown["picture"] for shown in mark["people"]] for mark in marks]

    choice = {"people": [1], "pace": "full"}
    with attacking(client, **choice) as alone:
        expected = milestones(alone)
    with attacking(client, **choice) as one, attacking(client, people=[2], pace="full") as two:
        assert milestones(one) == expected
        assert milestones(two)[-1] != expected[-1]


@pytest.mark.medium
def test_whoever_has_the_weights_sees_through_a_defence_and_is_told_how_others_adapt(
    client: httpx.Client,
) -> None:
    with attacking(client, people=[1], access="scores", defense="label-only") as events:
        begun = next(one for one in events if one["event"] == "attacking")
    assert begun["attack"] in ("auto", "surrogate")


@pytest.mark.medium
def test_a_real_photo_is_sent_to_whoever_asks(lab: Lab, client: httpx.Client) -> None:
    shown = client.get("/develop/people/2/photo").json()
    seen = lab.studio.subject.seen
    expected = np.rint(255 * seen.images[seen.people == 2][:1]).astype(np.uint8)
    np.testing.assert_array_equal(pixels(shown), expected)
    assert client.get("/develop/people/99/photo").status_code == 404


@pytest.mark.medium
def test_a_person_that_the_model_does_not_know_is_a_mistake(client: httpx.Client) -> None:
    with attacking(client, people=[77]) as events:
        last = list(events)[-1]
    assert (last["event"], last["why"]) == ("ended", "mistake")
    assert "people" in last["sentence"]
