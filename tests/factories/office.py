"""Small documents of binary formats, made for one test each."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from email.message import EmailMessage

from PIL import Image, ImageDraw, ImageFont

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: Mapping[str, bytes], links: Mapping[str, str] | None = None, mode: str = "w:gz") -> bytes:
    """A tar archive with files and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def word(body: str, **parts: str) -> bytes:
    """A Word document of the XML of its body; `parts` are further files of `word/` without their ending."""
    files = {f"word/{name}.xml": f"<w:{name} {W}>{content}</w:{name}>" for name, content in parts.items()}
    return zipped({"word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>", **files})


def mail(subject: str, text: str = "", html: str = "", attachments: Mapping[str, bytes] | None = None) -> bytes:
    """An e-mail."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "ann@example.com", "bob@example.com"
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    for name, content in (attachments or {}).items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def picture(*lines: str, turned: int = 0, kind: str = "PNG") -> bytes:
    """Black text on white, turned by degrees against the clock."""
    image = Image.new("RGB", (900, 60 + 60 * len(lines)), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((30, 30 + 60 * number), line, fill="black", font=ImageFont.load_default(size=32))
    buffer = io.BytesIO()
    image.rotate(turned, expand=True).save(buffer, kind)
    return buffer.getvalue()
