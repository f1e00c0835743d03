"""What MkDocs asks while it builds the site: the order of pages, and a look at what came out."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

SECTIONS = {
    "start": "Start",
    "tutorials": "Tutorials",
    "understand": "Understand",
    "how-to": "How to",
    "reference": "Reference",
    "contribute": "Contribute",
    "measured": "Measured",
}
"""Folders of the documentation in the order in which a reader meets them."""

FIRST = ("README.md", "image.md", "table.md", "language-model.md", "lesson.md", "commands.md")
"""Pages that come before the others of their folder."""

EXAMPLES = Path(__file__).parents[1] / "examples"
SHOWN = frozenset([".conf", ".toml", ".yaml"])
"""Files beside the pages that pages link to."""

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""Elements that have a browser fetch something, and the attribute that says what."""


class Elsewhere(NamedTuple):
    """Something that a page has fetched from another place.

    Attributes:
        page: The page, relative to the site.
        address: What is fetched.
    """

    page: str
    address: str


def on_config(config: Any) -> Any:
    """Orders the pages; MkDocs calls this first."""
    docs = Path(config["docs_dir"])
    config["nav"] = [{"Home": "README.md"}, *_sections(docs)]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Puts the examples that pages link to into the site; MkDocs calls this with all files."""
    from mkdocs.structure.files import File

    for path in sorted(EXAMPLES.rglob("*")):
        if path.is_file() and path.suffix in SHOWN:
            uri = path.relative_to(EXAMPLES.parent).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Has links to examples lead to those in the site; MkDocs calls this for each page.

    >>> on_page_markdown("[a](../../examples/guard/a.yaml)")
    '[a](../examples/guard/a.yaml)'
    """
    return markdown.replace("](../../examples/", "](../examples/")


def on_post_build(config: Any) -> None:
    """Refuses a site that fetches something from elsewhere; MkDocs calls this last.

    Raises:
        RuntimeError: If it does.
    """
    found = fetched_from_elsewhere(Path(config["site_dir"]))
    if found:
        page, address = found[0]
        raise RuntimeError(
            f"{page} fetches {address} from elsewhere ({len(found)} in all): keep it in the site"
        )


def fetched_from_elsewhere(site: Path) -> list[Elsewhere]:
    """Finds the scripts, styles, fonts and pictures that pages fetch from other places.

    Links that a reader follows are none.

    Args:
        site: The built site.
    """
    return [
        Elsewhere(path.relative_to(site).as_posix(), address)
        for path in sorted(site.rglob("*.html"))
        for address in _fetched(path.read_text(encoding="utf-8"))
        if address.startswith(("http:", "https:", "//"))
    ]


def _sections(docs: Path) -> Iterator[dict[str, list[Any]]]:
    for folder, title in SECTIONS.items():
        pages = _pages(docs / folder, docs)
        if pages:
            yield {title: pages}


def _pages(folder: Path, docs: Path) -> list[Any]:
    """Returns the pages of a folder, those of folders within it after them."""
    files = sorted(folder.glob("*.md"), key=lambda path: (_rank(path.name), path.name))
    inner = {
        one.name.capitalize(): _pages(one, docs) for one in sorted(folder.glob("*")) if one.is_dir()
    }
    return [
        *(path.relative_to(docs).as_posix() for path in files),
        *({title: pages} for title, pages in inner.items() if pages),
    ]


def _rank(name: str) -> int:
    return FIRST.index(name) if name in FIRST else len(FIRST)


class _Fetched(HTMLParser):
    """Collects the addresses of what a browser fetches for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        address = told.get(FETCHED.get(tag, ""))
        if tag == "link" and told.get("rel") not in ("canonical", "next", "prev"):
            address = told.get("href")
        if address:
            self.addresses.append(address)


def _fetched(html: str) -> list[str]:
    parser = _Fetched()
    parser.feed(html)
    return parser.addresses
