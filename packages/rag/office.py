"""What Office packages (OOXML) share."""

from packages.rag.parsing import one_line
from packages.rag.xml_trees import parse_xml
from packages.rag.zip_files import ZipFile

_CORE = "docProps/core.xml"


def core_title(package: ZipFile) -> str | None:
    """The title in the package's properties, if somebody set one."""
    if not package.has(_CORE):
        return None
    title = parse_xml(package.read(_CORE), "Office document").find("{*}title")
    return one_line(title.text) or None if title is not None and title.text else None
