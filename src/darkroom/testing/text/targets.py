"""Checks of language models as targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darkroom.access import LanguageAccess
from darkroom.named import origin
from darkroom.testing.promises import require
from darkroom.text.targets.base import LanguageTarget, Prompt, Sampling, free

PROMPTS = ("The code is ", "Call ", "A")
ENDINGS = ("123", "me now", "b")


def scores_texts_alike(target: LanguageTarget) -> None:
    """Texts scored together and alone get the same log-probabilities, none above zero."""
    if not target.access.includes(LanguageAccess.LOGPROBS):
        return
    together = target.score(PROMPTS, ENDINGS, free())
    require(len(together) == len(PROMPTS), f"target {target.name} leaves out texts")
    for told, prompt, ending in zip(together, PROMPTS, ENDINGS, strict=True):
        right = told.ndim == 1 and len(told) and (told <= 1e-9).all()
        require(right, f"target {target.name} scores tokens with no log-probabilities")
        alone = target.score([prompt], [ending], free())[0]
        same = alone.shape == told.shape and np.allclose(alone, told, rtol=1e-4, atol=1e-5)
        require(same, f"target {target.name} scores a text otherwise among others")


def tells_what_may_follow(target: LanguageTarget) -> None:
    """What may follow a prefix are probabilities, and the same however many are asked about."""
    if target.masked or not target.access.includes(LanguageAccess.TOP_K):
        return
    trie, name, prompts = target.trie(), target.name, _prompts(target)
    prefixes, told = trie.open(prompts, free())
    require(len(prefixes) == len(prompts), f"target {name} opens another number of prefixes")
    sums = np.exp(told.logprobs).sum(axis=1)
    require((sums <= 1 + 1e-6).all(), f"target {name}: what may follow is likelier than certain")
    for row, prompt in enumerate(prompts):
        alone = target.trie().open([prompt], free())[1].logprobs[0]
        same = np.allclose(alone, told.logprobs[row], rtol=1e-4, atol=1e-5)
        require(same, f"target {name} continues a prefix otherwise among others")
    likeliest = told.logprobs.argmax(axis=1)
    grown, _ = trie.extend(prefixes, likeliest, free())
    fresh = len(grown) == len(prefixes) and not np.isin(grown, prefixes).any()
    require(fresh, f"target {name}: a prefix that grows is no new one")


def _prompts(target: LanguageTarget) -> Sequence[Prompt]:
    """Returns the prompts as a target takes them: tokens, if it knows them."""
    if not target.knows_tokens:
        return PROMPTS
    return [(*one.opening, *one.tokens) for one in target.codec.encode(PROMPTS)]


def draws_by_the_source(target: LanguageTarget) -> None:
    """Text that is drawn follows the source of randomness that is given."""
    if target.masked:
        return
    one, again = (
        target.sample(PROMPTS, 5, Sampling(), np.random.default_rng(3), free()) for _ in range(2)
    )
    require(len(one) == len(PROMPTS), f"target {target.name} leaves out prompts")
    require(one == again, f"target {target.name} draws other text from the same source")


def is_told_by_its_fingerprint(target: LanguageTarget) -> None:
    """The fingerprint stays as long as the model does, and its code is in a file."""
    one = target.fingerprint()
    require(isinstance(one, str) and one, f"target {target.name} has no fingerprint")
    require(target.fingerprint() == one, f"target {target.name}: its fingerprint changes by itself")
    origin(type(target))


PROMISES = (
    scores_texts_alike,
    tells_what_may_follow,
    draws_by_the_source,
    is_told_by_its_fingerprint,
)
"""What every language model owes as a target."""


def check_target(target: LanguageTarget) -> None:
    """Checks a target by asking it about a few words of English.

    Args:
        target: The target; one that draws by a server's own randomness does not pass.

    Raises:
        AssertionError: If it breaks a promise; the sentence says which.
    """
    for promise in PROMISES:
        promise(target)
