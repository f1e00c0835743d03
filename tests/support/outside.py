"""Where the example of a package of one's own is, for tests that use its parts."""

from pathlib import Path

EXTENSION = Path(__file__).parents[2] / "examples" / "extension"
