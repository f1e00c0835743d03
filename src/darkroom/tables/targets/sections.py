"""``[target]`` of a plan of tables: a model in this process, or one that is served."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from darkroom.remote.sections import ServedSection
from darkroom.sections import PythonSection, Section
from darkroom.wire.answers import TOLERANCE

Names = Annotated[list[str], Field(min_length=1)]


class TableTargetSection(Section):
    """The model; see :func:`darkroom.tables.targets.load.load_table_target`.

    Attributes:
        kind: A scikit-learn estimator or what behaves like one, an ONNX file, or a function that
            takes a table and returns predictions.
        load: A file of the model, or ``module:callable``.
        response: The column that it predicts.
        inputs: The columns that it takes, in its order; all others of the private table when left
            out.
        outputs: Of a function: what it returns; ``scores`` are probabilities in the order of the
            response's sorted values.
        trusted: Types that a ``.skops`` file may hold beside those known to be safe.
    """

    kind: Literal["sklearn", "onnx", "function"] = "sklearn"
    load: str
    response: str
    inputs: Names | None = None
    outputs: Literal["predictions", "scores"] = "predictions"
    trusted: list[str] = Field(default_factory=list)


class TableHttpSection(ServedSection):
    """A model of tables that is served; see :class:`darkroom.tables.targets.http.HttpTableTarget`.

    Keys do not belong into a plan: ``headers_from_env`` and ``api_key_env`` name environment
    variables.

    Attributes:
        kind: Tells it from other targets.
        protocol: ``json`` for rows as objects, or ``v2``, the Open Inference Protocol with one
            tensor a column.
        response: The column that it predicts.
        inputs: The columns that it takes, in its order; all others of the private table when left
            out.
        answers: What it answers.
        model: For ``v2``: the model's name on the server.
        version: For ``v2``: its version; the server's choice when left out.
        output: For ``v2``: the output tensor's name; the first that fits when left out.
        rows: For ``json``: the key of the rows in a request.
        path: For ``json``: where an answer has its answers, one a row, as a JMESPath expression.
        extra: For ``json``: what a request holds besides.
        tolerance: How far from one a row of probabilities may sum.
        batch: The most rows in a request.
    """

    kind: Literal["http"]
    protocol: Literal["json", "v2"]
    response: str
    inputs: Names | None = None
    answers: Literal["scores", "predictions"] = "predictions"
    model: str | None = None
    version: str | None = None
    output: str | None = None
    rows: str = "inputs"
    path: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    tolerance: float = Field(default=TOLERANCE, ge=0, le=0.5)
    batch: int = Field(default=256, ge=1, le=100_000)


class TablePythonSection(PythonSection):
    """A model of tables in Python; the class or function takes the schema, then its parameters.

    Attributes:
        response: The column that it predicts.
        inputs: The columns that it takes, in its order; all others of the private table when left
            out.
    """

    response: str
    inputs: Names | None = None


def _tag(section: Any) -> str:
    """Returns which table a ``[target]`` is."""
    kind = section.get("kind") if isinstance(section, dict) else getattr(section, "kind", None)
    return kind if kind in ("http", "python") else "model"


TableSection = Annotated[
    Annotated[TableTargetSection, Tag("model")]
    | Annotated[TableHttpSection, Tag("http")]
    | Annotated[TablePythonSection, Tag("python")],
    Discriminator(_tag),
]
"""``[target]`` of a plan of tables."""
