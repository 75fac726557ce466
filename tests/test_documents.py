"""Documents for readers: names that they mention exist, links lead somewhere, every page is in an index."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests import face_table

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ADRS = sorted(DOCS.glob("adr/0*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")), DOCS / "adr" / "README.md"]
NAMED = re.compile(
    r"`((?:pipeline|deployments|schemas|cluster|loadtests|tests|web|docs)/[^`\s:*{}]*)(?:::(\w+))?`"
)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")

WRITTEN_BY_PROGRAMS = ("compare.md", "metrics.md")
BEGINS_WRONGLY = re.compile(r"(?:^|[.!?] |\* )(?:Who|What|Whoever|Nobody|Somebody|Where|Whatever)\b[^.]*")


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, defined))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_and_function_that_a_page_names_exists(page: Path) -> None:
    missing = []
    for path, name in NAMED.findall(page.read_text(encoding="utf-8")):
        if not (ROOT / path).exists():
            missing.append(path)
        elif name and name not in names_in(ROOT / path):
            missing.append(f"{path}::{name}")
    assert missing == []


def test_the_architecture_names_the_functions_on_a_prompts_way() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert sum(1 for _, name in NAMED.findall(text) if name) >= 30
    assert len(text.split()) < 2_400, "ten minutes to read"


def test_every_link_leads_to_a_file() -> None:
    links = [(page, link) for page in (*PAGES, *ADRS) for link in LINK.findall(page.read_text("utf-8"))]
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_sentence_begins_with_its_subject(page: Path) -> None:
    """A table's cells, code, and pages that a program writes are left out."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    if page.name in WRITTEN_BY_PROGRAMS:
        return
    found = []
    for paragraph in re.split(r"\n\s*\n|\n(?=[*|#0-9-])", text):
        if not paragraph.startswith("|"):
            found += BEGINS_WRONGLY.findall(" ".join(paragraph.split()))
    assert found == []


def test_the_index_of_documents_has_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert [
        page.name for page in DOCS.glob("*.md") if page.name not in index and page.name != "README.md"
    ] == []


def test_the_table_of_faces_is_current_and_each_yes_has_its_test() -> None:
    text = face_table.DOCUMENT.read_text(encoding="utf-8")
    assert face_table.absent() == []
    assert face_table.written(text) == text, "make schemas"


def test_the_index_of_decisions_has_every_decision_with_its_title_once() -> None:
    index = (DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    assert len({adr.name[:4] for adr in ADRS}) == len(ADRS), "two ADRs have the same number"
    for adr in ADRS:
        title = adr.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix(f"# {adr.name[:4]} ")
        assert index.count(f"* [{adr.name[:4]}]({adr.name}) {title}") == 1, adr.name


def test_a_superseded_decision_names_a_successor() -> None:
    index = (DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    for adr in ADRS:
        text = adr.read_text(encoding="utf-8")
        successor = re.search(r"^\*Superseded by \[ADR (\d{4})\]", text, re.MULTILINE)
        assert (successor is not None) == (
            f"[{adr.name[:4]}]({adr.name})" in index
            and "superseded by"
            in next(line for line in index.splitlines() if f"({adr.name})" in line).lower()
        ), adr.name


def test_the_readme_is_read_in_a_minute() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
    pictures = [path.stat().st_size for path in (DOCS / "pictures").glob("page*.webp")]
    assert len(pictures) == 2
    assert max(pictures) < 1_000_000
