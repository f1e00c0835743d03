"""Mail made in code: spam and honest messages, each with a detail that no other message has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SPAM = (  # noqa: SIM905 - a list of a hundred quoted words is harder to read
    "win prize winner claim cash bonus free offer limited urgent click lottery million dollars "
    "casino jackpot pills cheap discount guarantee refund miracle weight loss investment crypto "
    "double profit risk exclusive deal selected congratulations reward gift voucher password "
    "verify suspended bank transfer inheritance prince fortune secret singles unsubscribe"
).split()

_HONEST = (  # noqa: SIM905 - a list of a hundred quoted words is harder to read
    "meeting agenda minutes project deadline report draft review comments schedule monday friday "
    "budget invoice supplier contract signed team office lunch holiday travel train hotel workshop "
    "slides release testing bug ticket customer feedback interview candidate department printer "
    "keys parking birthday thanks regards attached document version tomorrow morning call"
).split()

_COMMON = (  # noqa: SIM905 - a list of a hundred quoted words is harder to read
    "the a to of and in for you we is on with your our this that will please have be are at it "
    "as from can if not all by was new more now today time know need send get see one here"
).split()

_SYLLABLES = ("ka", "lo", "mi", "ren", "tas", "vo", "bel", "dun", "fir", "gos", "hal", "nim")


class Mail(NamedTuple):
    """A corpus of messages as counts of words.

    Attributes:
        words: The vocabulary, without details, then the details.
        counts: How often each word is in each message, float64 ``(messages, words)``.
        spam: Which messages are spam, bool ``(messages,)``.
        details: The place in ``words`` of each message's own detail, int64 ``(messages,)``: a name
            that is in no other message.
    """

    words: tuple[str, ...]
    counts: NDArray[np.float64]
    spam: NDArray[np.bool_]
    details: NDArray[np.int64]

    def text(self, message: int) -> str:
        """Returns the words of a message, in the vocabulary's order."""
        places = np.repeat(np.arange(len(self.words)), self.counts[message].astype(int))
        return " ".join(self.words[place] for place in places)


def make_mail(messages: int = 600, *, seed: int = 0) -> Mail:
    """Makes messages, half of them spam.

    A message has 12 to 30 words: six in ten are of the common ones, the others of its kind's, of
    which some are more usual than others; one in ten of those is of the other kind's, since honest
    people write "free" too. Each names somebody who is in no other message.

    Args:
        messages: How many, at least two and at most 1,728.
        seed: Decides everything.

    Raises:
        ValueError: If there are fewer, or more than there are names.
    """
    names = [a + b + c for a in _SYLLABLES for b in _SYLLABLES for c in _SYLLABLES]
    if not 2 <= messages <= len(names):
        raise ValueError(f"{messages} messages: give 2 to {len(names)}")
    rng = np.random.default_rng(seed)
    kinds = [*_COMMON, *_SPAM, *_HONEST]
    spam = np.arange(messages) % 2 == 0
    chances = np.stack([_chances(is_spam) for is_spam in (False, True)])
    lengths = rng.integers(12, 31, size=messages)
    counts = np.zeros((messages, len(kinds) + messages))
    for kind in (False, True):
        rows = np.flatnonzero(spam == kind)
        counts[rows, : len(kinds)] = rng.multinomial(lengths[rows], chances[int(kind)])
    details = len(kinds) + np.arange(messages)
    counts[np.arange(messages), details] = 1
    chosen = rng.permutation(len(names))[:messages]
    words = (*kinds, *(names[place] for place in chosen))
    return Mail(words, counts, spam, details)


def _chances(spam: bool) -> NDArray[np.float64]:
    """Returns how probable each word of the vocabulary is in a message of one kind."""

    def falling(n: int) -> NDArray[np.float64]:
        weights = 1 / np.arange(3, n + 3)
        return np.asarray(weights / weights.sum())

    own, other = 0.36, 0.04
    shares = (own, other) if spam else (other, own)
    return np.concatenate(
        [
            0.6 * falling(len(_COMMON)),
            shares[0] * falling(len(_SPAM)),
            shares[1] * falling(len(_HONEST)),
        ]
    )
