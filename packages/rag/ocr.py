"""Text in pictures, by RapidOCR (its models come in its wheel) or, where that is not installed, by Tesseract.

Both run on one thread: several documents are read at once, each in a process of its own.
"""

import functools
import importlib
import resource
import shutil
import tempfile
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import textract
from PIL import Image, ImageOps, UnidentifiedImageError
from textract.exceptions import ShellError

from packages.rag.documents import UnreadableDocument
from packages.rag.reading_order import Box, lines_in_order

MOST_PIXELS = 60_000_000
_LONGEST_SIDE = 3000
_LEAST_SCORE = 0.6
_SAMPLE_LINES = 7
_UPSIDE_DOWN = "180"
_ONE_THREAD = {
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    "Global.log_level": "critical",
}


def recognise(image: Image.Image) -> list[str]:
    """The lines of a picture in reading order, an empty one between what white space sets apart; [] if it has no text.

    A picture that lies on its side or on its head is read as if it stood upright.

    Raises:
        UnreadableDocument: it is too large, or no engine is installed.
    """
    picture = _prepared(image)
    _allow_more_time()
    engine = _engine()
    if engine is None:
        return _by_tesseract(picture)
    pixels = np.asarray(picture)[:, :, ::-1]
    found = engine(pixels)
    if found.txts is None or found.boxes is None:
        return []
    seen = [
        (np.asarray(corners), text)
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
        if score >= _LEAST_SCORE and text.strip()
    ]
    return lines_in_order(_upright(engine, pixels, seen)) if seen else []


def _allow_more_time() -> None:
    """A page takes seconds to recognise: go on to the hard limit of the parsing process."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def _prepared(image: Image.Image) -> Image.Image:
    if image.width * image.height > MOST_PIXELS:
        raise UnreadableDocument(
            f"This picture has {image.width} x {image.height} points, too many to be read. Upload a smaller copy.",
            code="too_large",
        )
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            ground = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(ground, upright)
        picture = upright.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise UnreadableDocument(
            f"This picture is damaged ({error}). Open it, save it again and upload the copy.", code="corrupt"
        ) from error
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return picture


@functools.cache
def _engine() -> Any:
    """RapidOCR, loaded once and only when there is a picture to read; None where it is not installed."""
    try:
        module = importlib.import_module("rapidocr")
    except ImportError:
        return None
    return module.RapidOCR(params=_ONE_THREAD)


def _upright(engine: Any, pixels: Any, seen: Sequence[tuple[Any, str]]) -> list[Box]:
    """The boxes as they lie once the picture stands upright."""
    corners = [item for item, _ in seen]
    height, width = pixels.shape[:2]
    on_side = median(np.ptp(item[:, 1]) / max(np.ptp(item[:, 0]), 1) for item in corners) > 1.5
    if on_side:  # As the engine does with each line that is higher than wide: a quarter turn against the clock.
        pixels = np.rot90(pixels)
        corners = [np.stack([item[:, 1], width - item[:, 0]], axis=1) for item in corners]
        height, width = width, height
    if _is_upside_down(engine, pixels, corners):
        corners = [np.array([width, height]) - item for item in corners]
    return [
        Box(float(item[:, 0].min()), float(item[:, 1].min()), float(item[:, 0].max()), float(item[:, 1].max()), text)
        for item, (_, text) in zip(corners, seen, strict=True)
    ]


def _is_upside_down(engine: Any, pixels: Any, corners: Sequence[Any]) -> bool:
    """Whether most of the longest lines are: the engine turns each line by itself and does not say so."""
    votes = []
    for item in sorted(corners, key=lambda item: float(np.ptp(item[:, 0])), reverse=True)[:_SAMPLE_LINES]:
        (left, top), (right, bottom) = np.floor(item.min(axis=0)).astype(int), np.ceil(item.max(axis=0)).astype(int)
        line = np.ascontiguousarray(pixels[max(top, 0) : bottom, max(left, 0) : right])
        if line.size:
            judged = engine(line, use_det=False, use_cls=True, use_rec=False)
            votes.append(str(judged.cls_res[0][0]) == _UPSIDE_DOWN)
    return sum(votes) * 2 > len(votes)


def _by_tesseract(picture: Image.Image) -> list[str]:
    if not shutil.which("tesseract"):
        raise UnreadableDocument(
            "This is a scan or a picture, and no text recognition is installed here. Ask the operator to install "
            "the Python package rapidocr or the program tesseract, or upload a document with text.",
            code="no_ocr",
        )
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        picture.save(file.name)
        try:
            output: bytes = textract.process(file.name, extension="png")
        except ShellError as error:
            raise UnreadableDocument(
                "The text of this picture could not be recognised. Upload a clearer copy.", code="no_text"
            ) from error
    return output.decode("utf-8", errors="replace").strip().split("\n")
