"""Web pages."""

from packages.rag.documents import BlockKind, Document
from packages.rag.html_blocks import add_tree, main_content, parse_html
from packages.rag.parsing import Outline, decode, one_line, required


class HTMLParser:
    """Reads the main content as a browser would show it."""

    media_types = ("text/html", "application/xhtml+xml")
    extensions = ("html", "htm", "xhtml")

    def parse(self, data: bytes) -> Document:
        """Blocks of the main content; the title is the page's own."""
        soup = parse_html(decode(data, declared=True))
        title = one_line(soup.title.get_text()) if soup.title else None
        language = soup.html.get("lang") if soup.html else None
        outline = Outline()
        add_tree(main_content(soup), outline)
        first = next((block.text for block in outline.blocks if block.kind is BlockKind.HEADING), None)
        return Document(
            blocks=required(outline.blocks, "web page"),
            title=title or first,
            language=str(language) if language else None,
        )


parser = HTMLParser()
