"""Takes Markdown, HTML and citation marks out of a text."""

import html
import re
from collections.abc import Iterator
from typing import Final

from pipeline.tts.normalisation.draft import Draft

_LINE: Final = re.compile(r"[^\n]+\n?|\n")
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})")
_RULE: Final = re.compile(r"[-*_=|:+ \t\r]*")
_MARKER: Final = re.compile(
    r"[ \t]*(?:>[ \t]*)*"
    r"(?:(?P<block>#{1,6}[ \t]+|[-*+•‣◦·–][ \t]+(?:\[[ xX]\][ \t]+)?)|[0-9]{1,3}(?P<item>[.)])[ \t]+)?"
)
_ENDED: Final = re.compile(r"[.!?:;,…。！？][\"'”’)*_`]*$")
_BAR: Final = re.compile(r"[ \t]*\|[ \t]*")

_IMAGE: Final = re.compile(r"!\[([^\[\]\n]{0,300})\]\([^()\n]{0,500}\)")
_LINK: Final = re.compile(
    r"\[([^\[\]\n]{1,300})\](?:\([^()\s]{0,500}(?:\([^()\s]{0,100}\)[^()\s]{0,100})?(?:\s\"[^\"\n]{0,200}\")?\)|\[[^\[\]\n]{0,60}\])"
)
_AUTOLINK: Final = re.compile(r"<((?:https?://|mailto:|[\w.+-]{1,64}@)[^<>\s]{1,500})>")
_CITATION: Final = re.compile(
    r"\s?【[^】\n]{0,80}】|(?<=\S)\[\^?[0-9][0-9,;\s–-]{0,20}\]|(?:^|\s)\[[0-9]{1,3}\]|\s?\[\^[\w-]{1,20}\]:?"
)
_NOTE: Final = re.compile(
    r"(?:(?<=[^\W\d_]{3})(?<!sin)(?<!cos)(?<!tan)(?<!log)|(?<=[^\W\d_][.!?,;:”\"]))[¹²³⁰⁴-⁹]{1,3}(?![\w⁺⁻ⁿ])"
)
"""The number of a footnote, after a word or behind its mark. Behind one or two letters it is a power."""
_COMMENT: Final = re.compile(r"<!--.{0,300}?-->", re.DOTALL)
_TAG: Final = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,15})(?:\s[^<>]{0,300})?/?>")
_SPACED_TAGS: Final = frozenset(
    ["br", "p", "div", "li", "ul", "ol", "td", "th", "tr", "hr", "h1", "h2", "h3", "h4", "h5", "h6"]
)
_ENTITY: Final = re.compile(r"&(?:[a-zA-Z]{2,10}|#[0-9]{1,6}|#[xX][0-9a-fA-F]{1,5});")
_ESCAPE: Final = re.compile(r"\\([\\`*_{}\[\]()#+\-.!~|>])")
_TIMES: Final = re.compile(r"(?<=[0-9])\s?\*\s?(?=[0-9])")
_EMPHASIS: Final = re.compile(r"\*+|~~+|`+")
_UNDERSCORES: Final = re.compile(r"_+")


def strip_blocks(draft: Draft, code_phrase: str, months: frozenset[str]) -> None:
    """Headings, lists, quotations and tables become lines of plain text, code becomes the phrase."""
    draft.replace(list(_block_edits(draft.text, code_phrase, months)))


def _block_edits(text: str, code_phrase: str, months: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    fence, fenced_from = "", 0
    for line in _LINE.finditer(text):
        body = line[0].rstrip()
        opened = _FENCE.match(body)
        if fence:
            if opened and opened[1].startswith(fence):
                yield fenced_from, line.end(), f" {code_phrase}\n"
                fence = ""
        elif opened and "`" not in body[opened.end() :]:
            fence, fenced_from = opened[1][:3], line.start()
        elif len(body) > 2 and _RULE.fullmatch(body):
            yield line.start(), line.end(), "\n"
        else:
            yield from _line_edits(line.start(), body, months)
    if fence:
        yield fenced_from, len(text), f" {code_phrase}\n"


def _line_edits(at: int, body: str, months: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    marker = _MARKER.match(body)
    if marker is None or marker.end() == len(body):
        return
    row = body[marker.end()] == "|"
    if marker["item"] and body[marker.end() :].split(maxsplit=1)[0].rstrip(".,") not in months:
        yield at + marker.start("item"), at + marker.end(), ", "
    elif marker["item"]:
        return
    else:
        yield at, at + marker.end(), ""
    start = marker.end()
    if row:
        for bar in _BAR.finditer(body, start):
            if bar.end() < len(body):
                yield at + bar.start(), at + bar.end(), ", " if bar.start() > start else ""
                start = bar.end()
        if body.endswith("|") and start < len(body):
            yield at + len(body) - 1, at + len(body), "."
    elif (marker["block"] or marker["item"]) and not _ENDED.search(body[-8:]):
        yield at + len(body) - 1, at + len(body), body[-1] + "."


def strip_links(draft: Draft) -> None:
    """Links and images are read by their labels; tags, comments and citation marks are not read."""
    draft.unwrap(_IMAGE)
    draft.unwrap(_LINK)
    draft.unwrap(_AUTOLINK)
    draft.rewrite(_CITATION, lambda _: "")
    draft.rewrite(_NOTE, lambda _: "")
    draft.rewrite(_COMMENT, lambda _: "")
    draft.rewrite(_TAG, lambda tag: " " if tag[1].lower() in _SPACED_TAGS else "")
    draft.rewrite(_ENTITY, lambda entity: html.unescape(entity[0]))


def strip_emphasis(draft: Draft) -> None:
    """Stars, underscores and backticks go, whether or not their partner is in this text."""
    draft.unwrap(_ESCAPE)
    draft.rewrite(_TIMES, lambda _: " × ")
    draft.rewrite(_EMPHASIS, lambda _: "")
    draft.rewrite(_UNDERSCORES, _underscores)


def _underscores(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    return " " if text[start - 1 : start].isalnum() and text[end : end + 1].isalnum() else ""
