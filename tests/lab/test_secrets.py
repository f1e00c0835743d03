"""What the page is told of a search is what the audit's own search finds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.tiny_language import memoriser

from darkroom.access import LanguageAccess
from darkroom.auditing.cell_plan import CellPlan
from darkroom.errors import PlanError
from darkroom.lab.secrets.events import Grown, SearchChoice, SearchEnded, SearchEvent
from darkroom.lab.secrets.search import LiveSearch
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.cell_plan import AnswersDefense, FormatPrior

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def job() -> Any:
    """As much of an audit as a search needs, of a model that knows its secrets by heart."""
    known = memoriser()
    subject = SimpleNamespace(target=known.target, canaries=known.canaries)
    cell: Any = CellPlan(
        attack=BestFirst(),
        access=LanguageAccess.TOP_K,
        defense=AnswersDefense(),
        prior=FormatPrior(),
        budget=None,
        seed=0,
    )
    return SimpleNamespace(subject=subject, cells=lambda: [cell])


def told(search: LiveSearch) -> Iterator[SearchEvent]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for event in search.events():
            yield event
            if isinstance(event, SearchEnded):
                return
        time.sleep(0.01)


def _canary(job: Any, *, inserted: bool) -> int:
    canaries = job.subject.canaries.canaries
    return next(n for n, one in enumerate(canaries) if bool(one.repetitions) == inserted)


@pytest.mark.parametrize("reveal", [False, True])
def test_a_secret_that_was_learned_is_found_and_hidden_until_it_is_asked_for(
    job: Any, reveal: bool
) -> None:
    number = _canary(job, inserted=True)
    secret = job.subject.canaries.canaries[number].secret
    search = LiveSearch(job, SearchChoice(canary=number, reveal=reveal, pace="full"))
    search.begin()
    events = list(told(search))
    ended = events[-1]
    assert isinstance(ended, SearchEnded)
    assert ended.found, ended.sentence
    whole = "".join(event.model_dump_json() for event in events)
    digits = "".join(
        node.text for one in events[-2:-1] if isinstance(one, Grown) for node in one.nodes
    )
    assert (secret in whole) == reveal
    assert any(one.isdigit() for one in digits) == reveal


def test_what_was_never_learned_is_not_found(job: Any) -> None:
    number = _canary(job, inserted=False)
    search = LiveSearch(job, SearchChoice(canary=number, pace="full"))
    search.begin()
    ended = list(told(search))[-1]
    assert isinstance(ended, SearchEnded)
    assert not ended.found
    assert "never in the training data" in ended.sentence


@pytest.mark.medium
def test_a_search_that_is_stopped_ends(job: Any) -> None:
    search = LiveSearch(job, SearchChoice(canary=_canary(job, inserted=False)))
    search.begin()
    next(one for one in told(search) if isinstance(one, Grown))
    search.gate.stop()
    assert search.join(5)
    last = list(told(search))[-1]
    assert isinstance(last, SearchEnded)
    assert last.why == "stopped"


def test_a_canary_that_there_is_not_is_a_mistake(job: Any) -> None:
    with pytest.raises(PlanError, match="canary"):
        LiveSearch(job, SearchChoice(canary=10_000))
