"""Reads the body of an upload: multipart files, or one of three JSON forms."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from packages.core.errors import InvalidInput, TooLarge, UnsupportedFormat
from services.orchestrator.knowledge import service
from services.orchestrator.knowledge.schemas import FAQCreate, Language, Tag, TextCreate, URLCreate
from services.orchestrator.knowledge.service import NewSource
from services.orchestrator.settings import OrchestratorSettings

JSON_LIMIT = 8 * 1024 * 1024
"""Most bytes of a JSON body."""

_FORMS: dict[str, TypeAdapter[Any]] = {
    "url": TypeAdapter(URLCreate),
    "text": TypeAdapter(TextCreate),
    "faq": TypeAdapter(FAQCreate),
}
_LANGUAGE: TypeAdapter[str | None] = TypeAdapter(Language | None)
_TAGS: TypeAdapter[list[str]] = TypeAdapter(list[Tag])
_ANY: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])

OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1},
                        "tags": {"type": "array", "items": {"type": "string"}},
                        "language": {"type": "string"},
                    },
                }
            },
            "application/json": {
                "schema": {"oneOf": [kind.model_json_schema() for kind in (URLCreate, TextCreate, FAQCreate)]}
            },
        },
    }
}
"""The body for the API's own description; FastAPI cannot guess it."""


async def sources(request: Request, settings: OrchestratorSettings) -> AsyncIterator[NewSource]:
    """The sources of an upload, one at a time, so that only one file is in memory.

    Raises:
        InvalidInput, RequestValidationError: the body is malformed. TooLarge: a file, or too many of them.
        UnsupportedFormat: the body is neither multipart nor JSON.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=settings.upload_max_files + 1, max_fields=200) as form:
            async for source in _files(form, settings):
                yield source
    elif kind == "application/json":
        yield service.from_body(_parsed(await _limited_body(request)))
    else:
        raise UnsupportedFormat("Send files as multipart/form-data, or one of {url}, {text, title}, {faq} as JSON.")


async def one_source(request: Request, settings: OrchestratorSettings) -> NewSource:
    """The one source of a replacement.

    Raises:
        InvalidInput: there are several. And as `sources`.
    """
    found: NewSource | None = None
    async for source in sources(request, settings):
        if found is not None:
            raise InvalidInput("Send one file: it takes the place of the source's content.")
        found = source
    if found is None:
        raise InvalidInput("Send a file, or one of {text, title}, {faq} as JSON.")
    return found


async def _files(form: FormData, settings: OrchestratorSettings) -> AsyncIterator[NewSource]:
    files = [item for item in form.getlist("files") if isinstance(item, UploadFile)]
    if not files:
        raise InvalidInput("The form has no file under the name `files`.")
    if len(files) > settings.upload_max_files:
        raise TooLarge(f"At most {settings.upload_max_files} files at once.")
    for file in files:
        if (file.size or 0) > settings.upload_max_bytes:
            limit = settings.upload_max_bytes // (1024 * 1024)
            raise TooLarge(f"{file.filename!r} is too large: a file may have at most {limit} MB.")
    language, tags = _labels(form)
    for file in files:
        yield service.from_file(file.filename, file.content_type, await file.read(), language=language, tags=tags)


def _labels(form: FormData) -> tuple[str | None, list[str]]:
    try:
        return _LANGUAGE.validate_python(form.get("language") or None), _TAGS.validate_python(form.getlist("tags"))
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None


async def _limited_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > JSON_LIMIT:
            raise TooLarge(f"A JSON body may have at most {JSON_LIMIT} bytes; upload a file instead.")
    return bytes(body)


def _parsed(body: bytes) -> URLCreate | TextCreate | FAQCreate:
    try:
        given = _ANY.validate_json(body)
        forms = [name for name in _FORMS if name in given]
        if len(forms) != 1:
            raise InvalidInput("Give exactly one of `url`, `text` and `faq`.")
        form: URLCreate | TextCreate | FAQCreate = _FORMS[forms[0]].validate_python(given)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None
    return form
