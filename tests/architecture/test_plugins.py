"""Every plugin folder loads, and every neighbour in it is a plugin."""

from types import ModuleType
from typing import Any

import pytest

from packages.core import plugins
from packages.rag import parsers
from packages.rag.parsers import Parser
from services.channel_gateway import channels
from services.channel_gateway.channels import Channel
from services.channel_gateway.simulator import platforms
from services.orchestrator import actions
from services.orchestrator.actions import Action

FOLDERS = [
    (actions, "action", Action),
    (channels, "channel", Channel),
    (parsers, "parser", Parser),
    (platforms, "platform", type),
]


@pytest.mark.parametrize(("folder", "attribute", "interface"), FOLDERS, ids=[item[0].__name__ for item in FOLDERS])
def test_all_of_a_folder_are_plugins(folder: ModuleType, attribute: str, interface: type[Any]) -> None:
    assert len(plugins.load(folder, attribute, interface)) >= 2


def test_a_simulated_platform_for_each_channel() -> None:
    assert plugins.load(channels, "channel", Channel).keys() <= plugins.load(platforms, "platform", type).keys()
