"""`.env.example` names every setting of every service, with its default and a line that explains it."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from packages.core.config import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
SETTING = re.compile(r"^#? ?(PARLEY_[A-Z0-9_]+)=(.*)$", re.MULTILINE)


def settings_classes() -> list[type[Settings]]:
    """The shared settings, and those of each service."""
    for file in sorted(ROOT.glob("services/*/settings.py")):
        importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    return [Settings, *(item for item in Settings.__subclasses__() if item.__module__.startswith("services."))]


def variables(model: type[BaseModel], prefix: str = "PARLEY_") -> Iterator[tuple[str, Any]]:
    """Each setting's variable and its default."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from variables(type(default), f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", default


EXPECTED = {variable: default for model in settings_classes() for variable, default in variables(model)}
SHOWN = dict(SETTING.findall(EXAMPLE))


def test_every_service_has_settings() -> None:
    assert len(settings_classes()) >= 4


def test_names_each_setting_once() -> None:
    assert sorted(SETTING.findall(EXAMPLE)) == sorted(SHOWN.items())


def test_names_every_setting() -> None:
    assert sorted(EXPECTED.keys() - SHOWN.keys()) == []


def test_names_nothing_else() -> None:
    assert sorted(SHOWN.keys() - EXPECTED.keys()) == []


def test_sets_nothing_by_itself() -> None:
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []


@pytest.mark.parametrize("variable", sorted(SHOWN))
def test_explains_each_setting(variable: str) -> None:
    lines = EXAMPLE.splitlines()
    above = lines[next(number for number, line in enumerate(lines) if f" {variable}=" in line) - 1]
    assert re.match(r"# \S.{4,}", above)
    assert "PARLEY_" not in above.partition("=")[0]


@pytest.mark.parametrize("model", settings_classes(), ids=lambda model: model.__name__)
def test_shows_the_defaults(model: type[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in EXPECTED:
        monkeypatch.delenv(variable, raising=False)
    shown = tmp_path / "shown.env"
    shown.write_text("\n".join(f"{name}={value}" for name, value in SHOWN.items() if EXPECTED.get(name) is not None))
    read = model(_env_file=shown)
    assert _plain(read) == _plain(model(_env_file=None))


def test_secrets_have_no_placeholder_that_somebody_might_keep() -> None:
    secret = re.compile(r"SECRET|PASSWORD|TOKEN$|ACCESS_KEY|API_KEY")
    assert {name: SHOWN[name] for name in SHOWN if secret.search(name) and SHOWN[name] not in {"", "none"}} == {}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    return value.get_secret_value() if isinstance(value, SecretStr) else value
