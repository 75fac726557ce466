"""`/v1/local-models`: the models of this machine, as `rhapsode models list` shows them."""

import asyncio
from pathlib import Path

import psutil
from fastapi import APIRouter

from deployments.faces.native.session_routes import Open
from pipeline.engines.weights.chosen_models import PACKAGED, fits, states
from pipeline.engines.weights.model_manifest import entries
from schemas.native.native_messages import LocalModel, LocalModels

router = APIRouter(prefix="/v1", tags=["service"])
_MEGABYTE = 1_000_000


@router.get("/local-models")
async def local_models(services: Open) -> LocalModels:
    """Lists packaged and downloadable models: those in use, those that are here, and those that would fit."""
    settings = services.settings
    return await asyncio.to_thread(_listed, settings.home, settings.cache)


def _listed(home: Path, cache: Path) -> LocalModels:
    here, free = states(home, cache), psutil.virtual_memory().available
    packaged = [LocalModel(name=name, role=role, state=here[name]) for name, role in PACKAGED.items()]
    others = [
        LocalModel(
            name=one.name,
            role=one.role,
            languages=one.languages,
            megabytes=one.megabytes,
            licence=one.licence,
            state=here[one.name],
            fits=fits(one, free),
        )
        for one in entries()
    ]
    return LocalModels(models=(*packaged, *others), free_megabytes=free // _MEGABYTE)
