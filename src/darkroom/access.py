"""What one query returns to the attacker."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """Levels of access, listed from the most that an attacker can see to the least."""

    @property
    def rank(self) -> int:
        """0 for the least that can be seen, rising with what is seen."""
        return list(reversed(type(self))).index(self)

    def includes(self, other: Level) -> bool:
        """Tells whether whoever has this access can do all that ``other`` allows.

        >>> Access.WEIGHTS.includes(Access.SCORES), Access.LABEL.includes(Access.SCORES)
        (True, False)
        """
        return self.rank >= other.rank


class Access(Level):
    """What one query to a classifier returns.

    ``WEIGHTS`` is white-box: outputs and gradients. ``SCORES`` returns every confidence, ``TOP_K``
    the largest ``k``, ``LABEL`` the winning class alone.
    """

    WEIGHTS = "weights"
    SCORES = "scores"
    TOP_K = "top_k"
    LABEL = "label"


class LanguageAccess(Level):
    """What one query to a language model returns.

    ``WEIGHTS`` is white-box. ``LOGPROBS`` returns the log-probability of every token that may
    follow, and of every token of a given text; ``TOP_K`` those of the likeliest tokens that may
    follow; ``SAMPLES`` text alone.
    """

    WEIGHTS = "weights"
    LOGPROBS = "logprobs"
    TOP_K = "top_k"
    SAMPLES = "samples"


class VerifierAccess(Level):
    """What one query to a verifier of faces returns.

    ``WEIGHTS`` is white-box: gradients of the encoder, and the stored templates of the people
    enrolled. With ``TEMPLATE`` these have leaked, and the encoder may be asked for the templates of
    other photos. ``SCORE`` returns how alike a photo and an enrolled person are,
    ``DECISION`` whether that is enough.
    """

    WEIGHTS = "weights"
    TEMPLATE = "template"
    SCORE = "score"
    DECISION = "decision"
