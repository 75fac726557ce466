"""`export` and `import` against a real gateway."""

import os
import zipfile
from pathlib import Path

import pytest

from cluster.client import http_client
from cluster.client.http_client import Client
from cluster.terminal.cli_errors import CliError
from tests.support.running_app import RunningApp, app_fixture

pytestmark = pytest.mark.anyio
app = app_fixture(llm={"reply": "Well. So be it."})


async def told(app: RunningApp) -> str:
    async with Client(app.url) as client:
        session = await client.create({})
        turn = await client.request(session, prompt="Go on")
        events = [event async for event in client.events(session, turn=turn)]
    assert events[-1].type == "turn.completed"
    return session


async def test_a_session_goes_into_a_file_and_out_of_it(app: RunningApp, tmp_path: Path) -> None:
    session, file = await told(app), tmp_path / "story.zip"
    assert session in await http_client.export(app.url, session, file)
    assert zipfile.is_zipfile(file)
    assert os.listdir(tmp_path) == [file.name]
    said = await http_client.bring(app.url, file)
    copy = said.split()[-1]
    assert copy != session
    async with Client(app.url) as client:
        types = [event.type async for event in client.events(copy, follow="false")]
    assert types[-1] == "turn.completed"


async def test_a_refused_transfer_is_explained_and_leaves_no_file(app: RunningApp, tmp_path: Path) -> None:
    unknown = "019aa3c6-0000-7000-8f00-2b1d7a5c9e10"
    with pytest.raises(CliError, match="there is no session") as refused:
        await http_client.export(app.url, unknown, tmp_path / "story.zip")
    assert "history lists yours" in refused.value.advice
    with pytest.raises(CliError, match="no folder"):
        await http_client.export(app.url, unknown, tmp_path / "nowhere" / "story.zip")
    assert os.listdir(tmp_path) == []
    (tmp_path / "song.zip").write_bytes(b"la la la")
    with pytest.raises(CliError, match="no ZIP file"):
        await http_client.bring(app.url, tmp_path / "song.zip")
    with pytest.raises(CliError, match="cannot be read"):
        await http_client.bring(app.url, tmp_path / "absent.zip")
