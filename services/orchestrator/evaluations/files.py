"""Evaluation items out of JSON, JSONL and CSV. All of a file is taken, or none of it."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from packages.core.errors import InvalidInput, TooLarge, UnsupportedFormat
from services.orchestrator.evaluations.schemas import MOST_ITEMS, ItemCreate

MOST_BYTES = 8 * 1024 * 1024
MOST_ERRORS = 20
COLUMNS = {"question", "history", "answer", "source_ids", "abstain"}
_TRUE, _FALSE = {"true", "yes", "1", "x"}, {"", "false", "no", "0"}
OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "object"}}}}
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            },
        },
    }
}


async def items(request: Request) -> list[ItemCreate]:
    """The items of an upload.

    Raises:
        InvalidInput: with the line and the reason of each fault, up to 20. TooLarge, UnsupportedFormat.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise InvalidInput("The form has no file under the name `file`.")
            return parse(await file.read(MOST_BYTES + 1), _kind(file.filename or "", file.content_type or ""))
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            break
    return parse(bytes(body), kind)


def parse(data: bytes, kind: str) -> list[ItemCreate]:
    """The items in a file of a media type; raises as `items` does."""
    if len(data) > MOST_BYTES:
        raise TooLarge(f"At most {MOST_BYTES // (1024 * 1024)} MB at once.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput("The file is not UTF-8.") from None
    if kind == "application/json":
        rows = _json(text)
    elif kind in {"application/x-ndjson", "application/jsonl", "application/jsonlines"}:
        rows = _jsonl(text)
    elif kind == "text/csv":
        rows = _csv(text)
    else:
        raise UnsupportedFormat("Send application/json {items}, application/x-ndjson or text/csv.")
    return _validated(rows)


def _kind(filename: str, declared: str) -> str:
    ending = filename.rpartition(".")[2].lower()
    known = {"csv": "text/csv", "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson"}
    return known.get(ending) or ("application/json" if ending == "json" else declared)


def _json(text: str) -> Iterator[tuple[int, Any]]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"The body is not JSON: {error}.") from None
    found = body.get("items") if isinstance(body, dict) else body
    if not isinstance(found, list):
        raise InvalidInput("Send {items: [{question, …}]}.")
    return iter(enumerate(found, start=1))


def _jsonl(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                yield number, error


def _csv(text: str) -> Iterator[tuple[int, Any]]:
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
    except csv.Error:
        dialect = csv.excel
    reader = csv.DictReader(io.StringIO(text, newline=""), dialect=dialect)
    names = set(reader.fieldnames or ())
    if "question" not in names or names - COLUMNS:
        raise InvalidInput(f"The first line names the columns: question, and some of {', '.join(sorted(COLUMNS))}.")
    for row in reader:
        yield reader.line_num, _from_row(row)


def _from_row(row: dict[str | None, Any]) -> Any:
    """A row's item. `source_ids` are set apart by spaces or semicolons; `history` is JSON."""
    if None in row:
        return ValueError("more cells than columns")
    flag = (row.get("abstain") or "").strip().lower()
    if flag not in _TRUE | _FALSE:
        return ValueError(f"abstain is true or false, not {flag!r}")
    try:
        history = json.loads(row.get("history") or "[]")
    except ValueError as error:
        return error
    return {
        "question": row.get("question") or "",
        "answer": row.get("answer") or None,
        "source_ids": (row.get("source_ids") or "").replace(";", " ").split(),
        "abstain": flag in _TRUE,
        "history": history,
    }


def _validated(rows: Iterator[tuple[int, Any]]) -> list[ItemCreate]:
    found: list[ItemCreate] = []
    faults: list[dict[str, Any]] = []
    for number, row in rows:
        try:
            if isinstance(row, ValueError):
                raise row
            found.append(ItemCreate.model_validate(row))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            faults.append({"line": number, "reason": f"{place}: {first['msg']}" if place else first["msg"]})
        except ValueError as error:
            faults.append({"line": number, "reason": str(error)})
        if len(faults) == MOST_ERRORS or len(found) > MOST_ITEMS:
            break
    if faults:
        raise InvalidInput("Nothing was taken: some items are not as they should be.", details={"faults": faults})
    if not found:
        raise InvalidInput("There is no item in it.")
    if len(found) > MOST_ITEMS:
        raise TooLarge(f"At most {MOST_ITEMS} items at once.")
    return found
