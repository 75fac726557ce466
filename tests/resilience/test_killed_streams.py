"""Durable streams whose gateways are killed as they are written and read: nothing is lost or comes twice."""

import json
import os
import signal
from pathlib import Path
from threading import Thread

import httpx

from pipeline.eventlog.redis.embedded import embedded_server
from tests.support.gateway_processes import Gateways
from tests.support.running_app import RunningApp, scripted_settings

NAME = "/v1/durable/reports"
MESSAGES = 90
KILLED_AT = (20, 55)
"""Messages that are on their way while the gateway that takes them is killed ..."""
LOG_KILLED_AT = 40
"""... or the log's server, which the next gateway that needs it starts again."""


class Reader(Thread):
    """Follows the stream by long polls, each time at the first gateway that answers."""

    def __init__(self, apps: list[RunningApp]) -> None:
        super().__init__(daemon=True)
        self._urls = [app.url for app in apps]
        self.found: list[int] = []

    def run(self) -> None:
        offset, closed = "-1", False
        while not closed:
            try:
                answer = httpx.get(
                    self._urls[0] + NAME, params={"offset": offset, "live": "long-poll"}, timeout=40
                )
            except httpx.TransportError:
                self._urls.append(self._urls.pop(0))
                continue
            if answer.status_code == 503:  # the log is away
                continue
            assert answer.status_code in {200, 204}, answer.text
            if answer.status_code == 200:
                self.found += [message["n"] for message in json.loads(answer.content)]
            offset = answer.headers["Stream-Next-Offset"]
            closed = "Stream-Closed" in answer.headers


def appended(apps: list[RunningApp], n: int, *, closing: bool) -> int:
    """The status of the answer that the producer gets at last; it repeats what was not answered."""
    producer = {"Producer-Id": "press", "Producer-Epoch": "0", "Producer-Seq": str(n)}
    closed = {"Stream-Closed": "true"} if closing else {}
    while True:
        try:
            answer = httpx.post(
                apps[0].url + NAME,
                content=json.dumps({"n": n}),
                headers={"Content-Type": "application/json"} | producer | closed,
                timeout=30,
            )
        except httpx.TransportError:
            apps.append(apps.pop(0))
            continue
        if answer.status_code != 503:
            return answer.status_code


def test_an_idempotent_producer_and_a_reader_pass_killed_gateways_and_logs(tmp_path: Path) -> None:
    settings = scripted_settings(tmp_path)
    with Gateways(settings) as gateways:
        apps = gateways.start(3)
        httpx.put(apps[0].url + NAME, headers={"Content-Type": "application/json"}).raise_for_status()
        reader = Reader(apps)
        reader.start()
        for n in range(MESSAGES):
            if n in KILLED_AT:
                Thread(target=gateways.kill, args=(apps[0],)).start()
            if n == LOG_KILLED_AT:
                server = embedded_server.status(settings.home)
                assert server is not None
                os.kill(server.pid, signal.SIGKILL)
            assert appended(apps, n, closing=n == MESSAGES - 1) in {200, 204}
        again = appended(apps, 5, closing=False)
        reader.join(60)
        whole = json.loads(httpx.get(apps[0].url + NAME, params={"offset": "-1"}).content)
    assert [message["n"] for message in whole] == list(range(MESSAGES))
    assert reader.found == list(range(MESSAGES))
    assert again == 204, "a message that was sent twice is answered, and not appended"
