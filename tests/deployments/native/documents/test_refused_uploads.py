"""A refused upload gets a code that names the field, and leaves nothing."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from schemas.ids import new_id
from tests.support.clients.document_client import BEES, Shelves
from tests.support.fixtures.document_fixtures import QUICK
from tests.support.running_app import running_app, scripted_settings

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("a.pdf", b"%PDF-1.4 and no more", 422, "document.unreadable"),
        ("a.docx", b"PK\x03\x04 and no more", 422, "document.unreadable"),
        ("a.exe", b"MZ\x00\x01\x02\x03", 415, "document.unsupported"),
        ("a.txt", b"", 422, "document.empty"),
        ("a.md", b" \n \n", 422, "document.empty"),
        ("a.txt", b"x" * 300_001, 413, "document.too_large"),
    ],
)
async def test_bad_files_are_refused_and_every_listener_is_told_why(
    shelves: Shelves, name: str, data: bytes, status: int, code: str
) -> None:
    collection = await shelves.create()
    refused = await shelves.send(collection, data, name)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (status, code, "file")
    last = (await shelves.events(collection))[-1]
    assert (last["type"], last["data"]["code"]) == ("document.failed", code)
    [shown] = await shelves.documents(collection)
    assert (shown["state"], shown["code"], shown["view"]) == ("failed", code, None)
    assert shown["message"] == refused.json()["detail"]


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("a.pdf", b"%PDF-1.4 and no more", 422, "document.unreadable"),
        ("a.epub", b"PK\x03\x04 and no more", 415, "document.unsupported"),
        ("a.txt", b" ", 422, "document.empty"),
        ("a.txt", b"x" * 300_001, 413, "document.too_large"),
    ],
)
async def test_a_document_whose_text_cannot_be_read_is_refused(
    shelves: Shelves, name: str, data: bytes, status: int, code: str
) -> None:
    refused = await shelves.http.post("/v1/documents/text", files={"file": (name, data)})
    told = refused.json()
    assert (refused.status_code, told["code"], told["field"]) == (status, code, "file")


async def test_a_body_beyond_the_limit_is_refused_while_it_arrives(shelves: Shelves) -> None:
    collection = await shelves.create()
    refused = await shelves.send(collection, b"x" * 5_000_000, "a.txt")
    assert (refused.status_code, refused.json()["code"]) == (413, "document.too_large")
    assert len(await shelves.events(collection)) == 1


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"json": {"file": "bees"}}, "format.unsupported", "body"),
        ({"content": b"bees"}, "format.unsupported", "body"),
        ({"data": {"name": "a.txt"}, "files": {"other": ("a.txt", b"bees")}}, "input.invalid", "file"),
        ({"files": [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]}, "input.invalid", "body"),
        ({"data": {"document_id": "7"}, "files": {"file": b"bees"}}, "input.invalid", "document_id"),
        ({"data": {"colour": "red"}, "files": {"file": b"bees"}}, "input.unknown_field", "colour"),
        ({"data": {"name": "a\x00b"}, "files": {"file": b"bees"}}, "input.invalid", "name"),
        (
            {"content": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data"}},
            "input.invalid",
            "body",
        ),
        (
            {"content": b"bees", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            "input.invalid",
            "body",
        ),
        (
            {
                "content": b"",
                "headers": {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"},
            },
            "input.invalid",
            "content-type",
        ),
        (
            {
                "content": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbees',
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            "input.invalid",
            None,
        ),
    ],
)
async def test_forms_that_are_none_are_refused(
    shelves: Shelves, request_: dict[str, Any], code: str, field: str | None
) -> None:
    collection = await shelves.create()
    refused = await shelves.http.post(f"/v1/collections/{collection}/documents", **request_)
    assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
    assert field is None or refused.json()["field"] == field
    assert len(await shelves.events(collection)) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", "", {"name": ""}, 422, "name"),
        ("POST", "", {"name": "x" * 201}, 422, "name"),
        ("POST", "", {}, 422, "name"),
        ("POST", "", {"name": "a", "colour": "red"}, 422, "colour"),
        ("GET", "?limit=0", None, 422, "limit"),
        ("GET", "?before=yesterday", None, 400, "before"),
        ("GET", "/7", None, 404, "collection_id"),
        ("PATCH", "/{c}", {"name": 7}, 422, "name"),
        ("GET", "/{c}/documents/7", None, 404, "document_id"),
        ("GET", "/{c}/documents/{n}", None, 404, "document_id"),
        ("DELETE", "/{c}/documents/{n}", None, 404, "document_id"),
        ("GET", "/{c}/documents/{n}/text", None, 404, "document_id"),
        ("GET", "/{c}/documents/{d}/text?start=-1", None, 422, "start"),
        ("GET", "/{c}/documents/{d}/text?start=5&end=5", None, 422, "end"),
        ("GET", "/{c}/documents/{d}/text?start=5000", None, 422, "start"),
        ("GET", "/{c}/documents/{d}/text?context=900000", None, 422, "context"),
        ("POST", "/{c}/search", {"question": " "}, 422, "question"),
        ("POST", "/{c}/search", {"question": "a", "strategy": "magic"}, 422, "strategy"),
        ("POST", "/{c}/search", {"question": "a", "top_k": 51}, 422, "top_k"),
        ("POST", "/{n}/search", {"question": "a"}, 404, "collection_id"),
    ],
)
async def test_bad_requests_name_the_field(
    shelves: Shelves, method: str, path: str, body: dict[str, Any] | None, status: int, field: str
) -> None:
    collection = await shelves.create()
    document = (await shelves.add(collection))["id"]
    path = path.format(c=collection, d=document, n=new_id())
    refused = await shelves.http.request(method, f"/v1/collections{path}", json=body)
    assert (refused.status_code, refused.json().get("field")) == (status, field), refused.text


async def test_another_kind_of_session_is_no_collection(shelves: Shelves) -> None:
    session = (await shelves.http.post("/v1/sessions")).json()["session_id"]
    for answer in (
        await shelves.http.get(f"/v1/collections/{session}"),
        await shelves.http.delete(f"/v1/collections/{session}"),
        await shelves.send(session, BEES),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "collection.not_found")
    assert (await shelves.http.get(f"/v1/sessions/{session}")).status_code == 200


async def test_an_upload_that_is_cut_leaves_nothing(shelves: Shelves) -> None:
    collection = await shelves.create()
    host, port = shelves.app.url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/collections/{collection}/documents HTTP/1.1\r\nHost: {host}:{port}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nBees fly'
    )
    async with await anyio.connect_tcp(host, int(port)) as connection:
        await connection.send(head.encode())
    assert (await shelves.add(collection, "Bees dance.", "b.txt"))["name"] == "b.txt"
    assert [one["name"] for one in await shelves.documents(collection)] == ["b.txt"]
    assert shelves.additions_in_hand() == 0


async def test_a_client_that_leaves_after_an_upload_still_has_it_added(shelves: Shelves) -> None:
    collection = await shelves.create()
    async with anyio.create_task_group() as leaving:

        async def send() -> None:
            await shelves.send(collection, "Bees fly over flowers. " * 8_000, "long.txt")

        leaving.start_soon(send)
        await shelves.heard_until(collection, "document.progressed")
        leaving.cancel_scope.cancel()
    events = await shelves.heard_until(collection, "document.added")
    assert events[-1]["data"]["view"]["name"] == "long.txt"


async def test_quotas_are_kept(tmp_path: Path) -> None:
    quotas = {"collections": 1, "documents": 2, "bytes": 1_000}
    settings = scripted_settings(tmp_path, retrieval={**QUICK, "quotas": quotas, "uploads": 1})
    with running_app(settings, workers=True) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
            shelves = Shelves(app, client)
            collection, document = await shelves.create(), new_id()
            await shelves.until_listed(collection)
            refused = await client.post("/v1/collections", json={"name": "more"})
            assert (refused.status_code, refused.json()["code"]) == (409, "quota.collections")
            await shelves.add(collection, "Bees fly.", "a.txt", document_id=document)
            large = await shelves.send(collection, "Bees fly. " * 100, "b.txt")
            assert (large.status_code, large.json()["code"]) == (409, "quota.bytes")
            assert (await shelves.send(collection, b"%PDF-1.4", "failed.pdf")).status_code == 422
            await shelves.add(collection, "Bees fly.", "b.txt")
            many = await shelves.send(collection, "Bees fly.", "c.txt")
            assert (many.status_code, many.json()["code"]) == (409, "quota.documents")
            await shelves.add(collection, "Bees dance.", "a.txt", document_id=document)


async def test_more_uploads_than_there_is_room_for_are_refused(tmp_path: Path) -> None:
    settings = scripted_settings(tmp_path, retrieval={**QUICK, "uploads": 1})
    with running_app(settings) as app:
        async with httpx.AsyncClient(base_url=app.url, timeout=30) as client:
            shelves = Shelves(app, client)
            collection = await shelves.create()
            async with anyio.create_task_group() as both:

                async def send() -> None:
                    await shelves.add(collection, "Bees fly over flowers. " * 8_000, "long.txt")

                both.start_soon(send)
                await shelves.heard_until(collection, "document.progressed")
                refused = await shelves.send(collection, BEES)
                assert (refused.status_code, refused.json()["code"]) == (503, "gateway.busy")
                assert refused.headers["Retry-After"]
            await shelves.add(collection, BEES)
