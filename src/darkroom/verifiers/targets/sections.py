"""``[target]`` of a plan of verifiers, and what each key means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from darkroom.sections import Section
from darkroom.verifiers.targets.metrics import Metric
from darkroom.vision.networks.suffixes import PROGRAMS

LIBRARY = "face_recognition"
"""What ``load`` says for the library of that name."""

LIBRARY_THRESHOLD = 0.6
"""The distance up to which that library takes two photos for one person, unless told."""


class EncoderSection(Section):
    """An encoder in this process, whose templates are compared here.

    Attributes:
        kind: ``encoder``.
        load: ``package.module:callable``, where the callable returns a PyTorch module or a
            function from images to templates; a file of TorchScript, ``torch.export`` or ONNX; or
            ``face_recognition``.
        weights: A ``.safetensors`` file, or one of plain tensors.
        trusted: Whether the code in a file of TorchScript or ``torch.export`` may run.
        shape: ``[channels, height, width]`` of the images it takes; of the first photo enrolled
            when left out.
        range: The values of black and of full intensity.
        metric: How templates are compared; ``euclidean`` for ``face_recognition``.
        rule: Whether the ``mean`` of a person's templates is enrolled, or all, of which the
            ``best`` counts.
        threshold: The similarity from which on, or the distance up to which, it accepts.
        false_accepts: The share of strangers whom it may accept, where no threshold is given.
        detect: For ``face_recognition``: whether faces are looked for in photos, as the library
            does, or photos are the faces.
        device: Where a module runs.
        batch: Rows answered at a time.
    """

    kind: Literal["encoder"] = "encoder"
    load: str
    weights: Path | None = None
    trusted: bool = False
    shape: Annotated[list[int], Field(min_length=3, max_length=3)] | None = None
    range: tuple[float, float] = (0.0, 1.0)
    metric: Metric | None = None
    rule: Literal["mean", "best"] = "mean"
    threshold: float | None = None
    false_accepts: Annotated[float, Field(gt=0, lt=1)] | None = None
    detect: bool = True
    device: str = "cpu"
    batch: int = Field(default=256, ge=1)

    @model_validator(mode="after")
    def _one_point(self) -> Self:
        if self.threshold is not None and self.false_accepts is not None:
            raise ValueError("give a threshold or false_accepts, not both")
        return self

    @property
    def compared(self) -> Metric:
        """How templates are compared."""
        usual = Metric.EUCLIDEAN if self.load == LIBRARY else Metric.COSINE
        return self.metric or usual

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
        return self.model_copy(update={"weights": weights, "load": load})
