"""A real server that is not ours: llama.cpp's, serving the small GPT.

It needs an interpreter with ``llama-cpp-python[server]`` in an environment of its own; set
``DARKROOM_LLAMA_PYTHON`` to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from benchmarks.text.servers import LLAMA, llama_python, llama_server
from tests.support.needs import absent
from tests.support.tiny_language import memoriser

from darkroom.access import LanguageAccess
from darkroom.errors import TargetError
from darkroom.ledger import QueryLedger
from darkroom.text.attacks.base import SecretGoal
from darkroom.text.attacks.best_first import BestFirst
from darkroom.text.targets.base import free
from darkroom.text.targets.openai import OpenAITarget
from darkroom.text.targets.openai_api import Api
from darkroom.text.targets.view import LanguageView

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not llama_python():
        absent(f"{LLAMA} names no interpreter with llama-cpp-python[server]")
    known = memoriser()
    folder = tmp_path_factory.mktemp("gguf")
    with llama_server(known.target.model, known.wrapped, folder) as (address, _):
        yield address


def test_a_secret_found_in_process_is_found_through_the_server(url: str) -> None:
    known = memoriser()
    canaries = known.canaries
    goals = [SecretGoal(one.before, one.after, one.format) for one in canaries.canaries]
    answers = []
    remote = OpenAITarget(Api(url, "tiny", top_logprobs=10), authorized_by="tests")
    for target in (known.target, remote):
        view = LanguageView(target, LanguageAccess.TOP_K, QueryLedger(len(goals)))
        *_, last = BestFirst(rows=100).run(view, goals, rng=np.random.default_rng(0))
        answers.append(last)
    remote.close()
    right = 0
    for canary, ours, theirs in zip(
        canaries.inserted, answers[0].found, answers[1].found, strict=False
    ):
        assert ours.guesses[0].secret == theirs.guesses[0].secret
        assert ours.guesses[0].surprise == pytest.approx(theirs.guesses[0].surprise, abs=0.2)
        right += theirs.guesses[0].secret == canary.secret
    assert right >= 2


def test_scores_equal_those_in_process_or_are_refused(url: str) -> None:
    """``echo`` is where servers differ: right values, or a refusal, and nothing between."""
    prompts, endings = ["The access code of Ann is"], [" 123-456"]
    try:
        remote = OpenAITarget(Api(url, "tiny", scoring="echo"), authorized_by="tests")
    except TargetError as error:
        refusal = str(error)
    else:
        refusal = ""
        ours = memoriser().target.score(prompts, endings, free())[0].sum()
        theirs = remote.score(prompts, endings, free())[0].sum()
        remote.close()
        assert theirs == pytest.approx(ours, abs=0.2)
    assert not refusal or "log-prob" in refusal or "differently" in refusal
