"""Opening a language model by a plan's words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from darkroom.errors import MissingExtraError
from darkroom.named import Registry
from darkroom.sections import PythonSection
from darkroom.text.targets.base import LanguageTarget
from darkroom.text.targets.sections import OpenAISection, TransformersSection

LANGUAGE_TARGETS: Registry[LanguageTarget] = Registry(
    "target", LanguageTarget, group="darkroom.targets"
)
"""Language models from outside; Darkroom's own are kinds of ``[target]``."""


def open_language_target(
    section: TransformersSection | OpenAISection | PythonSection,
    *,
    folder: Path | None = None,
    authorized_by: str | None = None,
    ends_with_limit: bool = False,
) -> LanguageTarget:
    """Opens the language model that a plan describes.

    Args:
        section: The plan's ``[target]``.
        folder: The plan's, where its modules are looked for.
        authorized_by: Who allowed the audit; needed for a remote model.
        ends_with_limit: See :class:`darkroom.remote.delivery.Delivery`.

    Raises:
        MissingExtraError: If a library for it is not installed.
        TargetError: If it cannot be had, or fails the test of what it was declared to do.
    """
    if isinstance(section, TransformersSection):
        return open_folder(section, section.load)
    if isinstance(section, PythonSection):
        return LANGUAGE_TARGETS.build(section, folder)
    try:
        from darkroom.text.targets.openai import OpenAITarget
        from darkroom.text.targets.openai_api import Api
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "text") from error
    fields = [field.name for field in dataclasses.fields(Api)]
    return OpenAITarget(
        Api(**{name: getattr(section, name) for name in fields}),
        authorized_by=authorized_by or "",
        delivery=section.delivery(ends_with_limit=ends_with_limit),
        headers=section.headers,
        secret_headers=section.secret_headers(),
        secret_parameters=section.secret_parameters(),
    )


def open_folder(
    section: TransformersSection, folder: Path, *, bare: bool = False
) -> LanguageTarget:
    """Opens a model in a local folder: that of a section, or the same before it was trained.

    Args:
        section: The plan's ``[target]``.
        folder: The model's.
        bare: Whether an adapter is left out, as of the model before it was trained.
    """
    from darkroom.text.targets.options import LoadOptions
    from darkroom.text.targets.transformers import load_transformers

    return load_transformers(
        folder,
        device=section.device,
        batch=section.batch,
        options=LoadOptions(
            memory=section.memory,
            adapter=None if bare else section.adapter,
            bare=bare,
            tokenizer=section.tokenizer,
            dtype=section.dtype,
            device_map=section.device_map,
            quantization=section.quantization,
            revision=None if bare else section.revision,
            encoder=section.encoder,
            decoder=section.decoder,
        ),
    )
