"""Bases of settings, requests and answers: none changes once it is made; fields carry their docstrings."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.bounds import FewFields


class FrozenModel(BaseModel):
    """Unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ClosedModel(FrozenModel):
    """Unknown fields are refused, and numbers that are infinite or none."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RequestModel(FewFields, ClosedModel):
    """Requests of clients: numbers are no texts, and far too many fields are one error."""

    model_config = ConfigDict(strict=True)


def without_defaults(schema: dict[str, Any]) -> None:
    """Fields that a patch leaves out keep their value, not their default."""
    for field in schema["properties"].values():
        field.pop("default", None)


class PatchModel(FewFields):
    """Any part of a document."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, json_schema_extra=without_defaults)
