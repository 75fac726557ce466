"""How right citations are: answers whose sentences are known to rest on a document, or on none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from loadtests.retrieval.shelf import LIBRARY
from pipeline.rag.citation_support import supports
from pipeline.rag.document_library import Library
from schemas.settings.retrieval_settings import CollectionId, NumberedPassage, SearchToolConfig, Support

_GERMAN: Final = re.compile(r"[äöüß]|\b(der|die|das|ist|man)\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """`says` rests on the document, not word for word; `beside` is a remark that rests on nothing."""

    question: str
    says: str
    document: str
    beside: str


@dataclass(slots=True)
class Citing:
    """One way of citing, over all answers."""

    name: str
    answers: int = 0
    cited: int = 0
    """Places that were cited."""
    right: int = 0
    """... of them with a passage of the right document, for what it says."""
    found: int = 0
    """Answers whose sentence got a right citation."""
    beside: int = 0
    """Remarks that were cited although they rest on nothing."""

    def add(self, answer: Answer, places: Sequence[Support], documents: dict[int, str]) -> None:
        self.answers += 1
        self.cited += len(places)
        on_it = [one for one in places if one.start < len(answer.says)]
        right = [one for one in on_it if documents[one.number] == answer.document]
        self.right += len(right)
        self.found += bool(right)
        self.beside += len(places) > len(on_it)

    def cells(self) -> list[str]:
        right = f"{self.right / self.cited:.2f}" if self.cited else "-"
        return [
            self.name,
            right,
            f"{self.found / self.answers:.2f}",
            f"{self.beside / self.answers:.2f}",
            str(self.answers),
        ]


def answers() -> list[Answer]:
    return TypeAdapter(list[Answer]).validate_json((LIBRARY / "answers.json").read_bytes())


async def scored(library: Library, collection: CollectionId, names: dict[str, str]) -> list[Citing]:
    """The floor cites the best passage for every sentence; ours with the model's markers, and without."""
    floor, traced, marked = Citing("the best passage, always"), Citing("by words"), Citing("by markers")
    for answer in answers():
        found = await library.find(answer.question, [collection], SearchToolConfig())
        passages = [NumberedPassage(number=n, **one.model_dump()) for n, one in enumerate(found, 1)]
        documents = {one.number: names[one.document] for one in passages}
        text = f"{answer.says} {answer.beside}"
        language = "de" if _GERMAN.search(answer.says) else "en"
        middle = len(answer.says)
        always = [Support(number=1, start=0, end=middle), Support(number=1, start=middle + 1, end=len(text))]
        floor.add(answer, always, documents)
        traced.add(answer, supports(text, passages, language), documents)
        number = next((n for n, document in documents.items() if document == answer.document), None)
        if number is not None:
            said = f"{answer.says[:-1]} [{number}]."
            places = supports(f"{said} {answer.beside}", passages, language)
            marked.add(answer, places, documents)
    return [floor, traced, marked]


def table(scores: Sequence[Citing]) -> str:
    """`right`: of all citations. `found`: of sentences that rest on something. `beside`: of remarks."""
    headings = ["citations", "right", "found", "beside", "answers"]
    lines = [headings, ["---"] * len(headings), *(score.cells() for score in scores)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
