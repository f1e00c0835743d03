"""Budgets of groups, of routes and of several models behind one guard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from benchmarks.guard.servers import free_port
from tests.guard.conftest import KEYS, Bench, Hand, Model, call, policy_table, reply, scope_of
from tests.guard.test_proxy import kept, served

from darkroom.errors import PlanError
from darkroom.guard.api_keys import hashed
from darkroom.guard.http.requests import Send
from darkroom.guard.middleware import Guard
from darkroom.guard.policy import parse_policy
from darkroom.guard.protection import Protection
from darkroom.guard.proxy import Proxy
from darkroom.guard.wire.registry import make_wires

Make = Callable[..., Bench]
CLIENTS: list[dict[str, Any]] = [
    {"name": "alice", "key": hashed(KEYS["alice"]), "groups": ["trial"]},
    {"name": "bob", "key": hashed(KEYS["bob"]), "groups": ["trial", "staff"]},
    {"name": "carol", "key": hashed("dk_carol")},
]
WIRES = [{"name": "json", "route": "/faces"}, {"name": "json", "route": "/voices"}]
MODELS = [{"name": "faces", "paths": ["/faces"]}, {"name": "voices", "paths": ["/voices"]}]


@pytest.fixture(autouse=True)
def carol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets her ask too."""
    monkeypatch.setitem(KEYS, "carol", "dk_carol")


def statuses(made: Bench, *asked: tuple[str, str] | str) -> list[int]:
    async def all_of_them() -> list[int]:
        found = []
        for one in asked:
            client, path = (one, "/predict") if isinstance(one, str) else one
            found.append((await made.ask(client=client, path=path)).status)
        return found

    return asyncio.run(all_of_them())


def test_clients_of_a_group_spend_one_budget(bench: Make) -> None:
    made = bench(client=CLIENTS, budget=[{"name": "together", "per": "group", "rows": 3}])
    assert statuses(made, "alice", "bob", "alice", "bob", "alice", "carol") == [200] * 3 + [
        429,
        429,
        200,
    ]
    assert made.records[3].budget == "together"


def test_a_budget_of_one_group_leaves_others_alone(bench: Make) -> None:
    budgets = [
        {"name": "own", "per": "client", "rows": 1, "groups": ["trial"]},
        {"name": "staff", "per": "group", "rows": 5, "groups": ["staff"]},
    ]
    made = bench(client=CLIENTS, budget=budgets)
    assert statuses(made, "alice", "alice", "bob", "bob", "carol", "carol") == [
        200,
        429,
        200,
        429,
        200,
        200,
    ]


def test_models_have_budgets_of_their_own_and_one_together(bench: Make) -> None:
    budgets = [
        {"name": "each", "per": "client", "rows": 2, "models": ["faces", "voices"]},
        {"name": "all", "per": "model", "rows": 5},
    ]
    made = bench(model=MODELS, wire=WIRES, budget=budgets)
    faces, voices = ("alice", "/faces"), ("alice", "/voices")
    assert statuses(made, faces, faces, faces, voices, voices, voices) == [200] * 2 + [429] + [
        200
    ] * 2 + [429]
    assert statuses(made, ("bob", "/faces"), ("bob", "/faces")) == [200, 429]
    assert [made.records[-1].budget, made.records[-1].served] == ["all", "faces"]


COARSE = {"name": "rounding", "decimals": 0}


def test_models_have_output_defences_of_their_own(bench: Make) -> None:
    of_voices = {**COARSE, "models": ["voices"]}
    made = bench(model=MODELS, wire=WIRES, defense=[{"name": "noise", "deviation": 0.0}, of_voices])

    async def scores(path: str) -> list[float]:
        return list((await made.ask(path=path)).json["scores"][0])

    faces, voices = (asyncio.run(scores(path)) for path in ("/faces", "/voices"))
    assert 0.9 < faces[0] < 1
    assert voices == [1.0, 0.0, 0.0, 0.0]
    assert "voices: noise" in made.guard.active.policy.answers()
    bare = bench(model=MODELS, wire=WIRES, defense=[of_voices]).guard.active.policy.warnings()
    assert "no output defence for faces: all confidences leave as they are" in bare


def test_a_regressor_and_a_classifier_have_defences_that_fit(bench: Make) -> None:
    numbers = {**WIRES[1], "numbers": True}
    dose = {"name": "value-rounding", "step": 10.0, "models": ["voices"]}
    made = bench(
        model=MODELS, wire=[WIRES[0], numbers], defense=[{**COARSE, "models": ["faces"]}, dose]
    )

    async def answer(send: Send) -> None:
        await reply(send, orjson.dumps({"scores": [47.3]}))

    made.model.answer = answer
    assert asyncio.run(made.ask(path="/voices")).json == {"scores": [50.0]}
    with pytest.raises(PlanError, match="value-rounding does not go with wire json"):
        bench(model=MODELS, wire=[WIRES[0], numbers], defense=[{**dose, "models": None}])


def test_defences_that_need_inputs_need_those_of_their_models_alone(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARD_SECRET", "0123456789abcdef0123456789abcdef")
    sticky = {"name": "sticky-noise", "secret": "env:GUARD_SECRET", "models": ["faces"]}
    made = bench(model=MODELS, wire=WIRES, defense=[sticky])

    async def answer(send: Send) -> None:
        await reply(send, orjson.dumps({"scores": [[0.25] * 4]}))

    made.model.answer = answer

    async def asked(path: str) -> int:
        return (await made.ask(path=path, content=b'{"inputs": ["a text"]}')).status

    assert [asyncio.run(asked(path)) for path in ("/faces", "/voices")] == [422, 200]


def test_a_detector_tightens_each_model_within_its_kind_of_answer() -> None:
    labels = {"name": "label-only", "models": ["voices"]}
    tables = policy_table(model=MODELS, wire=WIRES, defense=[labels])

    def tightened(*tighten: dict[str, Any]) -> None:
        detector = {"path": "d.npz", "tighten": list(tighten)}
        made = parse_policy({**tables, "detector": detector}, "p").tightened()
        assert [len(one.defenses) for one in made.values()] == [1, 2]

    tightened(COARSE, labels)
    with pytest.raises(PlanError, match="whoever is alarmed about"):
        tightened(COARSE)
    with pytest.raises(PlanError, match="no model is called 'nobody'"):
        tightened({**COARSE, "models": ["nobody"]})


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ([COARSE], [{**COARSE, "models": ["faces"]}], ["model voices.defense rounding"]),
        ([COARSE], [{**COARSE, "models": ["faces", "voices"]}], []),
        ([{**COARSE, "models": ["faces"]}], [COARSE], []),
        ([{**COARSE, "models": ["faces"]}], [], ["model faces.defense rounding"]),
        (
            [{**COARSE, "models": ["faces"]}],
            [{"name": "rounding", "models": ["faces"]}],
            ["model faces.defense rounding.decimals"],
        ),
        ([COARSE], [], ["defense rounding"]),
        (
            [{**COARSE, "models": ["faces"]}],
            [{**COARSE, "models": ["voices"]}],
            ["model faces.defense rounding"],
        ),
    ],
)
def test_a_model_that_loses_a_defence_is_something_to_be_named(
    old: list[Any], new: list[Any], lost: list[str]
) -> None:
    before, after = (
        Protection.of(parse_policy(policy_table(model=MODELS, wire=WIRES, defense=one), "p"))
        for one in (old, new)
    )
    assert before.lost_in(after) == lost
    assert not before.lost_in(Protection.model_validate_json(before.text))


def test_defences_that_models_share_out_must_leave_none_without() -> None:
    alone = Protection.of(parse_policy(policy_table(defense=[COARSE]), "p"))
    shared = policy_table(model=MODELS, wire=WIRES, defense=[{**COARSE, "models": ["faces"]}])
    assert alone.lost_in(Protection.of(parse_policy(shared, "p"))) == [
        "model voices.defense rounding"
    ]


def test_classes_of_models_are_apart(bench: Make) -> None:
    budgets = [{"name": "one", "per": "class", "rows": 1}]
    made = bench(model=MODELS, wire=WIRES, budget=budgets)
    faces, voices = ("alice", "/faces"), ("alice", "/voices")
    assert statuses(made, faces, voices, faces, voices) == [200, 200, 429, 429]


@pytest.mark.parametrize("other", ["openai", "numbers"])
def test_classes_of_one_model_are_no_business_of_others(bench: Make, other: str) -> None:
    chat, numbers = "/v1/chat/completions", {"name": "json", "route": "/price", "numbers": True}
    wire = numbers if other == "numbers" else {"name": "openai"}
    path = "/price" if other == "numbers" else chat
    models = [MODELS[0], {"name": "other", "paths": [path]}]
    budgets = [{"name": "one", "per": "class", "rows": 1, "models": ["faces"]}]
    made = bench(model=models, wire=[WIRES[0], wire], budget=budgets)
    assert statuses(made, ("alice", "/faces"), ("alice", "/faces")) == [200, 429]
    assert not [one for one in made.guard.active.policy.warnings() if "openai" in one]
    message = {"role": "assistant", "content": "yes"}
    said = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    async def answer(send: Send) -> None:
        await reply(send, orjson.dumps({"scores": [2.5]} if other == "numbers" else said))

    made.model.answer = answer
    asked = orjson.dumps({"messages": [{"role": "user", "content": "hi"}]})
    content = asked if other == "openai" else orjson.dumps({"inputs": [[1.0]]})
    assert [asyncio.run(made.ask(path=path, content=content)).status for _ in range(2)] == [200] * 2


def test_classes_of_models_that_answer_numbers_are_refused() -> None:
    budgets = [{"name": "one", "per": "class", "rows": 1, "models": ["voices"]}]
    for wire in (
        {"name": "json", "route": "/voices", "numbers": True},
        {"name": "open-inference", "numbers": True},
    ):
        star = [MODELS[0], {"name": "voices", "paths": ["/v*"]}]
        policy = parse_policy(policy_table(model=star, wire=[wire], budget=budgets), "p")
        with pytest.raises(PlanError, match="counts classes"):
            make_wires(policy)


def test_a_route_has_a_budget(bench: Make) -> None:
    made = bench(
        wire=WIRES,
        route=[{"name": "spoken", "paths": ["/v*s"]}],
        budget=[{"name": "few", "rows": 1, "routes": ["spoken"]}],
    )
    faces, voices = ("alice", "/faces"), ("alice", "/voices")
    assert statuses(made, voices, voices, faces, faces) == [200, 429, 200, 200]


def test_what_was_counted_stays_counted_when_a_budget_comes_later(bench: Make, hand: Hand) -> None:
    loose = {"name": "all", "per": "model", "rows": 100}
    first = bench(client=CLIENTS, model=MODELS, wire=WIRES, budget=[loose])
    assert statuses(first, *[("alice", "/faces")] * 3) == [200] * 3
    asyncio.run(first.guard.stop())
    budgets = [loose, {"name": "group", "per": "group", "rows": 3, "models": ["faces"]}]
    later = bench(client=CLIENTS, model=MODELS, wire=WIRES, budget=budgets)
    assert statuses(later, ("bob", "/faces"), ("bob", "/voices")) == [429, 200]


def test_a_path_of_no_model_is_refused_and_uncharged(bench: Make) -> None:
    made = bench(model=MODELS[:1], wire=WIRES)
    assert statuses(made, ("alice", "/voices"), ("alice", "/faces")) == [404, 200]
    assert [one.rows for one in made.records] == [0, 1]


@pytest.mark.medium
def test_models_are_asked_where_they_are_with_their_own_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACES_KEY", "one")
    monkeypatch.setenv("VOICES_KEY", "two")
    faces, voices = Model(), Model()
    with served(faces, lifespan="off") as one, served(voices, lifespan="off") as other:
        models: list[dict[str, Any]] = [
            {**MODELS[0], "url": one, "headers_from_env": {"x-key": "FACES_KEY"}},
            {**MODELS[1], "url": other, "headers_from_env": {"x-key": "VOICES_KEY"}},
        ]
        policy = parse_policy(policy_table(model=models, wire=WIRES, store=kept(tmp_path)), "p")

        async def ask() -> list[int]:
            guard = Guard(Proxy(policy), policy)
            head = [(b"host", b"a"), (b"content-type", b"application/json")]
            head.append((b"x-api-key", KEYS["alice"].encode()))
            paths = ("/voices", "/faces", "/voices")
            body = [b'{"inputs": [[1.0, 0, 0, 0]]}']
            found = [(await call(guard, scope_of("POST", one, head), body)) for one in paths]
            health = await call(guard, scope_of("GET", "/health", head[:1]), [b""])
            await call_lifespan(guard)
            return [one.status for one in (*found, health)]

        assert asyncio.run(ask()) == [200, 200, 200, 404]
    assert [one["path"] for one in (*faces.seen, *voices.seen)] == ["/faces", "/voices", "/voices"]
    keys = [dict(one["headers"])[b"x-key"] for one in (*faces.seen, *voices.seen)]
    assert keys == [b"one", b"two", b"two"]


@pytest.mark.medium
def test_shadows_ask_the_server_of_each_model_whatever_is_asked(tmp_path: Path) -> None:
    faces, voices = Model(), Model()
    with served(faces, lifespan="off") as one, served(voices, lifespan="off") as other:
        models = [
            {"name": "faces", "paths": ["/faces", "/health"], "url": one},
            {"name": "voices", "paths": ["/voices"], "url": other},
        ]
        shadow = {"model": "tiny", "shadow": True}
        made = policy_table(guard=shadow, model=models, wire=WIRES, store=kept(tmp_path))
        policy = parse_policy(made, "p")

        async def ask() -> list[int]:
            guard = Guard(Proxy(policy), policy)
            head = [(b"host", b"a"), (b"content-type", b"application/json")]
            body = [b'{"inputs": [[1.0, 0, 0, 0]]}']
            found = [await call(guard, scope_of("GET", "/health", head[:1]), [b""])]
            paths = ("/voices", "/faces", "/elsewhere")
            found += [await call(guard, scope_of("POST", path, head), body) for path in paths]
            await call_lifespan(guard)
            return [each.status for each in found]

        assert asyncio.run(ask()) == [200, 200, 200, 404]
    assert [each["path"] for each in faces.seen] == ["/health", "/faces"]
    assert [each["path"] for each in voices.seen] == ["/voices"]


async def call_lifespan(guard: Guard) -> None:
    """Lets an application end, so that its connections are closed."""
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(_: Any) -> None:
        pass

    await guard({"type": "lifespan"}, receive, send)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"budget": [{"name": "a", "rows": 1, "groups": ["none"]}]}, "no group is called 'none'"),
        ({"budget": [{"name": "a", "rows": 1, "models": ["none"]}]}, "no model is called 'none'"),
        ({"budget": [{"name": "a", "rows": 1, "routes": ["none"]}]}, "no route is called 'none'"),
        ({"budget": [{"name": "a"}]}, "rows or tokens"),
        ({"budget": [{"name": "a", "rows": 1, "tokens": 1}]}, "rows or tokens"),
        ({"model": [{"name": "a", "paths": ["faces"]}]}, "is no path"),
        ({"model": [MODELS[0], MODELS[0]]}, "model.name is given twice"),
        ({"model": [{**MODELS[0], "headers_from_env": {"a": "B"}}]}, "goes with url"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        make_wires(parse_policy(policy_table(**changes), "p"))


@pytest.mark.medium
def test_shadows_answer_502_where_no_server_is(tmp_path: Path) -> None:
    shadow = {"model": "tiny", "shadow": True}
    away = {"url": f"http://127.0.0.1:{free_port()}"}
    made = policy_table(guard=shadow, upstream=away, wire=WIRES, store=kept(tmp_path))
    policy = parse_policy(made, "p")

    async def ask() -> int:
        guard = Guard(Proxy(policy), policy)
        head = [(b"host", b"a"), (b"content-type", b"application/json")]
        scope = scope_of("POST", "/faces", head)
        status = (await call(guard, scope, [b'{"inputs": [[1.0, 0, 0, 0]]}'])).status
        await call_lifespan(guard)
        return int(status)

    assert asyncio.run(ask()) == 502
