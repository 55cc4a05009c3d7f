"""A local network of real processes: a chain, a beacon, services, and nodes on addresses of their own.

Nothing is simulated: anvil runs the contracts' bytecode, the beacon signs with BLS and speaks drand's
HTTP API, every node is a process of its own with its own keys, store and libp2p host.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from stkrp2p.adapters import libraries
from stkrp2p.adapters.chain import Web3Chain
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.deploy import (
    ANKR,
    Deployed,
    Plan as DeployPlan,
    Policy,
    deploy,
    deploy_council,
)
from stkrp2p.adapters.deploy_market import MarketPlan, deploy_market
from stkrp2p.adapters.keys import create_account_key, create_bls_key, create_node_key
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import SqliteStore, StoreMissing
from stkrp2p.config import dump_config, dump_network
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.group import Group, Purpose
from stkrp2p.core.network import Genesis, MarketAddresses
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.roster import Profile, sign_claim
from stkrp2p.core.types import Epoch, Kind, NodeId, Round, UnixMs
from stkrp2p.core.wire import decode, encode
from testnet import anvil, manifest
from testnet.manifest import Manifest, NodeEntry
from testnet.plan import NODES_MAX, Plan, Role

ETHER = 10**18
FUNDS_WEI = 100 * ETHER
STAKE_FULL = 100_000 * ANKR
STAKE_LIGHT = 10_000 * ANKR
BOND = 50_000 * ANKR
"""What each governor answers with for what the council signs."""

BLOCK_S = 1
"""Seconds from block to block once everybody is registered; before, each transaction has its own."""

FROZEN_S = 2.0
THAWED_S = 4.0
"""A flaky node is frozen for a third of the time, in turns so short that every epoch has some of both."""

PHASE_S = 6
"""Longest phase of the governors' key generation; when nobody fails, none takes that long."""

DKG_S_MAX = 60.0
"""Time the whole of it may take."""

LOOK_S = 1.0
"""How often the council's store is looked at for the score of a node that shall be killed."""

STOP_S_MAX = 6.0
"""Time nodes have to end by themselves before they are killed."""

LOG_CHARS_SHOWN = 800
STOP_POLL_S = 0.05


class ClusterFailed(Exception):
    """The network could not be started; the message says what and where the log is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where on this machine a local network lives: by default all of it on loopback."""

    shared_host: str = "127.0.0.1"
    """IP address of the chain and the beacon; all nodes reach it."""

    hosts: Sequence[str] = tuple(f"127.0.0.{last}" for last in range(10, 10 + 2 * NODES_MAX))
    """IP address of each node, in the order of the plan's roles."""

    namespaces: Sequence[str] = ()
    """Name of each node's network namespace; empty if they live in ours."""

    def namespace(self, index: int) -> str:
        """Return a node's network namespace, empty for ours."""
        return self.namespaces[index] if self.namespaces else ""


@dataclass(slots=True, kw_only=True)
class Member:
    """One node's facts while the network is being built."""

    entry: NodeEntry
    secret: bytes = field(repr=False)
    account: bytes = field(repr=False)
    operator: bytes
    """Address of the account, 20 bytes."""

    service_port: int = 0
    beacon_listen: str = ""
    """Where a governor serves the council's rounds in drand's API."""

    namespace: str = ""
    """Network namespace it lives in, empty for ours."""

    @property
    def node(self) -> NodeId:
        """Its node's id."""
        return NodeId(bytes.fromhex(self.entry.node))

    @property
    def kind(self) -> Kind:
        """What it registers as."""
        return Kind.LIGHT if self.entry.role is Role.LIGHT else Kind.FULL

    @property
    def host(self) -> str:
        """Its IP address."""
        return self.entry.address.split("/")[2]


@dataclass(slots=True, kw_only=True)
class Cluster:
    """A running local network."""

    plan: Plan
    folder: Path
    genesis: Genesis
    manifest: Manifest
    members: list[Member]
    chain: Web3Chain
    """Reads the contracts for the verdict."""

    processes: dict[str, subprocess.Popen[bytes]]
    """Everything that is no node."""

    spawner: Spawner
    market: MarketAddresses | None
    """Where rule and market are, if the network has them."""

    deployed: Deployed
    """The other contracts."""

    down_from: list[Epoch] = field(default_factory=list)
    """Of each node that was killed: the first epoch wholly without it."""

    def start_node(self, member: Member) -> None:
        """Start a node's process, or start it again."""
        entry = member.entry
        entry.pid = self.spawner.spawn(
            ["run", "--config", entry.config], Path(entry.log), namespace=member.namespace
        )
        self.manifest.save()

    def signal_node(self, member: Member, how: signal.Signals) -> None:
        """Send a signal to a node's process."""
        manifest.kill(member.entry.pid, how)

    def check(self) -> None:
        """Make sure that everything runs that should.

        Raises:
            ClusterFailed: A process ended by itself; the message has the end of its log.
        """
        ended = [(n, self.folder / f"{n}.log") for n, p in self.processes.items() if p.poll()]
        ended += [
            (m.entry.name, Path(m.entry.log))
            for m in self.members
            if m.entry.role is not Role.DOWN and not manifest.is_alive(m.entry.pid)
        ]
        for name, log in ended:
            end = log.read_text(errors="replace")[-LOG_CHARS_SHOWN:]
            raise ClusterFailed(f"{name} ended by itself; the end of its log:\n{end}")


class Spawner:
    """The process that forks nodes; see `testnet.spawner`."""

    def __init__(self, log: Path) -> None:
        """Start it; it imports what nodes need while the rest is being set up."""
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "testnet.spawner"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                text=True,
                bufsize=1,
            )
        self._log = log

    def await_ready(self) -> None:
        """Wait until it has imported everything.

        Raises:
            ClusterFailed: It ended.
        """
        self._line()

    def spawn(self, arguments: Sequence[str], log: Path, *, namespace: str) -> int:
        """Start a node; return its pid.

        Raises:
            ClusterFailed: The spawner ended.
        """
        order = json.dumps({"arguments": list(arguments), "log": str(log), "namespace": namespace})
        if self.process.stdin is not None:
            self.process.stdin.write(order + "\n")
        return int(self._line())

    def close(self) -> None:
        """End it; the nodes go on."""
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if not line:
            raise ClusterFailed(f"the spawner ended; see {self._log}")
        return line.strip()


def _spawn(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def free_port(host: str) -> int:
    """Return a TCP port that nobody listens on at this address now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


async def call(rpc: str, method: str, *params: object) -> object:
    """Ask the chain something directly, or order it; return its result.

    Raises:
        ClusterFailed: The chain refused.
    """
    order = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    async with httpx.AsyncClient() as client:
        answer = (await client.post(rpc, json=order)).raise_for_status().json()
    if "error" in answer:
        raise ClusterFailed(f"anvil refused {method}: {answer['error'].get('message')}")
    return answer["result"]


async def fund(rpc: str, addresses: Sequence[bytes]) -> None:
    """Give accounts `FUNDS_WEI` of ether each."""
    for address in addresses:
        await call(rpc, "anvil_setBalance", f"0x{address.hex()}", hex(FUNDS_WEI))


def _members(plan: Plan, site: Site, folder: Path, chain_id: int) -> list[Member]:
    members = []
    for i, (role, host) in enumerate(zip(plan.roles(), site.hosts, strict=False)):
        data_dir = folder / f"node{i}"
        data_dir.mkdir(mode=0o700)
        key = create_node_key(data_dir / "node.key")
        account = create_account_key(data_dir / "account.key")
        # In a namespace of its own all ports are free, so one that is free here will do.
        probed = site.shared_host if site.namespaces else host
        port = free_port(probed)
        service_port = free_port(probed) if i % 2 and role is not Role.LIGHT else 0
        workload = f"http:{service_port}/health" if service_port else f"ethereum:{chain_id}"
        entry = NodeEntry(
            name=f"node{i}",
            role=role,
            node=key.node.hex(),
            address=f"/ip4/{host}/tcp/{port}",
            workload="none" if role is Role.LIGHT else workload,
            config=str(data_dir / "config.toml"),
            data_dir=str(data_dir),
            log=str(data_dir / "node.log"),
        )
        members.append(
            Member(
                entry=entry,
                secret=key.secret.reveal(),
                account=account.secret.reveal(),
                operator=account.address,
                service_port=service_port,
                beacon_listen=f"{host}:{free_port(probed)}",
                namespace=site.namespace(i),
            )
        )
    return members


def _write_config(member: Member, **settings: object) -> None:
    """Write a node's configuration file; before there is a network, without one."""
    entry = member.entry
    values: dict[str, object] = {
        "data_dir": entry.data_dir,
        "mode": "light" if entry.role is Role.LIGHT else "full",
        "listen": [entry.address],
        "workload": entry.workload,
        "account_key": str(Path(entry.data_dir) / "account.key"),
        "log_format": "json",
        **settings,
    }
    Path(entry.config).write_text(dump_config(values))


def _workload_url(member: Member, rpc: str) -> dict[str, object]:
    if member.service_port:
        return {"workload_url": f"http://{member.host}:{member.service_port}/health"}
    return {} if member.entry.workload == "none" else {"workload_url": rpc}


def _beacon_from(public_key: bytes, start_s: int) -> Beacon:
    return Beacon(
        public_key=public_key, genesis_ms=UnixMs(start_s * 1000), period_ms=MINIMAL.period_ms
    )


def _peer_id(member: Member) -> str:
    return peer_id_text(member.node)


def group_of(member: Member) -> Group | None:
    """Return the group that a governor's ceremony left on its disk."""
    found = sorted(Path(member.entry.data_dir).glob("council/*/group"))
    return decode(found[-1].read_bytes(), Group) if found else None


async def _bond(chain: Web3Chain) -> None:
    """Mint, approve and bond what a governor answers with."""
    await chain.send(await chain.mint(BOND))
    await chain.send(await chain.approve(BOND, "ReputationAnchor"))
    await chain.send(await chain.bond(BOND))


async def _register(member: Member, deployed: Deployed, rpc: str) -> None:
    """Mint, approve and register: what an operator does, with a test token; a governor bonds too."""
    stake = STAKE_LIGHT if member.kind is Kind.LIGHT else STAKE_FULL
    with closing(
        Web3Chain(deployed.genesis, [rpc], account_key=member.account, deploy_block=deployed.block)
    ) as chain:
        await _stake(member, deployed.genesis, chain, stake)


async def _stake(member: Member, genesis: Genesis, chain: Web3Chain, stake: int) -> None:
    await chain.send(await chain.mint(stake))
    await chain.send(await chain.approve(stake))
    operator = await chain.operator()
    nonce = await chain.next_nonce(operator)
    claim = sign_claim(member.secret, genesis.network_id, operator, member.node, nonce)
    profile = Profile(version=1, workload=member.entry.workload, addresses=(member.entry.address,))
    preview = await chain.register(
        node=member.node, kind=member.kind, stake=stake, claim=claim, profile=encode(profile)
    )
    await chain.send(preview)
    if member.entry.role is Role.COUNCIL:
        await _bond(chain)


async def _until_serving(url: str, *, log: Path, time_s: float = 15.0) -> None:
    async with httpx.AsyncClient() as client:
        with trio.move_on_after(time_s):
            while True:
                try:
                    if (await client.get(url)).is_success:
                        return
                except httpx.TransportError:
                    pass
                await trio.sleep(0.05)
    raise ClusterFailed(f"{url} does not serve; see {log}")


MarketPlanner = Callable[[Sequence[Member]], MarketPlan]
"""Plans rule and market for a network's members, the governors first among them."""


@asynccontextmanager
async def running(
    plan: Plan,
    folder: Path,
    say: Callable[[str], None],
    *,
    keep: bool = False,
    site: Site | None = None,
    market: MarketPlanner | None = None,
) -> AsyncIterator[Cluster]:
    """Run a local network for the time of the context.

    Args:
        plan: Its shape.
        folder: Where everything lands; made, must not exist yet.
        say: Told, in a line, what is being done.
        keep: Leave the processes running at the end; `stop` ends them later.
        site: Where it lives; on loopback if not said.
        market: Plans rule and market, which are deployed with the rest; without, there are none.

    Raises:
        ClusterFailed: Something did not start.
    """
    site = site or Site()
    folder.mkdir(parents=True)  # noqa: ASYNC240 - once, before anything runs
    processes: dict[str, subprocess.Popen[bytes]] = {}
    node = anvil.start(anvil.Options(host=site.shared_host), log_path=folder / "anvil.log")
    processes["anvil"] = node.process
    spawner = Spawner(folder / "spawner.log")
    members: list[Member] = []
    is_built = False
    try:
        build = _Build(plan, site, folder, say, node.url, processes, spawner, members, market)
        cluster = await build.cluster()
        is_built = True
        with closing(cluster.chain):
            yield cluster
    finally:
        spawner.close()
        if not keep or not is_built:
            stop([*(m.entry.pid for m in members if m.entry.pid), *_pids(processes)])
            for process in processes.values():
                process.wait()


def _pids(processes: Mapping[str, subprocess.Popen[bytes]]) -> list[int]:
    return [p.pid for p in processes.values()]


@dataclass(slots=True)
class _Build:
    """The steps from nothing to a running network."""

    plan: Plan
    site: Site
    folder: Path
    say: Callable[[str], None]
    rpc: str
    processes: dict[str, subprocess.Popen[bytes]]
    spawner: Spawner
    members: list[Member]
    market: MarketPlanner | None
    began_s: float = field(default_factory=time.monotonic)

    async def cluster(self) -> Cluster:
        """Deploy, register, and start everybody."""
        await self._warm_up()
        self.say(f"chain      anvil at {self.rpc}")
        self.members += _members(self.plan, self.site, self.folder, anvil.CHAIN_ID)
        deployer = create_account_key(self.folder / "deployer.key")
        await fund(self.rpc, [deployer.address, *(m.operator for m in self.members)])
        council, group = await self._generate_keys(deployer.secret.reveal())
        beacon, beacon_url = await self._beacon(group)
        deployed = await self._deploy(deployer.secret.reveal(), beacon, council, group)
        market = await self._deploy_market(deployer.secret.reveal(), deployed)
        network = self.folder / "network.toml"
        text = dump_network(deployed.genesis, (), deploy_block=deployed.block, market=market)
        await trio.Path(network).write_text(text)
        for member in self.members:
            self._configure(member, network, beacon_url)
            self._start_service(member)
        cluster = self._assemble(deployed, market, network, beacon_url)
        await _register_all(cluster)
        self.say(f"registry   {len(self.members)} nodes registered and staked")
        for member in self.members:
            cluster.start_node(member)
        wait_s = (beacon.genesis_ms - SystemClock().unix_ms()) // 1000
        counts = f"{self.plan.nodes} full and {self.plan.light} light"
        self.say(f"nodes      {counts} started, round 1 in {wait_s} s")
        return cluster

    async def _warm_up(self) -> None:
        """Import all that takes long before round 1 is fixed: a busy machine is then in time too."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, self.spawner.await_ready)
            nursery.start_soon(libraries.load_in_thread)

    @property
    def _governors(self) -> list[Member]:
        return [m for m in self.members if m.entry.role is Role.COUNCIL]

    async def _generate_keys(self, deployer: bytes) -> tuple[bytes, Group]:
        """Let the governors make their keys; return their bulletin board's address, and the group."""
        seats = [(m.operator, m.node) for m in self._governors]
        board, _ = await deploy_council(self.rpc, deployer, seats, phase_s=PHASE_S)
        peers = [f"{m.entry.address}/p2p/{_peer_id(m)}" for m in self._governors]
        pids = []
        for member in self._governors:
            _write_config(member, rpc=[self.rpc], peers=peers)
            command = ["council", "dkg", "--config", member.entry.config]
            command += ["--board", f"0x{board.hex()}"]
            log = Path(member.entry.data_dir) / "dkg.log"
            pids.append(self.spawner.spawn(command, log, namespace=member.namespace))
        await self._until_ended(pids)
        groups = {group for m in self._governors if (group := group_of(m)) is not None}
        if len(groups) != 1:
            raise ClusterFailed(f"the governors made {len(groups)} keys; see node*/dkg.log")
        group = groups.pop()
        count = len(self._governors)
        self.say(f"council    any {group.threshold} of {count} governors sign; they made the keys")
        self.say(f"           themselves, on bulletin board 0x{board.hex()}")
        return board, group

    async def _until_ended(self, pids: Sequence[int]) -> None:
        with trio.move_on_after(DKG_S_MAX):
            while any(map(manifest.is_alive, pids)):  # noqa: ASYNC110 - not children of ours
                await trio.sleep(STOP_POLL_S)
        stop([pid for pid in pids if manifest.is_alive(pid)])

    async def _beacon(self, group: Group) -> tuple[Beacon, str]:
        """Return the beacon, its round 1 due in a while, and where it serves drand's API."""
        lead_s = self.plan.start_lead_s(prepared_s=time.monotonic() - self.began_s)
        start_s = SystemClock().unix_ms() // 1000 + 1 + lead_s
        if self.plan.is_solo_beacon:
            key = self.folder / "beacon.key"
            beacon = _beacon_from(create_bls_key(key).public_key, start_s)
            url = self._start_beacon(beacon, key)
            await _until_serving(f"{url}/info", log=self.folder / "beacon.log")
            self.say(f"beacon     solo (one key, local only), drand API at {url}")
            return beacon, url
        first = self._governors[0]
        url = f"http://{first.beacon_listen}"
        self.say(f"beacon     the council's, drand API at {url} and its governors'")
        return _beacon_from(group.public_key(Purpose.BEACON), start_s), url

    def _configure(self, member: Member, network: Path, beacon_url: str) -> None:
        settings: dict[str, object] = {"network": str(network), "rpc": [self.rpc]}
        if self.plan.is_solo_beacon:
            settings["beacons"] = [beacon_url]
        elif member.entry.role is Role.COUNCIL:
            settings["beacon_listen"] = member.beacon_listen
        _write_config(member, **settings, **_workload_url(member, self.rpc))

    async def _deploy(
        self, deployer: bytes, beacon: Beacon, council: bytes, group: Group
    ) -> Deployed:
        plan = DeployPlan(
            name=f"local-{self.folder.name}",
            params=MINIMAL,
            beacon=beacon,
            first_round=Round(1),
            council=council,
            council_key=group.public_key(Purpose.ANCHOR),
            policy=Policy(bond_min=BOND, challenge_s=self.plan.challenge_s),
        )
        deployed = await deploy(self.rpc, deployer, plan)
        self.say(f"contracts  registry 0x{deployed.genesis.registry.hex()}")
        self.say(f"           anchor   0x{deployed.genesis.anchor.hex()}")
        self.say(f"           verifier 0x{deployed.assignment_verifier.hex()} (who audits whom)")
        return deployed

    async def _deploy_market(self, deployer: bytes, deployed: Deployed) -> MarketAddresses | None:
        if self.market is None:
            return None
        plan = self.market(self.members)
        addresses = await deploy_market(self.rpc, deployer, deployed, plan)
        self.say(f"           council  0x{addresses.council.hex()} (seats, votes, elections)")
        self.say(f"           market   0x{addresses.market.hex()}")
        self.say(f"           deals    0x{addresses.deals.hex()}")
        return addresses

    def _start_beacon(self, beacon: Beacon, key: Path) -> str:
        host, log = self.site.shared_host, self.folder / "beacon.log"
        listen = f"{host}:{free_port(host)}"
        command = [sys.executable, "-m", "stkrp2p.adapters.solo", "--key", str(key)]
        command += ["--genesis-ms", str(beacon.genesis_ms), "--period-ms", str(beacon.period_ms)]
        self.processes["beacon"] = _spawn([*command, "--listen", listen], log)
        return f"http://{listen}"

    def _start_service(self, member: Member) -> None:
        if member.service_port:
            name = f"service-{member.entry.name}"
            enter = ["ip", "netns", "exec", member.namespace] if member.namespace else []
            command = [*enter, sys.executable, "-m", "testnet.service", str(member.service_port)]
            log = self.folder / f"{name}.log"
            self.processes[name] = _spawn([*command, member.host, "127.0.0.1"], log)

    def _assemble(
        self, deployed: Deployed, market: MarketAddresses | None, network: Path, beacon_url: str
    ) -> Cluster:
        facts = Manifest(
            folder=str(self.folder),
            network=str(network),
            rpc=self.rpc,
            beacon=beacon_url,
            genesis_ms=deployed.genesis.beacon.genesis_ms,
            nodes=[m.entry for m in self.members],
            helpers={name: p.pid for name, p in self.processes.items()},
        )
        return Cluster(
            plan=self.plan,
            folder=self.folder,
            genesis=deployed.genesis,
            manifest=facts,
            members=self.members,
            chain=Web3Chain(deployed.genesis, [self.rpc], deploy_block=deployed.block),
            processes=self.processes,
            spawner=self.spawner,
            market=market,
            deployed=deployed,
        )


async def _register_all(cluster: Cluster) -> None:
    """Register everybody in time for epoch 0; from then on the chain makes a block each second.

    Raises:
        ClusterFailed: The machine was too slow for that.
    """
    rpc = cluster.manifest.rpc
    async with trio.open_nursery() as nursery:
        for member in cluster.members:
            nursery.start_soon(_register, member, cluster.deployed, rpc)
    await call(rpc, "evm_setIntervalMining", BLOCK_S)
    if SystemClock().unix_ms() >= cluster.genesis.start_ms(Epoch(0)):
        raise ClusterFailed(
            "the nodes were not registered before round 1: the machine is too busy; "
            "close something, or use fewer --nodes"
        )


def stop(pids: Sequence[int]) -> None:
    """End processes: asked first, killed after `STOP_S_MAX`."""
    for pid in pids:
        manifest.kill(pid, signal.SIGCONT)
        manifest.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S_MAX
    while time.monotonic() < deadline and any(map(manifest.is_alive, pids)):
        time.sleep(STOP_POLL_S)
    for pid in pids:
        manifest.kill(pid)


async def until_ms(unix_ms: int, *, early_s: float = 0.0) -> None:
    """Return once the wall clock shows a time, or so much before."""
    wait_ms = unix_ms - SystemClock().unix_ms()
    await trio.sleep(max(0.0, wait_ms / 1000 - early_s))


async def run_flaky(cluster: Cluster, member: Member) -> None:
    """Freeze and thaw a node in turn, from the first round on, until cancelled."""
    await until_ms(cluster.genesis.beacon.genesis_ms)
    try:
        while True:
            cluster.signal_node(member, signal.SIGSTOP)
            await trio.sleep(FROZEN_S)
            cluster.signal_node(member, signal.SIGCONT)
            await trio.sleep(THAWED_S)
    finally:
        cluster.signal_node(member, signal.SIGCONT)


async def run_down(cluster: Cluster, member: Member) -> None:
    """Kill a node once an anchored epoch has it up: before, it has no score to lose."""
    while not await _has_been_up(cluster, member):  # noqa: ASYNC110 - another process tells
        await trio.sleep(LOOK_S)
    cluster.signal_node(member, signal.SIGKILL)
    due = cluster.genesis.beacon.last_due(SystemClock().unix_ms())
    cluster.down_from.append(Epoch(cluster.genesis.clock.epoch_of(due) + 1))


async def _has_been_up(cluster: Cluster, member: Member) -> bool:
    try:
        async with SqliteStore.open_reader(Path(cluster.members[0].entry.data_dir)) as store:
            for epoch in await store.epochs(epochs_max=1):
                return any(s.node == member.node and s.up_rounds for s in await store.scores(epoch))
    except StoreMissing:
        pass
    return False
