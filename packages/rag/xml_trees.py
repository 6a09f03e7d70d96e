"""XML of foreign files: no entities, no network, no document type to expand."""

from lxml import etree

from packages.rag.documents import UnreadableDocument

_HEAD = 65_536


def parse_xml(data: bytes, what: str) -> etree._Element:
    """The root element.

    Args:
        data: one XML file.
        what: the document it belongs to, for the reason of a refusal.

    Raises:
        UnreadableDocument: malformed, or with a document type that declares entities ("billion laughs").
    """
    if b"<!ENTITY" in data[:_HEAD] or "<!ENTITY".encode("utf-16-le") in data[:_HEAD]:
        raise UnreadableDocument(
            f"This {what} declares XML entities, which can be used to attack its readers. "
            "Save it again with another program and upload the copy.",
            code="unsafe",
        )
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableDocument(
            f"This {what} is damaged ({error}). Open it, save it again and upload the copy.", code="corrupt"
        ) from error
    if root is None:
        raise UnreadableDocument(f"This {what} is empty. Upload it again, with content.", code="empty")
    return root


def local_name(element: etree._Element) -> str:
    """The name without its namespace; empty for comments and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: etree._Element, name: str) -> str | None:
    """An attribute by its name in whatever namespace: strict and transitional Office files differ in these."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return None
