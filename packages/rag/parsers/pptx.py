"""Slides (OOXML): a heading per slide, its texts, lists and tables, and the speaker's notes."""

import io
from collections.abc import Iterator

from lxml.etree import XMLSyntaxError
from pptx import Presentation
from pptx.exc import PythonPptxError
from pptx.shapes.base import BaseShape
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape
from pptx.slide import Slide
from pptx.table import Table
from pptx.text.text import TextFrame

from packages.rag.documents import BlockKind, Document, UnreadableDocument
from packages.rag.office import core_title
from packages.rag.parsing import Outline, clean, one_line, required
from packages.rag.tables import add_rows
from packages.rag.xml_trees import attribute
from packages.rag.zip_files import ZipFile

WHAT = "PowerPoint presentation"


class PPTXParser:
    """Slide numbers are page numbers. Hidden slides stay out."""

    media_types = (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
    )
    extensions = ("pptx", "pptm", "ppsx")

    def parse(self, data: bytes) -> Document:
        """Slide by slide; on a slide the title first, then from top to bottom."""
        package = ZipFile(data, WHAT)
        package.check()
        try:
            slides = list(Presentation(io.BytesIO(data)).slides)
        except (PythonPptxError, KeyError, ValueError, XMLSyntaxError, AttributeError) as error:
            raise UnreadableDocument(
                f"This PowerPoint presentation is damaged ({error}). Open it, save it again and upload the copy.",
                code="corrupt",
            ) from error
        outline = Outline()
        for number, slide in enumerate(slides, start=1):
            outline.page = number
            if slide.element.get("show") != "0":
                _add_slide(slide, outline)
        return Document(
            blocks=required(outline.blocks, WHAT),
            title=core_title(package) or outline.first_heading,
            page_count=len(slides),
        )


def _add_slide(slide: Slide, outline: Outline) -> None:
    title = slide.shapes.title
    outline.close_headings()
    if title is not None and title.has_text_frame:
        outline.heading(1, title.text_frame.text)
    for shape in sorted(_flat(slide.shapes), key=lambda shape: (shape.top or 0, shape.left or 0)):
        if title is None or shape.shape_id != title.shape_id:
            _add_shape(shape, outline)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        outline.add(BlockKind.PARAGRAPH, clean(slide.notes_slide.notes_text_frame.text))


def _flat(shapes: object) -> Iterator[BaseShape]:
    for shape in shapes:  # type: ignore[attr-defined]
        if isinstance(shape, GroupShape):
            yield from _flat(shape.shapes)
        else:
            yield shape


def _add_shape(shape: BaseShape, outline: Outline) -> None:
    if shape.has_text_frame:
        _add_text(shape.text_frame, outline)  # type: ignore[attr-defined]
    elif isinstance(shape, GraphicFrame) and shape.has_table:
        add_rows(list(_rows(shape.table)), outline)
    elif isinstance(shape, GraphicFrame) and shape.has_chart:
        _add_chart(shape, outline)
    else:
        described = next((attribute(item, "descr") for item in shape._element.iter("{*}cNvPr")), None)
        outline.add(BlockKind.IMAGE, one_line(described or ""))


def _add_text(frame: TextFrame, outline: Outline) -> None:
    lines = [(paragraph.level, clean(paragraph.text.replace("\v", "\n"))) for paragraph in frame.paragraphs]
    lines = [(level, text) for level, text in lines if text]
    if len(lines) > 1:
        outline.add(BlockKind.LIST, "\n".join(f"{'  ' * level}- {one_line(text)}" for level, text in lines))
    for _, text in lines if len(lines) == 1 else []:
        outline.add(BlockKind.PARAGRAPH, text)


def _rows(table: Table) -> Iterator[list[str]]:
    """Cell texts; a cell over several rows is repeated in each, so that a row makes sense alone."""
    above: dict[int, str] = {}
    for row in table.rows:
        texts = []
        for column, cell in enumerate(row.cells):
            if cell.is_merge_origin and cell.span_height > 1:
                above[column] = cell.text
            goes_on = cell.is_spanned and row._tr.tc_lst[column].vMerge
            texts.append(above.get(column, "") if goes_on else "" if cell.is_spanned else cell.text)
        yield texts


def _add_chart(shape: GraphicFrame, outline: Outline) -> None:
    """A chart as the table that it was drawn from."""
    chart = shape.chart
    if chart.has_title and chart.chart_title.has_text_frame:
        outline.add(BlockKind.PARAGRAPH, clean(chart.chart_title.text_frame.text))
    for plot in chart.plots:
        series = list(plot.series)
        rows = [["", *(item.name for item in series)]]
        values = [list(item.values) for item in series]
        for index, category in enumerate(plot.categories):
            rows.append([str(category), *(str(column[index]) if index < len(column) else "" for column in values)])
        add_rows(rows, outline)


parser = PPTXParser()
