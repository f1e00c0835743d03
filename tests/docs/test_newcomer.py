"""A page is walked as a newcomer would, and what went wrong is told."""

from __future__ import annotations

import json
from pathlib import Path

from tools.newcomer import MOST_SECONDS, Walk, walk


def _page(folder: Path, *commands: str) -> Path:
    page = folder / "page.md"
    page.write_text("\n\n".join(f"```sh\n{command}\n```" for command in commands) + "\n")
    return page


def test_blocks_share_a_shell_and_their_verdicts_are_told(tmp_path: Path) -> None:
    verdict = json.dumps({"verdict": {"outcome": "leak"}})
    page = _page(
        tmp_path,
        "mkdir -p try/runs/a && cd try",
        f"echo '{verdict}' > runs/a/results.json",
    )
    found = walk(page, tmp_path)
    assert found.good
    assert found.outcomes == {"a": "leak"}
    assert not walk(_page(tmp_path, "true"), tmp_path).outcomes


def test_the_block_that_failed_is_named_and_ends_the_page(tmp_path: Path) -> None:
    found = walk(_page(tmp_path, "true", "false", "touch reached"), tmp_path)
    assert (found.good, found.failed) == (False, "page.md:5")
    assert not (tmp_path / "reached").exists()


def test_a_path_without_a_verdict_or_in_too_much_time_is_not_good() -> None:
    good = Walk("image.md", 1.0, 1.0, 0, "", {"a": "leak"})
    assert good.good
    assert not good._replace(outcomes={}).good
    assert not good._replace(processor=MOST_SECONDS + 1).good
    assert good._replace(outcomes={}, page="README.md").good
