"""``darkroom`` with cells that take a while, of which each is written down at its end."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from darkroom.auditing.store import Store
from darkroom.commands.main import main

LOG = "SCALE_LOG"
"""The variable that names the file."""

SECONDS = 0.4
"""How much longer each cell takes."""


def counting() -> None:
    """Has every cell written down before it is kept."""
    usual = Store.write_cell

    def counted(self: Store, key: str, *arguments: Any) -> None:
        time.sleep(SECONDS)
        with Path(os.environ[LOG]).open("a") as log:
            log.write(f"{key}\n")
        usual(self, key, *arguments)

    Store.write_cell = counted  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    counting()
    sys.exit(main())
