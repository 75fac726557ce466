"""Placement of each deployment: its share of processors and cards, and its group of machines."""

from typing import Annotated

from pydantic import Field

from schemas.document_models import ClosedModel


class Place(ClosedModel):
    """Resources of one replica. None: the program's default."""

    num_cpus: float | None = Field(default=None, ge=0)
    """Bookkeeping of Ray's: so much of the machine's processors is set aside, nothing is enforced."""
    num_gpus: float | None = Field(default=None, ge=0)
    """The same with cards: below 1 a card is shared, and nobody is kept to a share of its memory."""
    gpu_memory_mb: int | None = Field(default=None, ge=1)
    """Of an engine that cannot be told a limit: what it was measured to take. Only added up."""
    memory_mb: int | None = Field(default=None, ge=1)
    """Of the machine's memory; bookkeeping as well."""
    pool: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    """Only on nodes with the Ray label `pool` of this value."""
    accelerator: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Only on cards of this kind, by Ray's names (L4, A100, H100, ...)."""
    after_language_model: bool = False
    """Begin to load only when the language model is there: vLLM measures what is left of the card."""


class PlacementSettings(ClosedModel):
    """Of all deployments, and the cards that those without a pool share."""

    cards: int = Field(default=0, ge=0)
    """GPUs of the machine, or of each one where there are several."""
    card_mb: int | None = Field(default=None, ge=1)
    """Memory of one card."""
    gateway: Place = Place()
    language_model: Place = Place()
    text_to_speech: Place = Place()
    speech_to_text: Place = Place()
    quality_speech_to_text: Place = Place()
    librarian: Place = Place()
    workers: Place = Place()

    def of(self, deployment: str) -> Place:
        """By the deployment's name."""
        place: Place = getattr(self, FIELDS[deployment])
        return place


FIELDS = {
    "Gateway": "gateway",
    "LanguageModel": "language_model",
    "TextToSpeech": "text_to_speech",
    "SpeechToText": "speech_to_text",
    "QualitySpeechToText": "quality_speech_to_text",
    "Librarian": "librarian",
    "Workers": "workers",
}
