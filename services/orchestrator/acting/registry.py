"""Which actions there are: those of the plugin folder, and those that installed packages bring."""

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from packages.core import plugins
from packages.core.plugins import BrokenPlugin
from services.orchestrator import actions
from services.orchestrator.actions import Action

GROUP = "parley.actions"


def load(outside: Iterable[EntryPoint] | None = None) -> Mapping[str, Action]:
    """Every action by its kind.

    Args:
        outside: entry points of other packages; those of the group `parley.actions` if left out.

    Raises:
        BrokenPlugin: one is no action, or takes the name of another; at start-up rather than in a conversation.
    """
    found = plugins.load(actions, "action", Action)
    for entry in entry_points(group=GROUP) if outside is None else outside:
        loaded = entry.load()
        if not isinstance(loaded, Action):
            raise BrokenPlugin(f"{entry.value} ({GROUP}: {entry.name}) must be an Action")
        if entry.name in found:
            raise BrokenPlugin(f"{entry.value}: there is an action {entry.name} already")
        found[entry.name] = loaded
    return found
