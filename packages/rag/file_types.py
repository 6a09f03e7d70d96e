"""What a file is, by its first bytes and by its name."""

import io
import re
import zipfile
from pathlib import PurePosixPath

import olefile

_HEAD = 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TAR_MARK = slice(257, 262)
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"{\\rtf", "rtf"),
)
_PACKAGES = (
    ("word/document.xml", "docx"),
    ("ppt/presentation.xml", "pptx"),
    ("xl/workbook.xml", "xlsx"),
    ("xl/workbook.bin", "xlsb"),
    ("META-INF/container.xml", "epub"),
)
_OPEN_DOCUMENTS = {"text": "odt", "spreadsheet": "ods", "presentation": "odp"}
_OLE_STREAMS = (
    ("EncryptedPackage", "encrypted"),
    ("WordDocument", "doc"),
    ("Workbook", "xls"),
    ("Book", "xls"),
    ("PowerPoint Document", "ppt"),
    ("__properties_version1.0", "msg"),
)
_HTML = re.compile(rb"\A\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)

_LANGUAGE_NAMES = """
py:python pyi:python js:javascript mjs:javascript cjs:javascript jsx:javascript ts:typescript tsx:typescript
java:java kt:kotlin kts:kotlin scala:scala go:go rs:rust c:c h:c cc:cpp cpp:cpp cxx:cpp hpp:cpp hh:cpp cs:csharp
fs:fsharp vb:vb rb:ruby php:php pl:perl pm:perl lua:lua r:r jl:julia swift:swift m:objectivec mm:objectivec dart:dart
ex:elixir exs:elixir erl:erlang hrl:erlang hs:haskell ml:ocaml mli:ocaml clj:clojure sh:shell bash:shell zsh:shell
ps1:powershell bat:batch sql:sql proto:protobuf graphql:graphql tf:terraform hcl:terraform yaml:yaml yml:yaml
toml:toml ini:ini cfg:ini conf:ini env:ini properties:properties css:css scss:scss less:less vue:vue svelte:svelte
gradle:groovy groovy:groovy cmake:cmake mk:make dockerfile:dockerfile asm:assembly s:assembly
zig:zig nim:nim sol:solidity
"""
LANGUAGES = dict(pair.split(":") for pair in _LANGUAGE_NAMES.split())
"""Programming language by the ending of a file's name."""

_NAMED = {
    "dockerfile": "dockerfile",
    "makefile": "make",
    "jenkinsfile": "groovy",
    "rakefile": "ruby",
    "gemfile": "ruby",
}
_PLAIN = {
    "readme",
    "license",
    "licence",
    "copying",
    "notice",
    "changelog",
    "changes",
    "authors",
    "contributing",
    "install",
}
_NOT_OURS = {
    *("node_modules", "vendor", "third_party", "site-packages", "bower_components", "dist", "build", "target", "out"),
    *("__pycache__", "venv", "env", "coverage", "__macosx", "pods"),
}
_LOCKS = {
    *("package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "pipfile.lock", "cargo.lock", "gemfile.lock"),
    *("composer.lock", "go.sum", "uv.lock", "bun.lockb", "npm-shrinkwrap.json", ".ds_store", "thumbs.db"),
}
_GENERATED = re.compile(r"\.(?:min\.(?:js|css)|map|snap|pb\.go|lock)$|_pb2\.pyi?$", re.IGNORECASE)


def sniff(data: bytes) -> str | None:
    """The file name ending of the format that the bytes themselves show; None for text and for the unknown."""
    if b"%PDF-" in data[:_HEAD]:
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        return _package(data)
    if data.startswith(_OLE):
        return _compound(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith(b"BM") and data[6:10] == b"\x00" * 4:
        return "bmp"
    if data[_TAR_MARK] == b"ustar":
        return "tar"
    if _HTML.match(data[:_HEAD]):
        return "html"
    return next((ending for mark, ending in _SIGNATURES if data.startswith(mark)), None)


def _package(data: bytes) -> str | None:
    """What a ZIP archive is for; None if it cannot be opened."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            names = {name.replace("\\", "/") for name in file.namelist()}
            kind = file.read("mimetype")[:100].decode("ascii", "replace") if "mimetype" in names else ""
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        return None
    if "opendocument" in kind:
        return next((ending for word, ending in _OPEN_DOCUMENTS.items() if word in kind), "zip")
    return next((ending for name, ending in _PACKAGES if name in names), "zip")


def _compound(data: bytes) -> str | None:
    """What an OLE file is for; None if it cannot be opened."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            return next((ending for stream, ending in _OLE_STREAMS if file.exists(stream)), None)
    except (OSError, ValueError, IndexError):
        return None


def extension(name: str) -> str:
    """The ending of a file name without its dot, in lower case."""
    return PurePosixPath(name.replace("\\", "/")).suffix.lstrip(".").casefold()


def code_language(name: str) -> str | None:
    """The programming language of a source file, by its name."""
    base = PurePosixPath(name.replace("\\", "/")).name.casefold()
    return _NAMED.get(base) or LANGUAGES.get(extension(name))


def is_plain_name(name: str) -> bool:
    """Whether a file without an ending is known to be text, as README is."""
    return PurePosixPath(name).name.casefold() in _PLAIN


def left_out(name: str) -> str | None:
    """Why a member of an archive is not worth reading; None if it is."""
    *folders, base = [part.casefold() for part in name.replace("\\", "/").split("/")]
    if any(folder in _NOT_OURS or folder.endswith(".egg-info") for folder in folders):
        return "copies of other projects' code and built files"
    if any(part.startswith(".") for part in [*folders, base]):
        return "hidden files"
    if base in _LOCKS or _GENERATED.search(base):
        return "lock files and generated files"
    return None
