"""The site is built strictly, and fetches nothing from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tools.site import SECTIONS, fetched_from_elsewhere, on_config, on_post_build

ROOT = Path(__file__).parents[2]


def test_every_folder_has_a_place_in_the_order() -> None:
    folders = {path.parts[len((ROOT / "docs").parts)] for path in ROOT.glob("docs/*/**/*.md")}
    assert folders <= SECTIONS.keys()


def test_every_page_is_in_the_order() -> None:
    nav = str(on_config({"docs_dir": ROOT / "docs"})["nav"])
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")]
    assert [one for one in pages if f"'{one}'" not in nav] == []


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://elsewhere.example/a.js"></script>',
        '<link rel="stylesheet" href="//elsewhere.example/a.css">',
        '<link rel="preconnect" href="https://elsewhere.example">',
        '<img src="http://elsewhere.example/a.png">',
    ],
)
def test_what_is_fetched_from_elsewhere_is_refused(html: str, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(html)
    assert [one.page for one in fetched_from_elsewhere(tmp_path)] == ["a.html"]
    with pytest.raises(RuntimeError, match="from elsewhere"):
        on_post_build({"site_dir": tmp_path})


def test_what_a_reader_follows_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://elsewhere.example">b</a><img src="c.png"><script src="d.js"></script>'
    )
    on_post_build({"site_dir": tmp_path})


def _build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Builds a site; not quietly, for MkDocs counts no warning then."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "--site-dir", site],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_site_is_built_strictly(tmp_path: Path) -> None:
    built = _build(ROOT / "mkdocs.yml", tmp_path)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "reference/plan-of-images.html").exists()
    assert (tmp_path / "examples/guard/alerts.yaml").exists()


@pytest.mark.slow
@pytest.mark.parametrize("link", ["missing.md", "#missing"])
def test_a_link_that_leads_nowhere_is_refused(link: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/README.md").write_text(f"# A page\n\n[a]({link})\n")
    (tmp_path / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nhooks: []\n"
    )
    built = _build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert built.returncode != 0
    assert "missing" in built.stderr
