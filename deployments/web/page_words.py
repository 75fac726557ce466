"""The words of a page in another language, in two files: for its beginning, and for what it loads later."""

import json
import re
from collections.abc import Iterable
from typing import Final

_ENTRY: Final = re.compile(r'^  ("(?:[^"\\]|\\.)*"): .*,$', re.MULTILINE)
"""English text of an entry; each has a line of its own."""


def later_words(words: Iterable[str], beginning: str, later: str) -> set[str]:
    """The English texts of the modules `words`, in their quotes, that stand only in the code of `later`."""
    begins = " ".join(beginning.split())
    texts = {text for module in words for text in _ENTRY.findall(module)}
    return {text for text in texts if _stands(text, later) and not _stands(text, begins)}


def _stands(text: str, code: str) -> bool:
    return text[1:-1] in code or json.loads(text) in code


def divided(module: str, later: set[str]) -> tuple[str, str]:
    """The module without its entries for `later`, and a module of these."""
    entries = [found[0] for found in _ENTRY.finditer(module) if found[1] in later]
    first = _ENTRY.sub(lambda found: "" if found[1] in later else found[0], module)
    return first, "export default {\n" + "\n".join(entries) + "\n};\n"
