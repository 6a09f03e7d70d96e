"""Old formats that textract reads, partly with other programs: .doc by LibreOffice, .rtf by unrtf, Outlook .msg."""

import tempfile

import textract
from textract.exceptions import CommandLineError, ShellError

from packages.rag.documents import BlockKind, Document, UnreadableDocument
from packages.rag.file_types import sniff
from packages.rag.parsing import Outline, clean, decode, required

_SAVE_AS = {"doc": "a Word document (.docx)", "rtf": "a Word document (.docx)", "msg": "an e-mail file (.eml)"}


class LegacyParser:
    """Gives paragraphs without headings, because that is what textract keeps."""

    media_types = ("application/msword", "application/rtf", "text/rtf", "application/vnd.ms-outlook")
    extensions = ("doc", "rtf", "msg")

    def parse(self, data: bytes) -> Document:
        """The text, paragraph by paragraph."""
        kind = sniff(data)
        if kind not in _SAVE_AS:
            raise UnreadableDocument(
                "This is not the old Word, RTF or Outlook file that it is named. Upload it under its right type.",
                code="wrong_type",
            )
        with tempfile.NamedTemporaryFile(suffix=f".{kind}") as file:
            file.write(data)
            file.flush()
            try:
                output: bytes = textract.process(file.name, extension=kind)
            except (ShellError, CommandLineError, OSError, ValueError, KeyError, AttributeError) as error:
                raise UnreadableDocument(
                    f"The old format .{kind} cannot be read here. Save the file as {_SAVE_AS[kind]} and upload that.",
                    code="unsupported_format",
                ) from error
        outline = Outline()
        for paragraph in clean(decode(output)).split("\n\n"):
            outline.add(BlockKind.PARAGRAPH, paragraph)
        return Document(blocks=required(outline.blocks, "file"))


parser = LegacyParser()
