"""HTML: what the page is about, under its headings, without what every page of the site says."""

import re
from collections.abc import Iterator
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.rag.reading.extracted_text import ExtractedText, TextBuilder
from pipeline.rag.reading.plain_document import decoded

_DECLARED: Final = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""", re.I)
_DECLARED_WITHIN: Final = 4_096
_NEVER: Final = (
    "script, style, noscript, template, svg, math, iframe, object, canvas, audio, video, button, select, "
    "input, textarea, nav, dialog, [hidden], [aria-hidden=true], [role=navigation], [role=search], "
    "[role=banner], [role=contentinfo], [role=dialog], [role=menu]"
)
_AROUND: Final = "body > header, body > footer, body > aside, body > div > header, body > div > footer"
_MAIN: Final = ("main", "[role=main]", "article")
_MAIN_SHARE: Final = 0.4
"""A part that says it is the main one is believed if it holds so much of the page's text."""
_PHRASING: Final = (
    "a abbr b bdi bdo cite code data del dfn em font i img ins kbd label mark q rp rt ruby s samp small span "
    "strong sub sup time tt u var wbr -comment -text"
)
_INLINE: Final = frozenset(_PHRASING.split())
"""These stay in their line; `_IN_BLOCKS` in their block. Every other element begins and ends a block."""
_IN_BLOCKS: Final = frozenset({"br", "tr", "li", "td", "th", "tbody", "thead", "tfoot"})
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_SPACE: Final = re.compile(r"\s+")


def read(data: bytes, max_characters: int) -> ExtractedText:
    """The text of the main part, as a reader sees it."""
    found = _DECLARED.search(data[:_DECLARED_WITHIN])
    page = LexborHTMLParser(decoded(data, found[1].decode("ascii") if found else None))
    title_node = page.css_first("head > title")
    title = title_node.text() if title_node else None
    builder = TextBuilder(max_characters)
    for node in page.css(_NEVER):
        node.remove()
    if (root := _main_part(page)) is not None:
        _Writer(builder).write(root)
    return builder.finish(title or _first_heading(page))


def _main_part(page: LexborHTMLParser) -> LexborNode | None:
    body = page.body
    if body is None:
        return None
    whole = len(body.text()) or 1
    for query in _MAIN:
        parts = page.css(query)
        if len(parts) == 1 and len(parts[0].text()) >= whole * _MAIN_SHARE:
            return parts[0]
    for node in page.css(_AROUND):
        node.remove()
    return body


def _first_heading(page: LexborHTMLParser) -> str | None:
    heading = page.css_first("h1")
    return heading.text() if heading else None


class _Writer:
    """Walks through the tree without recursion, for pages may be nested as deep as somebody likes."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._line: list[str] = []
        self._kept = 0

    def write(self, root: LexborNode) -> None:
        for node, entering in _walk(root):
            tag = node.tag or ""
            if tag in _INLINE:
                if tag == "-text" and entering:
                    text = node.text_content or ""
                    self._line.append(text if self._kept else _SPACE.sub(" ", text))
            elif level := _HEADINGS.get(tag):
                self._heading(level, entering)
            elif tag in _IN_BLOCKS:
                self._in_block(node, tag, entering)
            else:
                self._flush()
                if tag == "pre":
                    self._kept += 1 if entering else -1
        self._flush()

    def _in_block(self, node: LexborNode, tag: str, entering: bool) -> None:
        """A list or a table stays one block, with a line for each item or row."""
        if tag in ("td", "th"):
            self._line.append("" if entering or node.next is None else " | ")
        elif entering and tag in ("br", "tr", "li"):
            self._line.append("\n- " if tag == "li" else "\n")

    def _heading(self, level: int, entering: bool) -> None:
        if entering:
            self._flush()
        else:
            self._builder.heading(level, "".join(self._line))
            self._line.clear()

    def _flush(self) -> None:
        text = "".join(self._line)
        self._line.clear()
        if not self._kept:
            lines = (" ".join(line.split()) for line in text.split("\n"))
            text = "\n".join(line for line in lines if line.strip(" |-"))
        self._builder.block(text)


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every node below `root` twice: when it begins (True) and when it ends (False)."""
    open_nodes: list[LexborNode] = []
    node = root.first_child
    while node is not None:
        yield node, True
        if (child := node.first_child) is not None:
            open_nodes.append(node)
            node = child
            continue
        yield node, False
        while node.next is None and open_nodes:
            node = open_nodes.pop()
            yield node, False
        node = node.next
