"""Models behind an API, over a network that is made up: errors, retries, counting, refusals."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkroom.access import Access
from darkroom.errors import DarkroomError, TargetError
from darkroom.images.targets.http import HttpTarget
from darkroom.images.targets.wire.open_inference import OpenInference
from darkroom.images.targets.wire.plain_json import PlainJson
from darkroom.ledger import BudgetExhausted, Limit, QueryLedger
from darkroom.remote.credentials import secret_headers, secret_parameters
from darkroom.remote.delivery import Delivery
from darkroom.vision.spec import ImageSpec
from darkroom.wire.base import Shows

SHAPE = (1, 2, 2)
SPEC = ImageSpec(SHAPE)
URL = "https://models.example/faces"
WEIGHTS = np.random.default_rng(5).standard_normal((4, 3))
QUICK = Delivery(batch=2, concurrency=3, backoff=0.001, retries=3, patience=2.0, timeout=1.0)

Handler = Callable[[httpx.Request], httpx.Response]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def truth(images: NDArray[np.float32]) -> NDArray[np.float64]:
    return softmax(images.reshape(-1, 4).astype(np.float64) @ WEIGHTS)


def photos(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, *SHAPE), np.float32)


def rows_in(request: httpx.Request) -> NDArray[np.float32]:
    return np.array(json.loads(request.content)["inputs"], np.float32)


class Server:
    """Serves the model, counts the rows it sees, and fails as it is told to.

    ``script`` holds what becomes of the next requests: ``None`` is served, an exception is the
    network's, a response is sent. When it is used up, all is served.
    """

    def __init__(self, answer: Callable[[NDArray[np.float32]], object] | None = None) -> None:
        self.answer = answer or (lambda images: {"scores": truth(images).tolist()})
        self.script: list[httpx.Response | Exception | None] = []
        self.rows, self.requests, self.most, self.now = 0, 0, 0, 0
        self.headers: list[httpx.Headers] = []
        self.targets: list[bytes] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        self.targets.append(request.extensions.get("target", request.url.raw_path))
        step = self.script.pop(0) if self.script else None
        if isinstance(step, httpx.ConnectError | httpx.ConnectTimeout):
            raise step
        images = rows_in(request)
        self.rows += len(images)
        self.requests += 1
        self.most = max(self.most, len(images))
        self.now += 1
        assert self.now <= QUICK.concurrency
        await asyncio.sleep(0)
        self.now -= 1
        if isinstance(step, Exception):
            raise step
        return httpx.Response(200, json=self.answer(images)) if step is None else step


@contextmanager
def serving(
    server: Callable[[httpx.Request], Any], delivery: Delivery = QUICK, **settings: Any
) -> Iterator[HttpTarget]:
    wire = settings.pop("wire", None) or PlainJson(URL, SPEC)
    target = HttpTarget(
        wire,
        SHAPE,
        authorized_by="the owner",
        delivery=delivery,
        transport=httpx.MockTransport(server),
        **settings,
    )
    try:
        yield target
    finally:
        target.close()


def ask(target: HttpTarget, ledger: QueryLedger, rows: int) -> NDArray[np.float64]:
    """Asks about as many images as a view does: charged first, and corrected by the target."""
    bill = ledger.bill(np.zeros(rows, np.int64))
    with target.billed(bill):
        return target.scores(photos(rows))


def reply(status: int, headers: dict[str, str] | None = None, text: str = "") -> httpx.Response:
    return httpx.Response(status, headers=headers, text=text)


def test_a_batch_is_its_rows_one_by_one() -> None:
    server = Server()
    with serving(server) as target:
        images = photos(7)
        together = target.scores(images)
        alone = np.concatenate([target.scores(images[row : row + 1]) for row in range(7)])
        np.testing.assert_allclose(together, truth(images), atol=1e-12)
        np.testing.assert_allclose(together, alone, atol=1e-12)
        assert target.scores(photos(0)).shape == (0, 3)
        assert target.classes == 3
        assert target.rows_sent == server.rows == 2 + 7 + 7
        assert server.most == 2
        assert target.labels(images).tolist() == together.argmax(axis=1).tolist()
        assert target.access is Access.SCORES


def test_logits_become_probabilities() -> None:
    server = Server(lambda images: {"scores": (images.reshape(-1, 4) @ WEIGHTS).tolist()})
    with serving(server, outputs="logits") as target:
        np.testing.assert_allclose(target.scores(photos(3)), truth(photos(3)), atol=1e-6)
    with pytest.raises(TargetError, match="probabilities"), serving(server):
        pass
    with (
        pytest.raises(TargetError, match=r'set \[target\] outputs = "probabilities"'),
        serving(Server(), outputs="logits"),
    ):
        pass


def test_scores_that_the_server_rounded() -> None:
    server = Server(lambda images: {"scores": (truth(images).round(1) + 0.1).tolist()})
    with pytest.raises(TargetError, match=r"one sums to 1\.\d"), serving(server):
        pass
    with serving(server, tolerance=0.5) as target:
        np.testing.assert_allclose(target.scores(photos(4)).sum(axis=1), 1)


def test_the_best_only() -> None:
    def best(images: NDArray[np.float32]) -> object:
        rows = [dict(sorted(enumerate(row), key=lambda one: -one[1])[:2]) for row in truth(images)]
        return {"scores": [{str(key): value for key, value in row.items()} for row in rows]}

    wire = PlainJson(URL, SPEC, shows=Shows(Access.TOP_K, 3, 2))
    with serving(Server(best), wire=wire) as target:
        found, images = target.top_k(photos(5), 2), photos(5)
        assert found.classes.tolist() == np.argsort(-truth(images))[:, :2].tolist()
        assert target.labels(images).tolist() == truth(images).argmax(axis=1).tolist()
        assert target.top_k(images, 1).scores.shape == (5, 1)
        assert target.top_k(photos(0), 2).classes.shape == (0, 2)
        assert target.largest_k == 2
        with pytest.raises(TargetError, match="never scores"):
            target.scores(images)
        with pytest.raises(TargetError, match="best 1 to 2 classes"):
            target.top_k(images, 3)


def test_labels_only() -> None:
    server = Server(lambda images: {"scores": truth(images).argmax(axis=1).tolist()})
    with serving(server, wire=PlainJson(URL, SPEC, shows=Shows(Access.LABEL, 3))) as target:
        assert target.labels(photos(5)).tolist() == truth(photos(5)).argmax(axis=1).tolist()
        assert target.labels(photos(0)).shape == (0,)
        assert target.outputs == "labels"
        with pytest.raises(TargetError, match="never top_k"):
            target.top_k(photos(1), 1)


STEPS = st.one_of(
    st.none(),
    st.sampled_from([408, 425, 429, 500, 502, 503, 504]).map(reply),
    st.sampled_from(
        [
            httpx.ConnectError("refused"),
            httpx.ConnectTimeout("slow"),
            httpx.ReadError("reset"),
            httpx.WriteError("reset"),
            httpx.ReadTimeout("slow"),
            httpx.RemoteProtocolError("incomplete message"),
        ]
    ),
    st.sampled_from([400, 401, 403, 404, 413, 301]).map(reply),
    st.sampled_from(["", "{}", '{"scores": [[0.5]]}', "[" * 9]).map(
        lambda text: reply(200, {}, text)
    ),
)


@pytest.mark.medium
@given(
    script=st.lists(STEPS, max_size=12),
    rows=st.integers(1, 12),
    budget=st.integers(8, 30),
)
def test_the_ledger_says_what_the_server_saw(
    script: list[httpx.Response | Exception | None], rows: int, budget: int
) -> None:
    server = Server()
    with serving(server) as target:
        met = server.rows
        server.script = list(script)
        ledger = QueryLedger(1, Limit(per_goal=budget))
        scores = None
        try:
            scores = ask(target, ledger, rows)
        except DarkroomError as error:
            message = str(error)
            assert "\n" not in message
        assert ledger.total == server.rows - met <= budget
        assert target.rows_sent == server.rows
        if scores is not None:
            np.testing.assert_allclose(scores, truth(photos(rows)), atol=1e-12)
        server.script.clear()
        fresh = QueryLedger(1)
        ask(target, fresh, 3)
        assert fresh.total == 3, "one query's failure leaves nothing behind"


def test_a_retry_over_the_budget_ends_the_query() -> None:
    server = Server()
    with serving(server) as target:
        server.script = [reply(503)]
        ledger = QueryLedger(1, Limit(total=2))
        with pytest.raises(BudgetExhausted):
            ask(target, ledger, 2)
        assert ledger.total == 2
        assert server.rows == 2 + 2


def test_rows_that_never_left_cost_nothing() -> None:
    server = Server()
    with serving(server, Delivery(batch=2, concurrency=1, backoff=0.001)) as target:
        server.script = [None, reply(400, {}, "no")]
        ledger = QueryLedger(1)
        with pytest.raises(TargetError, match="answered 400, 'no'"):
            ask(target, ledger, 10)
        assert ledger.total == 4


def test_a_server_that_is_away_costs_time_only() -> None:
    server = Server()
    with serving(server) as target:
        server.script = [httpx.ConnectError("refused")] * 9
        ledger = QueryLedger(1)
        ask(target, ledger, 6)
        assert ledger.total == 6


def test_patience_ends() -> None:
    server = Server()
    delivery = Delivery(backoff=0.01, patience=0.1)
    with serving(server, delivery) as target:
        server.script = [httpx.ConnectError("refused")] * 1000
        ledger = QueryLedger(1)
        with pytest.raises(TargetError, match=r"cannot be reached: .*patience of 0.1 s is over"):
            ask(target, ledger, 3)
        assert ledger.total == 0


def test_retries_end() -> None:
    server = Server()
    with serving(server) as target:
        server.script = [reply(502, {}, "bad\ngateway")] * 1000
        ledger = QueryLedger(1)
        with pytest.raises(TargetError, match=r"answered 502, 'bad gateway'; tried 4 times"):
            ask(target, ledger, 2)
        assert ledger.total == 8
        server.script = [reply(500)] * 1000
        with pytest.raises(TargetError, match="tried 3 times"):
            target.scores(photos(2))


def test_a_wait_beyond_patience_is_refused_at_once() -> None:
    server = Server()
    with serving(server) as target:
        server.script = [reply(429, {"retry-after": "86400"}, "quota")]
        with pytest.raises(TargetError, match=r"asks to wait 86400 s.*--resume"):
            target.scores(photos(2))
        ok = {"scores": truth(photos(2)).tolist()}
        server.script = [httpx.Response(200, json=ok, headers={"ratelimit": '"day";r=0;t=3600'})]
        target.scores(photos(2))
        with pytest.raises(TargetError, match=r"rate limit is spent for 3600 s: go on later"):
            target.scores(photos(2))


@pytest.mark.medium
def test_retry_after_is_kept_by_all_requests() -> None:
    server = Server()
    times: list[float] = []

    async def timed(request: httpx.Request) -> httpx.Response:
        times.append(asyncio.get_running_loop().time())
        return await server(request)

    with serving(timed) as target:
        del times[:]
        server.script = [reply(429, {"retry-after": "1"})]
        target.scores(photos(12))
    begun = times[0]
    late = [one for one in times if one > begun + 0.9]
    assert len(times) == 7
    assert len(late) >= 7 - QUICK.concurrency, "only those under way went before"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "check .target. api_key_env"),
        (403, "check .target. api_key_env"),
        (404, "check .target. url and model"),
        (413, "lower .target. batch"),
        (422, "check that .target. describes"),
        (301, "redirects are not followed"),
        (302, "redirects are not followed"),
        (204, "answered 204"),
        (101, "answered 101"),
    ],
)
def test_answers_that_asking_again_will_not_mend(status: int, message: str) -> None:
    server = Server()
    with serving(server) as target:
        before = server.requests
        server.script = [reply(status, {"location": "https://elsewhere.example/"}, "why")]
        with pytest.raises(TargetError, match=message):
            target.scores(photos(2))
        assert server.requests == before + 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"scores": [[0.5, 0.6, 0.1], [1, 0, 0]]}', r"no probabilities: one sums to 1\.2"),
        ('{"scores": [[-0.5, 1.0, 0.5], [1, 0, 0]]}', r"negative \(the least is -0.5\)"),
        ('{"scores": [[0.5, 0.5], [1, 0]]}', "rows have 2 scores, not 3"),
        ('{"scores": [[1, 0, 0]]}', "should have length 2, not 1"),
        ('{"scores": [[NaN, 0, 0], [1, 0, 0]]}', "no JSON"),
        ("<html>\x1b[31mfell over\n</html>", r"no JSON .*; it begins '<html> \[31mfell over"),
        ("", "no JSON"),
    ],
)
def test_a_refused_answer_is_shown(text: str, reason: str) -> None:
    server = Server()
    with serving(server) as target:
        server.script = [reply(200, {}, text)]
        with pytest.raises(TargetError, match=reason) as caught:
            target.scores(photos(2))
        message = str(caught.value)
        assert "answer to 2 rows is refused" in message
        assert message.isprintable()
        assert repr(text[:6])[1:-1] in message


def test_single_numbers_are_no_scores() -> None:
    server = Server(lambda images: {"scores": [[1.0]] * len(images)})
    with pytest.raises(TargetError, match="single numbers"), serving(server):
        pass


class Endless(httpx.AsyncByteStream):
    """A body without end, or one that comes a byte at a time."""

    def __init__(self, chunk: bytes, pause: float) -> None:
        self.chunk, self.pause, self.sent = chunk, pause, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += len(self.chunk)
            yield self.chunk
            await asyncio.sleep(self.pause)


@pytest.mark.parametrize("status", [200, 503, 400])
def test_an_endless_answer(status: int) -> None:
    server, body = Server(), Endless(b"x" * 1000, 0)
    with serving(server, Delivery(longest_answer=50_000, retries=0)) as target:
        server.script = [httpx.Response(status, stream=body)]
        with pytest.raises(TargetError, match=r"longer than 50000 bytes|answered (503|400)"):
            target.scores(photos(2))
        assert body.sent <= 52_000


@pytest.mark.medium
def test_an_answer_that_never_ends_slowly() -> None:
    server = Server()
    with serving(server, Delivery(timeout=0.2, retries=1, backoff=0.001)) as target:
        server.script = [httpx.Response(200, stream=Endless(b" ", 0.01)) for _ in range(2)]
        ledger = QueryLedger(1)
        with pytest.raises(TargetError, match=r"no whole answer within 0.2 s; tried 2 times"):
            ask(target, ledger, 2)
        assert ledger.total == 4


def test_a_compressed_answer_is_refused() -> None:
    server = Server()
    with serving(server) as target:
        server.script = [
            httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Endless(b"", 9))
        ]
        with pytest.raises(TargetError, match="compresses its answer"):
            target.scores(photos(2))


def test_keys_are_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_KEY", "sesame-open")
    monkeypatch.setenv("FACE_TENANT", "tenant-secret")
    secrets = secret_headers("FACE_KEY", {"X-Tenant": "FACE_TENANT"})
    server = Server()
    with serving(server, secret_headers=secrets, headers={"X-Plain": "plain"}) as target:
        sent = server.headers[0]
        assert sent["authorization"] == "Bearer sesame-open"
        assert sent["x-tenant"] == "tenant-secret"
        assert sent["x-plain"] == "plain"
        assert sent["accept-encoding"] == "identity"
        for step in (
            reply(400, {}, "got sesame-open of tenant-secret"),
            reply(200, {}, "got sesame-open of tenant-secret"),
            httpx.ReadError("sesame-open"),
        ):
            server.script = [step] * 9
            with pytest.raises(TargetError) as caught:
                target.scores(photos(2))
            assert "***" in str(caught.value)
            assert "sesame" not in str(caught.value)
            assert "tenant-secret" not in str(caught.value)
        with serving(Server()) as other:
            assert target.fingerprint() == other.fingerprint()


def test_a_key_in_the_address_is_sent_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FACE_SIG", "sesame%2Fopen%3D")
    caplog.set_level(logging.DEBUG)
    server = Server()
    with serving(server, secret_parameters=secret_parameters({"sig": "FACE_SIG"})) as target:
        assert server.targets[-1].endswith(b"?sig=sesame%2Fopen%3D")
        said = reply(403, {}, "no such key: sesame/open=")
        for step in (said, httpx.ReadError("sig=sesame%2Fopen%3D")):
            server.script = [step] * 9
            with pytest.raises(TargetError) as caught:
                target.scores(photos(2))
            assert "***" in str(caught.value)
            assert "sesame" not in str(caught.value)
    assert "HTTP Request" in caplog.text
    assert "sesame" not in caplog.text


def test_cookies_are_not_kept() -> None:
    server = Server()
    with serving(server) as target:
        ok = {"scores": truth(photos(2)).tolist()}
        server.script = [httpx.Response(200, json=ok, headers={"set-cookie": "a=b; Path=/"})]
        target.scores(photos(2))
        target.scores(photos(2))
        assert "cookie" not in server.headers[-1]


def test_a_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACE_KEY", raising=False)
    with pytest.raises(TargetError, match="variable FACE_KEY, which the plan names, is not set"):
        secret_headers("FACE_KEY", {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wire": PlainJson("ftp://models.example", SPEC)}, "no address of the form"),
        ({"wire": PlainJson("models.example/faces", SPEC)}, "no address of the form"),
        ({"wire": PlainJson("http://[::1", SPEC)}, "no address"),
        ({"wire": PlainJson("https://me:sesame@models.example", SPEC)}, "holds a user or password"),
        ({"secret_headers": {"X-Key": "se\nsame"}}, "characters that no header may"),
        ({"headers": {"X Key": "1"}}, "no name of an HTTP header"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught, serving(Server(), **settings):
        pass
    assert "same" not in str(caught.value).replace("the same", "")


@pytest.mark.parametrize("leave", ["", "  "])
def test_nobody_allowed_it(leave: str) -> None:
    server = Server()
    with pytest.raises(TargetError, match=r"set \[run\] authorized_by"):
        HttpTarget(
            PlainJson(URL, SPEC), SHAPE, authorized_by=leave, transport=httpx.MockTransport(server)
        )
    assert server.requests == 0


def metadata(request: httpx.Request, described: dict[str, Any]) -> httpx.Response:
    if request.url.path.endswith("/ready"):
        return httpx.Response(200)
    if request.method == "GET":
        return httpx.Response(200, json=described)
    (tensor,) = json.loads(request.content)["inputs"]
    scores = truth(np.array(tensor["data"], np.float32))
    output = {"name": "p", "datatype": "FP64", "shape": list(scores.shape)}
    return httpx.Response(200, json={"outputs": [output | {"data": scores.ravel().tolist()}]})


def test_what_the_server_says_of_its_model_is_checked() -> None:
    wire = OpenInference("https://models.example", "m")
    tensor = {"name": "predict", "shape": [-1, 1, 2, 2], "datatype": "FP32"}
    prints = []
    for versions in (["1"], ["2"]):
        described = {"name": "m", "versions": versions, "inputs": [tensor]}
        with serving(lambda request: metadata(request, described), wire=wire) as target:  # noqa: B023
            prints.append(target.fingerprint())
            np.testing.assert_allclose(target.scores(photos(3)), truth(photos(3)))
    assert len(set(prints)) == 2
    other = {"inputs": [{**tensor, "shape": [-1, 3, 2, 2]}]}
    with (
        pytest.raises(TargetError, match=r"the server says that its input predict takes"),
        serving(lambda request: metadata(request, other), wire=wire),
    ):
        pass


def test_a_server_without_metadata() -> None:
    def bare(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404) if request.method == "GET" else metadata(request, {})

    with serving(bare, wire=OpenInference("https://models.example", "m")) as target:
        assert target.classes == 3


@pytest.mark.medium
def test_a_model_that_is_still_loading() -> None:
    asked = []

    def loading(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503) if len(asked) < 4 else metadata(request, {})

    wire = OpenInference("https://models.example", "m")
    with serving(loading, wire=wire) as target:
        assert target.classes == 3
    assert asked[:4] == ["/v2/models/m/ready"] * 4
    with (
        pytest.raises(TargetError, match=r"not ready within .* answered 503"),
        serving(lambda request: httpx.Response(503), Delivery(patience=0.05), wire=wire),
    ):
        pass


@pytest.mark.medium
def test_a_failure_at_the_start_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(TargetError), serving(lambda request: httpx.Response(404)):
        pass
    with serving(Server()) as target:
        target.close()
        target.close()
    kept = HttpTarget(
        PlainJson(URL, SPEC),
        SHAPE,
        authorized_by="the owner",
        transport=httpx.MockTransport(Server()),
    )
    del kept
    gc.collect()
    assert threading.active_count() == before


def test_it_works_where_a_loop_runs_already() -> None:
    async def caller() -> NDArray[np.float64]:
        with serving(Server()) as target:
            return target.scores(photos(3))

    np.testing.assert_allclose(asyncio.run(caller()), truth(photos(3)), atol=1e-12)


@pytest.mark.medium
def test_an_interruption_reaches_the_caller(request: pytest.FixtureRequest) -> None:
    # Whoever starts the tests in the background may have Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    server = Server()
    with serving(server, Delivery(retries=0, timeout=20)) as target:
        server.script = [httpx.Response(200, stream=Endless(b" ", 0.01))]
        main = threading.get_ident()
        threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            target.scores(photos(3))
        np.testing.assert_allclose(target.scores(photos(3)), truth(photos(3)), atol=1e-12)
