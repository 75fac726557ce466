"""Telemetry of a running system: traces and log lines."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from schemas.document_models import ClosedModel


class TracingSettings(ClosedModel):
    """One trace for each turn, sent by OTLP over HTTP. The usual OTEL_* variables are heard too."""

    enabled: bool = False
    endpoint: str = "http://127.0.0.1:4318"
    """The collector; "/v1/traces" is added to an address without a path."""
    headers: dict[Annotated[str, Field(min_length=1, max_length=256)], SecretStr] = {}
    """Sent along, as the collector's key."""
    sample_ratio: float = Field(default=1.0, ge=0.0, le=1.0)
    """The share of turns that is traced. Every process decides the same for a turn."""
    content: bool = False
    """True: questions, answers, passages and arguments are part of the spans. They are personal."""
    service: str = Field(default="rhapsode", min_length=1, max_length=128)
    """The name of this system among others."""

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address that begins with http:// or https://")
        if parts.username or parts.password:
            raise ValueError("must hold no password; a key belongs into tracing.headers")
        return value

    @property
    def url(self) -> str:
        """Address that receives the spans."""
        has_path = urlsplit(self.endpoint).path.strip("/")
        return self.endpoint if has_path else self.endpoint.rstrip("/") + "/v1/traces"


class LoggingSettings(ClosedModel):
    """The lines that the processes write to their standard error."""

    format: Literal["text", "json"] = "text"
    """json: one object in each line."""
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"


class TelemetrySettings(ClosedModel):
    """Both, as a replica is handed them."""

    tracing: TracingSettings = TracingSettings()
    logging: LoggingSettings = LoggingSettings()
