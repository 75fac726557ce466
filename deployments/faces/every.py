"""All faces of the gateway, one router each."""

from typing import Final

from fastapi import APIRouter

from deployments.faces import (
    admin,
    assistant,
    assistant_at_once,
    characters,
    collections,
    conversations,
    documents,
    gateways,
    native,
    native_access,
    native_bundles,
    native_media,
    native_metrics,
    native_recordings,
    native_sse,
    native_ws,
    openai_chat,
    openai_embeddings,
    openai_models,
    openai_speech,
    openai_transcriptions,
    realtime_secrets,
    stories,
    thread_ws,
    threads,
    tts,
    tts_settings,
    users,
)
from deployments.faces.realtime import realtime_routes

FACES: Final[tuple[APIRouter, ...]] = tuple(
    face.router
    for face in (
        admin,
        assistant,
        assistant_at_once,
        characters,
        collections,
        conversations,
        documents,
        gateways,
        native,
        native_access,
        native_bundles,
        native_media,
        native_metrics,
        native_recordings,
        native_sse,
        native_ws,
        openai_chat,
        openai_embeddings,
        openai_models,
        openai_speech,
        openai_transcriptions,
        realtime_routes,
        realtime_secrets,
        stories,
        thread_ws,
        threads,
        tts,
        tts_settings,
        users,
    )
)
