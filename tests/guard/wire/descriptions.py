"""Each wire format as the guard offers it, in OpenAPI."""

from __future__ import annotations

from typing import Any, NamedTuple

FEATURES, CLASSES, MOST_ROWS = 3, ("ada", "grace", "edith", "mary"), 4
SCORE = {"enum": [0.0, 1.0]}
"""What is left of a score where labels alone may leave."""

Json = dict[str, Any]


class Description(NamedTuple):
    """A wire format's routes.

    Attributes:
        wire: The ``[[wire]]`` table of the policy.
        model: The request's body and the answer's, by the path of each route that is charged.
        harmless: Routes that are not.
    """

    wire: Json
    model: dict[str, tuple[Json, Json]]
    harmless: tuple[str, ...] = ()


def _object(required: Json, **optional: Any) -> Json:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Json, least: int = 1, most: int = MOST_ROWS) -> Json:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _answers(items: Json) -> Json:
    """Returns a list of as many as were asked for, which a hostile client decides."""
    return {"type": "array", "items": items, "minItems": 1}


NUMBER = {"type": "number", "minimum": -1e6, "maximum": 1e6}
TEXT = {"type": "string", "minLength": 1, "maxLength": 16}
ROW = _list(NUMBER, FEATURES, FEATURES)
VECTOR = _list(SCORE, len(CLASSES), len(CLASSES))
COUNT = {"type": "integer", "minimum": 1, "maximum": 4}
WHOLE = {"type": "integer", "minimum": 0}
LABELLED = _object({"label": {"enum": list(CLASSES)}, "score": SCORE})

TENSOR = _object(
    {
        "name": TEXT,
        "shape": {"const": [2, FEATURES]},
        "datatype": {"enum": ["FP16", "FP32", "FP64"]},
        "data": _list(NUMBER, 2 * FEATURES, 2 * FEATURES),
    },
    parameters=_object({}, binary_data={"const": False}),
)
SCORED = _object(
    {
        "name": TEXT,
        "shape": _list({"type": "integer"}, 2, 2),
        "datatype": {"const": "FP64"},
        "data": _answers(SCORE),
    }
)
MESSAGE = _object({"role": {"enum": ["user", "system"]}, "content": TEXT})
ASKED = {
    "model": TEXT,
    "n": COUNT,
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "max_tokens": COUNT,
}
TOKEN: Json = {"token": {"type": "string"}, "logprob": {"type": "number", "multipleOf": 0.5}}
CHOSEN = _object(
    {
        **TOKEN,
        "bytes": {"type": ["array", "null"]},
        "top_logprobs": _list(_object({**TOKEN, "bytes": {"type": ["array", "null"]}}), 0, 2),
    }
)


def _completions(choice: Json, kind: str) -> Json:
    usage = _object(
        {"prompt_tokens": WHOLE, "completion_tokens": WHOLE, "total_tokens": WHOLE},
    )
    return _object(
        {
            "id": {"type": "string"},
            "object": {"const": kind},
            "created": WHOLE,
            "model": {"type": "string"},
            "choices": _answers(
                _object(
                    {
                        "index": WHOLE,
                        "finish_reason": {"type": ["string", "null"]},
                        **choice,
                    }
                ),
            ),
        },
        usage=usage,
    )


DESCRIPTIONS: dict[str, Description] = {
    "open-inference": Description(
        {"name": "open-inference", "classes": list(CLASSES)},
        {
            "/v2/models/m/infer": (
                _object(
                    {"inputs": _list(TENSOR, 1, 1)},
                    id=TEXT,
                    parameters=_object({}, content_type={"const": "np"}),
                ),
                _object(
                    {"model_name": {"const": "m"}, "outputs": _list(SCORED, 1, 1)},
                    id={"type": "string"},
                ),
            )
        },
        ("/v2/health/ready", "/v2/models/m"),
    ),
    "v1": Description(
        {"name": "v1"},
        {
            "/v1/models/m:predict": (
                _object({"instances": _list(ROW)}, signature_name={"const": "serving_default"}),
                _object({"predictions": _answers(VECTOR)}),
            )
        },
        ("/v1/models/m/metadata",),
    ),
    "torchserve": Description(
        {"name": "torchserve", "classes": list(CLASSES)},
        {
            "/predictions/m": (
                ROW,
                {"type": "object", "properties": dict.fromkeys(CLASSES, SCORE)}
                | {"additionalProperties": False},
            )
        },
        ("/ping",),
    ),
    "hugging-face": Description(
        {"name": "hugging-face", "classes": list(CLASSES), "top_k": 2},
        {
            "/models/m": (
                _object(
                    {"inputs": {"anyOf": [TEXT, _list(TEXT)]}},
                    parameters=_object(
                        {},
                        top_k={"enum": [1, 2]},
                        function_to_apply={"const": "softmax"},
                        truncation={"type": "boolean"},
                    ),
                    options=_object({}, wait_for_model={"type": "boolean"}),
                ),
                {"anyOf": [_answers(_list(LABELLED, 0, 2)), _list(LABELLED, 0, 2)]},
            )
        },
        ("/health",),
    ),
    "json": Description(
        {"name": "json", "route": "/predict", "allow": ["request"]},
        {
            "/predict": (
                _object({"inputs": _list(ROW)}, request=TEXT),
                _object({"scores": _answers(VECTOR)}),
            )
        },
        ("/health",),
    ),
    "openai": Description(
        {
            "name": "openai",
            "logprobs": True,
            "top_logprobs": 2,
            "defenses": [{"name": "logprob-rounding", "step": 0.5}],
        },
        {
            "/v1/chat/completions": (
                _object(
                    {"model": TEXT, "messages": _list(MESSAGE)},
                    **{**ASKED, "logprobs": {"type": "boolean"}, "stop": TEXT},
                ),
                _completions(
                    {
                        "message": _object(
                            {"role": {"const": "assistant"}, "content": {"type": "string"}}
                        ),
                        "logprobs": {
                            "anyOf": [
                                {"type": "null"},
                                _object({"content": _answers(CHOSEN), "refusal": {"type": "null"}}),
                            ]
                        },
                    },
                    "chat.completion",
                ),
            ),
            "/v1/completions": (
                _object(
                    {"model": TEXT, "prompt": {"anyOf": [TEXT, _list(TEXT)]}},
                    **{**ASKED, "best_of": COUNT, "logprobs": {"enum": [0, 1, 2]}},
                ),
                _completions(
                    {"text": {"type": "string"}, "logprobs": {"type": ["object", "null"]}},
                    "text_completion",
                ),
            ),
        },
        ("/v1/models",),
    ),
}

PROBLEM: Json = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "minLength": 1},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "minLength": 1},
    },
    "required": ["type", "title", "status", "detail"],
}


def openapi(description: Description, failures: tuple[int, ...] = ()) -> Json:
    """Describes a format.

    Args:
        description: Its routes.
        failures: Statuses of 500 and more that the guard may answer: none if its model is sound.
    """
    problem = {"content": {"application/problem+json": {"schema": PROBLEM}}}
    refusals = {
        str(status): {"description": "refused", **problem}
        for status in (400, 401, 404, 405, 408, 413, 415, 422, 429, *failures)
    }

    def route(answer: Json, request: Json | None) -> Json:
        found = {"description": "answered", "content": {"application/json": {"schema": answer}}}
        body = {"required": True, "content": {"application/json": {"schema": request}}}
        asked: Json = {} if request is None else {"requestBody": body}
        return {**asked, "responses": {"200": found, **refusals}, "security": [{"key": []}]}

    paths: Json = {
        path: {"post": route(answer, request)}
        for path, (request, answer) in description.model.items()
    }
    for path in description.harmless:
        paths[path] = {"get": {**route({"type": "object"}, None), "security": []}}
    return {
        "openapi": "3.1.0",
        "info": {"title": str(description.wire["name"]), "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }
