"""The parameters of a call: JSON, form, multipart or query, all with the same meaning."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request

from services.channel_gateway.simulator.platforms.telegram.errors import bad


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with the call."""

    filename: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method: its parameters by name, and its files by the name of their part."""

    method: str
    parameters: dict[str, Any]
    uploads: dict[str, Upload] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A text; empty where it is missing."""
        value = self.parameters.get(name)
        return str(value) if isinstance(value, str | int | float) else ""

    def number(self, name: str) -> int | None:
        """A whole number.

        Raises:
            BotError: it is something else.
        """
        value = self.parameters.get(name)
        if value is None or value == "":
            return None
        try:
            return int(value)
        except (TypeError, ValueError):
            raise bad(f"invalid {name} specified") from None

    def json(self, name: str) -> Any:
        """An object or list, which forms carry as JSON.

        Raises:
            BotError: it is not JSON.
        """
        value = self.parameters.get(name)
        if not isinstance(value, str) or not value:
            return None if value == "" else value
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise bad(f"can't parse {name.replace('_', ' ')} JSON object") from None

    def shown(self) -> dict[str, Any]:
        """The parameters as they are recorded: objects as such, files by name and size."""
        known = {name: _decoded(value) for name, value in self.parameters.items()}
        files = {
            name: {"file_name": file.filename, "mime_type": file.media_type, "file_size": len(file.data)}
            for name, file in self.uploads.items()
        }
        return {"method": self.method, **known, **files}


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


async def read(request: Request) -> Call:
    """The call of a request.

    Raises:
        BotError: its body is not what its type says.
    """
    parameters: dict[str, Any] = dict(request.query_params)
    uploads: dict[str, Upload] = {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        body = await request.body()
        try:
            parameters |= msgspec.json.decode(body or b"{}", type=dict[str, Any])
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise bad("can't parse JSON object") from None
    elif media_type in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        async with request.form() as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    data = await value.read()
                    uploads[name] = Upload(value.filename or "file", value.content_type or "", data)
                else:
                    parameters[name] = value
    return Call(request.path_params["method"], parameters, uploads)
