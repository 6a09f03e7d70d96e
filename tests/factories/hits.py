"""Hits as retrieval gives them, with only what a test cares about."""

from typing import Any
from uuid import uuid4

from packages.rag.documents import Hit


def make_hit(text: str, **values: Any) -> Hit:
    """A hit with this text."""
    return Hit(
        **{
            "chunk_id": uuid4(),
            "source_id": uuid4(),
            "source_version": 1,
            "position": 0,
            "title": "",
            "text": text,
            "headings": (),
            "page": None,
            "kind": "text",
            "score": 1.0,
            "dense": 0.5,
            "bm25": 1.0,
            "coverage": 0.5,
            **values,
        }
    )
