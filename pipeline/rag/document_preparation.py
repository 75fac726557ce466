"""What is worked out about a document before it is embedded: title, language, passages and their words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from pipeline.engines.weights.prepared_folders import sha256
from pipeline.rag.chunking import DocumentChunk, chunks
from pipeline.rag.keywords import Language, language, terms
from pipeline.rag.reading.document_reader import ReadDocument, UploadedDocument
from schemas.errors.retrieval_errors import DocumentEmpty
from schemas.settings.retrieval_settings import ChunkSettings, CollectionId, DocumentId, DocumentView


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that is cut into passages."""

    read: ReadDocument
    name: str
    sha256: str
    title: str
    language: Language
    chunks: Sequence[DocumentChunk]

    def texts(self, begin: int = 0, end: int | None = None) -> list[str]:
        """What stands for each passage: itself, below the title and the headings that it comes under.

        A passage seldom repeats what it is about, but whoever asks will name it.
        """
        return [
            "\n".join([" > ".join(dict.fromkeys([self.title, *chunk.headings])), chunk.text])
            for chunk in self.chunks[begin:end]
        ]

    def terms(self) -> list[list[str]]:
        """The words of each passage, as the index keeps them."""
        return [terms(text, self.language) for text in self.texts()]

    def view(self, collection: CollectionId, document: DocumentId) -> DocumentView:
        return DocumentView(
            id=document,
            collection=collection,
            title=self.title,
            media_type=self.read.media_type,
            name=self.name,
            language=self.language,
            characters=len(self.read.extracted.text),
            pages=self.read.extracted.pages,
            chunks=len(self.chunks),
            sha256=self.sha256,
        )


def prepared(read: ReadDocument, upload: UploadedDocument, settings: ChunkSettings) -> Prepared:
    """Blocking: a long document takes a second."""
    cut = chunks(read.extracted, settings)
    if not cut:
        raise DocumentEmpty("There is no text in the document.")
    name = PurePath(upload.name).name or "document"
    title = read.extracted.title or PurePath(name).stem
    return Prepared(read, name, sha256(upload.path), title, language(read.extracted.text), cut)
