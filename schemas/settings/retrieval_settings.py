"""Settings and messages of documents, collections, searches in them, and found passages."""

from typing import Literal, NewType, Self

from pydantic import Field, SecretStr, model_validator

from schemas.bounds import FewFields
from schemas.document_models import ClosedModel

CollectionId = NewType("CollectionId", str)
"""A collection's UUIDv7, as sessions have (`schemas.ids.new_id`)."""

DocumentId = NewType("DocumentId", str)
"""A document's UUIDv7. The client that adds a document chooses it, so that adding it again replaces it."""

Strategy = Literal["vector", "keyword", "hybrid", "two_stage"]
"""How passages are looked for.

`vector`: by meaning. `keyword`: by words, names and numbers. `hybrid`: both, joined by their ranks.
`two_stage`: many by `hybrid`, then put in order by a slower and better judge.
"""

MediaType = Literal[
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "text/html",
    "text/markdown",
    "text/plain",
]
"""The kinds of documents that are read."""

DocumentState = Literal["waiting", "reading", "embedding", "ready", "failed"]
"""How far a document is. It can be found from `ready` on, and not before."""

EmbeddingModel = Literal["e5", "wordllama"]
"""`e5`: a hundred languages; some ten ms for a question. `wordllama`: microseconds, mostly English."""


class SearchToolConfig(FewFields, ClosedModel):
    """How a conversation looks things up (the seed's `search_tool_config`)."""

    strategy: Strategy = "two_stage"
    top_k: int = Field(default=4, ge=1, le=50)
    """So many passages at most."""


class Passage(ClosedModel):
    """A piece of a document, found for a question. Characters are Unicode code points."""

    collection: CollectionId
    document: DocumentId
    title: str
    media_type: MediaType
    page: int | None = None
    """The page, from 1, on which it begins; None where the kind has no pages."""
    headings: tuple[str, ...] = ()
    """The headings above it, from the outermost on."""
    start: int = Field(ge=0)
    """Its first character in the document's extracted text."""
    end: int = Field(ge=1)
    """The character after its last one."""
    text: str
    """Exactly the extracted text from `start` to `end`."""
    score: float
    """Larger is better; comparable only within one answer of one strategy."""
    strategy: Strategy

    @model_validator(mode="after")
    def _text_fills_its_range(self) -> Self:
        if len(self.text) != self.end - self.start:
            raise ValueError("the text is not as long as its range")
        return self


class NumberedPassage(Passage):
    """A passage that the language model was given."""

    number: int = Field(ge=1)
    """Number of the answer's markers: [1], [2], ..."""


class Support(ClosedModel):
    """Characters [start, end) of an answer rest on a passage."""

    number: int = Field(ge=1)
    """The passage's."""
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    by: Literal["marker", "words"] = "marker"
    """`marker`: the model says so. `words`: it does not say, but the words are the passage's."""


class Citation(NumberedPassage):
    """A passage that an answer was given from."""

    supports: tuple[Support, ...] = ()
    """Positions of its citations in the answer; empty: it was given to the model and not cited."""


class CollectionView(ClosedModel):
    """A collection as it is now."""

    id: CollectionId
    name: str
    embedding: str
    """The model that its passages were embedded by, and questions to it have to be."""
    documents: int = Field(ge=0)
    chunks: int = Field(ge=0)


class DocumentView(ClosedModel):
    """A document that is in a collection."""

    id: DocumentId
    collection: CollectionId
    title: str
    media_type: MediaType
    name: str
    """The file's name, as it was uploaded."""
    language: str
    characters: int = Field(ge=1)
    """The length of the extracted text."""
    pages: int | None = None
    chunks: int = Field(ge=1)
    sha256: str
    """Of the uploaded bytes."""


class DocumentProgress(ClosedModel):
    """How far the adding of a document is."""

    document: DocumentId
    state: DocumentState
    done: float = Field(ge=0.0, le=1.0)
    """The share of the whole work that is done."""
    view: DocumentView | None = None
    """The document, once it is ready."""


class ChunkSettings(ClosedModel):
    """How text is cut into passages. Lengths are characters."""

    size: int = Field(default=900, ge=100, le=4_000)
    """No passage is longer."""
    overlap: int = Field(default=150, ge=0, le=1_000)
    """A passage begins at most so far before the end of the one before it, at a sentence or a word."""

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.overlap * 2 > self.size:
            raise ValueError("overlap may be half of size at most")
        return self


class ReadingLimits(ClosedModel):
    """Limits of one document. Reading happens in a process of its own, which is ended beyond these."""

    bytes: int = Field(default=50_000_000, ge=1_000)
    """Larger documents are refused: `document.too_large`."""
    unpacked_bytes: int = Field(default=200_000_000, ge=1_000)
    """A packed document (DOCX) that says it unpacks to more is refused: `document.too_large`."""
    characters: int = Field(default=4_000_000, ge=100)
    """Documents with more text are refused: `document.too_large`."""
    seconds: float = Field(default=60.0, gt=0, le=3_600)
    """Longer reading is ended: `document.too_slow`."""
    memory_mb: int = Field(default=1_024, ge=256)
    """Reading that wants more memory is ended: `document.too_large`."""


class Quotas(ClosedModel):
    """How much there may be; more is refused with 409."""

    collections: int = Field(default=1_000, ge=1)
    """Of one principal: `quota.collections`. A collection counts a moment after it was made."""
    documents: int = Field(default=1_000, ge=1)
    """In one collection: `quota.documents`."""
    bytes: int = Field(default=2_000_000_000, ge=1_000)
    """Uploaded into one collection: `quota.bytes`."""


class RetrievalSettings(ClosedModel):
    """How documents are read, cut, embedded, kept and searched."""

    store: SecretStr | None = None
    """`postgresql://...` for gateways on several machines; None: a file under `home`."""
    embedding: EmbeddingModel = "e5"
    """For new collections. A collection stays with the model that it began with."""
    judge: EmbeddingModel | None = "e5"
    """The model that `two_stage` puts passages in order by; None: it is the same as `hybrid`."""
    chunks: ChunkSettings = ChunkSettings()
    limits: ReadingLimits = ReadingLimits()
    quotas: Quotas = Quotas()
    uploads: int = Field(default=16, ge=1, le=1_000)
    """Documents that one gateway has in hand at a time; one more is refused: 503 `gateway.busy`."""
    uploads_each: int = Field(default=8, ge=1, le=1_000)
    """Of these, those of one principal; one more is refused: 429 `limit.uploads`. They are read in turn:
    one of each principal after the other."""
    interrupted_s: float = Field(default=10.0, gt=0)
    """A document is shown as interrupted when whoever was adding it has shown no sign of life for so long."""
    wide_k: int = Field(default=40, ge=1, le=500)
    """`hybrid` and `two_stage` look at so many passages of each kind of search; or at `top_k`, if larger."""
    threads: int = Field(default=2, ge=1, le=32)
    """Blocking calls to the store, and embeddings, at a time in one process; others wait."""
    readers: int = Field(default=1, ge=1, le=32)
    """Documents that one process reads at a time; others wait."""
