"""Texts as the sentence buffer cuts them."""

from pipeline.tts.sentence_buffer import Fragment, SentenceBuffer
from schemas.settings import SentenceSettings


def cut(
    text: str, settings: SentenceSettings, language: str = "en", sizes: tuple[int, ...] = ()
) -> list[Fragment]:
    """The fragments of a text that comes in deltas of these sizes and a rest."""
    buffer = SentenceBuffer(settings, language)
    fragments: list[Fragment] = []
    for size in sizes:
        fragments += buffer.push(text[:size])
        text = text[size:]
    return [*fragments, *buffer.push(text), *buffer.flush()]


def texts(fragments: list[Fragment]) -> list[str]:
    return [fragment.text for fragment in fragments]
