import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable
from uuid import uuid4

import pytest

from packages.core.plugins import BrokenPlugin, load

Make = Callable[[dict[str, str]], ModuleType]
GREETER = "class Greeter:\n    def greet(self):\n        return '{}'\n\nplugin = Greeter()\n"


@runtime_checkable
class Greeter(Protocol):
    def greet(self) -> str: ...


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes an importable folder of these files."""
    name = f"greeters_{uuid4().hex}"

    def made(files: dict[str, str]) -> ModuleType:
        for path, source in {"__init__.py": "", **files}.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    monkeypatch.syspath_prepend(str(tmp_path))
    yield made
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def test_finds_modules_and_packages_in_order(make: Make) -> None:
    folder = make({"welsh.py": GREETER.format("shwmae"), "dutch/__init__.py": GREETER.format("hoi")})
    found = load(folder, "plugin", Greeter)
    assert [(name, plugin.greet()) for name, plugin in found.items()] == [("dutch", "hoi"), ("welsh", "shwmae")]


def test_leaves_private_modules_alone(make: Make) -> None:
    folder = make({"dutch.py": GREETER.format("hoi"), "_shared.py": "raise RuntimeError('imported')"})
    assert list(load(folder, "plugin", Greeter)) == ["dutch"]


def test_an_empty_folder_has_no_plugins(make: Make) -> None:
    assert load(make({}), "plugin", Greeter) == {}


@pytest.mark.parametrize("source", ["", "plugin = None", "plugin = object()", "greeter = 1"])
def test_a_module_that_does_not_fit_is_named(make: Make, source: str) -> None:
    with pytest.raises(BrokenPlugin, match=r"dutch must export `plugin`: Greeter"):
        load(make({"dutch.py": source}), "plugin", Greeter)


def test_a_module_that_does_not_import_says_so_itself(make: Make) -> None:
    with pytest.raises(ZeroDivisionError):
        load(make({"dutch.py": "1 / 0"}), "plugin", Greeter)
