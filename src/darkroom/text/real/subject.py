"""What an audit of real secrets is about: the model, the one before it, and the secrets."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from darkroom.named import origin
from darkroom.text.formats.secrets import SecretFormat
from darkroom.text.real.plan import RealSection
from darkroom.text.real.prompts import Prompt, prompts_of
from darkroom.text.real.secrets_file import RealSecret, read_secrets, salt_of
from darkroom.text.real.shapes import formats_of
from darkroom.text.targets.base import LanguageTarget


@dataclass(frozen=True)
class Wanted:
    """A secret, and how it is asked for.

    Attributes:
        secret: The secret.
        format: The strings that it is one of.
        prompts: The texts around it, at least one.
        decoys: Strings of the format that are no secret of the file.
    """

    secret: RealSecret
    format: SecretFormat = field(repr=False)
    prompts: tuple[Prompt, ...] = field(repr=False)
    decoys: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class RealSubject:
    """A model and the truth about it.

    Attributes:
        target: The model.
        base: The model before the fine-tune, if there is one.
        wanted: The secrets.
        settings: How they are measured.
        seed: The run's.
        mark: A salted hash of the file of secrets.
        held_out: Lines that the model was not trained on.
    """

    target: LanguageTarget
    base: LanguageTarget | None
    wanted: tuple[Wanted, ...]
    settings: RealSection
    seed: int
    mark: str
    held_out: tuple[str, ...] = ()

    def digest(self) -> str:
        """Returns a hash of the models, the secrets and how they are measured."""
        settings = self.settings.model_dump(mode="json", exclude={"secrets", "base", "held_out"})
        parts = [
            self.target.fingerprint(),
            *origin(type(self.target)),
            "" if self.base is None else self.base.fingerprint(),
            self.mark,
            repr(settings),
            *self.held_out,
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def wanted_of(settings: RealSection, seed: int) -> tuple[tuple[Wanted, ...], str]:
    """Reads the secrets, and draws their prompts and decoys.

    Args:
        settings: ``[private]`` of the plan.
        seed: The run's.

    Returns:
        The secrets, and a salted hash of their file.

    Raises:
        DarkroomError: If the file does not do; the message names the line, and no secret.
    """
    secrets = read_secrets(settings.secrets)
    formats = formats_of(secrets, str(settings.secrets))
    # Secrets of one shape share their format.
    taken = {
        format_: {one.secret for one in secrets if one.secret in format_}
        for format_ in dict.fromkeys(formats)
    }
    rng = np.random.default_rng([seed, 11])
    wanted = []
    for one, format_ in zip(secrets, formats, strict=True):
        prompts = prompts_of(one, format_, settings.prompts, rng)
        drawn = _decoys(format_, taken[format_], settings.decoys, rng)
        wanted.append(Wanted(one, format_, prompts, drawn))
    content = settings.secrets.read_bytes()
    mark = hmac.new(salt_of(settings.secrets), content, hashlib.sha256).hexdigest()
    return tuple(wanted), mark


def _decoys(
    format_: SecretFormat, taken: Collection[str], most: int, rng: np.random.Generator
) -> tuple[str, ...]:
    """Draws decoys of which none is a secret of the file."""
    return tuple(format_.sample(min(most, format_.size - len(taken)), rng, exclude=taken))
