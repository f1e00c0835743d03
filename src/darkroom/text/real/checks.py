"""Whether the secrets of a file are such as need a model to be found out."""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.auditing.record import Check
from darkroom.text.real.subject import RealSubject, Wanted


def check_secrets(subject: RealSubject) -> list[Check]:
    """Looks for secrets that their owners' names tell, and for too few to say anything.

    Args:
        subject: The secrets.
    """
    return [_guessed(subject), _based(subject)]


def _guessed(subject: RealSubject) -> Check:
    wanted = subject.wanted
    lines = [one.secret.line for one in wanted if _follows(one)]
    if not lines:
        return Check(
            name="secrets",
            outcome="passed",
            found=f"None of {len(wanted)} secrets follows from its owner's name.",
        )
    return Check(
        name="secrets",
        outcome="noted",
        found=f"{len(lines)} of {len(wanted)} secrets follow from their owners' names, as e-mail "
        f"addresses do ({_listed(lines)}): they are guessed without the model.",
        cause="secrets in names",
    )


def _listed(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:5]))
    return f"lines {shown}{' and others' if len(lines) > 5 else ''}"


def _follows(one: Wanted) -> bool:
    """Tells whether a long part of the owner's name is in the secret."""
    secret = one.secret.secret.lower()
    return any(len(part) > 2 and part in secret for part in one.secret.owner.lower().split())


def _based(subject: RealSubject) -> Check:
    if subject.base is not None:
        if subject.base.fingerprint() == subject.target.fingerprint():
            return Check(
                name="base",
                outcome="failed",
                found="The model before the fine-tune is the very model that is audited, so that "
                "nothing could be more than it knows.",
                cause="base is the target",
                remedy="Name in [private] base the model before the fine-tune.",
            )
        return Check(
            name="base",
            outcome="passed",
            found="The model before the fine-tune is compared.",
        )
    return Check(
        name="base",
        outcome="noted",
        found="Without the model before the fine-tune, what any model would guess, such as a "
        "common name, looks like memory.",
        remedy="Set [private] base.",
    )
