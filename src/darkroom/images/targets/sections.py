"""``[target]`` of a plan: one table for each kind of target, and what each key means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag

from darkroom.remote.sections import ServedSection
from darkroom.sections import PythonSection, Section
from darkroom.vision.networks.suffixes import PROGRAMS
from darkroom.wire.answers import TOLERANCE

_Shape = Annotated[list[int], Field(min_length=3, max_length=3)]
_ClassNames = Annotated[int, Field(ge=2)] | Annotated[list[str], Field(min_length=2)]
_Channels = Literal["first", "last"]


class TargetTable(Section):
    """What every kind has.

    Attributes:
        kind: Tells which sort of target it is.
        protocol: What a server speaks.
        shape: ``[channels, height, width]`` of the images it takes.
        range: The values of black and of full intensity.
    """

    shape: _Shape
    range: tuple[float, float] = (0.0, 1.0)

    def anchored(self, folder: Path) -> Self:
        """Returns the table with the files that it names made relative to a folder."""
        return self.model_copy(
            update={
                name: value
                for name in ("load", "weights")
                if (value := _moved(getattr(self, name, None), folder)) is not None
            }
        )


def _moved(value: Path | str | None, folder: Path) -> Path | str | None:
    """Returns a file below a folder; an import path, which no folder changes, as it is."""
    if isinstance(value, Path):
        return folder / value
    if value is not None and Path(value).suffix in {".skops", *PROGRAMS}:
        return str(folder / value)
    return value


class TorchSection(TargetTable):
    """A PyTorch module; see :func:`darkroom.images.targets.load.load_target`.

    Attributes:
        load: ``package.module:callable``, where the callable returns the module; or a file of
            TorchScript or ``torch.export``.
        weights: A ``.safetensors`` file, or a ``.pt``, ``.pth``, ``.ckpt`` or ``.bin`` of plain
            tensors.
        trusted: Whether the code in a file of TorchScript or ``torch.export`` may run.
        outputs: What the module returns.
        device: Where it runs.
        batch: Rows answered at a time.
        precision: ``half`` for the model's own passes in ``bfloat16``, or in ``float16`` on devices
            without it.
    """

    kind: Literal["torch"] = "torch"
    load: str
    weights: Path | None = None
    trusted: bool = False
    outputs: Literal["logits", "probabilities"] = "logits"
    device: str = "cpu"
    batch: int = Field(default=256, ge=1)
    precision: Literal["single", "half"] = "single"


class SklearnSection(TargetTable):
    """A scikit-learn classifier; see :class:`darkroom.images.targets.sklearn.SklearnTarget`.

    Attributes:
        load: A ``.skops`` file, or ``package.module:callable``; the callable returns the fitted
            classifier.
        trusted: Types that the file may hold beside those known to be safe.
        channels: Whether images were flattened with channels first or last.
        batch: Rows answered at a time.
    """

    kind: Literal["sklearn"]
    load: str
    trusted: list[str] = Field(default_factory=list)
    channels: _Channels = "first"
    batch: int = Field(default=1024, ge=1)


class OnnxSection(TargetTable):
    """A model that ONNX Runtime runs; see :class:`darkroom.images.targets.onnx.OnnxTarget`.

    Attributes:
        load: The ``.onnx`` file.
        outputs: What the model returns.
        output: The output to read; the first of scores unless told.
        channels: For a model that takes rows: where flattened images have their channels.
        classes: For a model that answers labels alone: how many there are, or their names.
        batch: Rows answered at a time.
    """

    kind: Literal["onnx"]
    load: Path
    outputs: Literal["logits", "probabilities"] = "logits"
    output: str | None = None
    channels: _Channels = "first"
    classes: _ClassNames | None = None
    batch: int = Field(default=256, ge=1)


class HttpTable(TargetTable, ServedSection):
    """What every server has; see :class:`darkroom.images.targets.http.HttpTarget`.

    Attributes:
        url: The server, or for ``hugging-face`` and ``json`` the endpoint.
        outputs: What the server answers.
        answers: How much an answer shows.
        classes: How many classes there are, or their names in the model's order.
        k: How many classes an answer of ``top_k`` names.
        channels: Where the server wants channels.
        tolerance: How far from one a row of probabilities may sum.
        batch: The most rows in a request.
    """

    kind: Literal["http"]
    outputs: Literal["logits", "probabilities"] = "probabilities"
    answers: Literal["scores", "top_k", "label"] = "scores"
    classes: _ClassNames | None = None
    k: int | None = Field(default=None, ge=1)
    channels: _Channels = "first"
    tolerance: float = Field(default=TOLERANCE, ge=0, le=0.5)
    batch: int = Field(default=32, ge=1, le=100_000)


class OpenInferenceSection(HttpTable):
    """A server of the Open Inference Protocol, version 2.

    Attributes:
        model: The model's name on the server.
        version: Its version; the server's choice unless told.
        input: The input tensor's name.
        output: The output tensor's name; the first of a fitting type unless told.
        datatype: Of the input tensor.
        flat: Whether images go as rows of numbers.
    """

    protocol: Literal["v2"]
    model: str
    version: str | None = None
    input: str = "predict"
    output: str | None = None
    datatype: Literal["FP32", "FP64"] = "FP32"
    flat: bool = False


class TorchServeSection(HttpTable):
    """A TorchServe server.

    Attributes:
        model: The model's name on the server.
        version: Its version; the server's choice unless told.
    """

    protocol: Literal["torchserve"]
    model: str
    version: str | None = None


class HuggingFaceSection(HttpTable):
    """A Hugging Face endpoint for image classification.

    Attributes:
        encoding: How images are written.
    """

    protocol: Literal["hugging-face"]
    encoding: Literal["numbers", "rows", "png"] = "png"


class PlainJsonSection(HttpTable):
    """Any other endpoint that takes and answers JSON.

    Attributes:
        inputs: The key of the images, dots between nested keys.
        path: Where the answer has its scores: a JMESPath expression.
        extra: What the request holds besides.
        encoding: How images are written.
        one_by_one: Whether a request holds an image itself, not a list of images.
    """

    protocol: Literal["json"]
    inputs: str = "inputs"
    path: str = "scores"
    extra: dict[str, Any] = Field(default_factory=dict)
    encoding: Literal["numbers", "rows", "png"] = "numbers"
    one_by_one: bool = False


HttpSection = OpenInferenceSection | TorchServeSection | HuggingFaceSection | PlainJsonSection


def _tag(value: Any) -> str:
    """Returns which table a ``[target]`` is; a PyTorch module unless it says otherwise."""

    def said(key: str, otherwise: str) -> str:
        found = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
        return otherwise if found is None else str(found)

    kind = said("kind", "torch")
    return f"http {said('protocol', '')}" if kind == "http" else kind


TargetSection = Annotated[
    Annotated[TorchSection, Tag("torch")]
    | Annotated[SklearnSection, Tag("sklearn")]
    | Annotated[OnnxSection, Tag("onnx")]
    | Annotated[PythonSection, Tag("python")]
    | Annotated[OpenInferenceSection, Tag("http v2")]
    | Annotated[TorchServeSection, Tag("http torchserve")]
    | Annotated[HuggingFaceSection, Tag("http hugging-face")]
    | Annotated[PlainJsonSection, Tag("http json")],
    Discriminator(
        _tag,
        custom_error_type="target_kind",
        custom_error_message="must be torch, sklearn, onnx, python, or http with protocol v2, "
        "torchserve, hugging-face or json",
    ),
]
