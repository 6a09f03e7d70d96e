"""PDF files drawn by hand: text and lines at given places."""

from collections.abc import Sequence


def pdf(*contents: str) -> bytes:
    """A PDF with one page of 600 x 800 points per content stream; font F1 is Helvetica."""
    count = len(contents)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {count}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for number, content in enumerate(contents):
        page = f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {5 + 2 * number} 0 R"
        objects += [
            page + "/Resources<</Font<</F1 3 0 R>>>>>>",
            f"<</Length {len(content)}>>stream\n{content}\nendstream",
        ]
    out = b"%PDF-1.4\n"
    places = []
    for number, item in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{item}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer<</Size {len(objects) + 1}/Root 1 0 R>>\n"
    return out + f"{end}startxref\n{len(out)}\n%%EOF".encode()


def words(x: float, y: float, text: str, size: float = 11, mode: int = 0) -> str:
    """Text at a place, counted from the lower left corner; mode 3 is invisible."""
    return f"BT /F1 {size} Tf {mode} Tr {x} {y} Td ({text}) Tj ET\n"


def ruled(rows: Sequence[Sequence[str]], x: float = 60, y: float = 600, width: float = 150, height: float = 24) -> str:
    """A table with lines around each cell; `y` is its upper edge."""
    drawn = ""
    for number, row in enumerate(rows):
        for column, text in enumerate(row):
            left, bottom = x + column * width, y - (number + 1) * height
            drawn += f"{left} {bottom} {width} {height} re S\n" + words(left + 6, bottom + 8, text)
    return drawn
