"""What attacks on leaked templates do about a store that protects them."""

from __future__ import annotations

import numpy as np

from darkroom.verifiers.protection.recovery import recovered
from darkroom.verifiers.targets.base import Floats
from darkroom.verifiers.targets.embedding import ProtectedStore
from darkroom.verifiers.targets.metrics import Metric, unit
from darkroom.verifiers.targets.view import View


def aims(view: View, templates: Floats, rng: np.random.Generator) -> Floats:
    """Returns the templates that an attack aims at, ``(goals, size)``; see :func:`recovered`.

    Args:
        view: What the attacker sees.
        templates: Of public photos, ``(n, size)``, each with a face.
        rng: The attack's.
    """
    known = unit(templates) if view.metric is Metric.COSINE else templates
    return recovered(view.leaks, known, rng)


def asked_behind(view: View, usual: int, most: int = 500) -> int:
    """Returns how many public photos an attack asks about: more where it must undo a protection.

    Args:
        view: What the attacker sees.
        usual: How many without protection.
        most: How many at most with one.
    """
    return usual if view.store is None else max(usual, most)


def adapted(view: View) -> tuple[str, ...]:
    """Says in a sentence what is done about templates that are protected."""
    many = len(view.leaks)
    if many == 1:
        return _traced(view.store)
    together = (
        f"{many} templates of each person have leaked and are taken together. One that is unlike "
        "the others of its person is left out."
    )
    return (together, *_traced(view.store))


def _traced(store: ProtectedStore | None) -> tuple[str, ...]:
    """Says how stored templates are traced back."""
    if store is None:
        return ()
    if store.protect is not None:
        return (
            "The keys are known: what is stored is traced back by what public photos become with "
            "them.",
        )
    if store.pairs and not store.own_keys:
        return (
            f"The keys are not known: what is stored is traced back by {store.pairs} accounts of "
            "the attacker\N{RIGHT SINGLE QUOTATION MARK}s own.",
        )
    if store.keeps:
        return (
            "The keys are not known: the axes of the store are laid over those of public "
            "templates, which says nothing of their signs.",
        )
    return ("The keys are not known, and nothing leads back: the attack aims at the average.",)
