"""A served model on the page is asked no more than the plan allows."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.images.test_guarded import Model
from tests.lab.test_develop import until
from tests.support.served import served

from darkroom.lab.develop.attack import LiveAttack
from darkroom.lab.develop.choices import Choice
from darkroom.lab.develop.events import Ended, Event, Frame, Milestone
from darkroom.lab.studio.loading import Studio

TARGET = """\
authorized_by = "the tests"

[target]
kind = "http"
protocol = "json"
url = "{address}/faces"
shape = [1, 16, 16]

"""

BUDGET = 60


@pytest.fixture
def model(weights: dict[str, torch.Tensor]) -> Model:
    return Model(weights)


@pytest.fixture
def studio(model: Model, finished_folder: Path, tmp_path: Path) -> Iterator[Studio]:
    """Attacks on a model that others serve, with a budget."""
    shutil.copytree(finished_folder, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "runs")
    with served(model) as address:
        text = (tmp_path / "plan.toml").read_text()
        text = text.replace('out = "runs"', f'out = "{(tmp_path / "runs").as_posix()}"')
        begin, end = text.index("[target]"), text.index("[private]")
        text = text[:begin] + TARGET.format(address=address) + text[end : text.index("[[attack]]")]
        text += f'[[attack]]\nname = "evolution"\nbudget = {BUDGET}\n'
        (tmp_path / "plan.toml").write_text(text)
        found = Studio(lambda _: tmp_path / "plan.toml")
        found.load()
        assert found.wait(30)
        until(lambda: found.bench is not None, 60)
        yield found
    sys.modules.pop("tiny_model", None)


def watched(studio: Studio, *people: int) -> list[Event]:
    """Attacks, and returns all that is told."""
    attack = LiveAttack(studio, Choice(people=people, access="scores", pace="full"))
    attack.begin()
    told: list[Event] = []
    while not (told and isinstance(told[-1], Ended)):
        attack.join(0.02)
        told += attack.events()
    return told


@pytest.mark.medium
def test_each_row_that_the_server_sees_is_the_attackers_or_a_milestones(
    studio: Studio, model: Model
) -> None:
    before = model.rows
    told = watched(studio, 1, 2)
    ended = told[-1]
    assert isinstance(ended, Ended)
    assert ended.why == "done", ended.sentence
    marks = [one for one in told if isinstance(one, Milestone)]
    assert model.rows - before == ended.rows + 2 * len(marks)
    assert 0 < ended.rows <= 2 * BUDGET
    assert all(shown.confidence is not None for one in marks for shown in one.people)
    passing = [one for one in told if isinstance(one, Frame)]
    assert all(shown.confidence is None for one in passing for shown in one.people)


@pytest.mark.medium
def test_one_attack_at_a_time_asks_a_server(studio: Studio) -> None:
    first, second = (LiveAttack(studio, Choice(people=(one,), access="scores")) for one in (1, 2))
    first.begin()
    until(lambda: first._parts is not None, 60)
    first.gate.pause()  # it must not be over before the second asks
    second.begin()
    until(lambda: any("Waiting" in str(one) for one in second.events()), 60)
    first.stop()
    assert first.join(10)
    until(lambda: second._parts is not None, 60)
    second.stop()
    assert second.join(10)


@pytest.mark.medium
def test_who_may_not_see_the_weights_is_told_so(studio: Studio) -> None:
    attack = LiveAttack(studio, Choice(people=(1,), access="weights"))
    attack.begin()
    assert attack.join(10)
    assert attack.ended is not None
    assert (attack.ended.why, "scores" in attack.ended.sentence) == ("mistake", True)
