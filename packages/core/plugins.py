"""Find plugins: each module or package of a folder that exports one named attribute."""

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

Plugin = TypeVar("Plugin")


class BrokenPlugin(Exception):
    """A module of a plugin folder lacks the expected attribute, or it is of another type."""


def load(folder: ModuleType, attribute: str, interface: type[Plugin]) -> dict[str, Plugin]:
    """Import every public module below `folder` and collect `attribute` of each.

    Args:
        folder: an imported package, such as `services.channel_gateway.channels`.
        attribute: the name each neighbour exports, such as `channel`.
        interface: what it must be an instance of (a runtime-checkable protocol or a class).

    Returns:
        The plugins by module name, in alphabetical order.

    Raises:
        BrokenPlugin: at start-up rather than at the first message.
    """
    found: dict[str, Plugin] = {}
    for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda item: item.name):
        if module.name.startswith("_"):
            continue
        plugin = getattr(importlib.import_module(f"{folder.__name__}.{module.name}"), attribute, None)
        if not isinstance(plugin, interface):
            raise BrokenPlugin(f"{folder.__name__}.{module.name} must export `{attribute}`: {interface.__name__}")
        found[module.name] = plugin
    return found
