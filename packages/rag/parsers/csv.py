"""Tables as text: comma, semicolon or tab between cells, in any encoding."""

import csv
import io

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.parsing import Outline, decode, required
from packages.rag.tables import add_rows

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 50
_LONGEST_CELL = 1_000_000


class CSVParser:
    """The delimiter is the one that cuts the first rows alike."""

    media_types = ("text/csv", "text/tab-separated-values", "application/csv")
    extensions = ("csv", "tsv")

    def parse(self, data: bytes) -> Document:
        """Question and answer pairs, or one table."""
        text = decode(data)
        csv.field_size_limit(_LONGEST_CELL)
        outline = Outline()
        try:
            add_rows(list(csv.reader(io.StringIO(text), delimiter=_delimiter(text))), outline)
        except csv.Error as error:
            raise UnreadableDocument(
                f"This table is damaged ({error}). Export it again as CSV in UTF-8.", code="corrupt"
            ) from error
        return Document(blocks=required(outline.blocks, "table"))


def _delimiter(text: str) -> str:
    sample = "\n".join(text.split("\n")[:_SAMPLE_ROWS])

    def rating(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row]
        common = max(set(widths), key=widths.count, default=1)
        return (widths.count(common) / len(widths) if common > 1 else 0.0, common)

    return max(_DELIMITERS, key=rating)


parser = CSVParser()
