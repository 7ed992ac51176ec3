"""The links of the documentation lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/*/*.md"), *ROOT.glob("standin/*.md")]
)


def prose(page: Path) -> str:
    """A page without its blocks and its words of code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.sub(r"^ {4,}.*$", "", text, flags=re.M)


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.M)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def broken(page: Path) -> list[str]:
    """The relative links of a page that lead to no file, or to no heading of it."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """Of README, CONTRIBUTING and the like, of docs/, and of the examples."""
    assert broken(page) == []


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    """A file that is missing, a heading of another page, a heading of the page itself."""
    (tmp_path / "b.md").write_text("# There `it` is\n", "utf-8")
    page = tmp_path / "a.md"
    page.write_text(
        "[1](b.md#there-it-is) [2](c.md) [3](b.md#gone) [4](#gone) [5](https://x/y.md)\n", "utf-8"
    )
    assert broken(page) == ["c.md", "b.md#gone", "#gone"]


def test_the_site_has_every_page() -> None:
    """The navigation names each page of docs/ once."""
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    named = [path for part in nav for pages in part.values() for page in pages for path in page.values()]
    assert sorted(named) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_a_page_of_the_site_links_to_nothing_outside() -> None:
    """A link from docs/ to another directory works on a forge, and is broken on the site."""
    assert [page.name for page in DOCS.rglob("*.md") if "](../" in prose(page)] == []
