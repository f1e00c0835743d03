"""Whether canaries and controls are what their key says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from darkroom.auditing.record import Check
from darkroom.text.canaries import Canaries


def check_canaries(
    canaries: Canaries, corpus: Sequence[str], held_out: Sequence[str]
) -> list[Check]:
    """Checks that canaries stand where they should and controls do not.

    Args:
        canaries: The key.
        corpus: What the model was trained on, if that is given.
        held_out: What it was not trained on, if that is given.
    """
    checks = [_apart(canaries)]
    if corpus:
        checks.append(_in_corpus(canaries, corpus))
    if held_out:
        checks.append(_held_out(canaries, corpus, held_out))
    return checks


def _apart(canaries: Canaries) -> Check:
    """Looks for sentences, and secrets, that are canary and control at once."""
    lines = {one.line for one in canaries.inserted}
    both = sum(one.line in lines for one in canaries.controls)
    if both:
        return Check(
            name="canaries",
            outcome="failed",
            found=f"{both} of {len(canaries.controls)} controls are the very sentences of canaries "
            "in the training data.",
            cause="controls among the canaries",
            remedy="Draw controls that the model was never trained on.",
        )
    secrets = {one.secret for one in canaries.inserted}
    shared = sum(one.secret in secrets for one in canaries.controls)
    if shared:
        return Check(
            name="canaries",
            outcome="noted",
            found=f"{shared} of {len(canaries.controls)} controls have the secret of a canary in "
            "another sentence.",
        )
    return Check(
        name="canaries",
        outcome="passed",
        found=f"None of {len(canaries.controls)} controls is a canary in the training data.",
    )


def _in_corpus(canaries: Canaries, corpus: Sequence[str]) -> Check:
    """Counts how often the training data have each canary and each control."""
    text = "\n".join(_plain(line) for line in corpus)
    counts = {one.line: text.count(_plain(one.line)) for one in canaries.canaries}
    missing = sum(counts[one.line] == 0 for one in canaries.inserted)
    leaked = sum(counts[one.line] > 0 for one in canaries.controls)
    if missing:
        return Check(
            name="corpus",
            outcome="failed",
            found=f"{missing} of {len(canaries.inserted)} canaries stand nowhere in the corpus.",
            cause="canaries not in corpus",
            remedy="Give the key file whose canaries were put into this corpus.",
        )
    if leaked:
        return Check(
            name="corpus",
            outcome="failed",
            found=f"{leaked} of {len(canaries.controls)} controls stand in the corpus.",
            cause="controls in corpus",
            remedy="Train without the controls, or draw others.",
        )
    other = sum(counts[one.line] != one.repetitions for one in canaries.inserted)
    if other:
        said = Counter(counts[one.line] for one in canaries.inserted).most_common(1)[0][0]
        return Check(
            name="corpus",
            outcome="noted",
            found=f"{other} of {len(canaries.inserted)} canaries are not as often in the corpus as "
            f"their key says; most are there {said} times.",
        )
    return Check(
        name="corpus",
        outcome="passed",
        found="Every canary is as often in the corpus as its key says, and no control is.",
    )


def _held_out(canaries: Canaries, corpus: Sequence[str], held_out: Sequence[str]) -> Check:
    """Looks for lines said to be held out that the model was trained on."""
    trained = {_plain(one.line) for one in canaries.inserted} | {_plain(line) for line in corpus}
    shared = sum(_plain(line) in trained for line in held_out)
    found = f"{shared} of {len(held_out)} lines held out are training lines."
    if shared:
        found += " What the model is worth looks better than it is."
    return Check.model_validate(
        {"name": "held-out", "outcome": "noted" if shared else "passed", "found": found}
    )


def _plain(line: str) -> str:
    """Returns a line with every white space as one space."""
    return " ".join(line.split())
