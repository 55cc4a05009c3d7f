"""A node's own settings, and where each comes from.

A setting comes from the first of these that names it:

    flags  >  environment (STKRP2P_LISTEN=…)  >  the TOML file  >  defaults

Unknown keys are refused, never ignored: a misspelt `lisen` would otherwise run on the default for
months. Paths in a file are relative to that file, elsewhere to the working directory. Secrets are no
settings; settings only name the files that hold them.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from stkrp2p.config.faults import (
    fault_of_address,
    fault_of_host_port,
    fault_of_listen,
    fault_of_peer,
    fault_of_url,
    fault_of_workload,
)
from stkrp2p.config.files import (
    PEERS_MAX,
    ConfigError,
    Line,
    Text,
    is_path,
    read_toml,
    refuse_unknown,
    toml_value,
)

ENVIRONMENT_PREFIX = "STKRP2P_"
CONFIG_VARIABLE = "STKRP2P_CONFIG"
"""Names the configuration file; it is no setting itself."""

CONFIG_FILE = "config.toml"
NODE_KEY_FILE = "node.key"
SOCKET_FILE = "control.sock"
COUNCIL_DIRECTORY = "council"
STORE_FILE = "store.sqlite"

LISTEN_MAX = 8
ANNOUNCE_MAX = 4
"""As many addresses as a registration's profile holds."""

ENDPOINTS_MAX = 8


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of one node; a value that `load_config` returns is checked."""

    data_dir: Path
    """Where keys, the store and the control socket are."""

    network: Text = ""
    """Path of a network file, or the name of one that ships with stkrp2p."""

    mode: Literal["full", "light"] = "full"
    """`full`: a sidecar beside a node, audits and is audited. `light`: audits only."""

    listen: Annotated[tuple[Line, ...], msgspec.Meta(max_length=LISTEN_MAX)] = (
        "/ip4/0.0.0.0/tcp/4001",
        "/ip6/::/tcp/4001",
    )
    """Multiaddrs to listen on."""

    announce: Annotated[tuple[Line, ...], msgspec.Meta(max_length=ANNOUNCE_MAX)] = ()
    """Multiaddrs at which others reach us, where `listen` does not say so (NAT, 0.0.0.0)."""

    rpc: Annotated[tuple[Line, ...], msgspec.Meta(max_length=ENDPOINTS_MAX)] = ()
    """Ethereum JSON-RPC endpoints, http:// or https://, tried in order."""

    beacons: Annotated[tuple[Line, ...], msgspec.Meta(max_length=ENDPOINTS_MAX)] = ()
    """drand HTTP endpoints."""

    beacon_listen: Text = ""
    """Where to serve the rounds we hold in drand's HTTP API, such as `127.0.0.1:8800`; empty for
    nowhere."""

    workload: Text = "none"
    """How others audit what we run: `ethereum:<chain id>`, `http:<port>[/path]`, `tcp:<port>`,
    `none`."""

    workload_url: Text = ""
    """Where our own node behind the sidecar answers, such as `http://127.0.0.1:8545`."""

    peers: Annotated[tuple[Line, ...], msgspec.Meta(max_length=PEERS_MAX)] = ()
    """First peers beside the network file's, as multiaddrs that end in `/p2p/<PeerID>`."""

    council_password: Path | None = None
    """File with the password of a governor's key shares; unless named, one is made beside them."""

    account_key: Path | None = None
    """Ethereum account that registers and anchors: a V3 keystore or, for development, plain hex."""

    account_password: Path | None = None
    """File with the keystore's password."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    log_format: Literal["auto", "text", "json"] = "auto"
    """`auto`: text on a terminal, else JSON lines."""

    @property
    def node_key(self) -> Path:
        """File of the node's identity."""
        return self.data_dir / NODE_KEY_FILE

    @property
    def council_dir(self) -> Path:
        """Where a governor's key shares are."""
        return self.data_dir / COUNCIL_DIRECTORY

    @property
    def control_socket(self) -> Path:
        """Socket that a running node answers commands on."""
        return self.data_dir / SOCKET_FILE


KEYS = tuple(NodeConfig.__struct_fields__)
PATH_KEYS = frozenset({"data_dir", "council_password", "account_key", "account_password"})
LIST_KEYS = frozenset({"listen", "announce", "rpc", "beacons", "peers"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each key where its value comes from."""

    config: NodeConfig
    origins: Mapping[str, str]
    """Such as `flag --mode`, `environment STKRP2P_MODE`, `/etc/stkrp2p/config.toml`, `default`."""

    path: Path | None
    """The file that was read, if any."""


def variable_of(key: str) -> str:
    """Return the environment variable of a setting."""
    return ENVIRONMENT_PREFIX + key.upper()


def flag_of(key: str) -> str:
    """Return the command-line flag of a setting."""
    return "--" + key.replace("_", "-")


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Return where a node's files are unless told otherwise: XDG's place for data."""
    base = environ.get("XDG_DATA_HOME") or ""
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return root / "stkrp2p"


def load_config(
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Loaded:
    """Return a node's settings and their origins.

    Args:
        flags: Settings from the command line; `None` and empty lists count as not given.
        environ: The process's environment unless given.
        path: The configuration file. Without one: the file that `STKRP2P_CONFIG` names, else
            `config.toml` in the data directory, if there is one.

    Raises:
        ConfigError: The file is missing or no TOML, or a setting is unknown or wrong.
    """
    environ = os.environ if environ is None else environ
    given = {k: v for k, v in (flags or {}).items() if v is not None and v != ()}
    from_environment = _from_environment(environ)
    path = _config_path(path, given, from_environment, environ)
    in_file = _settings_of_file(path) if path is not None else {}
    values: dict[str, object] = {"data_dir": default_data_dir(environ)}
    values |= in_file | _with_paths(from_environment | given, Path.cwd())
    origins = dict.fromkeys(KEYS, "default") | dict.fromkeys(in_file, str(path))
    origins |= {key: f"environment {variable_of(key)}" for key in from_environment}
    origins |= {key: f"flag {flag_of(key)}" for key in given}
    return Loaded(_checked(values, origins), origins, path)


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    variables = {variable_of(key): key for key in KEYS}
    found: dict[str, object] = {}
    for name in sorted(environ):
        key = variables.get(name)
        if key in LIST_KEYS:
            found[key] = tuple(part.strip() for part in environ[name].split(",") if part.strip())
        elif key is not None:
            found[key] = environ[name]
        elif name.startswith(ENVIRONMENT_PREFIX) and name != CONFIG_VARIABLE:
            _refuse_near_miss(name, [*variables, CONFIG_VARIABLE])
    return found


def _refuse_near_miss(name: str, known: Sequence[str]) -> None:
    # Others may have variables with our prefix (Kubernetes makes some), so only what looks
    # like a slip of the pen is an error.
    words = [k.removeprefix(ENVIRONMENT_PREFIX) for k in known]
    close = difflib.get_close_matches(name.removeprefix(ENVIRONMENT_PREFIX), words, 1, 0.7)
    if close:
        meant = ENVIRONMENT_PREFIX + close[0]
        raise ConfigError(
            f"unknown environment variable {name}", f'did you mean "{meant}"?', f"unset {name}"
        )


def _config_path(
    path: Path | None,
    given: Mapping[str, object],
    from_environment: Mapping[str, object],
    environ: Mapping[str, str],
) -> Path | None:
    if path is not None:
        return path
    if environ.get(CONFIG_VARIABLE):
        return Path(environ[CONFIG_VARIABLE])
    named = given.get("data_dir") or from_environment.get("data_dir")
    home = Path(str(named)).expanduser() if named else default_data_dir(environ)
    usual = home / CONFIG_FILE
    return usual if usual.is_file() else None


def _settings_of_file(path: Path) -> dict[str, object]:
    settings = read_toml(path)
    for key in settings:
        refuse_unknown(key, KEYS, f"in {path}")
    return _with_paths(settings, path.absolute().parent)


def _with_paths(settings: Mapping[str, object], base: Path) -> dict[str, object]:
    """Return settings with all paths absolute; relative ones are taken from `base`."""
    found = dict(settings)
    for key, value in settings.items():
        is_place = key in PATH_KEYS or (key == "network" and is_path(str(value)))
        if is_place and isinstance(value, str | Path) and str(value):
            place = base / Path(value).expanduser()
            found[key] = str(place) if key == "network" else place
    return found


def _decode_hook(shape: type, value: object) -> object:
    if shape is Path and isinstance(value, str | Path):
        return Path(value)
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


def _checked(values: dict[str, object], origins: Mapping[str, str]) -> NodeConfig:
    for key in PATH_KEYS - {"data_dir"}:
        if values.get(key) == "":
            values[key] = None
    try:
        config = msgspec.convert(values, NodeConfig, dec_hook=_decode_hook)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        key = where.partition("[")[0].rstrip("`")
        raise _wrong(key, message, origins) from error
    _check_meaning(config, origins)
    return config


def _wrong(key: str, why: str, origins: Mapping[str, str]) -> ConfigError:
    origin = origins.get(key, "default")
    return ConfigError(
        f'setting "{key}" is wrong', f"{why} (from {origin})", "stkrp2p config schema"
    )


def _check_meaning(config: NodeConfig, origins: Mapping[str, str]) -> None:
    """Check what types cannot say.

    Raises:
        ConfigError: For the first setting that is wrong.
    """
    faults: list[tuple[str, str]] = []
    faults += [("listen", fault_of_listen(a)) for a in config.listen]
    faults += [("announce", fault_of_address(a)) for a in config.announce]
    faults += [("peers", fault_of_peer(p)) for p in config.peers]
    if config.beacon_listen:
        faults.append(("beacon_listen", fault_of_host_port(config.beacon_listen)))
    for key in ("rpc", "beacons"):
        faults += [(key, fault_of_url(u)) for u in getattr(config, key)]
    faults.append(("workload", fault_of_workload(config.workload)))
    if config.workload_url:
        faults.append(("workload_url", fault_of_url(config.workload_url, "http", "https", "tcp")))
    if config.mode == "light" and config.workload != "none":
        faults.append(("workload", "a light node has none; set mode to full or workload to none"))
    if not config.listen:
        faults.append(("listen", "at least one address is needed"))
    for key, fault in faults:
        if fault:
            raise _wrong(key, fault, origins)


def config_schema() -> dict[str, object]:
    """Return the JSON Schema of a configuration file."""
    schema = msgspec.json.schema(NodeConfig, schema_hook=_schema_of_path)
    definitions = schema["$defs"]
    body: dict[str, object] = definitions["NodeConfig"]
    body.pop("required", None)  # `data_dir` has a default that depends on the machine
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}


def _schema_of_path(shape: type) -> dict[str, object]:
    if shape is not Path:
        raise NotImplementedError
    return {"type": "string", "description": "a path"}


def dump_config(values: Mapping[str, object]) -> str:
    """Return settings as TOML text, one line a key, in the order of `NodeConfig`'s fields."""
    lines = [f"{key} = {toml_value(values[key])}" for key in KEYS if values.get(key) is not None]
    return "\n".join(lines) + "\n"
