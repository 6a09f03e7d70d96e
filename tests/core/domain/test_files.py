"""What a file is, whatever its sender says of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packages.core.domain import files

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


class TestMediaType:
    @pytest.mark.parametrize(
        ("head", "kind"),
        [
            (PNG, "image/png"),
            (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\x00", "image/gif"),
            (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
            (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"),
            (b"\x00\x00\x00\x18ftypmp42\x00\x00", "video/mp4"),
            (b"\x00\x00\x00\x18ftypM4A \x00\x00", "audio/mp4"),
            (b"\x00\x00\x00\x18ftypqt  \x00\x00", "video/quicktime"),
            (b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
            (b"\x00\x00\x00\x18ftyp3gp4\x00\x00", "video/3gpp"),
            (b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x42\x82\x84webm", "video/webm"),
            (b"OggS\x00\x02", "audio/ogg"),
            (b"#!AMR\n", "audio/amr"),
            (b"ID3\x04\x00", "audio/mpeg"),
            (b"%PDF-1.7\n", "application/pdf"),
            (b"PK\x03\x04\x14\x00", "application/zip"),
            (b"<!DOCTYPE html><html>", "text/html"),
            (b"\xef\xbb\xbf <!-- x --> <ScRiPt>alert(1)</script>", "text/html"),
            (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml"),
            (b"Plain words, and no mark.", "text/plain"),
            ("Grüße".encode(), "text/plain"),
            (b"\x00\x01\x02\x03", "application/octet-stream"),
            (b"\x80\x81\x82\x83", "application/octet-stream"),
            (b"", "application/octet-stream"),
        ],
    )
    def test_is_what_the_first_bytes_show(self, head: bytes, kind: str) -> None:
        assert files.media_type(head, "application/pdf" if kind != "application/pdf" else "image/png") == kind

    @pytest.mark.parametrize(
        ("head", "claimed"),
        [
            (b"PK\x03\x04\x14\x00", DOCX),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
            (b"\x00\x00\x00\x18ftypmp42\x00\x00", "audio/mp4"),
            (b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x42\x82\x84webm", "audio/webm"),
            (b"a;b\n1;2\n", "text/csv"),
        ],
    )
    def test_a_claim_counts_that_the_bytes_bear_out(self, head: bytes, claimed: str) -> None:
        assert files.media_type(head, claimed.upper() + "; charset=utf-8") == claimed

    @pytest.mark.parametrize("claimed", ["text/html", "image/svg+xml", "application/javascript", "image/png", "", None])
    def test_words_are_never_taken_for_more(self, claimed: str | None) -> None:
        assert files.media_type(b"alert(1)", claimed) == "text/plain"

    def test_a_character_that_the_limit_cuts_is_still_text(self) -> None:
        head = ("x" + "ü" * files.HEAD).encode()[: files.HEAD]
        assert files.media_type(head, None) == "text/plain"

    @given(st.binary(max_size=200), st.text(max_size=40))
    def test_nothing_that_may_carry_a_script_is_shown_inline(self, head: bytes, claimed: str) -> None:
        kind = files.media_type(head, claimed)
        assert not files.shown_inline(kind) or files.sniff(head) is not None


class TestIsProgram:
    @pytest.mark.parametrize(
        "head", [b"MZ\x90\x00", b"\x7fELF\x02", b"#!/bin/sh\n", b"\xca\xfe\xba\xbe\x00", b"dex\n035"]
    )
    def test_knows_what_a_machine_would_run(self, head: bytes) -> None:
        assert files.is_program(head)

    @pytest.mark.parametrize("head", [b"#!AMR\n", PNG, b"words", b""])
    def test_leaves_the_rest_alone(self, head: bytes) -> None:
        assert not files.is_program(head)


class TestSafeName:
    @pytest.mark.parametrize(
        ("name", "kind", "safe"),
        [
            ("invoice.pdf", "application/pdf", "invoice.pdf"),
            ("Rechnung März.PDF", "application/pdf", "Rechnung März.PDF"),
            ("photo.jpeg", "image/jpeg", "photo.jpeg"),
            ("photo.exe", "image/png", "photo.exe.png"),
            (None, "image/jpeg", "image.jpg"),
            (None, "application/octet-stream", "document"),
            ("../../etc/passwd", "text/plain", "passwd"),
            ("C:\\temp\\a.txt", "text/plain", "a.txt"),
            ("run.bat", "text/plain", "run.bat.txt"),
            ("setup.msi", "application/octet-stream", "setup.msi.bin"),
            ("app.apk", "application/zip", "app.apk.zip"),
            ("x.docx", DOCX, "x.docx"),
            ('a"b\r\nc.txt', "text/plain", "a_b_c.txt"),
            ("gnp.\u202eexe", "image/png", "gnp._exe.png"),
            ("...", "video/mp4", "video.mp4"),
        ],
    )
    def test_has_no_path_and_an_ending_that_does_not_lie(self, name: str | None, kind: str, safe: str) -> None:
        assert files.safe_name(name, kind) == safe

    def test_a_long_name_keeps_its_ending(self) -> None:
        name = files.safe_name("x" * 500 + ".pdf", "application/pdf")
        assert (len(name), name[-4:]) == (120, ".pdf")


@pytest.mark.parametrize(
    ("kind", "family"),
    [("image/png", "image"), ("audio/ogg", "audio"), ("video/mp4", "video"), ("image/svg+xml", "document")],
)
def test_the_kind_of_a_media_type(kind: str, family: str) -> None:
    assert files.kind_of(kind) == family
