"""Calls a phone bot as a telephone provider does: hears the greeting, presses 4 2 #, hears the answer.

The bot is the server with these settings; Twilio or Telnyx bring real calls to it (docs/telephone.md):

    RHAPSODE_GATEWAY__TELEPHONE__INSECURE=true
    RHAPSODE_GATEWAY__TELEPHONE__KEY_PROMPTS=true
    RHAPSODE_GATEWAY__TELEPHONE__GREETING="Good evening. Please choose a story by its number."
"""

import asyncio
import base64
import json
import os
import wave
from xml.etree import ElementTree as Xml

import httpx
from websockets.asyncio.client import ClientConnection, connect

SERVER = os.environ.get("RHAPSODE_URL", "http://127.0.0.1:8000")
CALL = {"CallSid": "CA00000000000000000000000000000001", "From": "+15550001", "To": "+15550002"}
SILENCE = base64.b64encode(b"\xff" * 160).decode()


class Line:
    """The media stream of one call: frames of 20 ms of G.711 mu-law, both ways."""

    def __init__(self, socket: ClientConnection) -> None:
        self.heard = bytearray()
        self._socket = socket

    async def send(self, event: str, **data: object) -> None:
        """Sends a message of the provider."""
        await self._socket.send(json.dumps({"event": event, "streamSid": "MZ1", **data}))

    async def microphone(self) -> None:
        """Sends a silent caller, for as long as the call lasts."""
        while True:
            await self.send("media", media={"track": "inbound", "payload": SILENCE})
            await asyncio.sleep(0.02)

    async def listen(self) -> None:
        """Plays what comes, in no time, until nothing has come for two seconds."""
        before = len(self.heard)
        while True:
            try:
                message = json.loads(await asyncio.wait_for(self._socket.recv(), 2))
            except TimeoutError:
                if len(self.heard) > before:
                    return
                continue
            if message["event"] == "media":
                self.heard += base64.b64decode(message["media"]["payload"])
            elif message["event"] == "mark":
                await self.send("mark", mark=message["mark"])


def pcm(code: int) -> int:
    """One sample of G.711 mu-law as 16 bits."""
    code = ~code & 0xFF
    size = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return -size if code & 0x80 else size


async def main() -> None:
    """Makes one call and keeps its sound in call.wav."""
    async with httpx.AsyncClient(base_url=SERVER) as provider:
        answer = await provider.post("/v1/telephone/twilio/voice", data=CALL)
    stream = Xml.fromstring(answer.raise_for_status().text).find("Connect/Stream")
    assert stream is not None
    async with connect(stream.attrib["url"]) as socket:
        line = Line(socket)
        await line.send("connected", protocol="Call", version="1.0.0")
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        parameters = {one.attrib["name"]: one.attrib["value"] for one in stream}
        about = {"callSid": CALL["CallSid"], "mediaFormat": form, "customParameters": parameters}
        await line.send("start", start=about)
        speaking = asyncio.create_task(line.microphone())
        await line.listen()
        print(f"the greeting: {len(line.heard) / 8_000:.1f} s")
        for key in "42#":
            await line.send("dtmf", dtmf={"digit": key})
        await line.listen()
        print(f"with the answer: {len(line.heard) / 8_000:.1f} s in call.wav")
        speaking.cancel()
        await line.send("stop", stop={"callSid": CALL["CallSid"]})
    with wave.open("call.wav", "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        file.writeframes(b"".join(pcm(code).to_bytes(2, "little", signed=True) for code in line.heard))


if __name__ == "__main__":
    asyncio.run(main())
