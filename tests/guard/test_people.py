"""Budgets of each person enrolled, over all clients: in members, forms and paths."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from tests.guard.conftest import Bench, policy_table, reply

from darkroom.errors import PlanError
from darkroom.guard.http.requests import Send
from darkroom.guard.operating.standing import standings
from darkroom.guard.policy import parse_policy
from darkroom.guard.protection import Protection, require_no_less
from darkroom.guard.wire.registry import make_wires

Make = Callable[..., Bench]
BUDGET = {"name": "about", "per": "person", "rows": 2}
WIRE: dict[str, Any] = {"name": "json", "route": "/compare", "path": "score", "numbers": True}
WIRE |= {"inputs": "photo", "one_by_one": True}


def compares(made: Bench) -> Bench:
    async def answer(send: Send) -> None:
        await reply(send, b'{"score": 0.25, "raw": 1}')

    made.model.answer = answer
    return made


def statuses(made: Bench, *asked: tuple[str, object], path: str = "/compare") -> list[int]:
    async def all_of_them() -> list[int]:
        found = []
        for client, person in asked:
            content = orjson.dumps({"photo": [0.5], **({} if person is None else {"id": person})})
            found.append((await made.ask(client=client, path=path, content=content)).status)
        return found

    return asyncio.run(all_of_them())


def test_a_person_is_asked_about_so_often_over_all_clients(bench: Make) -> None:
    made = compares(bench(wire=[WIRE | {"person": "id"}], budget=[BUDGET]))
    asked = [("alice", "ada"), ("bob", "ada"), ("bob", "ada"), ("alice", "ada"), ("bob", "eve")]
    assert statuses(made, *asked) == [200, 200, 429, 429, 200]
    assert made.records[2].budget == "about"
    assert len(made.model.seen) == 3
    found = standings(made.guard.active.policy, made.guard.budgets.store)
    assert {one.holder: one.spent for one in found} == {"person:ada": 2, "person:eve": 1}


def test_a_number_and_the_same_in_words_are_one_person(bench: Make) -> None:
    made = compares(bench(wire=[WIRE | {"person": "id"}], budget=[BUDGET]))
    assert statuses(made, ("alice", 7), ("bob", "7"), ("bob", 7)) == [200, 200, 429]


@pytest.mark.parametrize("person", [None, "", True, 1.5, "a/b", "a b", "ä", "x" * 129, ["ada"]])
def test_whoever_is_not_named_plainly_is_not_asked_about(bench: Make, person: object) -> None:
    made = compares(bench(wire=[WIRE | {"person": "id"}], budget=[BUDGET]))
    assert statuses(made, ("alice", person)) == [422]
    assert not made.model.seen


def test_the_person_may_stand_in_the_path(bench: Make) -> None:
    route = {"route": "/people/{person}/compare"}
    made = compares(bench(wire=[WIRE | route], budget=[BUDGET]))
    ada, eve = "/people/ada/compare", "/people/eve/compare"
    found = [statuses(made, ("alice", None), path=path) for path in (ada, ada, ada, eve)]
    assert found == [[200], [200], [429], [200]]
    assert statuses(made, ("alice", None), path="/people/a/b/compare") == [404]


def test_the_person_may_stand_in_a_form() -> None:
    table = policy_table(wire=[WIRE | {"files": ["photo"], "person": "id"}], budget=[BUDGET])
    (wire,) = make_wires(parse_policy(table, "policy"))

    def form(**fields: str) -> tuple[dict[str, str], bytes]:
        files = {"photo": ("a.png", b"\x89PNG", "image/png")}
        made = httpx.Request("POST", "http://a/", files=files, data=fields)
        return {"content-type": made.headers["content-type"]}, made.read()

    asked = wire.read("/compare", *form(id="ada"))
    assert (asked.rows, asked.person) == (1, "ada")
    for wrong in ({}, {"id": "ada", "all": "1"}, {"id": "ada\r\n"}):
        with pytest.raises(Exception, match="422"):
            wire.read("/compare", *form(**wrong))


def test_a_budget_of_one_route_leaves_others_alone(bench: Make) -> None:
    wires = [WIRE | {"person": "id"}, WIRE | {"route": "/look", "person": "id"}]
    routes = [{"name": "strict", "paths": ["/compare"]}]
    made = compares(bench(wire=wires, route=routes, budget=[BUDGET | {"routes": ["strict"]}]))
    ada = [("alice", "ada")] * 3
    assert statuses(made, *ada) == [200, 200, 429]
    assert statuses(made, *ada, path="/look") == [200] * 3


@pytest.mark.parametrize(
    ("wires", "said"),
    [
        ([WIRE], r"no \[\[wire\]\] says where requests name them"),
        ([WIRE | {"person": "id"}, WIRE | {"files": ["photo"]}], "of such a route does not say"),
        ([WIRE | {"person": "id", "allow": ["id"]}], "one place of its own"),
        ([WIRE | {"person": "id", "route": "/{person}"}], "one place of its own"),
    ],
)
def test_half_a_policy_is_refused(wires: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        make_wires(parse_policy(policy_table(wire=wires, budget=[BUDGET]), "policy"))


def test_a_policy_does_not_lose_them_silently() -> None:
    def protection(**changes: Any) -> Protection:
        table = policy_table(wire=[WIRE | {"person": "id"}], budget=[BUDGET]) | changes
        return Protection.of(parse_policy(table, "policy"))

    before = protection()
    require_no_less(before, protection(), ())
    changes: list[dict[str, Any]] = [{"budget": []}, {"wire": [WIRE]}]
    for change in changes:
        with pytest.raises(PlanError, match="would protect less"):
            require_no_less(before, protection(**change), ())
