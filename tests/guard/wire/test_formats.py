"""Formats of classifiers: rows counted right, and nothing leaves but what defences made."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.support.examples import few, many

from darkroom.guard.wire.base import Asked, Refused
from darkroom.guard.wire.registry import WIRES
from darkroom.guard.wire.strict_json import Limits
from darkroom.guard.wire.strict_wire import StrictWire

T = TypeVar("T")
Array = NDArray[np.float64]
NAMES = ("ada", "grace", "edith", "mary")
HEADERS = {"content-type": "application/json"}
FEATURES = 3


class Format(NamedTuple):
    """A wire format with a client's and a server's side of it.

    Attributes:
        wire: What is tested.
        path: A route of it.
        request: What a client sends about rows.
        answer: What a server answers to scores.
        count: How many rows a lenient server would see in a request.
        most: Rows that a request can have.
        columns: The classes in the order in which scores come out.
    """

    wire: StrictWire
    path: str
    request: Callable[[Array], Any]
    answer: Callable[[Array], Any]
    count: Callable[[Any], int]
    most: int = 5
    columns: tuple[str, ...] = NAMES


def v2(values: Array) -> Any:
    tensor = {"name": "predict", "shape": list(values.shape), "datatype": "FP32"}
    return {
        "id": "7",
        "inputs": [{**tensor, "data": values.ravel().tolist()}],
        "outputs": [{"name": "p"}],
    }


def v2_nested(values: Array) -> Any:
    tensor = {"name": "predict", "shape": list(values.shape), "datatype": "FP64"}
    return {
        "inputs": [
            {
                **tensor,
                "data": values.tolist(),
                "parameters": {"content_type": "np", "binary_data": False},
            }
        ]
    }


def v2_answer(scores: Array) -> Any:
    return {
        "model_name": "faces",
        "model_version": "3",
        "id": "7",
        "parameters": {"logits": scores.tolist()},
        "outputs": [
            {"name": "logits", "shape": [1], "datatype": "INT64", "data": [3]},
            {
                "name": "p",
                "shape": list(scores.shape),
                "datatype": "FP64",
                "data": scores.ravel().tolist(),
                "parameters": {"raw": scores.ravel().tolist()},
            },
            {
                "name": "embedding",
                "shape": [1, 4],
                "datatype": "FP32",
                "data": [0.1, 0.2, 0.3, 0.4],
            },
        ],
    }


def pairs(scores: Array, k: int = 4) -> list[list[dict[str, Any]]]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return [
        [{"label": NAMES[one], "score": float(row[one])} for one in chosen]
        for row, chosen in zip(scores, order, strict=True)
    ]


def as_objects(scores: Array, k: int = 4) -> list[dict[str, float]]:
    return [{one["label"]: one["score"] for one in row} for row in pairs(scores, k)]


def length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 1


def v2_count(request: Any) -> int:
    counts = []
    for tensor in request["inputs"]:
        size = len(leaves(tensor["data"]))
        width = math.prod(tensor["shape"][1:])
        counts += [tensor["shape"][0], -(-size // max(width, 1))]
    return int(max(counts))


def one(values: Array) -> Any:
    return values[0].tolist()


def make(name: str, **parameters: Any) -> StrictWire:
    return WIRES.make(name, {"classes": NAMES, **parameters})


FORMATS: dict[str, Format] = {
    "v2": Format(
        make("open-inference"), "/v2/models/faces/versions/3/infer", v2, v2_answer, v2_count
    ),
    "v2 nested": Format(
        WIRES.make("open-inference", {"output": "p"}),
        "/v2/models/faces/infer",
        v2_nested,
        v2_answer,
        v2_count,
    ),
    "v1": Format(
        WIRES.make("v1", {}),
        "/v1/models/faces:predict",
        lambda x: {"instances": x.tolist()},
        lambda p: {"predictions": p.tolist(), "logits": p.tolist()},
        lambda r: length(r["instances"]),
    ),
    "v1 objects": Format(
        make("v1", output="p"),
        "/v1/models/faces:predict",
        lambda x: {
            "instances": [{"x": row} for row in x.tolist()],
            "signature_name": "serving_default",
        },
        lambda p: {"predictions": [{"p": row, "logits": row} for row in p.tolist()]},
        lambda r: length(r["instances"]),
    ),
    "torchserve": Format(
        make("torchserve"),
        "/predictions/faces/1.0",
        one,
        lambda p: as_objects(p, 2)[0],
        lambda r: 1,
        1,
    ),
    "torchserve list": Format(
        WIRES.make("torchserve", {"row_shape": [3]}),
        "/predictions/faces",
        one,
        lambda p: p.tolist(),
        lambda r: 1,
        1,
    ),
    "hugging face": Format(
        make("hugging-face"),
        "/",
        lambda x: {
            "inputs": ["text"] * len(x),
            "parameters": {"top_k": 2, "function_to_apply": "softmax"},
        },
        lambda p: pairs(p, 2),
        lambda r: length(r["inputs"]),
    ),
    "hugging face one": Format(
        WIRES.make("hugging-face", {"row_shape": [3]}),
        "/models/me/faces",
        lambda x: {"inputs": one(x), "options": {"wait_for_model": True}},
        lambda p: pairs(p)[0],
        lambda r: 1 if np.ndim(r["inputs"]) < 2 else len(r["inputs"]),
        1,
        tuple(sorted(NAMES)),
    ),
    "json": Format(
        WIRES.make("json", {}),
        "/predict",
        lambda x: {"inputs": x.tolist()},
        lambda p: {"scores": p.tolist(), "logits": p.tolist()},
        lambda r: length(r["inputs"]),
    ),
    "json paths": Format(
        make("json", route="/ask", inputs="data.rows", path="out.predictions[*].p", allow=["lang"]),
        "/ask",
        lambda x: {"data": {"rows": x.tolist()}, "lang": "en"},
        lambda p: {
            "out": {
                "predictions": [
                    {"p": row, "explanation": p.ravel().tolist()} for row in as_objects(p)
                ],
                "raw": 0.5,
            }
        },
        lambda r: length(r["data"]["rows"]),
    ),
    "json one": Format(
        make("json", one_by_one=True, path="best"),
        "/predict",
        lambda x: {"inputs": one(x)},
        lambda p: {"best": pairs(p, 3)[0]},
        lambda r: 1,
        1,
    ),
}

each_format = pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS.keys())


@st.composite
def row_values(draw: st.DrawFn, most: int = 5) -> Array:
    rows = draw(st.integers(1, most))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).normal(size=(rows, FEATURES)).round(6)


def draw_scores(rows: int, seed: int) -> Array:
    """Returns probabilities whose digits are found nowhere else."""
    return np.random.default_rng(seed).dirichlet(np.ones(len(NAMES)), rows)


def ask(kind: Format, values: Array) -> Asked:
    return kind.wire.read(kind.path, HEADERS, json.dumps(kind.request(values)).encode())


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *(leaf for one in value.values() for leaf in leaves(one))]
    return [leaf for one in value for leaf in leaves(one)] if isinstance(value, list) else [value]


def tried(call: Callable[..., T], *arguments: Any) -> T | Refused:
    """Returns what a call does, or how it refused; anything else it raises is a failure."""
    try:
        return call(*arguments)
    except Refused as refused:
        return refused


@each_format
@few
@given(data=st.data())
def test_rows_and_inputs_are_what_was_sent(kind: Format, data: st.DataObject) -> None:
    values = data.draw(row_values(kind.most))
    asked = ask(kind, values)
    assert asked.rows == len(values) == kind.count(kind.request(values))
    assert not asked.stream
    if asked.inputs is not None:
        assert np.allclose(asked.inputs(), values)
    else:
        assert kind is FORMATS["hugging face"]


@each_format
@few
@given(data=st.data())
def test_scores_come_out_and_others_go_in_their_place(kind: Format, data: st.DataObject) -> None:
    values = data.draw(row_values(kind.most))
    asked = ask(kind, values)
    scores = draw_scores(asked.rows, data.draw(st.integers(0, 999)))
    answered = kind.wire.answer(asked, 200, HEADERS, json.dumps(kind.answer(scores)).encode())
    assert answered.content_type == "application/json"
    assert answered.scores is not None
    assert answered.scores.shape == scores.shape
    best = [kind.columns[column] for column in answered.scores.argmax(axis=1)]
    assert best == [NAMES[column] for column in scores.argmax(axis=1)]
    assert np.allclose(answered.scores.max(axis=1), scores.max(axis=1))
    kept = np.zeros_like(answered.scores)
    kept[np.arange(len(kept)), answered.scores.argmax(axis=1)] = 1.0
    sent = answered.rebuild(kept)
    numbers = [leaf for leaf in leaves(json.loads(sent)) if isinstance(leaf, float)]
    assert set(numbers) <= {0.0, 1.0}
    assert numbers.count(1.0) == asked.rows


@each_format
@few
@given(data=st.data())
def test_the_order_of_what_leaves_tells_nothing_of_what_came(
    kind: Format, data: st.DataObject
) -> None:
    asked = ask(kind, data.draw(row_values(kind.most)))
    sent = set()
    for seed in (1, 2, 3):
        scores = draw_scores(asked.rows, seed)
        answered = kind.wire.answer(asked, 200, HEADERS, json.dumps(kind.answer(scores)).encode())
        assert answered.scores is not None
        sent.add(answered.rebuild(np.full_like(answered.scores, 1 / len(NAMES))))
    assert len(sent) == 1


SENTINEL = 0.61803398874989
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        2,
        2**40,
        0.5,
        SENTINEL,
        str(SENTINEL),
        "",
        "x",
        "ada",
        "FP32",
        "BYTES",
        [],
        {},
        [[]],
        [1.0],
        [0.5, 0.5],
        {"a": 1},
        {"logits": [SENTINEL]},
        "NaN",
        1e300,
    ]
).map(copy.deepcopy)


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """Changes a document in one to four places."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        places: list[tuple[Any, Any]] = []
        todo = [document]
        while todo:
            holder = todo.pop()
            inside = (
                holder.items()
                if isinstance(holder, dict)
                else enumerate(holder)
                if isinstance(holder, list)
                else ()
            )
            for key, value in inside:
                places.append((holder, key))
                todo.append(value)
        if not places:
            return draw(ODD)
        holder, key = draw(st.sampled_from(places))
        act = draw(
            st.sampled_from(["replace", "delete", "double", "wrap", "insert", "unwrap", "swap"])
        )
        value = holder[key]
        if act == "replace":
            holder[key] = draw(ODD)
        elif act == "delete":
            del holder[key]
        elif act == "wrap":
            holder[key] = [value]
        elif act == "unwrap" and isinstance(value, list) and value:
            holder[key] = value[0]
        elif act == "insert" and isinstance(holder, dict):
            holder[
                draw(
                    st.sampled_from(
                        [
                            "logits",
                            "parameters",
                            "n",
                            "batch",
                            "label",
                            "score",
                            "scores",
                            "outputs",
                            "top_k",
                        ]
                    )
                )
            ] = draw(ODD)
        elif isinstance(holder, list):
            other = draw(st.integers(0, len(holder) - 1))
            if act == "swap":
                holder[key], holder[other] = holder[other], value
            else:
                holder.insert(other, copy.deepcopy(value))
    return document


@pytest.mark.medium
@each_format
@many
@given(data=st.data())
def test_a_hostile_client_is_refused_or_charged_for_every_row(
    kind: Format, data: st.DataObject
) -> None:
    document = data.draw(mutated(kind.request(data.draw(row_values(kind.most)))))
    asked = tried(kind.wire.read, kind.path, HEADERS, json.dumps(document).encode())
    if isinstance(asked, Refused):
        assert asked.status in (400, 413, 415, 422)
        assert str(SENTINEL) not in asked.detail
        return
    assert asked.rows >= kind.count(document) >= 1
    assert asked.inputs is None or len(asked.inputs()) == asked.rows


@pytest.mark.medium
@each_format
@many
@given(data=st.data())
def test_nothing_of_a_hostile_upstream_leaves(kind: Format, data: st.DataObject) -> None:
    asked = ask(kind, data.draw(row_values(kind.most)))
    scores = draw_scores(asked.rows, data.draw(st.integers(0, 999)))
    document = data.draw(mutated(kind.answer(scores)))
    assume(document is not None)
    answered = tried(kind.wire.answer, asked, 200, HEADERS, json.dumps(document).encode())
    if isinstance(answered, Refused):
        assert answered.status == 502
        assert not any(character.isdigit() for character in answered.detail)
        return
    if answered.scores is not None:
        assert answered.scores.shape[0] == asked.rows
        assert np.isfinite(answered.scores).all()
        assert (answered.scores >= 0).all()
        assert np.allclose(answered.scores.sum(axis=1), 1)
        changed = np.full_like(answered.scores, 1 / answered.scores.shape[1])
    else:
        changed = None
    sent = answered.rebuild(changed)
    allowed = (
        {float(whole) for whole in range(4)}
        if changed is None
        else {
            float(changed[0, 0]),
            float(np.float32(changed[0, 0])),
            float(str(np.float32(changed[0, 0]))),
        }
    )
    found = leaves(json.loads(sent))
    assert {leaf for leaf in found if isinstance(leaf, float)} <= allowed
    for text in (leaf for leaf in found if isinstance(leaf, str)):
        assert str(SENTINEL) not in text
        assert len(text) <= 100
    for raw in (*scores.ravel(), SENTINEL):
        assert str(raw)[:8].encode() not in sent


@pytest.mark.medium
@pytest.mark.parametrize("name", WIRES.own)
@given(body=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_crash_a_format(name: str, body: bytes) -> None:
    kind = next((one for one in FORMATS.values() if one.wire.name == name), None)
    path = "/v1/completions" if kind is None else kind.path
    wire = WIRES.make(name, {})
    for content_type in (
        "application/json",
        "text/plain",
        "image/png",
        "multipart/form-data; boundary=x",
        "",
    ):
        asked = tried(wire.read, path, {"content-type": content_type}, body)
        if isinstance(asked, Refused):
            assert asked.status in (400, 413, 415, 422)
        else:
            assert asked.rows == 1
    answered = tried(wire.answer, Asked(1, None, False, None), 200, {}, body)
    if isinstance(answered, Refused):
        assert answered.status == 502
    else:
        # A digit is a label, which TorchServe answers bare.
        assert (name, answered.scores) == ("torchserve", None)


@each_format
def test_routes_that_answer_more_do_not_match(kind: Format) -> None:
    method = "POST"
    assert kind.wire.matches(method, kind.path)
    assert not kind.wire.passes(method, kind.path)
    for path in (
        *(
            "/explanations/faces",
            "/v1/models/faces:explain",
            "/v2/models/faces/explain",
            "/v1/embeddings",
            "/embeddings",
        ),
        *(
            "/v2/models/faces/generate",
            "/v2/models/faces/trace/setting",
            "/v2/repository/index",
            "/models/faces/../x",
        ),
        *(
            kind.path + "/",
            kind.path + "%0a",
            kind.path + "\n",
            "/" + kind.path,
            kind.path.replace("faces", "..") + "/..",
            kind.path.upper() + "?",
        ),
        *(
            "/v2/models/stats",
            "/v2/models/../infer",
            "/v2/models/a%2Fb/infer",
            "/metrics",
            "/gradients",
            "",
        ),
    ):
        for verb in ("POST", "GET", "PUT", "DELETE", "PATCH"):
            assert not kind.wire.matches(verb, path), path
            assert not kind.wire.passes(verb, path), path
    assert not kind.wire.matches("GET", kind.path)


HEALTH = {
    "open-inference": [
        "/v2",
        "/v2/health/ready",
        "/v2/health/live",
        "/v2/models/faces",
        "/v2/models/faces/ready",
        "/v2/models/faces/versions/1/ready",
    ],
    "v1": [
        "/v1/models",
        "/v1/models/faces",
        "/v1/models/faces/versions/2",
        "/v1/models/faces/metadata",
    ],
    "torchserve": ["/ping"],
    "hugging-face": ["/health"],
    "openai": ["/v1/models", "/models", "/health"],
    "json": ["/health", "/healthz"],
    "invocations": ["/ping", "/health", "/version"],
    "azure": ["/"],
}


@pytest.mark.parametrize("name", WIRES.own)
def test_health_goes_through(name: str) -> None:
    wire = WIRES.make(name, {})
    for path in HEALTH[name]:
        assert wire.passes("GET", path)
        assert not wire.passes("POST", path)


@each_format
def test_compressed_binary_and_foreign_bodies_are_refused(kind: Format) -> None:
    body = json.dumps(kind.request(np.ones((1, FEATURES)))).encode()
    for headers in (
        {"content-encoding": "gzip"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json; charset=utf-16"},
    ):
        with pytest.raises(Refused) as caught:
            kind.wire.read(kind.path, {**HEADERS, **headers}, body)
        assert caught.value.status == 415
    assert (
        kind.wire.read(kind.path, {"content-type": "application/json; charset=UTF-8"}, body).rows
        == 1
    )


def refused(
    name: str, path: str, request: Any, headers: dict[str, str] | None = None, **parameters: Any
) -> int:
    with pytest.raises(Refused) as caught:
        WIRES.make(name, parameters).read(path, headers or HEADERS, json.dumps(request).encode())
    return caught.value.status


TENSOR = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (422, {"inputs": [TENSOR], "parameters": {"binary_data_output": True}}),
        (422, {"inputs": [TENSOR], "parameters": {"sequence_id": 1}}),
        (422, {"inputs": [{**TENSOR, "parameters": {"binary_data_size": 8}}]}),
        (422, {"inputs": [{**TENSOR, "parameters": {"shared_memory_region": "a"}}]}),
        (
            422,
            {"inputs": [TENSOR], "outputs": [{"name": "p", "parameters": {"binary_data": True}}]},
        ),
        (
            422,
            {
                "inputs": [TENSOR],
                "outputs": [{"name": "p", "parameters": {"classification": 1000}}],
            },
        ),
        (422, {"inputs": [{**TENSOR, "parameters": {"content_type": "hg_jsonlist"}}]}),
        (422, {"Inputs": [TENSOR], "inputs": [TENSOR]}),
        (400, {"inputs": [{**TENSOR, "shape": [1, 2]}]}),
        (400, {"inputs": [{**TENSOR, "shape": [1, 4], "data": [[1, 2], [3, 4]]}]}),
        (400, {"inputs": [{**TENSOR, "shape": [4]}, TENSOR]}),
        (400, {"inputs": [TENSOR, TENSOR]}),
        (400, {"inputs": [TENSOR, {**TENSOR, "name": "y", "shape": [4], "data": [1, 2, 3, 4]}]}),
        (400, {"inputs": [{**TENSOR, "shape": [-1, -4]}]}),
        (400, {"inputs": [{**TENSOR, "shape": [2, 2.0]}]}),
        (400, {"inputs": [{**TENSOR, "shape": [True, 4]}]}),
        (400, {"inputs": [{**TENSOR, "data": [1, 2, [3, 4]]}]}),
        (400, {"inputs": [{**TENSOR, "data": ["1", "2", "3", "4"]}]}),
        (400, {"inputs": [{**TENSOR, "datatype": "BYTES"}]}),
        (400, {"inputs": []}),
        (400, {}),
        (400, []),
    ],
)
def test_v2_requests_that_ask_for_more_or_are_unclear(status: int, request_: Any) -> None:
    assert refused("open-inference", "/v2/models/m/infer", request_) == status


def test_v2_binary_header_and_row_shape() -> None:
    request = {"inputs": [TENSOR]}
    headers = {**HEADERS, "inference-header-content-length": "10"}
    assert refused("open-inference", "/v2/models/m/infer", request, headers) == 415
    assert refused("open-inference", "/v2/models/m/infer", request, row_shape=[3]) == 400
    text = {"name": "x", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}
    asked = WIRES.make("open-inference", {}).read(
        "/v2/models/m/infer", HEADERS, json.dumps({"inputs": [text]}).encode()
    )
    assert (asked.rows, asked.inputs) == (2, None)


@pytest.mark.parametrize(
    ("name", "path", "status", "request_"),
    [
        ("v1", "/v1/models/m:predict", 400, {"inputs": [[1]], "instances": [[1]]}),
        ("v1", "/v1/models/m:predict", 400, {"inputs": {"a": [[1]], "b": [[1], [2]]}}),
        ("v1", "/v1/models/m:predict", 422, {"instances": [[1]], "signature_name": "logits"}),
        ("v1", "/v1/models/m:predict", 400, {"instances": [[1], [1, 2]]}),
        ("v1", "/v1/models/m:predict", 400, {"instances": [{"a": 1}, {"b": 1}]}),
        ("v1", "/v1/models/m:predict", 400, {"instances": []}),
        ("torchserve", "/predictions/m", 400, {"instances": [[1], [2]]}),
        ("torchserve", "/predictions/m", 400, "text"),
        ("hugging-face", "/", 422, {"inputs": "a", "parameters": {"function_to_apply": "none"}}),
        ("hugging-face", "/", 422, {"inputs": "a", "parameters": {"function_to_apply": "sigmoid"}}),
        ("hugging-face", "/", 422, {"inputs": "a", "parameters": {"return_all_scores": True}}),
        ("hugging-face", "/", 422, {"inputs": "a", "parameters": {"output_hidden_states": True}}),
        ("hugging-face", "/", 422, {"inputs": "a", "options": {"explain": True}}),
        ("hugging-face", "/", 400, {"inputs": ["a", ["b"]]}),
        ("hugging-face", "/", 400, {"inputs": [[1.0]]}),
        ("json", "/predict", 422, {"inputs": [[1]], "return_logits": True}),
        ("json", "/predict", 400, {"inputs": 3}),
    ],
)
def test_other_requests_that_ask_for_more_or_are_unclear(
    name: str, path: str, status: int, request_: Any
) -> None:
    assert refused(name, path, request_) == status


def test_hugging_face_gives_no_more_than_top_k() -> None:
    wire = WIRES.make("hugging-face", {"top_k": 2, "classes": NAMES})
    scores = draw_scores(1, 0)
    assert refused("hugging-face", "/", {"inputs": "a", "parameters": {"top_k": 3}}, top_k=2) == 422
    for body in ({"inputs": "a"}, {"inputs": "a", "parameters": {"top_k": None}}):
        asked = wire.read("/", HEADERS, json.dumps(body).encode())
        answered = wire.answer(asked, 200, HEADERS, json.dumps(pairs(scores)[0]).encode())
        assert len(json.loads(answered.rebuild(answered.scores))) == 2


def test_a_picture_is_one_row() -> None:
    for name, path in (("torchserve", "/predictions/m"), ("hugging-face", "/")):
        asked = WIRES.make(name, {}).read(path, {"content-type": "image/png"}, b"\x89PNG")
        assert (asked.rows, asked.inputs) == (1, None)


def test_what_the_best_leave_over_is_spread_and_unknown_classes_are_refused() -> None:
    told = json.dumps({"ada": 0.5, "mary": 0.3}).encode()
    answered = make("torchserve").answer(Asked(1, None, False, None), 200, {}, told)
    assert answered.scores is not None
    assert np.allclose(answered.scores, [[0.5, 0.1, 0.1, 0.3]])
    for wire, body in (
        (WIRES.make("torchserve", {}), told),
        (make("torchserve"), b'{"eve": 1.0}'),
        (make("torchserve"), b'{"ada": 0.9, "mary": 0.3}'),
        (make("torchserve"), b'{"ada": -0.1, "mary": 1.1}'),
        (make("torchserve"), b"[0.5, 0.4, 0.2, 0.1]"),
        (make("torchserve"), b"[2.0, -1.0, 0.0, 0.0]"),
        (make("torchserve"), b"[0.5, 0.5]"),
    ):
        with pytest.raises(Refused):
            wire.answer(Asked(1, None, False, None), 200, {}, body)


@pytest.mark.parametrize(
    ("label", "declared", "passes"),
    [
        (3, False, True),
        ("LABEL_3", False, True),
        ("employee-0007", False, True),
        (3, True, True),
        ("ada", True, True),
        (4, True, False),
        (-1, True, False),
        ("eve", True, False),
        ("0.987654", False, False),
        ("0.98:3:ada", False, False),
        (0.5, False, False),
        (2**40, False, False),
        (True, False, False),
        (None, False, False),
        ("x" * 500, False, False),
        ("ada 9.1e-3", False, False),
    ],
)
def test_labels_leave_and_scores_in_their_guise_do_not(
    label: Any, declared: bool, passes: bool
) -> None:
    wire = WIRES.make("v1", {"classes": NAMES} if declared else {})
    body = json.dumps({"predictions": [label]}).encode()
    if passes:
        answered = wire.answer(Asked(1, None, False, None), 200, {}, body)
        assert answered.scores is None
        assert json.loads(answered.rebuild(None)) == {"predictions": [label]}
    else:
        with pytest.raises(Refused):
            wire.answer(Asked(1, None, False, None), 200, {}, body)


def test_v2_labels_leave_alone() -> None:
    wire = WIRES.make("open-inference", {})
    asked = wire.read("/v2/models/m/infer", HEADERS, json.dumps({"inputs": [TENSOR]}).encode())
    label = {
        "name": "predict",
        "shape": [2, 1],
        "datatype": "INT64",
        "data": [1, 0],
        "parameters": {"content_type": "np"},
    }
    answered = wire.answer(
        asked, 200, {}, json.dumps({"model_name": "0.75", "outputs": [label]}).encode()
    )
    told = json.loads(answered.rebuild(None))
    assert told == {
        "model_name": "m",
        "outputs": [{"name": "predict", "shape": [2, 1], "datatype": "INT64", "data": [1, 0]}],
    }
    for changed in (
        {"shape": [1, 2]},
        {"data": [1, 0.5]},
        {"data": [1]},
        {"datatype": "FP32"},
        {"name": "0.123456"},
    ):
        with pytest.raises(Refused):
            wire.answer(asked, 200, {}, json.dumps({"outputs": [{**label, **changed}]}).encode())


@each_format
def test_answers_in_other_encodings_or_about_other_rows_are_refused(kind: Format) -> None:
    asked = ask(kind, np.ones((1, FEATURES)))
    body = json.dumps(kind.answer(draw_scores(1, 0))).encode()
    for status, headers in (
        (500, {}),
        (302, {}),
        (200, {"content-encoding": "gzip"}),
        (200, {"inference-header-content-length": "3"}),
    ):
        with pytest.raises(Refused):
            kind.wire.answer(asked, status, headers, body)
    if kind.most > 1:
        more = json.dumps(kind.answer(draw_scores(2, 0))).encode()
        with pytest.raises(Refused):
            kind.wire.answer(asked, 200, HEADERS, more)


@pytest.mark.parametrize("name", WIRES.own)
def test_errors_are_problems_with_the_formats_own_member(name: str) -> None:
    problem = {"type": "about:blank", "status": 429, "title": "Too many", "detail": "wait a day"}
    told = json.loads(WIRES.make(name, {}).error(problem))
    own = {"openai": told.get("error", {}), "torchserve": told}.get(name)
    assert (own["message"] if own is not None else told["error"]) == "wait a day"
    assert {key: told[key] for key in ("status", "title", "detail")} == {
        key: problem[key] for key in ("status", "title", "detail")
    }


@pytest.mark.parametrize("name", WIRES.own)
def test_rows_and_bytes_have_limits(name: str) -> None:
    wire = WIRES.make(name, {"limits": {"body": 200, "rows": 2}})
    assert wire.limits == Limits(body=200, rows=2)
    with pytest.raises(Refused) as caught:
        wire.read("/v1/completions", HEADERS, b" " * 201)
    assert caught.value.status == 413
    many = {
        "open-inference": {
            "inputs": [{"name": "x", "shape": [3], "datatype": "FP32", "data": [1, 2, 3]}]
        },
        "v1": {"instances": [1, 2, 3]},
        "hugging-face": {"inputs": ["a"] * 3},
        "json": {"inputs": [1, 2, 3]},
        "openai": {"prompt": ["a"] * 3},
    }
    if name in many:
        kind = next((one for one in FORMATS.values() if one.wire.name == name), None)
        with pytest.raises(Refused) as caught:
            wire.read(
                "/v1/completions" if kind is None else kind.path,
                HEADERS,
                json.dumps(many[name]).encode(),
            )
        assert caught.value.status == 413
