"""All faces of the gateway, one router each."""

from typing import Final

from fastapi import APIRouter

from deployments.faces.admin import admin_routes, gateway_routes
from deployments.faces.assistant import assistant_socket, whole_answer_route
from deployments.faces.conversations import (
    character_routes,
    conversation_routes,
    thread_routes,
    thread_socket,
)
from deployments.faces.native import (
    access_routes,
    collection_routes,
    document_routes,
    event_routes,
    media_routes,
    recording_routes,
    session_metrics_route,
    session_routes,
    session_socket,
    transfer_routes,
)
from deployments.faces.openai.routes import (
    chat_routes,
    embedding_routes,
    model_routes,
    speech_routes,
    transcription_routes,
)
from deployments.faces.realtime import client_secret_routes, realtime_routes
from deployments.faces.stories import (
    narration_routes,
    narration_settings_routes,
    notification_socket,
    story_routes,
)

FACES: Final[tuple[APIRouter, ...]] = tuple(
    face.router
    for face in (
        admin_routes,
        assistant_socket,
        whole_answer_route,
        character_routes,
        collection_routes,
        conversation_routes,
        document_routes,
        gateway_routes,
        session_routes,
        access_routes,
        transfer_routes,
        media_routes,
        session_metrics_route,
        recording_routes,
        event_routes,
        session_socket,
        chat_routes,
        embedding_routes,
        model_routes,
        speech_routes,
        transcription_routes,
        realtime_routes,
        client_secret_routes,
        story_routes,
        thread_socket,
        thread_routes,
        narration_routes,
        narration_settings_routes,
        notification_socket,
    )
)
