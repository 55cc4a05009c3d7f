"""Settings: which source wins, what is refused and how; and network files, there and back."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from stkrp2p import config
from stkrp2p.adapters import store
from stkrp2p.config import (
    ConfigError,
    config_schema,
    dump_config,
    dump_network,
    known_networks,
    load_config,
    network_path,
    read_network,
)
from stkrp2p.config.faults import (
    fault_of_address,
    fault_of_listen,
    fault_of_peer,
    fault_of_url,
    fault_of_workload,
)
from stkrp2p.config.files import FILE_BYTES_MAX, PEERS_MAX, toml_value
from stkrp2p.config.settings import (
    ANNOUNCE_MAX,
    ENDPOINTS_MAX,
    KEYS,
    LIST_KEYS,
    LISTEN_MAX,
    STORE_FILE,
    default_data_dir,
    flag_of,
    variable_of,
)
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.network import Genesis, MarketAddresses
from stkrp2p.core.params import MAINNET, MINIMAL, Params
from stkrp2p.core.types import Round, UnixMs
from stkrp2p.core.wire import INTEGER_MAX

KEY = bls.public_key_of(7)
PEER = "/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWPZmBXkxFycn9PeZMYtGXp5SPk7u4rQ8cKhhZ94pxwNuw"

VALUES = {
    "mode": st.sampled_from(["full", "light"]),
    "listen": st.lists(
        st.builds("/ip4/127.0.0.{}/tcp/{}".format, st.integers(1, 254), st.integers(0, 65535)),
        min_size=1,
        max_size=3,
    ).map(tuple),
    "rpc": st.lists(
        st.builds("http://127.0.0.1:{}".format, st.integers(1, 65535)), min_size=1, max_size=3
    ).map(tuple),
    "log_level": st.sampled_from(["debug", "info", "warning", "error"]),
    "log_format": st.sampled_from(["auto", "text", "json"]),
    "account_key": st.sampled_from(["/etc/a.json", "/etc/b.json"]),
}
DEFAULTS = {
    "mode": "full",
    "listen": ("/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"),
    "rpc": (),
    "log_level": "info",
    "log_format": "auto",
    "account_key": None,
}
some = st.fixed_dictionaries({}, optional=VALUES)


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


# ---------------------------------------------------------------- precedence


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flags=some, environ=some, in_file=some)
def test_flags_win_over_the_environment_that_over_the_file_that_over_defaults(
    tmp_path, flags, environ, in_file
):
    path = write(tmp_path, dump_config(in_file))
    variables = {variable_of(k): ",".join(v) if k in LIST_KEYS else v for k, v in environ.items()}
    loaded = load_config(flags=flags, environ=variables, path=path)
    for key, default in DEFAULTS.items():
        value, origin = default, "default"
        for source, name in (
            (in_file, str(path)),
            (environ, f"environment {variable_of(key)}"),
            (flags, f"flag {flag_of(key)}"),
        ):
            if key in source:
                value, origin = source[key], name
        assert plain(getattr(loaded.config, key)) == value
        assert loaded.origins[key] == origin


def test_a_flag_that_is_not_given_hides_nothing(tmp_path):
    path = write(tmp_path, 'mode = "light"\nrpc = ["http://a"]\n')
    loaded = load_config(flags={"mode": None, "rpc": ()}, environ={}, path=path)
    assert loaded.config.mode == "light"
    assert loaded.config.rpc == ("http://a",)


def test_an_empty_path_takes_a_key_back(tmp_path):
    path = write(tmp_path, 'account_key = "account.key"\n')
    loaded = load_config(environ={"STKRP2P_ACCOUNT_KEY": ""}, path=path)
    assert loaded.config.account_key is None


def test_the_file_is_the_one_named_else_the_variables_else_the_data_directorys(tmp_path):
    named, usual = tmp_path / "a.toml", tmp_path / "data" / "config.toml"
    other = tmp_path / "b.toml"
    usual.parent.mkdir()
    for path in (named, usual, other):
        path.write_text("")
    data = {"data_dir": str(usual.parent)}
    environ = {"STKRP2P_CONFIG": str(other)}
    assert load_config(flags=data, environ=environ, path=named).path == named
    assert load_config(flags=data, environ=environ).path == other
    assert load_config(flags=data, environ={}).path == usual
    assert load_config(environ={"STKRP2P_DATA_DIR": str(usual.parent)}).path == usual
    usual.unlink()
    assert load_config(flags=data, environ={}).path is None


def test_data_lies_where_xdg_says_and_a_relative_xdg_is_ignored(tmp_path):
    assert default_data_dir({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "stkrp2p"
    home = Path.home() / ".local" / "share" / "stkrp2p"
    assert default_data_dir({"XDG_DATA_HOME": "here"}) == home
    assert default_data_dir({}) == home
    loaded = load_config(environ={"XDG_DATA_HOME": str(tmp_path)})
    assert loaded.config.data_dir == tmp_path / "stkrp2p"
    assert loaded.config.node_key == tmp_path / "stkrp2p" / "node.key"
    assert loaded.config.control_socket == tmp_path / "stkrp2p" / "control.sock"


def test_paths_in_a_file_are_relative_to_the_file_others_to_the_working_directory(
    tmp_path, monkeypatch
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    path = write(
        tmp_path,
        'data_dir = "."\nnetwork = "net.toml"\naccount_key = "/etc/account"\ncouncil_password = "c"\n',
    )
    config = load_config(environ={}, path=path).config
    assert config.data_dir == tmp_path
    assert config.network == str(tmp_path / "net.toml")
    assert config.account_key == Path("/etc/account")
    assert config.council_password == tmp_path / "c"
    flags = {"network": "./net.toml", "council_password": "c"}
    config = load_config(flags=flags, environ={}, path=path).config
    assert config.network == str(here / "net.toml")
    assert config.council_password == here / "c"
    config = load_config(flags={"network": "main"}, environ={}, path=path).config
    assert config.network == "main"


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = write(tmp_path, 'data_dir = "~/d"\n')
    assert load_config(environ={}, path=path).config.data_dir == tmp_path / "d"


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lisen = []", 'unknown key "lisen" in {path}: did you mean "listen"?'),
        ("zzz = 1", 'unknown key "zzz" in {path}: the keys are ' + ", ".join(KEYS)),
        (
            'mode = "heavy"',
            "setting \"mode\" is wrong: Invalid enum value 'heavy' (from {path})",
        ),
        ("listen = 3", 'setting "listen" is wrong: Expected `array`, got `int` (from {path})'),
        (
            "data_dir = 3",
            'setting "data_dir" is wrong: Expected `str`, got `int` (from {path})',
        ),
        ("listen = []", 'setting "listen" is wrong: at least one address is needed (from {path})'),
        (
            'listen = ["127.0.0.1:4001"]',
            'setting "listen" is wrong: 127.0.0.1:4001 is no multiaddr such as '
            "/ip4/192.0.2.7/tcp/4001 (from {path})",
        ),
        (
            'rpc = ["ws://a"]',
            'setting "rpc" is wrong: ws://a is no URL that begins with http://, https:// '
            "(from {path})",
        ),
        (
            'rpc = ["http://me:secret@a"]',
            'setting "rpc" is wrong: a URL must not hold a user or password (from {path})',
        ),
        (
            'workload = "bitcoin"',
            'setting "workload" is wrong: bitcoin is none of ethereum:<chain id>, '
            "http:<port>[/path], tcp:<port>, none (from {path})",
        ),
        (
            'mode = "light"\nworkload = "ethereum:1"',
            'setting "workload" is wrong: a light node has none; set mode to full or workload '
            "to none (from {path})",
        ),
        (
            'peers = ["/ip4/192.0.2.7/tcp/4001"]',
            'setting "peers" is wrong: /ip4/192.0.2.7/tcp/4001 does not end in '
            "/p2p/12D3KooW… (from {path})",
        ),
        (
            'workload_url = "ftp://a"',
            'setting "workload_url" is wrong: ftp://a is no URL that begins with http://, '
            "https://, tcp:// (from {path})",
        ),
    ],
)
def test_a_wrong_setting_is_refused_with_its_place_and_reason(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(environ={}, path=path)
    assert str(caught.value) == message.format(path=path)


def test_a_wrong_element_names_its_list(tmp_path):
    path = write(tmp_path, 'rpc = ["http://a", 3]')
    with pytest.raises(ConfigError, match=r'^setting "rpc" is wrong: Expected `str`, got `int`'):
        load_config(environ={}, path=path)


@pytest.mark.parametrize(
    ("key", "element", "most"),
    [
        ("listen", "/ip4/127.0.0.1/tcp/1", LISTEN_MAX),
        ("announce", "/ip4/127.0.0.1/tcp/1", ANNOUNCE_MAX),
        ("rpc", "http://a", ENDPOINTS_MAX),
        ("beacons", "http://a", ENDPOINTS_MAX),
        ("peers", PEER, PEERS_MAX),
    ],
)
def test_every_list_has_a_limit(key, element, most):
    assert len(getattr(load_config(flags={key: (element,) * most}, environ={}).config, key)) == most
    with pytest.raises(ConfigError, match=rf'^setting "{key}" is wrong: .*length <= {most}'):
        load_config(flags={key: (element,) * (most + 1)}, environ={})


def test_an_environment_variable_almost_like_ours_is_refused_others_are_left_alone():
    with pytest.raises(ConfigError) as caught:
        load_config(environ={"STKRP2P_LISTN": "x"})
    assert str(caught.value) == (
        'unknown environment variable STKRP2P_LISTN: did you mean "STKRP2P_LISTEN"?'
    )
    kubernetes = {"STKRP2P_PORT_4001_TCP_ADDR": "10.0.0.1", "STKRP2P_SERVICE_HOST": "10.0.0.1"}
    assert load_config(environ=kubernetes).config.mode == "full"


def test_the_origin_of_a_wrong_value_is_the_variable():
    with pytest.raises(ConfigError, match=r"\(from environment STKRP2P_MODE\)$"):
        load_config(environ={"STKRP2P_MODE": "heavy"})
    with pytest.raises(ConfigError, match=r"\(from flag --mode\)$"):
        load_config(flags={"mode": "heavy"}, environ={})


def test_a_file_that_cannot_be_read_is_said_so(tmp_path):
    with pytest.raises(ConfigError, match=r"^cannot read .*: No such file or directory$"):
        load_config(environ={}, path=tmp_path / "missing.toml")
    path = write(tmp_path, "mode = ")
    with pytest.raises(ConfigError, match=r"^.* is no TOML: Invalid value"):
        load_config(environ={}, path=path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"is no TOML"):
        load_config(environ={}, path=path)
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(ConfigError, match=r"is no TOML"):
        load_config(environ={}, path=path)


def test_a_file_has_a_limit(tmp_path):
    path = write(tmp_path, "#" + " " * (FILE_BYTES_MAX - 1))
    assert load_config(environ={}, path=path).config.mode == "full"
    path = write(tmp_path, "#" + " " * FILE_BYTES_MAX)
    with pytest.raises(ConfigError, match=r"is too large: at most 262144 bytes are read$"):
        load_config(environ={}, path=path)


@pytest.mark.parametrize("address", ["/ip4/1.2.3.4/tcp/0", "/ip6/::/tcp/65535", "/dns4/a.b/tcp/1"])
def test_addresses_that_are_right(address):
    assert fault_of_address(address) == ""
    peer_id = PEER.partition("/p2p/")[2]
    assert fault_of_peer(f"{address}/p2p/{peer_id}") == ""


def test_one_listens_on_an_ip_of_the_family_named():
    for address in ("/ip4/0.0.0.0/tcp/0", "/ip6/::1/tcp/4001"):
        assert fault_of_listen(address) == ""
    for address in ("/dns4/a.b/tcp/1", "/ip4/::1/tcp/1", "/ip6/1.2.3.4/tcp/1", "/ip4/a/tcp/1"):
        assert fault_of_listen(address) == f"{address} does not name an IP to listen on"
    assert fault_of_listen("/ip4/1.2.3.4") == (
        "/ip4/1.2.3.4 is no multiaddr such as /ip4/192.0.2.7/tcp/4001"
    )


@pytest.mark.parametrize("port", ["65536", "-1", "", "1a", "²", "9" * 5000])
def test_a_port_is_a_number_up_to_65535(port):
    address = f"/ip4/1.2.3.4/tcp/{port}"
    assert fault_of_address(address) == f"{address} has no port from 0 to 65535"


@pytest.mark.parametrize("url", ["http://", "http://[", "http://a:99999", "a", "", "http://a:0"])
def test_urls_that_are_wrong(url):
    assert fault_of_url(url) != ""


@pytest.mark.parametrize(
    "workload", ["none", "ethereum:1", "http:80", "http:8080/health?x=1", "tcp:30303"]
)
def test_workloads_that_are_right(workload):
    assert fault_of_workload(workload) == ""


@pytest.mark.parametrize(
    "workload",
    ["", "none:", "ethereum", "ethereum:", "ethereum:0", "ethereum:x", "http:", "http:0", "tcp:0"],
)
def test_workloads_that_are_wrong(workload):
    assert fault_of_workload(workload) != ""


@given(st.text(max_size=40))
def test_no_text_makes_a_check_raise(text):
    for fault in (fault_of_listen, fault_of_peer, fault_of_url, fault_of_workload):
        assert isinstance(fault(text), str)


# ---------------------------------------------------------------- files of settings


def test_the_schema_names_every_key_and_no_other():
    schema = config_schema()
    assert tuple(schema["properties"]) == KEYS
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    json.dumps(schema)


def test_secrets_are_no_settings():
    for key in KEYS:
        assert "secret" not in key
        if "password" in key or key.endswith("_key"):
            assert "path" in json.dumps(config_schema()["properties"][key])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
@example("\x7f\x00\n\"\\'''\u2028")
def test_any_text_survives_toml(text):
    assert tomllib.loads(f"a = {toml_value(text)}")["a"] == text


# ---------------------------------------------------------------- network files


uint = st.integers(0, INTEGER_MAX)


def nudged(params: Params, changes: dict[str, int]) -> Params | None:
    """Return the preset with some numbers changed, `None` if it cannot be."""
    try:
        return replace(params, **{k: getattr(params, k) + v for k, v in changes.items()})
    except ValueError:
        return None


custom = st.builds(
    nudged,
    st.sampled_from([MINIMAL, MAINNET]),
    st.dictionaries(
        st.sampled_from([f.name for f in fields(Params)]), st.integers(-9, 9), max_size=4
    ),
).filter(lambda params: params is not None)
printable = st.text(
    alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64
).filter(lambda name: name != "example")
beacons = st.builds(
    Beacon,
    public_key=st.binary(min_size=96, max_size=96),
    genesis_ms=uint.map(UnixMs),
    period_ms=st.integers(1, INTEGER_MAX),
)
genesises = st.builds(
    Genesis,
    name=printable,
    params=custom,
    beacon=beacons,
    mixed=st.none() | beacons,
    first_round=st.integers(1, INTEGER_MAX).map(Round),
    chain_id=st.integers(1, INTEGER_MAX),
    registry=st.binary(min_size=20, max_size=20),
    anchor=st.binary(min_size=20, max_size=20),
    council=st.binary(min_size=20, max_size=20),
    council_key=st.binary(min_size=96, max_size=96),
)


MARKET_NAMES = [f.name for f in fields(MarketAddresses)]
markets = st.lists(
    st.binary(min_size=20, max_size=20).filter(any),
    min_size=len(MARKET_NAMES),
    max_size=len(MARKET_NAMES),
    unique=True,
).map(lambda found: MarketAddresses(**dict(zip(MARKET_NAMES, found, strict=True))))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    genesis=genesises,
    peers=st.lists(st.just(PEER), max_size=3),
    block=uint,
    market=st.none() | markets,
)
def test_a_network_file_gives_back_what_was_written(tmp_path, genesis, peers, block, market):
    path = tmp_path / "net.toml"
    path.write_text(dump_network(genesis, peers, deploy_block=block, market=market))
    read = read_network(path)
    assert read == (genesis, tuple(peers), block, market)
    assert read.genesis.network_id == genesis.network_id
    assert read_network(str(path)) == read


GENESIS = Genesis(
    name="a net",
    params=MINIMAL,
    beacon=Beacon(public_key=KEY, genesis_ms=UnixMs(1), period_ms=1000),
    first_round=Round(1),
    chain_id=31337,
    registry=bytes(20),
    anchor=bytes(20),
    council=bytes(20),
    council_key=KEY,
)


def changed(tmp_path, old: str, new: str) -> Path:
    text = dump_network(GENESIS)
    assert old in text
    path = tmp_path / "net.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("peers =", "pears =", 'unknown key "pears" in {path}: did you mean "peers"?'),
        (
            "genesis_ms",
            "genesis_s",
            'unknown key "genesis_s" in {path} [beacon]: did you mean "genesis_ms"?',
        ),
        (
            "chain_id",
            "chainid",
            'unknown key "chainid" in {path} [chain]: did you mean "chain_id"?',
        ),
        (
            'preset = "minimal"',
            'preset = "maxinet"',
            "{path} does not describe a network: preset must be one of minimal, mainnet, got "
            "'maxinet'",
        ),
        (
            "[chain]",
            "[params]\ndraw_pm = 1\n[chain]",
            'unknown key "draw_pm" in {path} [params]: did you mean "draw_ppm"?',
        ),
        (
            "[chain]",
            "[params]\nk_aud = 2\n[chain]",
            "{path} does not describe a network: k_aud must be odd and at most 15, got 2",
        ),
        (
            KEY.hex(),
            "00",
            "{path} does not describe a network: beacon.public_key must be 96 bytes in hex",
        ),
        (
            "0x" + "00" * 20,
            "0xzz",
            "{path} does not describe a network: chain.registry must be 20 bytes in hex",
        ),
        (
            "first_round = 1",
            "first_round = 0",
            "{path} does not describe a network: Expected `int` >= 1 - at `$.beacon.first_round`",
        ),
        (
            "peers = [",
            'peers = ["/ip4/1.2.3.4/tcp/1",',
            "{path} does not describe a network: peers: /ip4/1.2.3.4/tcp/1 does not end in "
            "/p2p/12D3KooW…",
        ),
        (
            "name =",
            'name = "é" #',
            "{path} does not describe a network: Expected `str` matching regex "
            "'^[\\\\x20-\\\\x7e]+$' - at `$.name`",
        ),
    ],
)
def test_a_wrong_network_file_is_refused_with_the_reason(tmp_path, old, new, message):
    path = changed(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        read_network(path)
    assert str(caught.value) == message.format(path=path)


MARKET = MarketAddresses(**{name: bytes([i + 1]) * 20 for i, name in enumerate(MARKET_NAMES)})


def test_where_rule_and_market_stand_is_no_part_of_the_networks_id(tmp_path):
    without, with_market = tmp_path / "without.toml", tmp_path / "with.toml"
    without.write_text(dump_network(GENESIS))
    with_market.write_text(dump_network(GENESIS, market=MARKET))
    assert read_network(without).market is None
    assert read_network(with_market).market == MARKET
    assert read_network(without).genesis.network_id == read_network(with_market).genesis.network_id


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("0x" + "01" * 20, "0x01", "market.beacon_verifier must be 20 bytes in hex"),
        ("0x" + "02" * 20, "0x" + "00" * 20, "market.timelock must not be the zero address"),
        ("0x" + "03" * 20, "0x" + "02" * 20, "market: two contracts have one address"),
        ("\nprices =", "\nprizes =", ""),
        ("\nprices =", "\n# prices =", "Object missing required field `prices` - at `$.market`"),
    ],
)
def test_a_wrong_address_of_rule_or_market_is_refused_with_the_reason(tmp_path, old, new, why):
    text = dump_network(GENESIS, market=MARKET)
    assert old in text
    path = tmp_path / "net.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        read_network(path)
    if why:
        assert str(caught.value) == f"{path} does not describe a network: {why}"
    else:
        assert "prizes" in str(caught.value)


def test_without_a_preset_all_numbers_are_needed(tmp_path):
    path = changed(tmp_path, 'preset = "minimal"\n', "")
    with pytest.raises(ConfigError, match=r"name a preset, or give all of \[params\]; missing: "):
        read_network(path)


def test_single_numbers_replace_the_presets(tmp_path):
    path = changed(tmp_path, "[chain]", "[params]\nrounds_per_epoch = 30\n[chain]")
    params = read_network(path).genesis.params
    assert params.rounds_per_epoch == 30
    assert params.k_aud == MINIMAL.k_aud


def test_the_template_is_refused_as_it_is_and_right_once_filled_in(tmp_path):
    assert "example" in known_networks()
    with pytest.raises(ConfigError) as caught:
        read_network("example")
    assert "is a template, not a network" in caught.value.what
    assert caught.value.why == 'a network may not be named "example"'
    text = known_networks()["example"].read_text()
    path = tmp_path / "mine.toml"
    path.write_text(
        text.replace('name = "example"', 'name = "mine"').replace(
            'council_key = ""', f'council_key = "{KEY.hex()}"'
        )
    )
    assert read_network(path).genesis.params == MAINNET


def test_no_network_ships_yet_so_none_is_guessed():
    with pytest.raises(ConfigError) as caught:
        network_path("mainet")
    assert str(caught.value) == (
        'there is no network "mainet": no network ships with this version yet'
    )
    with pytest.raises(ConfigError, match=r"^no network is named: "):
        network_path("")


def test_a_network_given_by_path_or_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.toml").write_text(dump_network(GENESIS))
    assert read_network("net.toml").genesis == GENESIS
    assert read_network("./net.toml").genesis == GENESIS
    assert read_network(Path("net.toml")).genesis == GENESIS
    with pytest.raises(ConfigError, match=r"^cannot read no\.toml: No such file or directory$"):
        read_network("no.toml")


def test_the_settings_name_the_file_that_the_store_writes():
    assert STORE_FILE == store.FILE_NAME


def test_a_name_the_package_does_not_have_is_no_attribute():
    with pytest.raises(AttributeError, match=r"^module 'stkrp2p.config' has no attribute 'nope'$"):
        config.nope  # noqa: B018


def test_the_environment_of_the_process_counts(monkeypatch):
    monkeypatch.setitem(os.environ, "STKRP2P_LOG_LEVEL", "error")
    assert load_config(flags={"data_dir": "/nowhere"}).config.log_level == "error"
