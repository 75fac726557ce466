"""A collection as its events tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.events.recorded import Recorded
from schemas.ids import Seq
from schemas.settings.retrieval_settings import DocumentId, DocumentState, DocumentView

_NEVER: Final = Seq(0)


@dataclass(slots=True)
class KnownDocument:
    """State of one document."""

    id: DocumentId
    name: str
    state: DocumentState = "waiting"
    done: float = 0.0
    bytes: int = 0
    """Of the file that is being added, or was last."""
    kept_bytes: int = 0
    """Of the one that can be found."""
    view: DocumentView | None = None
    """The document as a search finds it; None: no search finds it."""
    began: Seq = _NEVER
    """Sequence number at which its last ingest began. While that lasts no other one begins."""
    code: str | None = None
    message: str | None = None

    @property
    def unfinished(self) -> bool:
        """An ingest job adds it, or died while it did."""
        return self.state not in ("ready", "failed")


class CollectionState:
    """A collection's session, folded."""

    def __init__(self) -> None:
        self.head = Seq(0)
        self.kind = ""
        self.principal = ""
        self.name = ""
        self.thread: str | None = None
        """The thread whose files it holds."""
        self.created_ms = 0
        self.over = False
        self.documents: dict[DocumentId, KnownDocument] = {}
        self.removed: dict[DocumentId, Seq] = {}
        """Sequence number of the last removal of documents."""

    @property
    def bytes(self) -> int:
        return sum(max(one.bytes if one.unfinished else 0, one.kept_bytes) for one in self.documents.values())

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event."""
        data = recorded.data
        match recorded.type:
            case "session.started":
                self.kind, self.principal = data.get("kind", "session"), data.get("principal", "")
                self.name, self.created_ms = data.get("title", ""), recorded.ts_ms
                self.thread = data.get("parent")
            case "session.end_requested" | "session.ended":
                self.over = True
            case "session.renamed":
                self.name = data["title"]
            case "document.progressed" | "document.failed" if self._is_late(data):
                pass
            case "document.progressed":
                known = self._known(data["document"], data["name"])
                if not known.began or (data["state"] == "waiting" and not known.unfinished):
                    known.began = recorded.seq
                known.state, known.done, known.name = data["state"], data["done"], data["name"]
                known.bytes, known.code, known.message = data.get("bytes", 0), None, None
            case "document.added":
                self._add(DocumentView.model_validate(data["view"], extra="ignore"))
            case "document.failed":
                known = self._known(data["document"], "")
                known.state, known.code, known.message = "failed", data["code"], data["message"]
            case "document.removed":
                self.documents.pop(data["document"], None)
                self.removed[data["document"]] = recorded.seq
        self.head = recorded.seq

    def _is_late(self, data: Mapping[str, Any]) -> bool:
        """Told by an ingest that had not seen that its document was removed; each begins with "waiting"."""
        return data.get("state") != "waiting" and data["document"] not in self.documents

    def _known(self, document: DocumentId, name: str) -> KnownDocument:
        return self.documents.setdefault(document, KnownDocument(document, name))

    def _add(self, view: DocumentView) -> None:
        known = self._known(view.id, view.name)
        known.state, known.done, known.view, known.name = "ready", 1.0, view, view.name
        known.kept_bytes, known.code, known.message = known.bytes, None, None
