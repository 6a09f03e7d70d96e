"""Parse a foreign file in a process of its own, limited in time, memory and output: a hostile file ends there."""

import asyncio
import json
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.nursery import run_forked

MB = 1024 * 1024
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """What one document may cost before it is refused; `recognition_cpu_seconds` once text recognition has begun."""

    cpu_seconds: int = 60
    recognition_cpu_seconds: int = 400
    wall_seconds: float = 420.0
    memory_bytes: int = 3072 * MB
    input_bytes: int = 100 * MB
    output_bytes: int = 100 * MB


DEFAULT_LIMITS = ParseLimits()


async def parse_sandboxed(
    data: bytes, *, media_type: str, filename: str | None = None, limits: ParseLimits = DEFAULT_LIMITS
) -> Document:
    """The document, parsed elsewhere.

    Raises:
        UnreadableDocument: it cannot be read, or not within the limits; says which.
    """
    if len(data) > limits.input_bytes:
        raise UnreadableDocument(
            f"This file has {len(data) // MB} MB; at most {limits.input_bytes // MB} MB can be read. "
            "Split it and upload the parts.",
            code="too_large",
        )
    with tempfile.TemporaryDirectory(prefix="parley-parse-") as folder:
        await asyncio.to_thread((Path(folder) / "input").write_bytes, data)
        status = await _run(Path(folder), media_type, filename, limits)
        return await asyncio.to_thread(_answer, Path(folder), status, limits)


async def _run(folder: Path, media_type: str, filename: str | None, limits: ParseLimits) -> int | None:
    """Exit status of the parsing process; None if it ran out of wall time."""
    request = {
        "folder": str(folder),
        "media_type": media_type,
        "filename": filename,
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "most_cpu_seconds": max(limits.cpu_seconds, limits.recognition_cpu_seconds),
        "output_bytes": limits.output_bytes,
    }
    status = await run_forked(request, limits.wall_seconds)
    if status:
        errors = await asyncio.to_thread(_errors, folder)
        log.warning("parsing process failed", status=status, stderr=errors)
    return status


def _errors(folder: Path) -> str:
    file = folder / "errors"
    return file.read_text(errors="replace")[-2000:] if file.exists() else ""


def _answer(folder: Path, status: int | None, limits: ParseLimits) -> Document:
    if status is None or status == -signal.SIGXCPU or (status == -signal.SIGKILL):
        raise UnreadableDocument(
            f"Reading this file took longer than {limits.cpu_seconds} s and was stopped. "
            "Split it into smaller files, or save it again as a simpler one.",
            code="too_complex",
        )
    if not (folder / "output").exists():
        raise UnreadableDocument(
            "Reading this file broke the parser, so it is probably damaged. Save it again and upload the copy.",
            code="corrupt",
        )
    answer = json.loads((folder / "output").read_text())
    if "document" in answer:
        return Document.from_dict(answer["document"])
    if answer["code"] == "too_deep" and answer["error"] == "depth":
        raise UnreadableDocument(
            "This file nests its elements too deep to be read. Save it again as a simpler one and upload the copy.",
            code="too_complex",
        )
    if answer["code"] == "too_complex":
        raise UnreadableDocument(
            f"Reading this file needs more than {limits.memory_bytes // MB} MB of memory. "
            "Split it into smaller files, or save it again as a simpler one.",
            code="too_complex",
        )
    raise UnreadableDocument(answer["error"], code=answer["code"])
