"""``[target]`` of a plan of verifiers, and what each key means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from darkroom.remote.sections import ServedSection
from darkroom.sections import Section
from darkroom.verifiers.targets.metrics import Metric
from darkroom.vision.networks.suffixes import PROGRAMS

LIBRARY = "face_recognition"
"""What ``load`` says for the library of that name."""

LIBRARY_THRESHOLD = 0.6
"""The distance up to which that library takes two photos for one person, unless told."""


class VerifierTable(Section):
    """What every kind has.

    Attributes:
        shape: ``[channels, height, width]`` of the images it takes; of the first photo enrolled
            when left out.
        range: The values of black and of full intensity.
        metric: How templates are compared, or what a score is: ``cosine`` for a similarity,
            ``euclidean`` for a distance.
        rule: Whether the ``mean`` of a person's templates is enrolled, or all, of which the
            ``best`` counts.
        threshold: The similarity from which on, or the distance up to which, it accepts.
        false_accepts: The share of strangers whom it may accept, where no threshold is given.
        templates: Stored templates of the people, made by this encoder, in place of those that
            are enrolled here: ``.npz`` with ``templates`` and ``ids``; ``.npy``, one row a person;
            ``.csv`` or ``.parquet`` with a column ``id``, and a list in ``template`` or the numbers
            in all others; or a folder of ``ID.npy``.
    """

    shape: Annotated[list[int], Field(min_length=3, max_length=3)] | None = None
    range: tuple[float, float] = (0.0, 1.0)
    metric: Literal["cosine", "euclidean"] | None = None
    rule: Literal["mean", "best"] = "mean"
    threshold: float | None = None
    false_accepts: Annotated[float, Field(gt=0, lt=1)] | None = None
    templates: Path | None = None

    @model_validator(mode="after")
    def _one_point(self) -> Self:
        if self.threshold is not None and self.false_accepts is not None:
            raise ValueError("give a threshold or false_accepts, not both")
        return self

    @property
    def compared(self) -> Metric:
        """How templates are compared."""
        return Metric(self.metric or "cosine")

    @property
    def accepts_from(self) -> float | None:
        """The threshold; ``None`` for one by false accepts."""
        return self.threshold

    def anchored(self, folder: Path) -> Self:
        """Returns the table with the files that it names made relative to a folder."""
        stored = None if self.templates is None else folder / self.templates
        return self.model_copy(update={"templates": stored})


class EncoderSection(VerifierTable):
    """An encoder in this process, whose templates are compared here.

    Attributes:
        kind: ``encoder``.
        load: ``package.module:callable``, where the callable returns a PyTorch module or a
            function from images to templates; a file of TorchScript, ``torch.export`` or ONNX; or
            ``face_recognition``.
        weights: A ``.safetensors`` file, or one of plain tensors.
        trusted: Whether the code in a file of TorchScript or ``torch.export`` may run.
        metric: How templates are compared; ``cosine`` unless told, ``euclidean`` for
            ``face_recognition``.
        detect: For ``face_recognition``: whether faces are looked for in photos, as the library
            does, or photos are the faces.
        device: Where a module runs.
        batch: Rows answered at a time.
        precision: ``half`` for a module's own passes in ``bfloat16``, or in ``float16`` on devices
            without it.
    """

    kind: Literal["encoder"] = "encoder"
    load: str
    weights: Path | None = None
    trusted: bool = False
    detect: bool = True
    device: str = "cpu"
    batch: int = Field(default=256, ge=1)
    precision: Literal["single", "half"] = "single"

    @property
    def compared(self) -> Metric:
        """How templates are compared."""
        return Metric(self.metric or ("euclidean" if self.load == LIBRARY else "cosine"))

    @property
    def accepts_from(self) -> float | None:
        """The threshold, which that library brings; ``None`` for one by false accepts."""
        if self.threshold is None and self.false_accepts is None and self.load == LIBRARY:
            return LIBRARY_THRESHOLD
        return self.threshold

    def anchored(self, folder: Path) -> Self:
        """Returns the table with the files that it names made relative to a folder."""
        weights = None if self.weights is None else folder / self.weights
        file = Path(self.load).suffix in {".onnx", *PROGRAMS}
        load = str(folder / self.load) if file else self.load
        return super().anchored(folder).model_copy(update={"weights": weights, "load": load})


class ServedFacesSection(VerifierTable, ServedSection):
    """A server that compares faces, or turns them into templates; see ``FaceWire``.

    Attributes:
        kind: ``http``.
        url: The endpoint; ``{id}`` in it stands for the person asked about.
        protocol: Whether requests are JSON, or forms (``multipart``) with a PNG.
        answers: What it answers: the photo's ``template``, a ``score`` of the photo and a person,
            or a ``decision``.
        photo: The key of the photo, dots between nested keys; or the form's field.
        person: The key or the field of the person asked about, where the address has no ``{id}``.
        ids: What the server calls people, by the names of their folders; those names when left
            out.
        path: Where the answer says it, a JMESPath expression; ``template``, ``score`` or
            ``accepted`` when left out.
        extra: What a request holds besides.
        encoding: How photos are written into JSON.
        channels: Where numbers and rows have their channels.
        accepts: The word that accepts, where decisions are not ``true`` and ``false``.
        no_face: What an answer, or a refusal of status 400 or 422, says of a photo without a face;
            such a photo counts as refused. Without it, such a refusal ends the audit.
        pairs: The most pairs of a stranger's photo and a person that are asked about to measure
            the operating point, where the server compares.
        batch: Photos in a request: one.
    """

    kind: Literal["http"]
    protocol: Literal["json", "multipart"] = "json"
    answers: Literal["template", "score", "decision"] = "score"
    photo: str = Field(default="photo", min_length=1)
    person: str = Field(default="id", min_length=1)
    ids: dict[str, str] = Field(default_factory=dict)
    path: str | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    encoding: Literal["numbers", "rows", "png"] = "png"
    channels: Literal["first", "last"] = "first"
    accepts: str | None = None
    no_face: str | None = Field(default=None, min_length=1)
    pairs: int = Field(default=2000, ge=1)
    batch: Literal[1] = 1

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.answers == "decision" and (self.threshold, self.false_accepts) != (None, None):
            raise ValueError("a server that answers decisions has a threshold of its own")
        if self.templates is not None and self.answers != "template":
            raise ValueError(
                'templates goes with answers = "template": a server that compares has its own'
            )
        if self.accepts is not None and self.answers != "decision":
            raise ValueError('accepts goes with answers = "decision"')
        return self


def _tag(value: Any) -> str:
    """Returns which table a ``[target]`` is; an encoder unless it says otherwise."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "encoder" if kind is None else str(kind)


TargetSection = Annotated[
    Annotated[EncoderSection, Tag("encoder")] | Annotated[ServedFacesSection, Tag("http")],
    Discriminator(
        _tag,
        custom_error_type="target_kind",
        custom_error_message="must be encoder or http",
    ),
]
"""``[target]`` of a plan of verifiers."""
