"""What a PDF page shows beside its text: pictures that may be scans, rulings of tables, and text that is hidden."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

OCR_DPI = 200
_POINTS_PER_INCH = 72
_MOST_OBJECTS = 20_000
_LARGEST_RENDERING = 3000
SCAN_SHARE = 0.3
_LEAST_HIDDEN = 3


@dataclass(slots=True)
class PageLooks:
    """Counts of path objects, the share of the page (0..1) under pictures, and texts that no reader sees."""

    paths: int = 0
    picture_share: float = 0.0
    hidden: list[str] = field(default_factory=list)


class PageViewer:
    """Opens the file with PDFium.

    Raises:
        pypdfium2.PdfiumError: PDFium cannot open it.
    """

    def __init__(self, data: bytes) -> None:
        self._document = pypdfium2.PdfDocument(data)

    @property
    def page_count(self) -> int:
        """Pages that PDFium sees."""
        return len(self._document)

    def looks(self, index: int) -> PageLooks:
        """What is on a page, counted from 0."""
        page = self._document[index]
        seen = PageLooks()
        try:
            area = max(page.get_width() * page.get_height(), 1.0)
            for item in _objects(page):
                if item.type == pdfium.FPDF_PAGEOBJ_PATH:
                    seen.paths += 1
                elif item.type == pdfium.FPDF_PAGEOBJ_IMAGE:
                    left, bottom, right, top = item.get_bounds()
                    seen.picture_share += max(right - left, 0) * max(top - bottom, 0) / area
                elif item.type == pdfium.FPDF_PAGEOBJ_TEXT and _is_invisible(item):
                    seen.hidden.append(_text(page, item))
        finally:
            page.close()
        # The text layer of a scan is invisible by intent: there the picture is what the reader sees.
        if seen.picture_share >= SCAN_SHARE:
            seen.hidden.clear()
        seen.hidden = [text for text in seen.hidden if len(text) >= _LEAST_HIDDEN]
        return seen

    def picture(self, index: int) -> Image.Image:
        """A page as a picture, fine enough to recognise text in."""
        page = self._document[index]
        try:
            longest = max(page.get_width(), page.get_height(), 1.0)
            scale = min(OCR_DPI / _POINTS_PER_INCH, _LARGEST_RENDERING / longest)
            picture: Image.Image = page.render(scale=scale, may_draw_forms=False).to_pil()
            return picture
        finally:
            page.close()


def _objects(page: Any) -> Iterator[Any]:
    for count, item in enumerate(page.get_objects(max_depth=5), start=1):
        if count > _MOST_OBJECTS:
            return
        yield item


def _is_invisible(item: Any) -> bool:
    return bool(pdfium.FPDFTextObj_GetTextRenderMode(item) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)


def _text(page: Any, item: Any) -> str:
    layer = page.get_textpage()
    try:
        size = pdfium.FPDFTextObj_GetText(item, layer, None, 0)
        buffer = ctypes.create_string_buffer(size)
        pdfium.FPDFTextObj_GetText(item, layer, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    finally:
        layer.close()
    return buffer.raw.decode("utf-16-le", "ignore").rstrip("\x00").strip()
