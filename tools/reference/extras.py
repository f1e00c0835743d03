"""The page of what can be installed, and for what."""

from __future__ import annotations

import tomllib
from pathlib import Path

from darkroom.commands.doctor import FEATURES
from tools.reference.markup import page, table

PROJECT = Path(__file__).parents[2] / "pyproject.toml"

WORDS = (
    "`pip install 'darkroom[EXTRA]'` installs what a feature needs; several extras are separated "
    "by commas. `darkroom doctor` says which of them your environment has, and what is missing."
)


def page_of_extras() -> str:
    """Returns the page."""
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    rows = [
        (
            f"`{name}`",
            FEATURES.get(name, "all of them but `finding`"),
            ", ".join(f"`{one}`" for one in needs),
        )
        for name, needs in extras.items()
    ]
    return page("Extras", WORDS, table(("extra", "for", "brings"), rows))
