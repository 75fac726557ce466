"""OpenAI's list of models: who answers, who speaks and who writes down here, and the voices."""

from typing import Any

from fastapi import APIRouter

from deployments.faces.native.session_routes import Open
from deployments.model_names import NamedModel
from schemas.ids import created_ms, new_session_id

router = APIRouter(prefix="/v1", tags=["openai"])

_SINCE = created_ms(new_session_id()) // 1_000
"""The models are as old as this process, for all that anybody can know."""


@router.get("/models")
@router.head("/models", include_in_schema=False)
@router.get("/models/", include_in_schema=False)
@router.head("/models/", include_in_schema=False)
async def models(services: Open) -> dict[str, Any]:
    """All of them; names of OpenAI's that stand for one of these are not listed."""
    return {"object": "list", "data": [_model_view(one) for one in services.names.models]}


@router.get("/models/{model:path}")
@router.head("/models/{model:path}", include_in_schema=False)
async def model(services: Open, model: str) -> dict[str, Any]:
    """One of them, by any name that it answers to."""
    return _model_view(services.names.find(model))


@router.get("/audio/models")
async def audio_models(services: Open) -> dict[str, Any]:
    """Not OpenAI's, but what some of its clients ask for: the models that speak or write speech down."""
    listed = [_model_view(one) for one in services.names.models if one.kind in ("speech", "transcription")]
    return {"object": "list", "models": listed, "data": listed}


@router.get("/audio/voices")
async def voices(services: Open) -> dict[str, Any]:
    """Not OpenAI's, but what many of its clients ask for."""
    listed = services.names.voice_names()
    return {"voices": [{"id": name, "name": name, "provider": provider} for name, provider in listed]}


def _model_view(one: NamedModel) -> dict[str, Any]:
    return {"id": one.id, "object": "model", "created": _SINCE, "owned_by": one.owner, "kind": one.kind}
