"""The floor of a text stream: the scripted engine straight into a WebSocket, no log, no Ray, no pipeline.

python -m loadtests.servers.bare_stream_server PORT SCRIPT_JSON
"""

import asyncio
import json
import signal
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve

from pipeline.engines.ports import ChatRequest, Message
from pipeline.engines.registry import build_language_model
from schemas.settings import LanguageModelSettings


async def main(port: int, script: Path) -> None:
    """Answer each connection's first message with the script, a JSON text frame per delta, until SIGTERM."""
    engine = build_language_model(LanguageModelSettings(engine="scripted", script=script), script.parent)

    async def answer(socket: ServerConnection) -> None:
        prompt = await socket.recv(decode=True)
        async with aclosing(
            engine.stream(ChatRequest((Message("user", prompt),), max_tokens=100_000))
        ) as items:
            async for item in items:
                if isinstance(item, str):
                    await socket.send(json.dumps({"type": "text.delta", "data": {"text": item}}))

    async with serve(answer, "127.0.0.1", port, compression=None) as server:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
        await server.wait_closed()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.json"
        file.write_text(sys.argv[2])
        asyncio.run(main(int(sys.argv[1]), file))
