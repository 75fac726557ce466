"""The glossary: each word once, in one module that is there, with its class where one is named."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| (?P<word>[^|]+) \| (?P<meaning>[^|]+) \| `(?P<path>[^`:]+)(?:::(?P<name>\w+))?` \|$")
TABLE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
LINES = [line for line in TABLE.splitlines() if line.startswith("|") and not line.startswith(("| ---", "| word "))]
ROWS = [row for line in LINES if (row := ROW.match(line))]


def test_every_line_of_the_tables_is_a_word_a_meaning_and_a_module() -> None:
    assert len(ROWS) == len(LINES) > 80


def test_every_word_stands_once() -> None:
    assert [word for word, n in Counter(row["word"].lower() for row in ROWS).items() if n > 1] == []


def test_every_module_exists_and_has_what_is_named_in_it() -> None:
    missing = []
    for row in ROWS:
        path, name = ROOT / row["path"], row["name"] or row["word"]
        if not path.exists():
            missing.append(row["path"])
        elif row["name"] or name[0].isupper() and name[1].islower() and path.suffix == ".py" and " " not in name:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = {getattr(node, "name", "") for node in ast.walk(tree)}
            if name not in names:
                missing.append(f"{row['path']}::{name}")
    assert missing == []
