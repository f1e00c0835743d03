"""Every wire format: round trips with a server that follows it, and answers nobody should send."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.support.examples import few

from darkroom.access import Access
from darkroom.errors import TargetError
from darkroom.images.targets.http import HttpTarget
from darkroom.images.targets.wire.base import Wire
from darkroom.images.targets.wire.hugging_face import HuggingFace
from darkroom.images.targets.wire.open_inference import OpenInference
from darkroom.images.targets.wire.plain_json import PlainJson
from darkroom.images.targets.wire.torchserve import TorchServe
from darkroom.ledger import QueryLedger
from darkroom.remote.delivery import Delivery
from darkroom.vision.spec import ImageSpec
from darkroom.wire.answers import AnswerError, TopK
from darkroom.wire.base import Shows

SPEC = ImageSpec((3, 2, 2))
NAMES = ("ada", "grace", "edith", "mary")
SERVER = "http://127.0.0.1:1"


class Format(NamedTuple):
    """A wire format with a server's side of it.

    Attributes:
        wire: Asks and reads.
        images: What a server takes out of a request.
        answer: What a server answers to scores, ``(rows, classes)``.
    """

    wire: Wire
    images: Callable[[bytes], NDArray[np.float64]]
    answer: Callable[[NDArray[np.float64]], object]


def best(scores: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def pairs(scores: NDArray[np.float64], k: int = 4) -> list[list[dict[str, Any]]]:
    order = best(scores, k)
    return [
        [{"label": NAMES[one], "score": row[one]} for one in chosen]
        for row, chosen in zip(scores, order, strict=True)
    ]


def tensor_images(body: bytes) -> NDArray[np.float64]:
    (tensor,) = json.loads(body)["inputs"]
    assert tensor["datatype"] in ("FP32", "FP64")
    return np.array(tensor["data"]).reshape(tensor["shape"])


def tensor(shape: list[int], data: list[Any], datatype: str = "FP32") -> dict[str, Any]:
    output = {"name": "out", "shape": shape, "datatype": datatype, "data": data}
    return {"model_name": "m", "outputs": [output]}


def pictures(body: bytes) -> NDArray[np.float64]:
    inputs = json.loads(body)["inputs"]
    inputs = inputs if isinstance(inputs, list) else [inputs]
    opened = [np.array(Image.open(io.BytesIO(base64.b64decode(one)))) for one in inputs]
    return np.stack(opened).transpose(0, 3, 1, 2) / 255


def plain(body: bytes) -> NDArray[np.float64]:
    return np.array(json.loads(body)["data"]["images"])


TOP = Shows(Access.TOP_K, NAMES, 2)
LABEL = Shows(Access.LABEL, NAMES)
FORMATS = {
    "v2": Format(
        OpenInference(SERVER, "m"),
        tensor_images,
        lambda scores: tensor(list(scores.shape), scores.ravel().tolist()),
    ),
    "v2 nested, named, FP64": Format(
        OpenInference(SERVER, "m", output="out", datatype="FP64", version="3"),
        tensor_images,
        lambda scores: tensor(list(scores.shape), scores.tolist()),
    ),
    "v2 labels": Format(
        OpenInference(SERVER, "m", shows=Shows(Access.LABEL, 4)),
        tensor_images,
        lambda scores: tensor([len(scores), 1], scores.argmax(axis=1).tolist(), "INT64"),
    ),
    "v2 names": Format(
        OpenInference(SERVER, "m", shows=LABEL),
        tensor_images,
        lambda scores: tensor(
            [len(scores)], [NAMES[one] for one in scores.argmax(axis=1)], "BYTES"
        ),
    ),
    "v2 classification": Format(
        OpenInference(SERVER, "m", output="out", shows=Shows(Access.TOP_K, 4, 2)),
        tensor_images,
        lambda scores: tensor(
            [len(scores), 2],
            [
                f"{row[one]!r}:{one}" + f":{NAMES[one]}" * (one % 2)
                for row, chosen in zip(scores.tolist(), best(scores, 2), strict=True)
                for one in chosen
            ],
            "BYTES",
        ),
    ),
    "torchserve": Format(
        TorchServe(SERVER, "m", SPEC),
        lambda body: np.array(json.loads(body))[None],
        lambda scores: scores[0].tolist(),
    ),
    "torchserve batch": Format(
        TorchServe(SERVER, "m", SPEC, version="2"),
        lambda body: np.array(json.loads(body))[None],
        lambda scores: scores.tolist(),
    ),
    "torchserve all": Format(
        TorchServe(SERVER, "m", SPEC, shows=Shows(classes=NAMES)),
        lambda body: np.array(json.loads(body))[None],
        lambda scores: {one["label"]: one["score"] for one in pairs(scores)[0]},
    ),
    "torchserve best": Format(
        TorchServe(SERVER, "m", SPEC, shows=TOP),
        lambda body: np.array(json.loads(body))[None],
        lambda scores: {one["label"]: one["score"] for one in pairs(scores, 2)[0]},
    ),
    "hugging face": Format(
        HuggingFace(SERVER, SPEC, Shows(classes=NAMES)),
        pictures,
        lambda scores: pairs(scores)[0] if len(scores) == 1 else pairs(scores),
    ),
    "hugging face best": Format(
        HuggingFace(SERVER, SPEC, TOP, encoding="numbers"),
        lambda body: np.array(json.loads(body)["inputs"]).reshape(-1, 3, 2, 2),
        lambda scores: pairs(scores, 2),
    ),
    "json": Format(
        PlainJson(SERVER, SPEC, inputs="data.images", path="result.scores", extra={"model": "m"}),
        plain,
        lambda scores: {"result": {"scores": scores.tolist()}, "id": 7},
    ),
    "json objects": Format(
        PlainJson(SERVER, SPEC, inputs="data.images", path="rows[*].p", shows=Shows(classes=NAMES)),
        plain,
        lambda scores: {
            "rows": [{"p": {one["label"]: one["score"] for one in row}} for row in pairs(scores)]
        },
    ),
    "json one by one": Format(
        PlainJson(SERVER, SPEC, inputs="data.images", path="@", one_by_one=True),
        lambda body: plain(body)[None],
        lambda scores: scores[0].tolist(),
    ),
    "json labels": Format(
        PlainJson(SERVER, SPEC, inputs="data.images", path="named", shows=LABEL),
        plain,
        lambda scores: {"named": [NAMES[one] for one in scores.argmax(axis=1)]},
    ),
}


def photos(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, *SPEC.shape), np.float32)


def scores_of(rows: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.ones(4), size=rows)


@pytest.mark.parametrize("name", FORMATS)
@given(rows=st.integers(1, 5), seed=st.integers(0, 1000))
@few
def test_there_and_back(name: str, rows: int, seed: int) -> None:
    wire, taken, answered = FORMATS[name]
    rows = min(rows, wire.largest_batch or rows)
    images = photos(rows)
    request = wire.request(images)
    assert request.url.startswith(SERVER)
    coarse = 0.5 / 255 if name == "hugging face" else 0
    np.testing.assert_allclose(
        taken(request.content).astype(np.float32), images, atol=coarse * 1.001, rtol=0
    )
    scores = scores_of(rows, seed)
    content = json.dumps(answered(scores)).encode()
    found: Any = wire.decode(content, rows)
    if wire.shows.access is Access.LABEL:
        assert found.dtype == np.int64
        assert found.tolist() == scores.argmax(axis=1).tolist()
    elif wire.shows.access is Access.TOP_K:
        assert found.classes.tolist() == best(scores, 2).tolist()
        np.testing.assert_array_equal(found.scores, -np.sort(-scores, axis=1)[:, :2])
    else:
        np.testing.assert_array_equal(found, scores)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([*NAMES, "nan", "0.5", "1:1", "0.5:1:x", "1e999:0", "..:1", "LABEL_1", ""])
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["outputs", "shape", "data", "result", "scores", "rows", "p", *NAMES]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=24,
)


def fits(found: Any, wire: Wire, rows: int) -> bool:
    """Tells whether something decoded has the form that was promised."""
    if isinstance(found, TopK):
        k = wire.shows.k or 0
        inside = bool(((found.classes >= 0) & (found.classes < 4)).all())
        shaped = found.classes.shape == found.scores.shape == (rows, k)
        falling = bool((np.diff(found.scores, axis=1) <= 0).all())
        return inside and shaped and falling and bool(np.isfinite(found.scores).all())
    if wire.shows.access is Access.LABEL:
        return found.shape == (rows,) and bool(((found >= 0) & (found < 4)).all())
    return found.ndim == 2 and len(found) == rows and found.dtype == np.float64


def refused_or_sound(wire: Wire, content: bytes, rows: int) -> None:
    try:
        found = wire.decode(content, rows)
    except AnswerError as error:
        reason = str(error)
    else:
        assert fits(found, wire, rows)
        return
    assert "\n" not in reason
    assert len(reason) < 400


@pytest.mark.parametrize("name", FORMATS)
@given(content=st.binary(max_size=60), rows=st.integers(1, 3))
@example(content=b"", rows=1)
@example(content=b"[" * 100_000, rows=1)
@example(content=b'{"outputs":' * 5_000, rows=1)
@example(content=b"9" * 10_000, rows=1)
@few
def test_any_bytes(name: str, content: bytes, rows: int) -> None:
    wire = FORMATS[name].wire
    refused_or_sound(wire, content, min(rows, wire.largest_batch or rows))


@pytest.mark.medium
@pytest.mark.parametrize("name", FORMATS)
@given(value=JSON, rows=st.integers(1, 3))
@few
def test_any_json(name: str, value: object, rows: int) -> None:
    wire = FORMATS[name].wire
    refused_or_sound(wire, json.dumps(value).encode(), min(rows, wire.largest_batch or rows))


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Lists every place in a JSON value."""
    inner: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        inner = [one for key in value for one in places(value[key], (*place, key))]
    elif isinstance(value, list):
        inner = [one for key in range(len(value)) for one in places(value[key], (*place, key))]
    return [place, *inner]


def put(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    if not place:
        return other
    value[place[0]] = put(value[place[0]], place[1:], other)
    return value


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data(), rows=st.integers(1, 3))
@few
def test_a_sound_answer_with_one_thing_changed(name: str, data: st.DataObject, rows: int) -> None:
    wire, _, answered = FORMATS[name]
    rows = min(rows, wire.largest_batch or rows)
    answer = json.loads(json.dumps(answered(scores_of(rows, 3))))
    place = data.draw(st.sampled_from(places(answer)))
    changed = put(answer, place, data.draw(JSON))
    refused_or_sound(wire, json.dumps(changed).encode(), rows)
    whole = json.dumps(answered(scores_of(rows, 3))).encode()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    refused_or_sound(wire, cut, rows)


MANY_ROWS = [name for name, one in FORMATS.items() if one.wire.largest_batch is None]


@pytest.mark.parametrize("name", MANY_ROWS)
def test_more_or_fewer_rows_than_asked(name: str) -> None:
    wire, _, answered = FORMATS[name]
    for sent, came in ((2, 1), (2, 3), (1, 2)):
        content = json.dumps(answered(scores_of(came, 3))).encode()
        with pytest.raises(AnswerError):
            wire.decode(content, sent)


TABLE = '{"outputs":[{"name":"out","datatype":"%s","shape":%s,"data":%s}]}'


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("v2", '{"error": "no such model"}', "no outputs"),
        ("v2", '{"outputs": []}', "no output of type FP"),
        ("v2", TABLE % ("INT64", "[1,2]", "[1,2]"), "no output of type FP"),
        ("v2", TABLE % ("FP32", "[1,2]", "[1]"), "does not hold 1 times 2 values"),
        ("v2", TABLE % ("FP32", "[1,2]", "[[1],[2]]"), "does not hold"),
        ("v2", TABLE % ("FP32", "[2,1]", "[1,2]"), "shape .2, 1. for 1 rows"),
        ("v2", TABLE % ("FP32", "[1,1,2]", "[1,2]"), "not one row an image"),
        ("v2", TABLE % ("FP32", "[1]", "[1]"), "not one row an image"),
        ("v2", TABLE % ("FP32", '["1",2]', "[1,2]"), "no shape"),
        ("v2", TABLE % ("FP32", "[1,2]", '"AAAA"'), "should be a list, not a string"),
        ("v2", TABLE % ("FP32", "[1,2]", '["0.5",0.5]'), "something else than numbers"),
        ("v2", TABLE % ("FP32", "[1,2]", "[true,0.5]"), "something else than numbers"),
        ("v2", TABLE % ("FP32", "[1,2]", "[NaN,1]"), "no JSON"),
        ("v2", TABLE % ("FP32", "[1,2]", "[1e999,1]"), "no JSON"),
        ("v2 nested, named, FP64", '{"outputs":[{"name":"other"}]}', "no output 'out'"),
        ("v2 labels", TABLE % ("INT64", "[1]", "[4]"), "names a class '4'"),
        ("v2 labels", TABLE % ("INT64", "[1]", "[-1]"), "names a class '-1'"),
        ("v2 labels", TABLE % ("INT64", "[1]", "[1.0]"), "names a class"),
        ("v2 labels", TABLE % ("INT64", "[1,2]", "[1,2]"), "not .1, 1."),
        ("v2 classification", TABLE % ("BYTES", "[1,2]", '["0.5:1","0.4:1"]'), "different ones"),
        ("v2 classification", TABLE % ("BYTES", "[1,2]", '["0.5:1","0.4:9"]'), "class 9 of 4"),
        ("v2 classification", TABLE % ("BYTES", "[1,2]", '["0.5:1","x:2"]'), "form score:index"),
        ("v2 classification", TABLE % ("BYTES", "[1,2]", '["0.9:1","0.4:2"]'), "one sums to 1.3"),
        ("v2 classification", TABLE % ("BYTES", "[1,2]", '["1e999:1","0:2"]'), "NaN or infinite"),
        ("torchserve best", '{"ada": 0.5}', "names 1 classes, not 2"),
        ("torchserve best", '{"ada": 0.5, "eve": 0.1}', "class 'eve' that .target. classes lacks"),
        ("torchserve best", '{"ada": 0.5, "mary": -0.1}', "negative"),
        ("torchserve best", '{"ada": 0.5, "mary": "0.1"}', "a score is no number"),
        ("torchserve all", '{"ada": 0.5, "mary": 0.5}', 'set .target. answers = "top_k"'),
        ("torchserve", "[0.5, [0.5]]", "something else than numbers"),
        ("hugging face", '["ada"]', "a row of the answer"),
        ("json", '{"scores": [[1, 2]]}', "nothing at path 'result.scores'"),
        ("json", '{"result": {"scores": [1, 2]}}', "should have length 1, not 2"),
        ("json", '{"result": {"scores": [[]]}}', ""),
        ("json", "[]", "nothing at path"),
    ],
)
def test_what_is_wrong_is_said(name: str, content: str, reason: str) -> None:
    wire = FORMATS[name].wire
    if reason:
        with pytest.raises(AnswerError, match=reason):
            wire.decode(content.encode(), 1)
    else:
        refused_or_sound(wire, content.encode(), 1)


def test_a_label_that_is_enormous_costs_no_memory() -> None:
    content = json.dumps({"named": ["x" * 5_000_000, *["y"] * 999]}).encode()
    with pytest.raises(AnswerError) as caught:
        FORMATS["json labels"].wire.decode(content, 1000)
    assert len(str(caught.value)) < 200


def test_images_are_put_as_the_server_wants_them() -> None:
    images = photos(2)
    rows = OpenInference(SERVER, "m", flat=True, channels="last").request(images)
    sent = tensor_images(rows.content).astype(np.float32)
    np.testing.assert_array_equal(sent, images.transpose(0, 2, 3, 1).reshape(2, -1))
    flat = PlainJson(SERVER, SPEC, encoding="rows").request(images)
    sent = np.array(json.loads(flat.content)["inputs"]).astype(np.float32)
    np.testing.assert_array_equal(sent, images.reshape(2, -1))
    served = TorchServe(SERVER, "m", SPEC, channels="last").request(images[:1])
    sent = np.array(json.loads(served.content)).astype(np.float32)
    np.testing.assert_array_equal(sent, images[0].transpose(1, 2, 0))


def test_a_picture_spans_the_range() -> None:
    spec = ImageSpec((1, 1, 3), -1.0, 1.0)
    wire = HuggingFace(SERVER, spec, Shows(classes=2))
    image = np.array([[[[-1.0, 0.0, 1.0]]]], np.float32)
    (picture,) = [base64.b64decode(json.loads(wire.request(image).content)["inputs"])]
    assert np.array(Image.open(io.BytesIO(picture))).tolist() == [[0, 128, 255]]


def test_what_is_asked_for() -> None:
    body = json.loads(FORMATS["hugging face"].wire.request(photos(1)).content)
    assert body["parameters"] == {"function_to_apply": "softmax", "top_k": 4}
    body = json.loads(FORMATS["v2 classification"].wire.request(photos(1)).content)
    assert body["outputs"] == [{"name": "out", "parameters": {"classification": 2}}]
    assert "id" not in body
    request = FORMATS["v2 nested, named, FP64"].wire.request(photos(1))
    assert request.url == f"{SERVER}/v2/models/m/versions/3/infer"
    assert FORMATS["torchserve batch"].wire.request(photos(1)).url == f"{SERVER}/predictions/m/2"
    body = json.loads(FORMATS["json"].wire.request(photos(1)).content)
    assert body["model"] == "m"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shows(Access.LABEL), "set .target. classes"),
        (lambda: Shows(Access.TOP_K, 4), "k goes with"),
        (lambda: Shows(Access.SCORES, 4, 2), "k goes with"),
        (lambda: Shows(Access.TOP_K, 4, 5), "give 1 to 4"),
        (lambda: Shows(Access.SCORES, ("ada", "ada")), "none of them twice"),
        (lambda: Shows(Access.WEIGHTS), "shows no weights"),
        (lambda: HuggingFace(SERVER, SPEC, Shows()), "names classes in the order of their scores"),
        (lambda: HuggingFace(SERVER, SPEC, LABEL), "k = 1"),
        (lambda: PlainJson(SERVER, SPEC, path="scores["), "no JMESPath expression"),
        (lambda: PlainJson(SERVER, SPEC, inputs="a.b", extra={"a": 3}), "extra holds something"),
        (lambda: PlainJson(SERVER, SPEC, inputs="a", extra={"a": 3}), "extra holds something"),
    ],
)
def test_settings_that_do_not_go_together(make: Callable[[], object], message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def described(shape: object, datatype: object = "FP32", name: str = "predict") -> bytes:
    tensor = {"name": name, "shape": shape, "datatype": datatype}
    return json.dumps({"name": "m", "versions": ["1"], "inputs": [tensor]}).encode()


@pytest.mark.parametrize("shape", [[-1, 3, 2, 2], [3, 2, 2], [8, 3, -1, -1], "any", [], [None]])
def test_metadata_that_fits(shape: object) -> None:
    version = OpenInference(SERVER, "m").check_metadata(described(shape), SPEC)
    assert "'1'" in version


def test_metadata_that_does_not_fit() -> None:
    wire = OpenInference(SERVER, "m", output="out", shows=Shows(classes=4))
    with pytest.raises(AnswerError, match=r"takes \[-1, 12\], not rows of \[3, 2, 2\]"):
        wire.check_metadata(described([-1, 12]), SPEC)
    with pytest.raises(AnswerError, match="takes UINT8, not FP32"):
        wire.check_metadata(described([-1, 3, 2, 2], "UINT8"), SPEC)
    output = {"outputs": [{"name": "out", "shape": [-1, 5]}]}
    with pytest.raises(AnswerError, match=r"has 5 classes, but .* says 4"):
        wire.check_metadata(json.dumps(output).encode(), SPEC)
    assert wire.check_metadata(described([-1, 9], name="another"), SPEC)


@given(content=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
@few
def test_any_metadata(content: bytes) -> None:
    wire = OpenInference(SERVER, "m", output="out", shows=Shows(classes=4))
    with contextlib.suppress(AnswerError):
        assert isinstance(wire.check_metadata(content, SPEC), str)


@pytest.mark.parametrize("name", FORMATS)
def test_identity_follows_what_is_asked(name: str) -> None:
    own = FORMATS[name].wire.identity()
    assert own == FORMATS[name].wire.identity()
    others = [one.wire.identity() for other, one in FORMATS.items() if other != name]
    assert own not in others


BODIES = st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode())
CODES = st.sampled_from([200, 200, 200, 400, 429, 500, 503, 302])


@pytest.mark.medium
@pytest.mark.parametrize("name", FORMATS)
@given(
    script=st.lists(st.tuples(CODES, st.integers(0, 3), BODIES), max_size=8),
    rows=st.integers(1, 5),
)
@few
def test_no_answer_crashes_a_query_or_miscounts_it(
    name: str, script: list[tuple[int, int, bytes]], rows: int
) -> None:
    wire, taken, answered = FORMATS[name]
    seen: list[int] = []
    hostile: list[tuple[int, int, bytes]] = []
    sound = [json.dumps(answered(scores_of(count, 3))).encode() for count in (1, 2)]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        seen.append(len(taken(request.content)))
        body = sound[seen[-1] - 1]
        status, kind, other = hostile.pop() if hostile else (200, 0, b"")
        return httpx.Response(status, content=[body, body[:-3], other, other][kind])

    target = HttpTarget(
        wire,
        SPEC.shape,
        authorized_by="the owner",
        delivery=Delivery(batch=2, concurrency=2, retries=2, backoff=1e-4, patience=1),
        transport=httpx.MockTransport(answer),
    )
    try:
        asked, before = ASK[wire.shows.access], sum(seen)
        hostile.extend(script)
        ledger = QueryLedger(1)
        with target.billed(ledger.bill(np.zeros(rows, np.int64))):
            found: Any = None
            with contextlib.suppress(TargetError):
                found = asked(target, photos(rows))
        assert ledger.total == sum(seen) - before
        if found is not None:
            assert fits(found, wire, rows)
            assert wire.shows.access is not Access.SCORES or np.allclose(found.sum(axis=1), 1)
    finally:
        target.close()


ASK: dict[Access, Callable[[HttpTarget, NDArray[np.float32]], Any]] = {
    Access.SCORES: lambda target, images: target.scores(images),
    Access.TOP_K: lambda target, images: target.top_k(images, 2),
    Access.LABEL: lambda target, images: target.labels(images),
}
