"""The guard in front of an application in the same process."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import orjson
import pytest
from tests.guard.conftest import KEYS, Answer, Bench, Hand, call, policy_table, reply, scope_of

from darkroom.errors import PlanError
from darkroom.guard.budgets.scopes import Asker
from darkroom.guard.http.requests import Message, Send
from darkroom.guard.policy import parse_policy
from darkroom.guard.stores.base import Charge, Entry, Receipt
from darkroom.guard.wire.base import Answered, Asked
from darkroom.guard.wire.plain_json import PlainJson

Make = Callable[..., Bench]


def run(*awaited: Any) -> list[Any]:
    async def one_by_one() -> list[Any]:
        return [await one for one in awaited]

    return asyncio.run(one_by_one())


def test_answers_hold_scores_and_nothing_else(bench: Make) -> None:
    made = bench()
    (answer,) = run(made.ask(2))
    assert answer.status == 200
    assert set(answer.json) == {"scores"}
    np.testing.assert_allclose(np.sum(answer.json["scores"], axis=1), 1)
    assert "x-upstream" not in answer.headers
    assert answer.headers["ratelimit-policy"] == '"daily";q=10;w=86400'
    assert answer.headers["ratelimit"] == '"daily";r=8;t=43200'
    record = made.records[0]
    assert (record.client, record.rows, record.outcome, record.status) == (
        "alice",
        2,
        "released",
        200,
    )


def test_ten_a_day_are_ten_rows_and_the_next_day_ten_more(bench: Make, hand: Hand) -> None:
    made = bench()
    answers = run(*(made.ask(3) for _ in range(4)), made.ask(1), made.ask(1))
    assert [one.status for one in answers] == [200, 200, 200, 429, 200, 429]
    assert made.model.rows == 10
    spent = answers[-1]
    assert spent.headers["content-type"] == "application/problem+json"
    assert spent.headers["retry-after"] == "43200"
    assert spent.json["type"].endswith("#quota-exceeded")
    assert spent.json["violated-policies"] == ["daily"]
    assert spent.json["error"]
    assert made.records[-1].budget == "daily"
    hand.time += 43_199
    assert run(made.ask())[0].status == 429
    hand.time += 1
    assert run(made.ask())[0].status == 200
    hand.time -= 86_400
    assert [one.status for one in run(*(made.ask(3) for _ in range(4)))] == [200] * 3 + [429]


def test_clients_have_budgets_of_their_own_and_the_model_one_for_all(bench: Make) -> None:
    budgets = [
        {"name": "daily", "per": "client", "rows": 10},
        {"name": "all", "per": "model", "rows": 12},
    ]
    made = bench(budget=budgets)
    answers = run(made.ask(8), made.ask(5, "bob"), made.ask(4, "bob"), made.ask(1))
    assert [one.status for one in answers] == [200, 429, 200, 429]
    assert "all" not in answers[0].headers["ratelimit"]


def test_sliding_windows_forget_row_by_row(bench: Make, hand: Hand) -> None:
    made = bench(budget=[{"name": "burst", "per": "client", "rows": 4, "window": "10s"}])
    assert [one.status for one in run(made.ask(2), made.ask(2), made.ask(1))] == [200, 200, 429]
    hand.time += 6
    first = run(made.ask(1))[0]
    assert (first.status, first.headers["retry-after"]) == (429, "5")
    hand.time += 4.6
    assert run(made.ask(4))[0].status == 200


def test_classes_have_budgets_and_answers_beyond_them_stay(bench: Make) -> None:
    made = bench(
        budget=[
            {"name": "person", "per": "class", "rows": 3},
            {"name": "daily", "per": "client", "rows": 10},
        ]
    )
    answers = run(made.ask(2), made.ask(2), made.ask(2, label=1), made.ask(1), made.ask(4, "bob"))
    assert [one.status for one in answers] == [200, 429, 200, 200, 413]
    assert made.records[1].outcome == "withheld"
    assert answers[1].json["violated-policies"] == ["person"]
    # What the model was asked stays charged.
    assert run(made.ask(3))[0].json["violated-policies"] == ["person"]
    assert run(made.ask(1, label=1))[0].json["violated-policies"] == ["daily"]


def test_more_rows_than_a_budget_holds_never_fit(bench: Make) -> None:
    (answer,) = run(bench().ask(11))
    assert answer.status == 413
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("headers", [[], [(b"authorization", b"Bearer dk_nobody")]])
def test_unknown_clients_are_refused(bench: Make, headers: list[tuple[bytes, bytes]]) -> None:
    made = bench()
    headers = [(b"host", b"a"), (b"content-type", b"application/json"), *headers]
    answer = run(made.ask(headers=headers))[0]
    assert answer.status == 401
    assert not made.model.seen


def test_who_claims_to_be_two_is_nobody(bench: Make) -> None:
    made = bench()
    two = [(b"authorization", b"Bearer dk_alice"), (b"x-api-key", b"dk_bob")]
    twice = [(b"authorization", b"Bearer dk_alice")] * 2
    same = [(b"authorization", b"Bearer dk_alice"), (b"x-api-key", b"dk_alice")]
    common = [(b"host", b"a"), (b"content-type", b"application/json")]
    answers = run(*(made.ask(headers=[*common, *some]) for some in (two, twice, same)))
    assert [one.status for one in answers] == [401, 401, 200]


def test_trusted_headers_count_only_from_trusted_peers(bench: Make) -> None:
    made = bench(
        client=[{"name": "carol", "subject": "CN=carol"}, {"name": "dave", "user": "dave"}],
        trust={
            "proxies": ["10.0.0.0/8"],
            "subject_header": "X-Client-Subject",
            "user_header": "x-user",
        },
    )
    content = orjson.dumps({"inputs": [[1.0, 0, 0, 0]]})

    async def ask(peer: str, name: bytes, value: bytes) -> int:
        headers = [(b"host", b"a"), (b"content-type", b"application/json"), (name, value)]
        scope = scope_of("POST", "/predict", headers, peer=peer)
        return (await call(made.guard, scope, [content])).status

    assert run(
        ask("10.1.2.3", b"x-client-subject", b"CN=carol"),
        ask("10.1.2.3", b"x-user", b"dave"),
        ask("10.1.2.3", b"x-user", b"carol"),
        ask("127.0.0.1", b"x-user", b"dave"),
        ask("::ffff:10.1.2.3", b"x-user", b"dave"),
    ) == [200, 200, 401, 401, 200]


def test_harmless_routes_pass_uncharged_and_others_do_not(bench: Make) -> None:
    made = bench()
    health = run(made.ask(path="/health", method="GET", client=None, content=b""))[0]
    assert (health.status, health.json) == (200, {"ok": True})
    for path in ("/explanations/model", "/predict/", "/v2/models/m/explain", "/"):
        answer = run(made.ask(path=path))[0]
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert len(made.model.seen) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"a"), (b"content-length", b"10"), (b"content-length", b"11")], 400),
        ([(b"host", b"a"), (b"content-length", b"10"), (b"transfer-encoding", b"chunked")], 400),
        ([(b"host", b"a"), (b"transfer-encoding", b"gzip, chunked")], 400),
        ([(b"host", b"a"), (b"content-length", b"+10")], 400),
        ([(b"host", b"a"), (b"content-length", b"9")], 400),
        ([(b"host", b"a"), (b"content-encoding", b"gzip")], 415),
        ([(b"host", b"a/b")], 400),
        ([(b"host", b"a"), (b"host", b"b")], 400),
        ([(b"host", b"a@b")], 400),
        ([], 400),
    ],
)
def test_ambiguous_heads_are_refused(
    bench: Make, headers: list[tuple[bytes, bytes]], status: int
) -> None:
    made = bench()
    who = [(b"content-type", b"application/json"), (b"authorization", b"Bearer dk_alice")]
    assert run(made.ask(headers=[*headers, *who]))[0].status == status
    assert not made.model.seen


@pytest.mark.parametrize(
    "path",
    [
        "/predict%2e",
        "//predict",
        "/a/../predict",
        "/./predict",
        "/predict;x",
        "/pre\\dict",
        "/\x00",
    ],
)
def test_paths_that_could_be_read_otherwise_are_refused(bench: Make, path: str) -> None:
    made = bench()
    assert run(made.ask(path=path))[0].status in (400, 404)
    assert not made.model.seen


def test_what_is_encoded_in_the_raw_path_is_refused(bench: Make) -> None:
    made = bench()
    scope = scope_of("POST", "/predict", [(b"host", b"a")])
    scope["raw_path"] = b"/%70redict"
    assert run(call(made.guard, scope, [b"{}"]))[0].status == 400


def test_queries_are_refused(bench: Make) -> None:
    assert run(bench().ask(query=b"explain=1"))[0].status == 400


def test_bodies_are_bounded_however_they_come(bench: Make) -> None:
    made = bench(limits={"body": 1000})
    head = [(b"host", b"a"), (b"authorization", b"Bearer dk_alice")]
    taken: list[int] = []

    async def endless() -> Message:
        taken.append(1)
        return {"type": "http.request", "body": b"x" * 600, "more_body": True}

    async def ask(headers: list[tuple[bytes, bytes]]) -> Answer:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await made.guard(scope_of("POST", "/predict", [*head, *headers]), endless, send)
        return Answer(sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"])

    declared, chunked = run(ask([(b"content-length", b"1000000000")]), ask([]))
    assert (declared.status, chunked.status) == (413, 413)
    assert len(taken) == 2
    assert not made.model.seen


def test_slow_bodies_are_cut_off(bench: Make) -> None:
    made = bench(limits={"read_seconds": 0.05})

    async def never() -> Message:
        await asyncio.sleep(10)
        raise AssertionError

    async def ask() -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        head = [(b"host", b"a"), (b"authorization", b"Bearer dk_alice")]
        await made.guard(scope_of("POST", "/predict", head), never, send)
        return int(sent[0]["status"])

    assert run(ask()) == [408]


def test_what_is_not_understood_is_refused_uncharged(bench: Make) -> None:
    made = bench()
    for content in (b"", b"{", b'{"inputs": []}', b'{"inputs": [[1]], "inputs": [[1], [2]]}'):
        assert run(made.ask(content=content))[0].status in (400, 422)
    assert not made.model.seen
    assert run(made.ask(10))[0].status == 200


HOSTILE = {
    "not json": b"raw 0.123456",
    "logits": b'{"scores": [[3.5, -2.0, 0.1, 0.0]]}',
    "rows": b'{"scores": [[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0]]}',
    "nothing": b"",
    "nan": b'{"scores": [[NaN, 1, 0, 0]]}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_answers_that_are_not_understood_stay(bench: Make, name: str) -> None:
    made = bench()

    async def hostile(send: Send) -> None:
        await reply(send, HOSTILE[name])

    made.model.answer = hostile
    answer = run(made.ask())[0]
    assert answer.status == 502
    assert b"0.12" not in answer.body
    assert made.records[0].rows == 1


@pytest.mark.parametrize(
    ("status", "told"), [(500, 502), (302, 502), (401, 502), (422, 422), (503, 503), (204, 502)]
)
def test_failures_of_the_upstream_lose_their_text(bench: Make, status: int, told: int) -> None:
    made = bench()

    async def failing(send: Send) -> None:
        await reply(send, b'{"trace": "0.99"}', status)

    made.model.answer = failing
    answer = run(made.ask())[0]
    assert answer.status == told
    assert b"trace" not in answer.body


def test_a_crash_and_a_huge_answer_are_one_clear_answer_each(bench: Make) -> None:
    made = bench(limits={"answer": 1000})

    async def crashing(send: Send) -> None:
        raise ValueError("scores 0.99")

    async def endless(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 400, "more_body": True})

    for hostile in (crashing, endless):
        made.model.answer = hostile
        answer = run(made.ask())[0]
        assert answer.status == 502
        assert b"0.99" not in answer.body


@pytest.mark.medium
def test_an_application_cannot_give_up_on_an_answer_that_it_gave(bench: Make) -> None:
    made = bench(budget=[{"name": "one", "per": "class", "rows": 5}])
    charge = made.guard.budgets.store.charge

    def slowly(make: Any) -> Receipt:
        time.sleep(0.5 if made.model.seen else 0)
        return charge(make)

    async def impatient(send: Send) -> None:
        try:
            async with asyncio.timeout(0.1):  # while the classes of the answer are charged
                await reply(send, orjson.dumps({"scores": [[0.25] * 4]}))
        except TimeoutError:
            await reply(send, b"{}", 504)

    made.model.answer = impatient
    with mock.patch.object(made.guard.budgets.store, "charge", slowly):
        answer = run(made.ask())[0]
    assert (answer.status, answer.json) == (200, {"scores": [[0.25] * 4]})
    assert [(one.outcome, one.rows) for one in made.records] == [("released", 1)]


def test_slow_upstreams_are_given_up_on_and_stay_charged(bench: Make) -> None:
    made = bench(upstream={"seconds": 0.05})

    async def sleeping(send: Send) -> None:
        await asyncio.sleep(10)

    made.model.answer = sleeping
    assert run(made.ask(10))[0].status == 504
    made.model.answer = None
    assert run(made.ask(1))[0].status == 429


def test_a_slow_store_is_no_slow_upstream(bench: Make) -> None:
    made = bench(upstream={"seconds": 0.05})
    charge = made.guard.budgets.store.charge

    clock = mock.Mock(monotonic=mock.Mock(return_value=0.0))

    def slowly(make: Any) -> Receipt:
        clock.monotonic.return_value += 60.0
        time.sleep(0.03)  # the guard looks every 6 ms who is late
        return charge(make)

    with (
        mock.patch.object(made.guard.budgets.store, "charge", slowly),
        mock.patch("darkroom.guard.deadlines.time", clock),
    ):
        assert run(made.ask(1))[0].status == 200


@pytest.mark.parametrize("found", [[-3.2, 7.1], [np.nan, 1.0], [np.inf, 0.0], [[0.5, 0.5]] * 2])
def test_what_is_no_probabilities_is_withheld_whatever_the_format_says(
    bench: Make, tmp_path: Path, found: list[Any]
) -> None:
    class Careless(PlainJson):
        def _answer(self, asked: Asked, body: Any) -> Answered:
            return Answered(np.atleast_2d(found), lambda scores: orjson.dumps(str(scores)))

    made = bench()
    made.guard.active = replace(made.guard.active, wires=[Careless()])
    assert run(made.ask())[0].status == 502


def test_answers_to_other_methods_than_post_are_not_to_be_kept(bench: Make) -> None:
    class Getting(PlainJson):
        def matches(self, method: str, path: str) -> bool:
            return path == self.route

    made = bench()
    made.guard.active = replace(made.guard.active, wires=[Getting()])
    posted, got = run(made.ask(), made.ask(method="GET"))
    assert [posted.status, got.status] == [200, 200]
    assert "cache-control" not in posted.headers
    assert got.headers["cache-control"] == "no-store"


def test_output_defences_change_what_leaves(bench: Make) -> None:
    made = bench(defense=[{"name": "rounding", "decimals": 1}], outputs={"top_k": 1})
    (answer,) = run(made.ask(1, label=2))
    assert answer.json["scores"] == [[0.0, 0.0, 1.0, 0.0]]


def test_a_store_that_fails_is_503_and_never_a_free_pass(bench: Make, tmp_path: Path) -> None:
    made = bench()
    assert run(made.ask())[0].status == 200
    (tmp_path / "guard.sqlite").unlink()
    answer = run(made.ask())[0]
    assert (answer.status, answer.json["error"] != "") == (503, True)
    assert made.model.rows == 1


def test_a_folder_that_is_not_there_is_503(bench: Make, tmp_path: Path) -> None:
    made = bench()
    made.guard.budgets.store.path = tmp_path / "no" / "guard.sqlite"  # type: ignore[attr-defined]
    assert run(made.ask())[0].status == 503


def test_shadow_mode_refuses_nothing_and_records_all(bench: Make) -> None:
    made = bench(
        guard={"model": "tiny", "shadow": True},
        defense=[{"name": "label-only"}],
    )
    answers = run(made.ask(10), made.ask(1), made.ask(1, None), made.ask(path="/explain"))
    assert [one.status for one in answers[:3]] == [200, 200, 200]
    assert answers[0].json["secret"] == "raw"
    assert answers[0].headers["x-upstream"] == "secret"
    assert [one.reason for one in made.records] == [
        None,
        "Quota exceeded",
        "Unknown client",
        "No such route",
    ]
    assert made.records[1].budget == "daily"
    assert all(one.shadow for one in made.records)


def test_leases_serve_many_requests_from_one_write(bench: Make) -> None:
    made = bench(budget=[{"name": "daily", "per": "client", "rows": 100_000}])
    store = made.guard.budgets.store
    charges: list[int] = []
    charge = store.charge
    store.charge = lambda make: charges.append(1) or charge(make)  # type: ignore[method-assign,func-returns-value]
    answers = run(*(made.ask() for _ in range(500)), made.guard.stop())
    assert all(one.status == 200 for one in answers[:-1])
    assert answers[499 - 1].headers["ratelimit"].startswith('"daily";r=99501')
    assert len(charges) < 15
    # What was leased and not used is taken back at the end.
    again = bench(budget=[{"name": "daily", "per": "client", "rows": 100_000}])
    (answer,) = run(again.ask())
    assert answer.headers["ratelimit"].startswith('"daily";r=99499')


def test_requests_are_served_while_a_lease_is_filled_up(bench: Make) -> None:
    made = bench(budget=[{"name": "daily", "per": "client", "rows": 100_000}])
    store = made.guard.budgets.store
    charge, full = store.charge, threading.Event()
    durable: list[int] = []

    def slow(make: Callable[[int], Charge]) -> Receipt:
        if len(durable) > 4:  # from here on the disk takes its time
            full.wait(10)
        receipt = charge(make)
        durable.append(receipt.spent[0])
        return receipt

    async def served() -> None:
        while len(durable) < 5:
            assert (await made.ask()).status == 200
            await made.guard.budgets.settled()
        left = made.guard.budgets._leases[Asker("alice")].credit
        assert left > 10
        for _ in range(left):
            assert (await made.ask()).status == 200
        # No row is served before the disk has it.
        assert made.model.rows == durable[-1]
        waiting = asyncio.create_task(made.ask())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert made.model.rows == durable[-1]
        full.set()
        assert (await waiting).status == 200
        assert made.model.rows <= durable[-1]
        await made.guard.stop()

    store.charge = slow  # type: ignore[method-assign]
    asyncio.run(served())
    assert sum(one.rows for one in _kept(made, "client/alice")) == made.model.rows


def test_a_lease_of_an_earlier_minute_is_taken_back(bench: Make, hand: Hand) -> None:
    made = bench(budget=[{"name": "daily", "per": "client", "rows": 100_000}])
    budgets = made.guard.budgets

    async def crossed() -> None:
        for _ in range(20):
            assert (await made.ask()).status == 200
            await budgets.settled()
        before = budgets._leases[Asker("alice")]
        assert before.credit > 1
        while budgets._leases[Asker("alice")] is before and not budgets._behind:
            assert (await made.ask()).status == 200
        hand.time += 60  # while the charge is on its way
        await budgets.settled()
        after = budgets._leases[Asker("alice")]
        assert after.behind
        assert after.behind == before.rest
        assert (await made.ask()).status == 200
        await made.guard.stop()

    asyncio.run(crossed())
    assert sum(one.rows for one in _kept(made, "client/alice")) == made.model.rows


def _kept(made: Bench, subject: str) -> list[Entry]:
    store = made.guard.budgets.store
    store.open()
    kept = store.buckets(subject, 0)
    store.close()
    return kept


def test_a_changed_policy_is_read_anew_and_no_count_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import tomli_w

    path = tmp_path / "guard.toml"
    kept: dict[str, Any] = {"store": {"create": True}}
    table = policy_table(**kept)
    path.write_text(tomli_w.dumps(table))
    monkeypatch.setattr("darkroom.guard.middleware.LOOK_EVERY", 0.0)
    made = Bench(path, None)
    assert run(made.ask(8))[0].status == 200

    def change(text: str) -> None:
        path.write_text(text)
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))

    kept["guard"] = {"model": "tiny", "gives_up": ["budget daily"]}
    kept["budget"] = [{"name": "other", "rows": 9, "window": "1h"}]
    change(tomli_w.dumps(policy_table(**kept)))
    assert [one.status for one in run(made.ask(2), made.ask(1))] == [429, 200]
    change("[guard")
    assert run(made.ask(1))[0].status == 429
    assert "stays in force" in caplog.text
    change(tomli_w.dumps(policy_table(**kept, client=table["client"][1:])))
    assert run(made.ask(1))[0].status == 401
    assert run(made.ask(1, "bob"))[0].status == 200


def test_websockets_are_closed(bench: Make) -> None:
    made = bench()
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    run(made.guard({"type": "websocket", "path": "/predict"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_too_many_at_once_are_told_to_wait(bench: Make) -> None:
    made = bench(limits={"at_once": 2})
    going = asyncio.Event()

    async def waiting(send: Send) -> None:
        await going.wait()
        await reply(send, orjson.dumps({"scores": [[0.25] * 4]}))

    made.model.answer = waiting

    async def all_at_once() -> list[int]:
        asked = [asyncio.create_task(made.ask()) for _ in range(3)]
        await asyncio.sleep(0.05)
        going.set()
        return sorted([(await one).status for one in asked])

    assert asyncio.run(all_at_once()) == [200, 200, 503]


def test_a_client_that_hangs_up_is_noted(bench: Make) -> None:
    made = bench()
    head = [(b"host", b"a"), (b"authorization", b"Bearer " + KEYS["alice"].encode())]
    answer = run(call(made.guard, scope_of("POST", "/predict", head), []))[0]
    assert answer.status == 0
    assert made.records[0].outcome == "gone"


def test_keyed_defences_see_the_inputs(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_SECRET", "0123456789abcdef0123456789abcdef")
    sticky = {"name": "sticky-noise", "secret": "env:GUARD_SECRET", "deviation": 0.05}
    made = bench(defense=[sticky])
    first, second, other = run(made.ask(1), made.ask(1, "bob"), made.ask(1, label=2))
    assert first.json == second.json != other.json
    raw = np.exp([5.0, 0, 0, 0]) / np.exp([5.0, 0, 0, 0]).sum()
    assert not np.allclose(first.json["scores"][0], raw, atol=1e-4)


class Alarmed:
    """A detector that alarms from the second request on."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def watch(self, batch: Any) -> Any:
        from darkroom.guard.detector.detector import Verdict

        self.seen.append(batch)
        level = float(len(self.seen) > 1)
        return Verdict(level, 0.0, 0.0, ("client: confidence",) * int(level), len(self.seen) == 2)


def test_an_alarm_tightens_outputs_and_nothing_else_tells(bench: Make, tmp_path: Path) -> None:
    made = bench(defense=[{"name": "rounding", "decimals": 3}])
    tight = parse_policy(
        policy_table(defense=[{"name": "rounding", "decimals": 0}]), "p"
    ).pipelines()
    detector: Any = Alarmed()
    made.guard.active = replace(made.guard.active, detector=detector, tightened=tight)
    first, second = run(made.ask(1), made.ask(1))
    assert first.json["scores"][0][0] < 1
    assert second.json["scores"] == [[1.0, 0.0, 0.0, 0.0]]
    assert first.headers.keys() == second.headers.keys()
    assert [one.alarms for one in made.records] == [(), ("client: confidence",)]
    # Rows that were refused are seen, too.
    run(made.ask(9))
    assert [batch.scores is None for batch in detector.seen] == [False, False, True]


def test_tightening_must_not_show_in_the_form(tmp_path: Path) -> None:
    table = policy_table(detector={"path": "d.npz", "tighten": [{"name": "label-only"}]})
    with pytest.raises(PlanError, match="would see it"):
        parse_policy(table, "policy")
