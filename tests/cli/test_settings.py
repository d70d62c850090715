"""Settings: sources, validation, and secrets that are never printed."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from oneself.errors import SettingsError
from oneself.secrets_file import find_secret_key, make_secret_key
from oneself.settings import Settings, list_settings, load
from support.commands import clean_environment, run_command


def test_every_setting_has_a_description_a_variable_and_a_flag() -> None:
    for setting in list_settings():
        assert setting.sentence.endswith(".")
        assert setting.variable == f"ONESELF_{setting.name.upper()}"
        assert setting.flag == "--" + setting.name.replace("_", "-")


def test_settings_have_their_defaults() -> None:
    settings = load({}, {}).settings
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8700, 1)
    assert settings.database_url is None


def test_flags_override_the_environment_and_the_environment_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\nworkers = 2\nhost = "0.0.0.0"\n')
    found = load({"port": "3"}, {"ONESELF_PORT": "2", "ONESELF_WORKERS": "5"}, file)
    assert (found.settings.port, found.settings.workers, found.settings.host) == (3, 5, "0.0.0.0")
    assert [found.sources[name] for name in ("port", "workers", "host", "log_level")] == [
        "flag", "environment", "file", "default",
    ]  # fmt: skip


def test_the_file_in_the_data_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "oneself.toml").write_text('cors_origins = ["https://shop.example"]\n')
    found = load({}, {"ONESELF_DATA_DIR": str(tmp_path)})
    assert found.settings.cors_origins == ("https://shop.example",)
    assert found.file == tmp_path / "oneself.toml"


def test_a_list_is_separated_by_commas_in_the_environment() -> None:
    environment = {
        "ONESELF_CORS_ORIGINS": "https://a.example, https://b.example,",
        "ONESELF_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    found = load({}, environment)
    assert found.settings.cors_origins == ("https://a.example", "https://b.example")
    assert found.settings.trusted_proxies == ("10.0.0.0/8",)


def test_a_secret_is_read_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    variable = "ONESELF_BOOTSTRAP_ADMIN_PASSWORD"
    environment = {"ONESELF_BOOTSTRAP_ORG": "acme", f"{variable}_FILE": str(file)}
    found = load({}, environment)
    assert found.settings.bootstrap_admin_password == "correct horse"
    assert found.unknown_variables == ()
    with pytest.raises(SettingsError, match="both set"):
        load({}, {**environment, variable: "another"})
    with pytest.raises(SettingsError, match="cannot be read"):
        load({}, {**environment, f"{variable}_FILE": str(tmp_path / "none")})
    assert load({}, {"ONESELF_PORT_FILE": str(file)}).unknown_variables == ("ONESELF_PORT_FILE",)


def test_an_empty_variable_is_not_set() -> None:
    assert load({}, {"ONESELF_PORT": "", "ONESELF_DATABASE_URL": ""}).settings == load({}, {}).settings


def test_unused_names_are_reported() -> None:
    assert load({}, {"ONESELF_PROT": "1", "ONESELF_TEST_X": "1"}).unknown_variables == ("ONESELF_PROT",)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ONESELF_PORT": "many"}, "ONESELF_PORT (--port): expected an integer"),
        ({"ONESELF_PORT": "65536"}, "ONESELF_PORT (--port): Expected an integer <= 65535"),
        ({"ONESELF_WORKERS": "0"}, "ONESELF_WORKERS"),
        ({"ONESELF_LOG_LEVEL": "loud"}, "ONESELF_LOG_LEVEL"),
        ({"ONESELF_SYNC_USERNAME": "a"}, "must be set together"),
        ({"ONESELF_BOOTSTRAP_ADMIN_PASSWORD": "a"}, "requires ONESELF_BOOTSTRAP_ORG"),
        ({"ONESELF_DATABASE_URL": "mysql://x"}, "postgresql://"),
        ({"ONESELF_PUBLIC_URL": "shop.example"}, "ONESELF_PUBLIC_URL"),
        ({"ONESELF_SETTINGS": "/no/such/file"}, "does not exist"),
        ({"ONESELF_NATS_URL": "http://broker:4222"}, "ONESELF_NATS_URL"),
        ({"ONESELF_NATS_URL": "nats://one:4222, nats://"}, "ONESELF_NATS_URL"),
        ({"ONESELF_NATS_URL": "nats://broker:port"}, "ONESELF_NATS_URL"),
        ({"ONESELF_OUTGOING_NETWORKS": "public,intranet"}, "ONESELF_OUTGOING_NETWORKS has 'intranet'"),
        ({"ONESELF_OUTGOING_NETWORKS": "10.1.2.3/16"}, "ONESELF_OUTGOING_NETWORKS"),
        ({"ONESELF_NATS_STREAM": "a.b"}, "ONESELF_NATS_STREAM"),
        ({"ONESELF_NATS_VIEWS": "proven,each"}, "ONESELF_NATS_VIEWS"),
        ({"ONESELF_NATS_TLS_KEY": "/key"}, "must be set together"),
    ],
)
def test_an_invalid_setting_is_rejected_by_name(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({}, environment)
    assert words in caught.value.message


@pytest.mark.parametrize("text", ["port = ", "prot = 1", 'port = "x"'])
def test_an_invalid_file_is_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        load({}, {}, file)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://localhost:8700"),
        ({"host": "0.0.0.0", "port": 80}, "http://localhost:80"),
        ({"host": "10.0.0.1"}, "http://10.0.0.1:8700"),
        ({"host": "fe80::1"}, "http://[fe80::1]:8700"),
        ({"public_url": "https://id.example/"}, "https://id.example"),
    ],
)
def test_the_address_for_browsers(given: dict[str, object], url: str) -> None:
    assert load(given, {}).settings.url == url


def test_concurrent_starts_create_one_secret_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(make_secret_key, [settings] * 32))
    assert len(keys) == 1
    assert len(keys.pop()) >= 48
    assert stat.S_IMODE((tmp_path / "data" / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_a_given_secret_key_is_not_stored(tmp_path: Path) -> None:
    assert find_secret_key(Settings(data_dir=tmp_path, secret_key="given")) == "given"
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_values_and_sources_without_secrets() -> None:
    environment = {
        **clean_environment(),
        "ONESELF_SECRET_KEY": "do-not-show-me",
        "ONESELF_DATABASE_URL": "postgres://u:pw@h/d",
    }
    result = run_command("settings", "--port", "8701", environment=environment)
    assert result.returncode == 0
    assert "ONESELF_PORT = 8701  flag" in result.stdout
    assert "do-not-show-me" not in result.stdout
    assert "pw@h" not in result.stdout


def test_the_command_prints_json() -> None:
    result = run_command("settings", "--json")
    printed = msgspec.json.decode(result.stdout)
    assert list(printed) == [setting.name for setting in list_settings()]
    assert printed["port"]["value"] == "8700"
