"""``python -m tools.reference``: writes the generated pages of the reference."""

from __future__ import annotations

from tools.reference.pages import pages

for path, text in pages():
    path.write_text(text, encoding="utf-8")
