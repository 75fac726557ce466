"""The glossary: each word once, in one module that exists, with its class where one is named."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\|(?! ---| word \|).*", GLOSSARY, re.MULTILINE)
ROW = re.compile(r"\| ([^|]+) \| [^|]+ \| `([^`:]+)(?:::(\w+))?` \|")
ROWS = [row.groups() for line in LINES if (row := ROW.fullmatch(line))]


def test_every_line_of_the_tables_is_a_word_a_meaning_and_a_module() -> None:
    assert len(ROWS) == len(LINES) > 80


def test_every_word_is_explained_once() -> None:
    assert [word for word, n in Counter(word.lower() for word, _, _ in ROWS).items() if n > 1] == []


def test_every_module_exists_and_holds_the_class_that_is_named() -> None:
    missing = []
    for _, module, name in ROWS:
        path = ROOT / module
        if not path.exists():
            missing.append(module)
        elif name:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if not any(isinstance(node, ast.ClassDef) and node.name == name for node in tree.body):
                missing.append(f"{module}::{name}")
    assert missing == []
