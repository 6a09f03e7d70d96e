"""What a file is, by its first bytes, and what may be done with it. What people and platforms say of it is a claim."""

import re
from pathlib import PurePosixPath

HEAD = 4096
"""So many first bytes are enough to tell."""
UNKNOWN = "application/octet-stream"
_ZIP, _OLE = "application/zip", "application/x-ole-storage"
_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"\xff\xfa", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"#!AMR", "audio/amr"),
    (b"fLaC", "audio/flac"),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLE),
    (b"{\\rtf", "application/rtf"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"avif": "image/avif",
}
_PROGRAMS = (
    b"MZ",
    b"\x7fELF",
    b"#!",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"dex\n",
    b"L\x00\x00\x00\x01\x14\x02\x00",
)
_MARKUP = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml.*?\?>\s*)?(?:<!--.*?-->\s*)*<(!doctype\s+html|\w+)", re.I | re.S
)
_HTML = frozenset(
    {b"html", b"head", b"body", b"script", b"iframe", b"title", b"meta", b"a", b"p", b"div", b"b", b"img"}
)
_OFFICE = re.compile(r"application/(?:vnd\.(?:openxmlformats|oasis\.opendocument|ms-)[\w.+-]*|msword|epub\+zip)")
_TEXT = re.compile(r"text/(?:plain|csv|markdown|calendar|vcard|x-vcard|tab-separated-values|rtf)|application/json")
_ALIKE = {
    "video/mp4": frozenset({"audio/mp4", "audio/x-m4a", "audio/m4a", "video/mp4", "video/quicktime", "video/3gpp"}),
    "video/3gpp": frozenset({"audio/3gpp", "video/3gpp"}),
    "video/webm": frozenset({"audio/webm", "video/webm"}),
    "audio/ogg": frozenset({"audio/ogg", "audio/opus", "video/ogg"}),
    "audio/mpeg": frozenset({"audio/mpeg", "audio/aac"}),
}
"""Containers that hold sound or pictures: which of it, the first bytes do not show."""

_INLINE = frozenset(
    {
        *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "application/pdf"),
        *("audio/mpeg", "audio/ogg", "audio/opus", "audio/mp4", "audio/x-m4a", "audio/m4a", "audio/aac", "audio/wav"),
        *("audio/flac", "audio/webm", "audio/amr", "audio/3gpp"),
        *("video/mp4", "video/webm", "video/ogg", "video/quicktime", "video/3gpp"),
    }
)
_ENDINGS: dict[str, tuple[str, ...]] = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "image/heic": (".heic", ".heif"),
    "image/avif": (".avif",),
    "image/tiff": (".tif", ".tiff"),
    "image/bmp": (".bmp",),
    "audio/mpeg": (".mp3",),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "audio/mp4": (".m4a", ".mp4"),
    "audio/aac": (".aac",),
    "audio/amr": (".amr",),
    "audio/wav": (".wav",),
    "audio/flac": (".flac",),
    "video/mp4": (".mp4", ".m4v"),
    "video/quicktime": (".mov", ".qt"),
    "video/3gpp": (".3gp",),
    "video/webm": (".webm",),
    "application/pdf": (".pdf",),
    "application/zip": (".zip",),
    "application/gzip": (".gz", ".tgz"),
    "text/html": (".html", ".htm"),
    "image/svg+xml": (".svg",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (".docx",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": (".pptx",),
    "application/msword": (".doc",),
}
_RUNNABLE = frozenset(
    {
        *(".exe", ".com", ".bat", ".cmd", ".scr", ".pif", ".msi", ".msp", ".cpl", ".dll", ".js", ".jse", ".vbs"),
        *(".vbe", ".wsf", ".wsh", ".hta", ".ps1", ".psm1", ".lnk", ".reg", ".jar", ".sh", ".bash", ".apk", ".app"),
        *(".command", ".desktop", ".url", ".inf", ".html", ".htm", ".xhtml", ".svg", ".xml", ".mht", ".chm", ".iso"),
        *(".img", ".dmg", ".pkg", ".deb", ".rpm"),
    }
)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/\u200e\u200f\u202a-\u202e\u2066-\u2069]+')
_LONGEST_NAME = 120


def sniff(head: bytes) -> str | None:
    """The media type that the first bytes show; None for plain text and for the unknown."""
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "video/3gpp" if brand.startswith(b"3g") else _BRANDS.get(brand, "video/mp4")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head.startswith(b"BM") and head[6:10] == b"\x00" * 4:
        return "image/bmp"
    return next((kind for mark, kind in _MARKS if head.startswith(mark)), None) or _markup(head)


def _markup(head: bytes) -> str | None:
    found = _MARKUP.match(head[:1024])
    if not found:
        return None
    name = found.group(1).lower()
    if name == b"svg":
        return "image/svg+xml"
    return "text/html" if name in _HTML or name.startswith(b"!doctype") else None


def is_program(head: bytes) -> bool:
    """Whether the first bytes are those of something that a machine would run."""
    return head.startswith(_PROGRAMS) and not head.startswith(b"#!AMR")


def media_type(head: bytes, claimed: str | None) -> str:
    """What a file is. A claim counts where the bytes bear it out but do not say as much themselves.

    Args:
        head: its first HEAD bytes, or all of a shorter one.
        claimed: the media type that its sender stated.
    """
    shown, stated = sniff(head), (claimed or "").partition(";")[0].strip().lower()
    if shown in {_ZIP, _OLE}:
        return stated if _OFFICE.fullmatch(stated) else shown
    if shown is not None:
        return stated if stated in _ALIKE.get(shown, ()) else shown
    if not _is_text(head):
        return UNKNOWN
    return stated if _TEXT.fullmatch(stated) else "text/plain"


def _is_text(head: bytes) -> bool:
    if not head or b"\x00" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) >= HEAD  # a character cut in two
    return True


def shown_inline(kind: str) -> bool:
    """Whether browsers may show files of a media type: such as can carry no script."""
    return kind in _INLINE


def kind_of(kind: str) -> str:
    """The kind of attachment of a media type: image, audio, video or document."""
    family = kind.partition("/")[0]
    return family if family in {"image", "audio", "video"} and kind != "image/svg+xml" else "document"


def safe_name(filename: str | None, kind: str) -> str:
    """A name under which a file of a media type can be kept by anybody: no path, and an ending that does not lie."""
    name = _UNSAFE.sub("_", PurePosixPath((filename or "").replace("\\", "/")).name).strip(" ._")
    endings = _ENDINGS.get(kind, ())
    ending = PurePosixPath(name).suffix.lower()
    if endings and ending not in endings:
        name, ending = f"{name or kind_of(kind)}{endings[0]}", endings[0]
    elif not endings and ending in _RUNNABLE:
        name, ending = f"{name}{'.txt' if kind.startswith('text/') else '.bin'}", ".bin"
    name = name or kind_of(kind)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - len(ending)] + name[len(name) - len(ending) :]
