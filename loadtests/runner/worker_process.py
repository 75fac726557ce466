"""One of several processes of this client (`python -m loadtests.runner.worker_process`), for worker_pool.py.

Orders come in on standard input, and how far it is and what came of it go out on standard output. It ends
when standard input does: whoever has started it is gone.
"""

import asyncio
import os
import signal
import sys
from typing import BinaryIO

from loadtests.client.api_connection import ApiConnection
from loadtests.runner.open_loop import ProcessShare, take_part
from loadtests.runner.worker_pool import StartOrder, StopOrder, WorkerOrders, WorkerReady, packed, received


async def _work(out: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    def say(message: object) -> None:
        out.write(packed(message))
        out.flush()

    orders: WorkerOrders | None = await received(reader)
    if orders is None:
        return
    connection = ApiConnection(orders.url, orders.key, again_s=orders.plan.again_s)
    try:
        await connection.greet()
        say(WorkerReady())
        go: StartOrder | None = await received(reader)
        if go is None:
            return
        stop = asyncio.Event()
        working = asyncio.create_task(take_part(orders.plan, connection, say, stop, go.epoch_s))
        heeding = asyncio.create_task(_heed(reader, stop, working))
        try:
            share: ProcessShare = await working
        finally:
            heeding.cancel()
        say(share)
    finally:
        await connection.aclose()


async def _heed(
    reader: asyncio.StreamReader, stop: asyncio.Event, working: asyncio.Task[ProcessShare]
) -> None:
    while isinstance(await received(reader), StopOrder):
        stop.set()
    working.cancel()  # nobody is there any more who wants to know


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent passes it on
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # nothing that is printed gets between the messages
        try:
            asyncio.run(_work(out))
        except (asyncio.CancelledError, BrokenPipeError):
            sys.exit(1)
