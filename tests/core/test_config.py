import json
import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from packages.core.config import LLMSettings, PostgresSettings, Settings, StorageSettings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, from which `.env` is read, and an environment without settings."""
    for name in [name for name in os.environ if name.startswith("PARLEY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestPrecedence:
    def test_the_default_comes_last(self) -> None:
        assert Settings().orchestrator_port == 8000

    def test_env_file_beats_the_default(self, folder: Path) -> None:
        (folder / ".env").write_text("PARLEY_ORCHESTRATOR_PORT=8101\n")
        assert Settings().orchestrator_port == 8101

    def test_the_environment_beats_the_env_file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / ".env").write_text("PARLEY_ORCHESTRATOR_PORT=8101\n")
        monkeypatch.setenv("PARLEY_ORCHESTRATOR_PORT", "8102")
        assert Settings().orchestrator_port == 8102

    def test_an_argument_beats_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARLEY_ORCHESTRATOR_PORT", "8102")
        assert Settings(orchestrator_port=8103).orchestrator_port == 8103

    def test_sources_are_merged_field_by_field(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / ".env").write_text("PARLEY_LLM__MODEL=from-file\nPARLEY_LLM__BASE_URL=http://file/v1\n")
        monkeypatch.setenv("PARLEY_LLM__MODEL", "from-environment")
        llm = Settings().llm
        assert (llm.model, llm.base_url, llm.max_tokens) == ("from-environment", "http://file/v1", 600)

    def test_the_prefix_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORCHESTRATOR_PORT", "8102")
        assert Settings().orchestrator_port == 8000

    def test_what_belongs_to_others_is_let_be(self, folder: Path) -> None:
        (folder / ".env").write_text("PARLEY_NO_SUCH_SETTING=1\nOTHER=2\n")
        assert Settings().log_level == "info"


class TestNested:
    def test_two_underscores_go_one_level_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARLEY_POSTGRES__POOL_SIZE", "3")
        assert Settings().postgres.pool_size == 3

    def test_a_group_may_be_given_as_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARLEY_TURN", '{"debounce_seconds": 0.5}')
        turn = Settings().turn
        assert (turn.debounce_seconds, turn.max_wait_seconds) == (0.5, 10.0)

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("PARLEY_LOG_LEVEL", "loud"),
            ("PARLEY_GATEWAY_PORT", "70000"),
            ("PARLEY_POSTGRES__POOL_SIZE", "0"),
            ("PARLEY_EMBEDDINGS__PROVIDER", "magic"),
            ("PARLEY_OTEL__SAMPLE_RATIO", "1.5"),
        ],
    )
    def test_nonsense_is_refused_at_start_up(self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
        monkeypatch.setenv(variable, value)
        with pytest.raises(ValidationError):
            Settings()


class TestLanguageModels:
    def test_none_by_default(self) -> None:
        assert LLMSettings().endpoints == []

    def test_fallbacks_are_a_json_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARLEY_LLM__BASE_URL", "http://first/v1")
        monkeypatch.setenv(
            "PARLEY_LLM__FALLBACKS", json.dumps([{"base_url": "http://second/v1", "api_key": "k", "model": "small"}])
        )
        endpoints = Settings().llm.endpoints
        assert [(item.base_url, item.model) for item in endpoints] == [
            ("http://first/v1", "gpt-4o-mini"),
            ("http://second/v1", "small"),
        ]

    def test_fallbacks_stand_alone_where_no_first_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARLEY_LLM__FALLBACKS", '[{"base_url": "http://second/v1"}]')
        assert [item.base_url for item in Settings().llm.endpoints] == ["http://second/v1"]


class TestRequired:
    @pytest.mark.parametrize(
        ("name", "variable"),
        [
            ("postgres_url", "PARLEY_POSTGRES__URL"),
            ("postgres_admin_url", "PARLEY_POSTGRES__URL"),
            ("redis_url", "PARLEY_REDIS__URL"),
            ("secret", "PARLEY_SECRET_KEY"),
        ],
    )
    def test_an_unset_setting_is_named(self, name: str, variable: str) -> None:
        with pytest.raises(ValueError, match=variable):
            getattr(Settings(), name)

    def test_a_short_secret_protects_nothing(self) -> None:
        with pytest.raises(ValueError, match="32 characters"):
            _ = Settings(secret_key=SecretStr("short")).secret

    def test_a_long_secret_is_taken(self) -> None:
        assert Settings(secret_key=SecretStr("x" * 32)).secret == "x" * 32

    def test_secrets_do_not_show(self) -> None:
        shown = repr(Settings(secret_key=SecretStr("x" * 32), admin_password=SecretStr("hunter2hunter2")))
        assert "xxxx" not in shown
        assert "hunter2" not in shown


class TestDerived:
    def test_migrations_use_the_owner_where_one_is_named(self) -> None:
        both = PostgresSettings(url="postgresql://app@h/d", admin_url="postgresql://owner@h/d")
        assert Settings(postgres=both).postgres_admin_url == "postgresql://owner@h/d"
        assert (
            Settings(postgres=PostgresSettings(url="postgresql://app@h/d")).postgres_admin_url == "postgresql://app@h/d"
        )

    def test_objects_live_in_the_data_directory(self, folder: Path) -> None:
        assert Settings(data_dir=folder / "data").storage_url == f"file://{folder}/data/objects"
        assert Settings(storage=StorageSettings(url="s3://bucket")).storage_url == "s3://bucket"

    def test_services_find_each_other_by_port(self) -> None:
        settings = Settings(orchestrator_port=9000, gateway_port=9001)
        assert settings.internal_orchestrator_url == "http://127.0.0.1:9000"
        assert settings.gateway_base_url == "http://127.0.0.1:9001"

    def test_addresses_lose_their_last_slash(self) -> None:
        settings = Settings(orchestrator_url="http://api/", public_gateway_url="https://chat.example.com/")
        assert settings.internal_orchestrator_url == "http://api"
        assert settings.gateway_base_url == "https://chat.example.com"
