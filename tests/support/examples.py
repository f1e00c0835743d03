"""How many examples a property is tried with: as many as the profile says, or a share of them."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "here",
    max_examples=40,
    deadline=None,
    # These three depend on the machine's load or on luck.
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)
settings.register_profile(
    "everything", settings.get_profile("here"), max_examples=200, derandomize=True
)
settings.load_profile("everything" if os.environ.get("DARKROOM_CI") == "1" else "here")

_USUAL = settings().max_examples

few = settings(max_examples=_USUAL // 4)
"""For properties whose examples cost much."""

many = settings(max_examples=2 * _USUAL)
"""For hostile input, which has many forms."""
