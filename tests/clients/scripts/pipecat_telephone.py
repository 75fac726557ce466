"""A caller whose sound is written and read by Pipecat's serializers for Twilio and Telnyx."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as Xml

import aiohttp
from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat_call import main, pcm_of

RATE = 16_000
STREAM = "MZ1"
PATIENCE_S = 90.0


def serializer_of(provider: str) -> FrameSerializer:
    if provider == "twilio":
        params = TwilioFrameSerializer.InputParams(auto_hang_up=False, sample_rate=RATE)
        return TwilioFrameSerializer(STREAM, params=params)
    about = TelnyxFrameSerializer.InputParams(auto_hang_up=False, sample_rate=RATE)
    return TelnyxFrameSerializer(STREAM, "PCMU", "PCMU", params=about)


def start_of(provider: str, token: str) -> dict[str, Any]:
    if provider == "twilio":
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        about = {"callSid": "CA1", "mediaFormat": form, "customParameters": {"token": token}}
        return {"event": "start", "streamSid": STREAM, "start": about}
    form = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
    about = {"call_control_id": "v3:1", "media_format": form, "custom_parameters": {"token": token}}
    return {"event": "start", "stream_id": STREAM, "start": about}


async def call(url: str, provider: str, sound: str) -> dict[str, Any]:
    """Hear the greeting, say what is in `sound`, and hear two seconds of the answer."""
    serializer = serializer_of(provider)
    await serializer.setup(SimpleNamespace(audio_in_sample_rate=RATE))  # type: ignore[arg-type]
    pcm, heard, turns = pcm_of(sound), bytearray(), [0]
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}/v1/telephone/{provider}/voice", data={"CallSid": "CA1"}) as answer:
            stream = Xml.fromstring(await answer.text()).find("Connect/Stream")
        assert stream is not None
        async with http.ws_connect(stream.attrib["url"]) as socket:
            await socket.send_json({"event": "connected", "version": "1.0.0"})
            await socket.send_json(start_of(provider, stream[0].attrib["value"]))
            speaks = asyncio.Event()

            async def speak() -> None:
                at = 0
                while True:
                    piece = pcm[at : at + 640] if speaks.is_set() else b""
                    at += len(piece)
                    frame = OutputAudioRawFrame(piece.ljust(640, b"\0"), RATE, 1)
                    text = await serializer.serialize(frame)
                    if text is not None:
                        await socket.send_str(str(text))
                    await asyncio.sleep(0.02)

            speaking = asyncio.create_task(speak())
            async with asyncio.timeout(PATIENCE_S):
                async for message in socket:
                    told = json.loads(message.data)
                    frame = await serializer.deserialize(message.data)
                    if isinstance(frame, InputAudioRawFrame):
                        heard += frame.audio
                    if told["event"] == "mark":
                        await socket.send_json(told)
                        turns.append(len(heard))
                        speaks.set()
                    if speaks.is_set() and len(heard) > turns[1] + 2 * 2 * RATE:
                        break
            speaking.cancel()
            await socket.send_json({"event": "stop", "stop": {}})
    return {"greeting_s": turns[1] / RATE / 2, "heard_s": len(heard) / RATE / 2}


if __name__ == "__main__":
    main({"call": call})
