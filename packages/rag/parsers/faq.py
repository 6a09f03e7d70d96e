"""Question and answer pairs as JSON: `[{"question": …, "answer": …}]`, or the same under the key `faq`."""

import json

from packages.rag.documents import Document, UnreadableDocument
from packages.rag.parsing import Outline, decode, required
from packages.rag.tables import add_pair

_FORM = 'Send a JSON list such as [{"question": "…", "answer": "…"}].'


class FAQParser:
    """Each pair stays whole."""

    media_types = ("application/vnd.parley.faq+json",)
    extensions = ()

    def parse(self, data: bytes) -> Document:
        """One block per pair."""
        try:
            content = json.loads(decode(data))
        except ValueError as error:
            raise UnreadableDocument(f"This is not valid JSON ({error}). {_FORM}", code="corrupt") from error
        pairs = content.get("faq") if isinstance(content, dict) else content
        if not isinstance(pairs, list):
            raise UnreadableDocument(f"This JSON holds no list of questions and answers. {_FORM}", code="wrong_form")
        outline = Outline()
        for number, pair in enumerate(pairs, start=1):
            if not isinstance(pair, dict) or not all(isinstance(pair.get(key), str) for key in ("question", "answer")):
                raise UnreadableDocument(f"Entry {number} lacks a question or an answer. {_FORM}", code="wrong_form")
            add_pair(pair["question"], pair["answer"], outline)
        return Document(blocks=required(outline.blocks, "FAQ"))


parser = FAQParser()
