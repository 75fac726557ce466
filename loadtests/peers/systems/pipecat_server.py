"""Pipecat behind its own FastAPI WebSocket transport, with a serializer for bare PCM.

.venv-peers/bin/python pipecat_server.py PORT WISH_JSON
"""

import json
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    LLMMessagesAppendFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.services.tts_service import TextAggregationMode
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

app = FastAPI()
WISH: dict[str, Any] = {}


class BarePcm(FrameSerializer):
    """See the package's words on the wire."""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Sound as it is, messages as JSON, and nothing else."""
        if isinstance(frame, OutputAudioRawFrame):
            return bytes(frame.audio)
        if isinstance(frame, OutputTransportMessageUrgentFrame) and not self.should_ignore_frame(frame):
            return json.dumps(frame.message)
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Audio, a question or a text to be read out."""
        if isinstance(data, bytes):
            return InputAudioRawFrame(data, 16_000, 1)
        wish = json.loads(data)
        if "say" in wish:
            return TTSSpeakFrame(wish["say"])
        asked = {"role": "user", "content": wish["ask"]}
        return LLMMessagesAppendFrame([asked], run_llm=True)


def parts_between(transport: FastAPIWebsocketTransport) -> list[Any]:
    """From the microphone to the loudspeaker."""

    def at(kind: str) -> dict[str, Any]:
        return {"api_key": "any", "base_url": WISH[kind] + "/v1"}

    llm_settings = OpenAILLMService.Settings(model="race", temperature=0.0, max_tokens=WISH["max_tokens"])
    context = LLMContext([{"role": "system", "content": WISH["system_prompt"]}])
    # Turns end by the default, its smart turn model. The transcript of a whole segment is final, so nothing
    # waits for how long this kind of STT usually takes.
    user, assistant = LLMContextAggregatorPair(
        context, user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    return [
        transport.input(),
        OpenAISTTService(**at("stt"), settings=OpenAISTTService.Settings(model="whisper-1")),
        user,
        OpenAILLMService(**at("chat"), settings=llm_settings),
        OpenAITTSService(**at("speech"), text_aggregation_mode=TextAggregationMode(WISH["aggregation"])),
        transport.output(),
        assistant,
    ]


@app.websocket("/")
async def call(socket: WebSocket) -> None:
    """One conversation."""
    await socket.accept()
    params = FastAPIWebsocketParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
        audio_out_end_silence_secs=0,
        audio_out_auto_silence=False,
        serializer=BarePcm(),
    )
    transport = FastAPIWebsocketTransport(socket, params)
    worker = PipelineWorker(
        Pipeline(parts_between(transport)),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
        params=PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000),
    )

    @worker.event_handler("on_pipeline_started")
    async def begun(*_: Any) -> None:
        await socket.send_text(json.dumps({"type": "ready"}))

    @transport.event_handler("on_client_disconnected")
    async def left(*_: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    WISH.update(json.loads(sys.argv[2]))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", ws_max_size=1 << 24)
