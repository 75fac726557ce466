"""Base of every event."""

from pydantic import BaseModel, ConfigDict


class EventModel(BaseModel):
    """Readers ignore fields that they do not know: two versions run side by side during a rollout."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)
