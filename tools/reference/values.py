"""Which values a key takes, in words, from its type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import to_jsonable_python

NONE = "\N{EN DASH}"
MEBIBYTE = 1 << 20
PLAIN = {
    "boolean": "`true` or `false`",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "table",
    "null": "",
}
BOUNDS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
)

Schema = Mapping[str, Any]


def words_for(annotation: Any) -> str:
    """Says which values a type takes.

    Args:
        annotation: The type, with pydantic's bounds where it has any.
    """
    try:
        schema = TypeAdapter(annotation).json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError):
        return "from Python alone"
    return words_of(schema, schema.get("$defs", {}))


def words_of(schema: Schema, named: Schema) -> str:
    """Says which values a JSON schema allows.

    Args:
        schema: Of one key.
        named: What its references stand for, by name.
    """
    if "$ref" in schema:
        return words_of(named[schema["$ref"].rpartition("/")[2]], named)
    if "const" in schema or "enum" in schema:
        return ", ".join(code(one) for one in schema.get("enum", [schema.get("const")]))
    for several in ("anyOf", "oneOf"):
        if several in schema:
            parts = [words_of(one, named) for one in schema[several]]
            return ", or ".join(dict.fromkeys(filter(None, parts)))
    kind = schema.get("type")
    if kind == "array":
        return _list(schema, named)
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        inner = words_of(schema["additionalProperties"], named)
        return f"table of names, each with: {inner}" if inner else "table"
    if schema.get("format") in ("path", "file-path", "directory-path"):
        return "path"
    if schema.get("format") == "date-time":
        return "date and time"
    words = PLAIN.get(str(kind), "anything")
    bounds = [text.format(number(schema[key])) for key, text in BOUNDS if key in schema]
    return ", ".join([words, *bounds])


def _list(schema: Schema, named: Schema) -> str:
    if "prefixItems" in schema:
        return f"list: {', '.join(words_of(one, named) for one in schema['prefixItems'])}"
    inner = words_of(schema.get("items", {}), named)
    few, most = schema.get("minItems"), schema.get("maxItems")
    if few is not None and few == most:
        return f"list of {few}: {inner}"
    return f"list of: {inner}" + (f"; at least {few}" if few else "")


def default(value: object) -> str:
    """Writes what a key holds when it is left out, as TOML has it."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or value in ("", [], {}, ()):
        return NONE
    if isinstance(value, int) and value >= MEBIBYTE and not value % MEBIBYTE:
        mebibytes = value // MEBIBYTE
        return f"{mebibytes} MiB" if mebibytes % 1024 else f"{mebibytes // 1024} GiB"
    return code(value)


def code(value: object) -> str:
    """Writes a value in code, as TOML has it."""
    if isinstance(value, PurePath):
        value = value.as_posix()
    if isinstance(value, float):
        return f"`{number(value)}`"
    return f"`{json.dumps(to_jsonable_python(value), ensure_ascii=False)}`"


def number(value: float) -> str:
    """Writes a number; short where it is long."""
    if isinstance(value, int) or value.is_integer():
        return f"{value:,.0f}".replace(",", " ") if abs(value) >= 1e5 else f"{value:g}"
    return f"{value:g}"
