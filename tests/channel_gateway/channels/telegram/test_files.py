"""Customers' files: by getFile, from an address that holds the token and must therefore never show."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from packages.core.domain.messages import Attachment
from services.channel_gateway.channels import FileUnavailable
from services.channel_gateway.channels.telegram import channel
from tests.channel_gateway.channels.telegram.bot_server import TOKEN, BotServer
from tests.contracts.channel import account

EXCHANGES = Path(__file__).parent / "exchanges"
PICTURE = Attachment(kind="image", external_id="AgACEXAMPLE1", media_type="image/jpeg")


def recorded(name: str) -> tuple[int, Any]:
    answer = json.loads((EXCHANGES / f"{name}.json").read_text())["response"]
    return answer["status"], answer["json"]


async def fetch(server: BotServer, http: aiohttp.ClientSession, attachment: Attachment = PICTURE) -> bytes:
    async with channel.download(attachment, server.account(), http) as found:
        return b"".join([piece async for piece in found.chunks])


async def test_a_file_comes_in_pieces(server: BotServer, http: aiohttp.ClientSession) -> None:
    server.answers, server.files = [recorded("get_file")], {"photos/file_0.jpg": b"x" * 300_000}
    async with channel.download(PICTURE, server.account(), http) as found:
        pieces = [piece async for piece in found.chunks]
    assert (sum(map(len, pieces)), found.size, found.filename) == (300_000, 300_000, "file_0.jpg")
    assert found.media_type == "image/jpeg"
    assert len(pieces) > 1
    assert server.calls == [("getFile", {"file_id": "AgACEXAMPLE1"})]


def answer(path: object) -> tuple[int, Any]:
    return 200, {"ok": True, "result": {"file_id": "a", "file_unique_id": "b", "file_path": path}}


@pytest.mark.parametrize(
    ("answers", "retryable"),
    [
        ([recorded("get_file_too_big")], False),
        ([recorded("error_401")], False),
        ([recorded("error_429")], True),
        ([recorded("error_502")], True),
        (
            [(400, {"ok": False, "description": "Bad Request: wrong file_id or the file is temporarily unavailable"})],
            True,
        ),
        ([(400, {"ok": False, "description": "Bad Request: invalid file_id"})], False),
        ([(None, "")], True),
        ([answer(None)], False),
        ([answer("../../bottoken/getMe")], False),
        ([answer("/etc/passwd")], False),
        ([answer("http://169.254.169.254/latest")], False),
        ([answer("photos/a.jpg?x=1")], False),
        ([answer("photos/missing.jpg")], False),
    ],
)
async def test_files_that_cannot_be_had(
    server: BotServer, http: aiohttp.ClientSession, answers: list[tuple[int | None, Any]], retryable: bool
) -> None:
    server.answers = answers
    with pytest.raises(FileUnavailable) as raised:
        await fetch(server, http)
    assert raised.value.retryable is retryable
    assert TOKEN not in raised.value.reason


@pytest.mark.parametrize(("status", "retryable"), [(302, False), (500, True), (429, True)])
async def test_a_redirect_is_not_followed(
    server: BotServer, http: aiohttp.ClientSession, status: int, retryable: bool
) -> None:
    server.answers, server.file_status = [recorded("get_file")], status
    with pytest.raises(FileUnavailable) as raised:
        await fetch(server, http)
    assert raised.value.retryable is retryable


async def test_a_file_that_breaks_off_may_be_had_later(server: BotServer, http: aiohttp.ClientSession) -> None:
    server.answers, server.breaks_off = [recorded("get_file")], True
    with pytest.raises(FileUnavailable) as raised:
        await fetch(server, http)
    assert raised.value.retryable


async def test_a_message_without_a_file(server: BotServer, http: aiohttp.ClientSession) -> None:
    with pytest.raises(FileUnavailable):
        await fetch(server, http, replace(PICTURE, external_id=None))
    assert server.calls == []


async def test_an_unreachable_host(http: aiohttp.ClientSession) -> None:
    dead = account(channel, "telegram", {"bot_token": TOKEN}, api_base="http://127.0.0.1:9")
    with pytest.raises(FileUnavailable) as raised:
        async with channel.download(PICTURE, dead, http):
            pytest.fail("there is no file")
    assert raised.value.retryable
    assert TOKEN not in str(raised.value) + repr(raised.value.__cause__)
