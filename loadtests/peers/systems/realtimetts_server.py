"""RealtimeTTS behind the same socket; it only reads out.

.venv-peers/bin/python realtimetts_server.py PORT WISH_JSON
"""

import asyncio
import json
import sys
from typing import Any

import httpx
from RealtimeTTS import BaseEngine, TextToAudioStream
from websockets.asyncio.server import ServerConnection, serve

WISH: dict[str, Any] = {}
HTTP = httpx.Client(timeout=30)
_INT16 = 8
"""PortAudio's number of that format."""


class OurSpeech(BaseEngine):
    """The service as an engine: the package's own for OpenAI takes 24 kHz for 22.05, and needs PyAudio."""

    def post_init(self) -> None:
        self.engine_name = "ours"

    def get_stream_info(self) -> tuple[int, int, int]:
        return _INT16, 1, 24_000

    def synthesize(self, text: str, sentence_count: int = 0) -> bool:
        super().synthesize(text, sentence_count)
        body = {"model": "tts-1", "input": text, "voice": "joe", "response_format": "pcm"}
        with HTTP.stream("POST", WISH["speech"] + "/v1/audio/speech", json=body) as response:
            for piece in response.iter_bytes():
                self.queue.put(piece)
        return True

    def get_voices(self) -> list[str]:
        return []

    def set_voice(self, voice: str) -> None:
        """There is one."""

    def set_voice_parameters(self, **parameters: Any) -> None:
        """There are none."""


async def call(socket: ServerConnection) -> None:
    """One text."""
    loop = asyncio.get_running_loop()
    # Its other tokenizers download data when they are first used.
    stream = TextToAudioStream(OurSpeech(), tokenizer="rule-based", muted=True)
    sound: asyncio.Queue[bytes] = asyncio.Queue()  # one text's sound at most

    async def send() -> None:
        while True:
            await socket.send(await sound.get())

    await socket.send(json.dumps({"type": "ready"}))
    stream.feed(json.loads(await socket.recv())["say"])
    stream.play_async(
        muted=True, on_audio_chunk=lambda piece: loop.call_soon_threadsafe(sound.put_nowait, bytes(piece))
    )
    sending = asyncio.create_task(send())
    try:
        await socket.wait_closed()
    finally:
        sending.cancel()
        await asyncio.to_thread(stream.stop)


async def main() -> None:
    """Serve until killed."""
    async with serve(call, "127.0.0.1", int(sys.argv[1]), compression=None):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    WISH.update(json.loads(sys.argv[2]))
    asyncio.run(main())
