"""Whose budgets a request is charged to."""

from __future__ import annotations

from typing import Any

import pytest
from tests.guard.conftest import policy_table

from darkroom.guard.budgets.scopes import Asker, Scopes
from darkroom.guard.policy import parse_policy

FACES = {"name": "faces", "paths": ["/faces", "/all"]}
CHAT = {"name": "chat", "paths": ["/v1/chat/completions", "/all"], "names": ["a", "b"]}
OTHER = {"name": "other", "paths": ["/v1/*"], "names": ["c"]}


def scopes(**changes: Any) -> Scopes:
    return Scopes(parse_policy(policy_table(**changes), "p"))


def test_subjects_end_with_nothing_then_the_model_then_each_route() -> None:
    assert Asker("alice").places == ("",)
    assert Asker("alice", "faces").places == ("", "/model/faces")
    assert Asker("alice", None, ("slow", "free")).places == ("", "/route/slow", "/route/free")
    both = Asker("alice", "faces", ("slow",)).places
    assert both == ("", "/model/faces", "/route/slow")


def test_without_models_whoever_asks_is_meant_wherever() -> None:
    found = scopes()
    assert not found.several
    assert found.asker("alice", "/anything") == Asker("alice")
    assert found.asker_of_path("alice", "/anything") == Asker("alice")
    assert found.models("/anything") == []
    assert found.model("/anything") is None


@pytest.mark.parametrize(
    ("path", "named", "model"),
    [
        ("/faces", None, "faces"),
        ("/faces", "b", "faces"),
        ("/all", None, "faces"),
        ("/v1/chat/completions", "b", "chat"),
        ("/v1/chat/completions", "c", "other"),
        ("/v1/chat/completions", None, "chat"),
        ("/v1/chat/completions", "d", None),
        ("/elsewhere", None, None),
    ],
)
def test_the_first_model_with_the_path_and_the_name_is_meant(
    path: str, named: str | None, model: str | None
) -> None:
    found = scopes(model=[FACES, CHAT, OTHER])
    assert found.several
    assert found.model(path, named) == model
    expected = None if model is None else Asker("alice", model)
    assert found.asker("alice", path, named) == expected


def test_a_path_whose_model_the_body_names_says_nothing_alone() -> None:
    found = scopes(model=[FACES, CHAT, OTHER])
    assert found.asker_of_path("alice", "/faces") == Asker("alice", "faces")
    assert found.asker_of_path("alice", "/all") is None
    assert found.asker_of_path("alice", "/v1/chat/completions") is None
    assert found.asker_of_path("alice", "/elsewhere") is None
    assert found.models("/v1/chat/completions") == ["chat", "other"]
    assert found.models("/all") == ["faces", "chat"]


def test_routes_count_paths_of_openai_however_they_are_written() -> None:
    route = [{"name": "chat", "paths": ["/v1/chat/completions"]}]
    budget = [{"name": "daily", "rows": 3, "routes": ["chat"]}]
    policy = parse_policy(policy_table(route=route, budget=budget), "p")
    for path, routes in (
        ("/chat/completions", ("chat",)),
        ("/v1/chat/completions", ("chat",)),
        ("/v1/completions", ()),
    ):
        asker = Scopes(policy).asker("alice", path)
        assert asker is not None
        assert asker.routes == routes
    assert "all budgets concern routes (chat): other paths are free" in policy.warnings()


def test_a_route_without_v1_has_the_paths_with_it_too() -> None:
    found = scopes(route=[{"name": "chat", "paths": ["/chat/completions"]}])
    for path in ("/chat/completions", "/v1/chat/completions"):
        assert found.asker("alice", path) == Asker("alice", None, ("chat",))
    assert found.asker("alice", "/v1/completions") == Asker("alice")
