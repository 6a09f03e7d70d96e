"""Pictures and scans: the text in them, recognised."""

import io

from PIL import Image, ImageSequence, UnidentifiedImageError

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.ocr import MOST_PIXELS, recognise
from packages.rag.page_layout import PageLayout
from packages.rag.parsing import one_line, required

_MOST_PAGES = 40

# The check of this project says what to do; Pillow's own limit is left as a second wall.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS


class ImageParser:
    """A TIFF may hold several pages; of a moving picture the first frame is read."""

    media_types = ("image/png", "image/jpeg", "image/tiff", "image/webp", "image/bmp", "image/gif", "image/x-ms-bmp")
    extensions = ("png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp", "gif")

    def parse(self, data: bytes) -> Document:
        """Headings, paragraphs and lists by the looks of the lines."""
        try:
            with Image.open(io.BytesIO(data)) as image:
                pages = _pages(image)
        except Image.DecompressionBombError as error:
            raise UnreadableDocument(
                f"This picture has too many points to be read ({error}). Upload a smaller copy.", code="too_large"
            ) from error
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise UnreadableDocument(
                f"This picture is damaged ({error}). Open it, save it again and upload the copy.", code="corrupt"
            ) from error
        if not any(line for page in pages for line in page):
            raise UnreadableDocument(
                "No text was recognised in this picture. Upload a picture with readable text, or the text itself.",
                code="no_text",
            )
        layout = PageLayout(pages, {})
        for number, lines in enumerate(pages, start=1):
            layout.add_page(number, lines)
        return Document(blocks=required(layout.outline.blocks, "picture"), page_count=len(pages))


def _pages(image: Image.Image) -> list[list[str]]:
    count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    if count > _MOST_PAGES:
        raise UnreadableDocument(
            f"This scan has {count} pages; at most {_MOST_PAGES} can be read. Split it and upload the parts.",
            code="too_large",
        )
    frames = ImageSequence.Iterator(image) if count > 1 else [image]
    return [[one_line(line) for line in recognise(frame)] for frame in frames]


parser = ImageParser()
