"""Markdown: its text without the markup, under its headings."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipeline.rag.reading.extracted_text import ExtractedText, TextBuilder
from pipeline.rag.reading.plain_document import decoded

_FRONT: Final = re.compile(r"\A---[^\S\n]*\n(.*?)\n(?:---|\.\.\.)[^\S\n]*(?:\n|\Z)", re.DOTALL)
_TITLE: Final = re.compile(r"^title:[^\S\n]*[\"']?(.*?)[\"']?[^\S\n]*$", re.MULTILINE)
_TAGS: Final = re.compile(r"<!--.*?(?:-->|\Z)|</?[a-zA-Z][^>]*>", re.DOTALL)


def read(data: bytes, max_characters: int) -> ExtractedText:
    """The text as a reader sees it: links by their words, pictures by their descriptions, tables by rows."""
    source = decoded(data).replace("\r\n", "\n")
    title = None
    if front := _FRONT.match(source):
        found = _TITLE.search(front[1])
        title = found[1] if found else None
        source = source[front.end() :]
    builder = TextBuilder(max_characters)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)
    first = _Writer(builder).write(tokens)
    return builder.finish(title or first)


class _Writer:
    """Writes blocks for the flat list of tokens that the parser gives."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._row: list[str] = []
        self._table: list[str] = []
        self._item = False

    def write(self, tokens: Sequence[Token]) -> str | None:
        """Returns the outermost of the first headings, which serves as a title."""
        title: str | None = None
        level = 0
        for token in tokens:
            match token.type:
                case "heading_open":
                    level = int(token.tag[1:])
                case "inline":
                    text = "".join(_words(token.children or ()))
                    if level:
                        self._builder.heading(level, text)
                        title = title or (text if level == 1 else None)
                        level = 0
                    elif token.level and self._table_open:
                        self._row.append(text)
                    else:
                        self._builder.block(f"- {text}" if self._item else text)
                        self._item = False
                case "list_item_open":
                    self._item = True
                case "fence" | "code_block":
                    self._builder.block(token.content)
                case "html_block":
                    self._builder.block(_TAGS.sub("", token.content))
                case _:
                    self._tables(token.type)
        return title

    _table_open = False

    def _tables(self, kind: str) -> None:
        match kind:
            case "table_open":
                self._table_open = True
                self._table = []
            case "tr_open":
                self._row = []
            case "tr_close":
                self._table.append(" | ".join(self._row))
            case "table_close":
                self._table_open = False
                self._builder.block("\n".join(self._table))


def _words(children: Sequence[Token]) -> Iterator[str]:
    for child in children:
        match child.type:
            case "softbreak":
                yield " "
            case "hardbreak":
                yield "\n"
            case "text" | "code_inline" | "image":
                yield child.content
