"""What one query returns to the attacker."""

from __future__ import annotations

from enum import StrEnum


class Access(StrEnum):
    """Access levels, from the most that an attacker can see to the least.

    ``WEIGHTS`` is white-box: outputs and gradients. ``SCORES`` returns every confidence, ``TOP_K``
    the largest ``k``, ``LABEL`` the winning class alone.
    """

    WEIGHTS = "weights"
    SCORES = "scores"
    TOP_K = "top_k"
    LABEL = "label"

    @property
    def rank(self) -> int:
        """0 for the least that can be seen (``label``), rising with what is seen."""
        return list(reversed(Access)).index(self)

    def includes(self, other: Access) -> bool:
        """Tells whether whoever has this access can do all that ``other`` allows.

        >>> Access.WEIGHTS.includes(Access.SCORES), Access.LABEL.includes(Access.SCORES)
        (True, False)
        """
        return self.rank >= other.rank
