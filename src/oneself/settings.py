"""Every setting, once: name, type, unit, default, one sentence (DESIGN §9).

A setting comes from a flag (`--port`), else from the environment (`ONESELF_PORT`), else from a TOML file
(`port = 8700`), else it has its default. The file is `--settings FILE` or `ONESELF_SETTINGS`, else
`oneself.toml` in the data folder if it is there. `oneself settings` prints this list with the effective
values and where each came from.

To add a setting, add a field to `Settings`: flags, environment, file, `oneself settings` and the reference
page all come from it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import platformdirs

from oneself.core.text import is_storable
from oneself.errors import SettingsError

ENVIRONMENT_PREFIX = "ONESELF_"
FILE_NAME = "oneself.toml"

Source = Literal["flag", "environment", "file", "default", "generated"]


def _describe_as(sentence: str, *, unit: str = "", secret: bool = False, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=sentence, extra={"unit": unit, "secret": secret}, **limits)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The effective settings of one process."""

    host: Annotated[str, _describe_as("Address to listen on; 0.0.0.0 for every network.")] = "127.0.0.1"
    port: Annotated[int, _describe_as("Port to listen on; 0 takes a free one.", ge=0, le=65535)] = 8700
    public_url: Annotated[
        str | None,
        _describe_as("Where people reach the service, when a proxy stands in front of it.", unit="URL"),
    ] = None
    data_dir: Annotated[
        Path | None, _describe_as("Folder of the embedded database and of generated keys.", unit="folder")
    ] = None
    database_url: Annotated[
        str | None,
        _describe_as("PostgreSQL 15 or newer to use; unset starts an embedded one.", unit="URL", secret=True),
    ] = None
    database_connections: Annotated[
        int,
        _describe_as(
            "Connections to the database that one process may open.", unit="connections", ge=2, le=1000
        ),
    ] = 10
    workers: Annotated[
        int, _describe_as("Processes that answer requests.", unit="processes", ge=1, le=256)
    ] = 1
    shutdown_timeout_s: Annotated[
        int,
        _describe_as(
            "How long a stopping service waits for requests in flight.", unit="seconds", ge=0, le=3600
        ),
    ] = 20
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _describe_as("The least important log line that is written."),
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], _describe_as("How log lines look: for people, or one JSON object each.")
    ] = "text"
    secret_key: Annotated[
        str | None,
        _describe_as(
            "Protects keys and tokens at rest; 32 characters or more, the same on every machine. Unset: in "
            "the data folder, generated together with a new database.",
            secret=True,
        ),
    ] = None
    default_org: Annotated[
        str | None,
        _describe_as("Organisation meant by paths without /t/{org}; unset: the bootstrap organisation."),
    ] = None
    bootstrap_org: Annotated[
        str | None, _describe_as("Organisation to create at the first start.", unit="handle")
    ] = None
    bootstrap_client_id: Annotated[
        str | None, _describe_as("Client id of its system application, which holds every permission.")
    ] = None
    bootstrap_client_secret: Annotated[
        str | None, _describe_as("Client secret of its system application.", secret=True)
    ] = None
    bootstrap_admin_password: Annotated[
        str | None, _describe_as("Password of its console user `admin`.", secret=True)
    ] = None
    sync_username: Annotated[str | None, _describe_as("Basic user name of the two sync operations.")] = None
    sync_password: Annotated[
        str | None, _describe_as("Basic password of the two sync operations.", secret=True)
    ] = None
    cors_origins: Annotated[
        tuple[str, ...], _describe_as("Origins whose pages may call the REST wires.", unit="comma list")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        _describe_as("Proxies that are believed about who calls: addresses or networks.", unit="comma list"),
    ] = ("127.0.0.1", "::1")
    events_per_address_s: Annotated[
        int,
        _describe_as(
            "Events that one address may send without credentials, on average; 0 for any number.",
            unit="events per second",
            ge=0,
            le=1_000_000,
        ),
    ] = 500
    cookie_domain: Annotated[
        str | None, _describe_as("Domain of the cookie `cds_profile`; unset: the host that was asked.")
    ] = None
    identity_server_url: Annotated[
        str | None, _describe_as("External identity server whose claims are mirrored.", unit="URL")
    ] = None
    identity_server_client_id: Annotated[str | None, _describe_as("Client id at that server.")] = None
    identity_server_client_secret: Annotated[
        str | None, _describe_as("Client secret at that server.", secret=True)
    ] = None
    identity_server_grant: Annotated[
        Literal["client_credentials", "system_app_grant"],
        _describe_as(
            "How a token is asked of that server: one client per organisation, or one system application."
        ),
    ] = "client_credentials"
    introspection_path: Annotated[
        str | None,
        _describe_as(
            "Where that server judges opaque tokens, as /oauth2/introspect; unset: they are refused."
        ),
    ] = None
    introspection_username: Annotated[str | None, _describe_as("Basic user name of introspection.")] = None
    introspection_password: Annotated[
        str | None, _describe_as("Basic password of introspection.", secret=True)
    ] = None
    claim_sync_interval_s: Annotated[
        int,
        _describe_as("How often its claims are read without being asked.", unit="seconds", ge=10, le=604800),
    ] = 900
    application_keys: Annotated[
        Literal["client_id", "application_id"],
        _describe_as("What names an application in application data, and is looked up at that server."),
    ] = "client_id"

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return (self.data_dir or default_data_dir()).expanduser().absolute()

    @property
    def url(self) -> str:
        """Where people reach the service, without a trailing slash. A proxy's name wins over the address."""
        if self.public_url:
            return self.public_url.rstrip("/")
        # Browsers treat http://localhost as secure, which the profile cookie needs (wire/cds §5.1).
        everywhere = self.host in ("0.0.0.0", "::", "127.0.0.1", "::1", "")
        host = "localhost" if everywhere else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def organisation(self) -> str | None:
        """Handle of the organisation meant by paths without `/t/{org}`."""
        return self.default_org or self.bootstrap_org


class Setting(msgspec.Struct, frozen=True):
    """One entry of the list: what `oneself settings` and the reference page print."""

    name: str
    kind: str
    unit: str
    default: Any
    sentence: str
    secret: bool

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


class Loaded(msgspec.Struct, frozen=True):
    """Settings together with where each came from and environment names that nothing reads."""

    settings: Settings
    sources: dict[str, Source]
    file: Path | None
    unknown_variables: tuple[str, ...]


def default_data_dir() -> Path:
    """`/var/lib/oneself` for root, whose home is closed to the database user; else the user's data folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/oneself")
    return platformdirs.user_data_path("oneself", appauthor=False)


def list_settings() -> tuple[Setting, ...]:
    """All settings in the order of `Settings`."""
    hints = get_type_hints(Settings, include_extras=True)
    return tuple(_describe(field, hints[field.name]) for field in msgspec.structs.fields(Settings))


def load(
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Loaded:
    """Read flags, environment and file. `flags` that are None count as not given.

    Raises SettingsError naming the setting and what is wrong with it.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    from_environment = {
        setting.name: environment[setting.variable]
        for setting in list_settings()
        if environment.get(setting.variable)
    }
    path = _find_file(file, given, from_environment, environment)
    from_file = _read_file(path) if path else {}
    raw: dict[str, object] = {**from_file, **from_environment, **given}
    _check_text(raw)
    settings = _validated(_convert(raw))
    return Loaded(settings, _sources(given, from_environment, from_file), path, _unknown(environment))


def _describe(field: msgspec.structs.FieldInfo, hint: Any) -> Setting:
    kind, meta = get_args(hint)[0], get_args(hint)[1]
    extra = meta.extra
    return Setting(field.name, _kind(kind), extra["unit"], field.default, meta.description, extra["secret"])


def _kind(kind: Any) -> str:
    words = {str: "text", int: "number", Path: "path"}
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    if get_origin(kind) is tuple:
        return "list"
    options = [option for option in get_args(kind) if option is not type(None)]
    return words[options[0] if options else kind]


def _find_file(
    file: Path | None,
    given: Mapping[str, object],
    from_environment: Mapping[str, str],
    environment: Mapping[str, str],
) -> Path | None:
    named = file or (Path(environment["ONESELF_SETTINGS"]) if environment.get("ONESELF_SETTINGS") else None)
    if named is not None:
        if not os.path.isfile(named):
            raise SettingsError(f"The settings file {named} does not exist.")
        return named
    folder = given.get("data_dir") or from_environment.get("data_dir") or default_data_dir()
    usual = Path(str(folder)).expanduser() / FILE_NAME
    return usual if os.path.isfile(usual) else None


def _read_file(path: Path) -> dict[str, object]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is not TOML: {error}.") from error
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    known = {setting.name for setting in list_settings()}
    for name in content:
        if name not in known:
            raise SettingsError(f"The settings file {path} names {name!r}, which is no setting.")
    return content


def _check_text(raw: Mapping[str, object]) -> None:
    for name, value in raw.items():
        parts = value if isinstance(value, list) else [value]
        if not all(is_storable(str(part)) for part in parts):
            variable, flag = ENVIRONMENT_PREFIX + name.upper(), "--" + name.replace("_", "-")
            raise SettingsError(f"{variable} ({flag}) is not valid UTF-8, or has a NUL character.")


_LISTS = frozenset(name for name, hint in get_type_hints(Settings).items() if get_origin(hint) is tuple)


def _convert(raw: dict[str, object]) -> Settings:
    values = dict(raw)
    for name, value in raw.items():
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(",")]
            values[name] = [part for part in parts if part] if name in _LISTS else value.strip()
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(_sentence(error)) from error


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise ValueError(f"Expected a path, got {value!r}")


def _sentence(error: msgspec.ValidationError) -> str:
    problem, _, path = str(error).partition(" - at `$.")
    problem = problem.replace("Expected `int`, got `str`", "a whole number is needed").replace(
        "`int`", "a number"
    )
    name = re.split(r"[\[.`]", path)[0]
    return f"{ENVIRONMENT_PREFIX}{name.upper()} (--{name.replace('_', '-')}): {problem}."


def _validated(settings: Settings) -> Settings:
    """Settings that only make sense together."""
    _require_both(settings, "sync_username", "sync_password")
    _require_both(settings, "introspection_username", "introspection_password")
    _require_both(settings, "bootstrap_client_id", "bootstrap_client_secret")
    _require_both(settings, "identity_server_client_id", "identity_server_client_secret")
    if settings.identity_server_url and not settings.identity_server_client_id:
        raise SettingsError("ONESELF_IDENTITY_SERVER_URL needs ONESELF_IDENTITY_SERVER_CLIENT_ID.")
    if settings.introspection_path and not settings.introspection_path.startswith("/"):
        raise SettingsError("ONESELF_INTROSPECTION_PATH must begin with a slash.")
    for name in ("bootstrap_client_id", "bootstrap_admin_password"):
        if getattr(settings, name) and not settings.bootstrap_org:
            raise SettingsError(f"{ENVIRONMENT_PREFIX}{name.upper()} needs ONESELF_BOOTSTRAP_ORG.")
    for name in ("public_url", "identity_server_url"):
        url = getattr(settings, name)
        if url and not re.match(r"https?://[^/\s]+", url):
            raise SettingsError(f"{ENVIRONMENT_PREFIX}{name.upper()} must begin with http:// or https://.")
    if settings.database_url and not re.match(r"postgres(ql)?://", settings.database_url):
        raise SettingsError(
            "ONESELF_DATABASE_URL must look like postgresql://user:password@host:5432/database."
        )
    return settings


def _require_both(settings: Settings, first: str, second: str) -> None:
    if bool(getattr(settings, first)) != bool(getattr(settings, second)):
        a, b = (ENVIRONMENT_PREFIX + name.upper() for name in (first, second))
        raise SettingsError(f"{a} and {b} belong together: set both or none.")


def _sources(flags: Iterable[str], environment: Iterable[str], file: Iterable[str]) -> dict[str, Source]:
    sources: dict[str, Source] = {setting.name: "default" for setting in list_settings()}
    sources.update(dict.fromkeys(file, "file"))
    sources.update(dict.fromkeys(environment, "environment"))
    sources.update(dict.fromkeys(flags, "flag"))
    return sources


def _unknown(environment: Mapping[str, str]) -> tuple[str, ...]:
    known = {setting.variable for setting in list_settings()} | {"ONESELF_SETTINGS"}
    return tuple(
        sorted(
            name
            for name in environment
            if name.startswith(ENVIRONMENT_PREFIX)
            and not name.startswith("ONESELF_TEST_")
            and name not in known
        )
    )
