"""A Firefox for Playwright: starts the program that is named first, and relays WebDriver BiDi to it.

Playwright emulates a colour scheme in every tab, by a command that Debian's Firefox (153) does not know, and
gives up on the error. That command is answered here, and changes nothing; all others reach Firefox.
"""

import asyncio
import json
import re
import sys
from functools import partial

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
UNKNOWN = "emulation.setMediaFeaturesOverride"


async def relay(firefox: str, playwright: ServerConnection) -> None:
    """Between a connection of Playwright's and one to Firefox at this address, until either ends."""
    path = playwright.request.path if playwright.request else ""
    async with connect(firefox + path, max_size=None) as browser:

        async def answers() -> None:
            async for message in browser:
                await playwright.send(message)
            await playwright.close()

        answering = asyncio.create_task(answers())
        async for message in playwright:
            command = json.loads(message)
            if command["method"] == UNKNOWN:
                await playwright.send(json.dumps({"type": "success", "id": command["id"], "result": {}}))
            else:
                await browser.send(message)
        answering.cancel()


async def main(firefox: str, *arguments: str) -> int:
    """The exit status of Firefox, whose address is told as the relay's."""
    process = await asyncio.create_subprocess_exec(firefox, *arguments, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    async for line in process.stderr:
        text = line.decode(errors="replace")
        if found := LISTENING.search(text):
            server = await serve(partial(relay, found[1]), "127.0.0.1", 0, max_size=None)
            text = text.replace(found[1], f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        print(text, end="", file=sys.stderr, flush=True)
    return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
