"""Every setting: name, type, unit, default, one sentence.

A setting comes from a flag (`--port`), else from the environment (`ONESELF_PORT`), else from a TOML file
(`port = 8700`), else it has its default. The file is `--settings FILE` or `ONESELF_SETTINGS`, else
`oneself.toml` in the data folder if it exists. `oneself settings` prints the effective values and their
sources.

To add a setting, add a field to `Settings`. Flags, environment, file, `oneself settings` and the reference
page are derived from it.
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

from oneself.core.identity_graph.joins import VIEWS, View
from oneself.core.text import is_storable
from oneself.errors import SettingsError
from oneself.setting_checks import ENVIRONMENT_PREFIX, check_settings

FILE_NAME = "oneself.toml"
#: Behind the variable of a secret: the file that contains it.
FILE_SUFFIX = "_FILE"

Source = Literal["flag", "environment", "file", "default", "generated"]


def _describe_as(sentence: str, *, unit: str = "", secret: bool = False, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=sentence, extra={"unit": unit, "secret": secret}, **limits)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The effective settings of one process."""

    host: Annotated[str, _describe_as("Address to listen on; 0.0.0.0 for all networks.")] = "127.0.0.1"
    port: Annotated[int, _describe_as("Port to listen on; 0 selects a free port.", ge=0, le=65535)] = 8700
    public_url: Annotated[
        str | None,
        _describe_as("Public address of the service, if a proxy is in front of it.", unit="URL"),
    ] = None
    data_dir: Annotated[
        Path | None, _describe_as("Folder of the embedded database and of generated keys.", unit="folder")
    ] = None
    database_url: Annotated[
        str | None,
        _describe_as(
            "Connection string of a PostgreSQL 15 or newer. Unset: an embedded PostgreSQL is started.",
            unit="URL",
            secret=True,
        ),
    ] = None
    database_connections: Annotated[
        int,
        _describe_as(
            "Maximum number of database connections per process.", unit="connections", ge=2, le=1000
        ),
    ] = 10
    workers: Annotated[
        int, _describe_as("Number of processes that answer requests.", unit="processes", ge=1, le=256)
    ] = 1
    shutdown_timeout_s: Annotated[
        int,
        _describe_as(
            "How long the service waits for requests in flight when it stops.", unit="seconds", ge=0, le=3600
        ),
    ] = 20
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _describe_as("Minimum level of log lines."),
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"],
        _describe_as("Format of log lines: text for people, or one JSON object per line."),
    ] = "text"
    secret_key: Annotated[
        str | None,
        _describe_as(
            "Encrypts stored keys and tokens: 32 characters or more, the same on every machine. Unset: it is "
            "read from the data folder, where it is generated with a new database.",
            secret=True,
        ),
    ] = None
    default_org: Annotated[
        str | None,
        _describe_as("Organisation of paths without /t/{org}. Unset: the bootstrap organisation."),
    ] = None
    bootstrap_org: Annotated[
        str | None, _describe_as("Organisation to create at the first start.", unit="handle")
    ] = None
    bootstrap_client_id: Annotated[
        str | None,
        _describe_as(
            "Client id of the bootstrap organisation's system application, which has every permission."
        ),
    ] = None
    bootstrap_client_secret: Annotated[
        str | None, _describe_as("Client secret of that system application.", secret=True)
    ] = None
    bootstrap_admin_password: Annotated[
        str | None,
        _describe_as("Password of the bootstrap organisation's console user `admin`.", secret=True),
    ] = None
    sync_username: Annotated[
        str | None, _describe_as("User name (HTTP Basic) of the two sync operations.")
    ] = None
    sync_password: Annotated[
        str | None, _describe_as("Password (HTTP Basic) of the two sync operations.", secret=True)
    ] = None
    cors_origins: Annotated[
        tuple[str, ...], _describe_as("Origins whose pages may call the REST interfaces.", unit="comma list")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        _describe_as(
            "Proxies whose X-Forwarded headers are trusted: addresses or networks.", unit="comma list"
        ),
    ] = ("127.0.0.1", "::1")
    events_per_address_s: Annotated[
        int,
        _describe_as(
            "Average number of events that one address may send without credentials; 0 removes the limit.",
            unit="events per second",
            ge=0,
            le=1_000_000,
        ),
    ] = 500
    cookie_domain: Annotated[
        str | None, _describe_as("Domain of the cookie `cds_profile`. Unset: the host of the request.")
    ] = None
    identity_server_url: Annotated[
        str | None, _describe_as("External identity server whose claims are mirrored.", unit="URL")
    ] = None
    identity_server_client_id: Annotated[str | None, _describe_as("Client id at the identity server.")] = None
    identity_server_client_secret: Annotated[
        str | None, _describe_as("Client secret at the identity server.", secret=True)
    ] = None
    identity_server_grant: Annotated[
        Literal["client_credentials", "system_app_grant"],
        _describe_as("Grant at the identity server: one client per organisation, or one system application."),
    ] = "client_credentials"
    introspection_path: Annotated[
        str | None,
        _describe_as(
            "Introspection path there, such as /oauth2/introspect. Unset: opaque tokens are rejected."
        ),
    ] = None
    introspection_username: Annotated[
        str | None, _describe_as("User name (HTTP Basic) for introspection.")
    ] = None
    introspection_password: Annotated[
        str | None, _describe_as("Password (HTTP Basic) for introspection.", secret=True)
    ] = None
    claim_sync_interval_s: Annotated[
        int,
        _describe_as(
            "Interval in which the claims of the identity server are read.", unit="seconds", ge=10, le=604800
        ),
    ] = 900
    application_keys: Annotated[
        Literal["client_id", "application_id"],
        _describe_as("Name of an application in application data; the identity server is asked for it."),
    ] = "client_id"

    change_retention_days: Annotated[
        int,
        _describe_as(
            "How long changes of profiles are stored for systems that follow them.",
            unit="days",
            ge=1,
            le=3650,
        ),
    ] = 7
    outgoing_networks: Annotated[
        tuple[str, ...],
        _describe_as(
            "Where webhooks, issuers and identity servers of organisations may be: public, private, "
            "loopback, or networks such as 10.1.0.0/16. Link-local addresses never.",
            unit="comma list",
        ),
    ] = ("public", "private", "loopback")
    nats_url: Annotated[
        str | None,
        _describe_as(
            "NATS server that changes of profiles are published to, such as nats://user:password@host:4222, "
            "nats://token@host:4222 or tls://host:4222; several of a cluster with commas. Unset: none.",
            unit="URL",
            secret=True,
        ),
    ] = None
    nats_credentials: Annotated[
        Path | None, _describe_as("Credentials file of NATS, instead of a user in the URL.", unit="file")
    ] = None
    nats_stream: Annotated[
        str, _describe_as("Name of the JetStream stream, and first word of its subjects.")
    ] = "oneself"
    nats_views: Annotated[
        tuple[str, ...], _describe_as("Views whose changes are published to NATS.", unit="comma list")
    ] = ("proven",)
    nats_tls_ca: Annotated[
        Path | None,
        _describe_as(
            "Certificates that NATS servers are checked with. Unset: those of this machine.", unit="file"
        ),
    ] = None
    nats_tls_certificate: Annotated[
        Path | None, _describe_as("Certificate that is presented to NATS servers.", unit="file")
    ] = None
    nats_tls_key: Annotated[Path | None, _describe_as("Key of that certificate.", unit="file")] = None
    smtp_url: Annotated[
        str | None,
        _describe_as(
            "Mail server, such as smtp://user:password@host:587 or smtps://… for TLS from the start. Unset: "
            "mails go to a development outbox, which only this machine can read.",
            unit="URL",
            secret=True,
        ),
    ] = None
    mail_from: Annotated[str | None, _describe_as("Address that mails come from.", unit="e-mail address")] = (
        None
    )

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return (self.data_dir or default_data_dir()).expanduser().absolute()

    @property
    def url(self) -> str:
        """The public address of the service, without a trailing slash."""
        if self.public_url:
            return self.public_url.rstrip("/")
        # Browsers treat http://localhost as secure, which the profile cookie requires: docs/wire/cds.md §5.1.
        everywhere = self.host in ("0.0.0.0", "::", "127.0.0.1", "::1", "")
        host = "localhost" if everywhere else f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def nats_urls(self) -> tuple[str, ...]:
        """The addresses of NATS servers."""
        return tuple(filter(None, (url.strip() for url in (self.nats_url or "").split(","))))

    @property
    def published_views(self) -> tuple[View, ...]:
        """The views whose changes are published to NATS."""
        return tuple(view for view in VIEWS if view in self.nats_views)

    @property
    def organisation(self) -> str | None:
        """Handle of the organisation of paths without `/t/{org}`."""
        return self.default_org or self.bootstrap_org


class Setting(msgspec.Struct, frozen=True):
    """One setting, as `oneself settings` and the reference page print it."""

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
    """Settings, their sources, and environment variables that no setting reads."""

    settings: Settings
    sources: dict[str, Source]
    file: Path | None
    unknown_variables: tuple[str, ...]


def default_data_dir() -> Path:
    """The user's data folder; for root `/var/lib/oneself`, which the database user can read."""
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
    """Read flags, environment and file. A flag of None is not given.

    Raises SettingsError, which names the setting and what is wrong with it.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    from_environment = {
        setting.name: environment[setting.variable]
        for setting in list_settings()
        if environment.get(setting.variable)
    }
    from_environment |= _read_secret_files(environment, from_environment)
    path = _find_file(file, given, from_environment, environment)
    from_file = _read_file(path) if path else {}
    raw: dict[str, object] = {**from_file, **from_environment, **given}
    _check_text(raw)
    settings = check_settings(_convert(raw))
    return Loaded(settings, _sources(given, from_environment, from_file), path, _unknown(environment))


def _read_secret_files(environment: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Secrets whose variable has `_FILE` behind its name: the content of the file, without its line end."""
    found: dict[str, str] = {}
    for setting in list_settings():
        variable = setting.variable + FILE_SUFFIX
        if not setting.secret or not environment.get(variable):
            continue
        if setting.name in given:
            raise SettingsError(f"{setting.variable} and {variable} are both set. Remove one of them.")
        try:
            found[setting.name] = Path(environment[variable]).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SettingsError(f"{variable}: {environment[variable]} cannot be read: {reason}.") from error
    return found


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
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}.") from error
    except OSError as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    known = {setting.name for setting in list_settings()}
    for name in content:
        if name not in known:
            raise SettingsError(
                f"The settings file {path} contains {name!r}, which is not a setting. See: oneself settings."
            )
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
    problem = problem.replace("Expected `int`, got `str`", "expected an integer").replace(
        "`int`", "an integer"
    )
    name = re.split(r"[\[.`]", path)[0]
    return f"{ENVIRONMENT_PREFIX}{name.upper()} (--{name.replace('_', '-')}): {problem}."


def _sources(flags: Iterable[str], environment: Iterable[str], file: Iterable[str]) -> dict[str, Source]:
    sources: dict[str, Source] = {setting.name: "default" for setting in list_settings()}
    sources.update(dict.fromkeys(file, "file"))
    sources.update(dict.fromkeys(environment, "environment"))
    sources.update(dict.fromkeys(flags, "flag"))
    return sources


def _unknown(environment: Mapping[str, str]) -> tuple[str, ...]:
    known = {setting.variable for setting in list_settings()} | {"ONESELF_SETTINGS"}
    known |= {setting.variable + FILE_SUFFIX for setting in list_settings() if setting.secret}
    return tuple(
        sorted(
            name
            for name in environment
            if name.startswith(ENVIRONMENT_PREFIX)
            and not name.startswith("ONESELF_TEST_")
            and name not in known
        )
    )
