"""E-mails: the subject as heading, the text that a reader sees, and attachments as documents of their own."""

import email
from email.message import EmailMessage
from email.policy import default as default_policy

from packages.rag.documents import BlockKind, Document, Part, UnreadableDocument
from packages.rag.html_blocks import add_tree, parse_html
from packages.rag.parsing import Outline, clean, decode, one_line

_MOST_HEADER = 2000


class EMLParser:
    """Who wrote to whom stays out: an answer must not name private people."""

    media_types = ("message/rfc822",)
    extensions = ("eml", "mht", "mhtml")

    def parse(self, data: bytes) -> Document:
        """The plain text if there is any, else the HTML; one heading holds it all."""
        message = email.message_from_bytes(data, policy=default_policy)
        if not message.keys() or not isinstance(message, EmailMessage):
            raise UnreadableDocument("This is not an e-mail. Save it from the mail program as .eml.", code="wrong_type")
        outline = Outline()
        subject = one_line(str(message.get("Subject", ""))[:_MOST_HEADER])
        outline.heading(1, subject)
        body = message.get_body(preferencelist=("plain", "html"))
        if isinstance(body, EmailMessage):
            _add_body(body, outline)
        parts = tuple(_part(part, number) for number, part in enumerate(message.iter_attachments(), start=1))
        if len(outline.blocks) <= bool(subject) and not parts:
            raise UnreadableDocument("This e-mail contains no text. Upload one with text in it.", code="empty")
        return Document(blocks=tuple(outline.blocks), title=subject or None, parts=parts)


def _add_body(body: EmailMessage, outline: Outline) -> None:
    text = _text(body)
    if body.get_content_type() == "text/html":
        add_tree(parse_html(text), outline)
        return
    for paragraph in clean(text).split("\n\n"):
        outline.add(BlockKind.PARAGRAPH, paragraph)


def _text(part: EmailMessage) -> str:
    """The decoded text; by its letters where the mail names no encoding, or a wrong one."""
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    if not raw.strip():
        return ""
    try:
        return raw.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return decode(raw)


def _part(part: EmailMessage, number: int) -> Part:
    def read() -> bytes:
        if part.get_content_maintype() == "message":
            inner = part.get_payload(0)
            return inner.as_bytes() if isinstance(inner, EmailMessage) else b""
        payload = part.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""

    return Part(
        name=one_line(part.get_filename() or f"attachment {number}"), media_type=part.get_content_type(), read=read
    )


parser = EMLParser()
