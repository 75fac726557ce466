"""A gateway that will be killed while it adds a document:
`python -m tests.deployments.native.documents.killed_gateway SETTINGS`."""

import os
import sys
from contextlib import aclosing
from pathlib import Path

import anyio

from deployments.container import open_services
from pipeline.apps.ingest_jobs import NewUpload
from pipeline.engines.ports import Transcribers
from pipeline.engines.registry import (
    build_language_model,
    build_quality_speech_to_text,
    build_speech_to_text,
    build_text_to_speech,
)
from pipeline.engines.routed_speaker import open_speaker
from pipeline.turn.generation import Engines
from schemas.ids import new_id
from schemas.settings import AppSettings
from schemas.settings.retrieval_settings import DocumentId


async def main(settings: AppSettings, file: Path) -> None:
    """Print the collection and the document when some of it is embedded, and go on."""
    realtime = build_speech_to_text(settings.speech_to_text, settings.cache)
    whole = build_quality_speech_to_text(settings.quality_speech_to_text, settings.cache)
    models = Engines(
        build_language_model(settings.language_model, settings.cache),
        await open_speaker(
            build_text_to_speech(settings.text_to_speech, settings.cache), settings.text_to_speech
        ),
    )
    async with open_services(settings, models, Transcribers(realtime, whole), {}) as services:
        collection = await services.collections.create("doomed", "")
        document = DocumentId(new_id())
        with file.open("rb") as opened:
            new = NewUpload(
                opened, file, name="long.txt", declared=None, size=os.fstat(opened.fileno()).st_size
            )
            began = await services.collections.begin(collection, document, new)
            async with aclosing(services.collections.progress(collection, document, began)) as events:
                async for event in events:
                    if event.data.get("done", 0) > 0:
                        sys.stdout.write(f"{collection} {document}\n")
                        sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, AppSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
