"""An attack on every secret in every prompt, and what came of it by secret."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkroom.text.asking import adaptation, attacker_view
from darkroom.text.attacks.base import Found, SecretGoal, SecretProgress
from darkroom.text.cell_plan import TextCellPlan
from darkroom.text.real.subject import RealSubject, Wanted
from darkroom.text.targets.base import LanguageTarget

Hits = NDArray[np.bool_]
Integers = NDArray[np.int64]


class Attacked(NamedTuple):
    """What came of an attack, by secret.

    Attributes:
        hits: Whether the first guess in any prompt is the secret, ``(secrets,)``.
        decoys: Whether it is the secret's first decoy.
        certain: Whether the best prompt's answer is surely what the attack looks for.
        prompts: The prompt that brought the secret out, or in which it is the likeliest guess.
        queries: Rows spent in all prompts.
        since: Rows after which the secret was out, and stayed so; infinite for never.
        shares: The share of continuations that were the secret in that prompt, and how many they
            were; for attacks on text alone.
        total: Rows spent in all.
        adaptation: What the attack did about what the view withholds, in sentences.
    """

    hits: Hits
    decoys: Hits
    certain: Hits
    prompts: Integers
    queries: Integers
    since: NDArray[np.float64]
    shares: tuple[tuple[float, int], ...]
    total: int
    adaptation: tuple[str, ...]


def attack(
    plan: TextCellPlan,
    target: LanguageTarget,
    subject: RealSubject,
    advance: Callable[[int, int], None],
) -> Attacked:
    """Attacks every secret in each of its prompts, all of them side by side.

    Args:
        plan: What to run; its budget is a secret's, shared by its prompts.
        target: The model, or the one before the fine-tune.
        subject: The secrets.
        advance: Told how many of the expected queries are spent.
    """
    wanted = subject.wanted
    owners = np.repeat(np.arange(len(wanted)), [len(one.prompts) for one in wanted])
    goals = [
        SecretGoal(prompt.before, prompt.after, one.format)
        for one in wanted
        for prompt in one.prompts
    ]
    most = max(len(one.prompts) for one in wanted)
    view = attacker_view(plan, target, len(goals), advance, sharing=most)
    filtered = target.filtered
    rng = np.random.default_rng([plan.seed, 1])
    since = np.full(len(wanted), np.inf)
    for progress in plan.attack.run(view, goals, rng=rng):
        spent = np.bincount(owners, weights=progress.queries, minlength=len(wanted))
        out = _out(progress, owners, [one.secret.secret for one in wanted])
        since = np.where(out, np.minimum(since, spent), np.inf)
    said = adaptation(plan, view, target.filtered - filtered)
    return _judged(progress, owners, wanted, since, view.ledger.total, said)


def _out(progress: SecretProgress, owners: Integers, truth: Sequence[str]) -> Hits:
    """Tells which secrets are the first guess in any of their prompts."""
    out = np.zeros(len(truth), bool)
    for owner, found in zip(owners.tolist(), progress.found, strict=True):
        out[owner] |= found.first == truth[owner]
    return out


def _judged(
    progress: SecretProgress,
    owners: Integers,
    wanted: Sequence[Wanted],
    since: NDArray[np.float64],
    total: int,
    said: tuple[str, ...],
) -> Attacked:
    truth = [one.secret.secret for one in wanted]
    starts = np.searchsorted(owners, np.arange(len(wanted)))
    best: list[int] = []
    for start, one in zip(starts.tolist(), wanted, strict=True):
        own = progress.found[start : start + len(one.prompts)]
        ranked = [_standing(found, one.secret.secret) for found in own]
        best.append(ranked.index(min(ranked)))
    chosen = [progress.found[start + place] for start, place in zip(starts, best, strict=True)]
    shares = [
        (_share(found, one.secret.secret), int(progress.queries[start + place]))
        for found, one, start, place in zip(chosen, wanted, starts, best, strict=True)
    ]
    return Attacked(
        hits=_out(progress, owners, truth),
        decoys=_out(progress, owners, [one.decoys[0] for one in wanted]),
        certain=np.array([found.certain for found in chosen]),
        prompts=np.array(best),
        queries=np.bincount(owners, weights=progress.queries, minlength=len(wanted)).astype(
            np.int64
        ),
        since=since,
        shares=tuple(shares),
        total=total,
        adaptation=said,
    )


def _standing(found: Found, secret: str) -> tuple[int, float]:
    """Returns the place and the surprise of a secret among guesses; behind all where it is none."""
    for place, guess in enumerate(found.guesses):
        if guess.secret == secret:
            return place, guess.surprise
    return len(found.guesses) + 1, 0.0


def _share(found: Found, secret: str) -> float:
    """Returns the share of continuations that a secret has; 0 where it is no guess."""
    return next((2.0**-one.surprise for one in found.guesses if one.secret == secret), 0.0)
