"""One node: the adapters that its configuration asks for, and the services that run over them.

`build_node` wires the services over any set of ports; `run_node` opens the real ones first. All runs
in one nursery: a service that fails ends the node, and the state it needs to come back is in the
store by then.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import structlog
import trio

from stkrp2p.adapters.chain import Web3Chain
from stkrp2p.adapters.chain.board import Web3Board
from stkrp2p.adapters.clock import SystemClock, SystemEntropy
from stkrp2p.adapters.council_files import CouncilFiles
from stkrp2p.adapters.drand import DrandBeacons
from stkrp2p.adapters.drand_server import serve_rounds
from stkrp2p.adapters.keys import load_account_key, load_node_key
from stkrp2p.adapters.libp2p import ListenError, open_network
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.adapters.workloads import DEFAULT_RPC_URL, WorkloadExaminer, open_workload
from stkrp2p.api.control import serve_control
from stkrp2p.config import NetworkFile, NodeConfig, read_network
from stkrp2p.core.batch import Batch
from stkrp2p.core.challenge import AUDIT_PROTOCOL
from stkrp2p.core.council import COUNCIL_PROTOCOL, AskGroup
from stkrp2p.core.crypto import Secret
from stkrp2p.core.network import Genesis
from stkrp2p.core.reconcile import SYNC_PROTOCOL
from stkrp2p.core.types import Epoch, NodeId, Round
from stkrp2p.core.wire import ANSWER_BYTES_MAX, FRAME_BYTES_MAX
from stkrp2p.ports import (
    Beacons,
    Board,
    Chain,
    Entropy,
    Examiner,
    Network,
    Safe,
    Store,
    WallClock,
    Workload,
)
from stkrp2p.services.auditor import Auditor, run_auditor
from stkrp2p.services.beacon import (
    HEARD_MAX,
    LedgerRounds,
    RoundMaker,
    RoundTopic,
    Told,
    run_round_maker,
    run_round_writer,
)
from stkrp2p.services.ceremony import (
    LOOK_MS_MAX,
    Ceremonies,
    CeremonyState,
    load_seats,
    run_ceremonies,
)
from stkrp2p.services.council import Council, CouncilServer, Seats
from stkrp2p.services.council_report import council_report
from stkrp2p.services.directory import Directory, run_directory
from stkrp2p.services.gossip import ACCEPTED_MAX, Gossip, run_publisher, run_writer
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.past import PastEpochs
from stkrp2p.services.responder import Responder
from stkrp2p.services.rounds import (
    Arrival,
    HeardRounds,
    RoundSource,
    run_gap_filler,
    run_mixed_rounds,
    run_rounds,
)
from stkrp2p.services.sampler import Sampler
from stkrp2p.services.sealer import Sealer, run_sealer
from stkrp2p.services.sync import SyncClient, SyncServer, run_sync
from stkrp2p.services.tables import Tables
from stkrp2p.services.watcher import Watcher, run_watcher

log = structlog.get_logger()

LOOKS_AN_EPOCH = 4
"""Looks at the council's bulletin board in an epoch's time, or one a block if that is fewer."""

BEACON_NAME = "council"
"""What drand's API calls the beacon we serve."""

ARRIVALS_MAX = 2
"""Rounds waiting to be audited; an older one is worthless."""

LIGHT_RETAIN_EPOCHS = 2
"""Epochs whose evidence a light node keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world, as one node sees it."""

    clock: WallClock
    entropy: Entropy
    beacons: Beacons | None
    """`None` where gossip is the only source of rounds."""

    network: Network
    chain: Chain
    store: Store
    workload: Workload
    examiner: Examiner
    board: Board | None = None
    """The council's, for who may post on it."""

    safe: Safe | None = None
    """Where a governor's secrets are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a node is, with its secrets."""

    node: NodeId
    secret: bytes = field(repr=False)
    is_light: bool = False
    announced: tuple[str, ...] = ()
    """Addresses it gives others instead of those it listens on."""

    seats: Seats = field(default_factory=Seats)
    """Our shares of the council's keys; none for who is no governor."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A node's services, wired; `run` runs them."""

    genesis: Genesis
    identity: Identity
    ports: Ports
    ledger: Ledger
    source: RoundSource
    topic: RoundTopic
    maker: RoundMaker
    gossip: Gossip
    responder: Responder
    sync: SyncClient
    server: SyncServer
    directory: Directory
    watcher: Watcher
    auditor: Auditor
    council: CouncilServer
    ceremonies: Ceremonies | None
    sealer: Sealer

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Load what the store holds, then serve, audit, gossip and watch until cancelled.

        Args:
            task_status: Started once the node serves peers.
        """
        ports, clock = self.ports, self.ports.clock
        await self.ledger.load(self.genesis.beacon.last_due(clock.unix_ms()))
        accepted_in, accepted_out = trio.open_memory_channel[Batch](ACCEPTED_MAX)
        arrivals_in, arrivals_out = trio.open_memory_channel[Arrival](ARRIVALS_MAX)
        network = ports.network
        network.serve(SYNC_PROTOCOL, self.server.answer, answer_bytes_max=ANSWER_BYTES_MAX)
        network.serve(COUNCIL_PROTOCOL, self.council.answer, answer_bytes_max=ANSWER_BYTES_MAX)
        network.serve(AUDIT_PROTOCOL, self.responder.answer, answer_bytes_max=FRAME_BYTES_MAX)
        self.gossip.join(accepted_in)
        told_in, told_out = trio.open_memory_channel[Told](HEARD_MAX)
        self.topic.join(told_in)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_rounds, self.source, self.ledger, clock, arrivals_in)
            nursery.start_soon(run_mixed_rounds, self.source, self.ledger, clock)
            nursery.start_soon(run_gap_filler, self.source, self.ledger, clock)
            nursery.start_soon(run_round_writer, self.ledger, told_out)
            nursery.start_soon(run_round_maker, self.maker)
            nursery.start_soon(run_auditor, self.auditor, arrivals_out)
            nursery.start_soon(run_writer, self.ledger, accepted_out)
            nursery.start_soon(run_publisher, self.gossip)
            nursery.start_soon(run_sync, self.sync, clock)
            nursery.start_soon(run_watcher, self.watcher)
            nursery.start_soon(
                run_directory, self.directory, self.identity.secret, clock, ports.entropy
            )
            nursery.start_soon(run_sealer, self.sealer)
            if self.ceremonies is not None:
                nursery.start_soon(run_ceremonies, self.ceremonies)
            task_status.started()

    def status(self) -> Mapping[str, object]:
        """Return how the node does, for people and scripts; JSON types only."""
        ledger, beacon = self.ledger, self.genesis.beacon
        due = beacon.last_due(self.ports.clock.unix_ms())
        epoch = ledger.clock.epoch_of(due)
        roster = ledger.roster(Epoch(max(0, epoch)))
        chain = self.ports.chain
        return {
            "network": self.genesis.name,
            "network_id": self.genesis.network_id.hex(),
            "node": self.identity.node.hex(),
            "mode": "light" if self.identity.is_light else "full",
            "is_council": self._is_governor(),
            "addresses": list(self.ports.network.addresses),
            "epoch": epoch,
            "round_due": due,
            "beacon": self._beacon_status(due),
            "chain": {"state": str(chain.state), "detail": chain.detail},
            "peers": len(self.ports.network.peers()),
            "roster": {
                "members": len(roster),
                "is_member": roster.get(self.identity.node) is not None,
                "is_final": ledger.is_roster_final(Epoch(max(0, epoch))),
            },
            "last_folded_epoch": ledger.last_folded,
            "alarm": ledger.alarm,
            "store": {"is_writable": not ledger.store_fault, "detail": ledger.store_fault},
            "batches": {
                str(e): len(ledger.evidence(Epoch(e))) for e in (epoch - 1, epoch) if e >= 0
            },
            "audits_answered": self.responder.answered,
            "gossip": dict(sorted(self.gossip.judged.items())),
            "sync": dict(sorted(self.server.served.items())),
            "council": {
                "answered": self.council.counters(),
                "motions_refused": dict(sorted(self.sealer.refusals.items())),
            },
            "edge": dict(sorted(self.ports.network.counters().items())),
            "score": self._score_status(),
        }

    def _beacon_status(self, due: Round) -> Mapping[str, object]:
        state = self.source.state
        return {
            "last_round": state.last_round,
            "lag_rounds": max(0, due - state.last_round),
            "detail": state.detail,
            "rejected": state.rejected,
            "late_ms": {str(n): ms for n, ms in state.late_ms.items()},
            "made": self.maker.made,
            "partials_dropped": dict(sorted(self.maker.dropped.items())),
            "heard": dict(sorted(self.topic.judged.items())),
        }

    def _score_status(self) -> Mapping[str, object] | None:
        mine = next((s for s in self.ledger.scores if s.node == self.identity.node), None)
        if mine is None:
            return None
        return {
            "reliability_ppm": mine.reliability_ppm,
            "uptime_ppm": mine.uptime_ppm,
            "duty_ppm": mine.duty_ppm,
            "state": mine.state,
        }

    def _is_governor(self) -> bool:
        seat = self.identity.seats.at(self.ports.clock.unix_ms())
        return seat is not None and seat.share is not None

    def council_status(self) -> Mapping[str, object]:
        """Return how the council's latest session stands, and what we hold; JSON types only."""
        state = CeremonyState(trouble="no account to post with, or no Ethereum endpoint")
        if self.ceremonies is not None:
            state = self.ceremonies.state
        identity, now_ms = self.identity, self.ports.clock.unix_ms()
        return council_report(state, identity.seats, identity.node, now_ms)

    def peers(self) -> Mapping[str, object]:
        """Return the peers connected now; JSON types only."""
        return {
            "peers": [
                {
                    "node": p.node.hex(),
                    "address": p.address,
                    "is_inbound": p.is_inbound,
                    "latency_ms": p.latency_ms,
                    "connected_s": p.connected_s,
                }
                for p in self.ports.network.peers()
            ]
        }


def build_node(genesis: Genesis, identity: Identity, ports: Ports) -> Node:
    """Wire a node's services over its ports; nothing runs yet."""
    node, network, clock = identity.node, ports.network, ports.clock
    retain = LIGHT_RETAIN_EPOCHS if identity.is_light else genesis.params.retain_epochs
    ledger = Ledger(genesis, ports.store, retain_epochs=retain, is_light=identity.is_light)
    directory = Directory(ledger=ledger, network=network, announced=identity.announced)
    sync = SyncClient(ledger=ledger, network=network, entropy=ports.entropy)
    seats = identity.seats
    server = CouncilServer(network_id=genesis.network_id, seats=seats)
    server.on(AskGroup, server.give_group, is_open=True)
    sealer = _sealer(identity, ports, ledger, sync)
    sealer.serve(server)
    ceremonies = _ceremonies(genesis, identity, ports)
    if ceremonies is not None:
        ceremonies.serve(server)
    maker = _maker(identity, ports, ledger)
    maker.serve(server)
    return Node(
        genesis=genesis,
        identity=identity,
        ports=ports,
        ledger=ledger,
        source=maker.source,
        topic=maker.topic,
        maker=maker,
        gossip=Gossip(
            node=node,
            secret=identity.secret,
            ledger=ledger,
            network=network,
            store=ports.store,
            clock=clock,
            entropy=ports.entropy,
        ),
        responder=Responder(
            node=node, secret=identity.secret, ledger=ledger, workload=ports.workload, clock=clock
        ),
        sync=sync,
        server=SyncServer(
            ledger=ledger,
            store=ports.store,
            directory=directory,
            clock=clock,
            tables=Tables(ports.store),
            past=PastEpochs(ledger, ports.store),
        ),
        directory=directory,
        watcher=Watcher(
            node=node,
            ledger=ledger,
            chain=ports.chain,
            sync=sync,
            directory=directory,
            clock=clock,
            is_light=identity.is_light,
        ),
        auditor=Auditor(
            node=node,
            ledger=ledger,
            network=network,
            examiner=ports.examiner,
            clock=clock,
            store=ports.store,
        ),
        council=server,
        ceremonies=ceremonies,
        sealer=sealer,
    )


def _ceremonies(genesis: Genesis, identity: Identity, ports: Ports) -> Ceremonies | None:
    if ports.board is None or ports.safe is None:
        return None
    return Ceremonies(
        secret=Secret(identity.secret),
        chain_id=genesis.chain_id,
        contract=genesis.council,
        network_id=genesis.network_id,
        board=ports.board,
        safe=ports.safe,
        seats=identity.seats,
        council=Council(node=identity.node, network=ports.network),
        clock=ports.clock,
        look_ms=min(LOOK_MS_MAX, genesis.params.epoch_ms // LOOKS_AN_EPOCH),
    )


def _maker(identity: Identity, ports: Ports, ledger: Ledger) -> RoundMaker:
    network, clock = ports.network, ports.clock
    beacons = ports.beacons or HeardRounds(ledger.rounds, clock)
    return RoundMaker(
        seats=identity.seats,
        council=Council(node=identity.node, network=network),
        ledger=ledger,
        source=RoundSource(ledger, beacons, network, ports.entropy),
        topic=RoundTopic(ledger=ledger, network=network, clock=clock),
        clock=clock,
    )


def _sealer(identity: Identity, ports: Ports, ledger: Ledger, sync: SyncClient) -> Sealer:
    node = identity.node
    return Sealer(
        node=node,
        secret=identity.secret,
        seats=identity.seats,
        council=Council(node=node, network=ports.network),
        sampler=Sampler(node=node, ledger=ledger, sync=sync, clock=ports.clock),
        ledger=ledger,
        sync=sync,
        chain=ports.chain,
        store=ports.store,
        clock=ports.clock,
    )


LOCAL_HOST = "127.0.0.1"


def load_identity(config: NodeConfig) -> Identity:
    """Read a node's keys.

    Raises:
        KeyFileError: A key file is missing, not ours, or readable by others.
    """
    key = load_node_key(config.node_key)
    return Identity(
        node=key.node,
        secret=key.secret.reveal(),
        is_light=config.mode == "light",
        announced=config.announce,
    )


def _open_chain(config: NodeConfig, network: NetworkFile, account: bytes | None) -> Web3Chain:
    return Web3Chain(
        network.genesis, config.rpc, account_key=account, deploy_block=network.deploy_block
    )


def _account_key(config: NodeConfig) -> bytes | None:
    """Return the secret of the account that sends transactions, `None` if there is none.

    Raises:
        KeyFileError: Its file, or that of its password, cannot be used.
    """
    if config.account_key is None:
        return None
    key = load_account_key(config.account_key, password_path=config.account_password)
    return key.secret.reveal()


def _chain_views(config: NodeConfig, network: NetworkFile) -> dict[int, str]:
    """Return our own sights of chains: others' reports on them can then be told from inventions."""
    views = {network.genesis.chain_id: config.rpc[0]} if config.rpc else {}
    kind, _, chain_id = config.workload.partition(":")
    if kind == "ethereum" and config.workload_url:
        views[int(chain_id)] = config.workload_url
    return views


@asynccontextmanager
async def open_ports(
    config: NodeConfig, network: NetworkFile, identity: Identity
) -> AsyncIterator[Ports]:
    """Open the adapters that a configuration asks for, for the time of the context.

    Raises:
        StoreError: The data directory cannot be used, or another process uses it.
        ListenError: An address is taken or cannot be listened on.
        KeyFileError: The account's key file is not usable.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore.open(config.data_dir))
        client = await stack.enter_async_context(httpx.AsyncClient())
        account = _account_key(config)
        chain = stack.enter_context(closing(_open_chain(config, network, account)))
        host = urlsplit(config.workload_url).hostname or LOCAL_HOST
        rpc_url = config.workload_url or DEFAULT_RPC_URL
        workload = await stack.enter_async_context(
            aclosing(open_workload(config.workload, rpc_url=rpc_url, host=host))
        )
        # Half of the window at most, so that a slow view or service has its own word in time.
        probe_s = network.genesis.params.probe_window_ms / 2 / 1000
        examiner = await stack.enter_async_context(
            aclosing(WorkloadExaminer(_chain_views(config, network), probe_s_max=probe_s))
        )
        edge = await stack.enter_async_context(
            open_network(seed=identity.secret, listen=config.listen, clock=clock)
        )
        yield Ports(
            clock=clock,
            entropy=SystemEntropy(),
            beacons=DrandBeacons(network.genesis.beacon, config.beacons, client=client, clock=clock)
            if config.beacons
            else None,
            network=edge,
            chain=chain,
            store=store,
            workload=workload,
            examiner=examiner,
            board=stack.enter_context(_open_board(config, network.genesis, account)),
            safe=_open_safe(config, network.genesis, identity.node),
        )


@contextmanager
def _open_board(
    config: NodeConfig, genesis: Genesis, account: bytes | None
) -> Iterator[Web3Board | None]:
    """Open the council's bulletin board, if there is one, for who has an account to post with."""
    if account is None or not config.rpc or not any(genesis.council):
        yield None
        return
    board = Web3Board(
        config.rpc, chain_id=genesis.chain_id, contract=genesis.council, account_key=account
    )
    with closing(board):
        yield board


def _open_safe(config: NodeConfig, genesis: Genesis, node: NodeId) -> CouncilFiles | None:
    if not any(genesis.council):
        return None
    return CouncilFiles(
        directory=config.council_dir,
        node=node,
        chain_id=genesis.chain_id,
        board=genesis.council,
        password_path=config.council_password,
    )


async def run_node(config: NodeConfig) -> None:
    """Run a node until SIGINT or SIGTERM.

    Raises:
        ConfigError, KeyFileError, SafeError, StoreError, ListenError, ControlError: It could not
            start; the message says what to do.
    """
    network = read_network(config.network)
    identity = load_identity(config)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_ports(config, network, identity) as ports:
            if ports.safe is not None:
                await load_seats(ports.safe, identity.seats)
            node = build_node(network.genesis, identity, ports)
            commands = {
                "status": node.status,
                "peers": node.peers,
                "council": node.council_status,
            }
            async with trio.open_nursery() as nursery:
                await nursery.start(serve_control, config.control_socket, commands)
                await nursery.start(node.run)
                if config.beacon_listen:
                    await nursery.start(_serve_rounds, node, config.beacon_listen)
                log.info("node runs", node=identity.node.hex(), addresses=ports.network.addresses)
                async for _ in signals:
                    log.info("node stops")
                    nursery.cancel_scope.cancel()
                    break


async def _serve_rounds(
    node: Node, listen: str, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve the rounds we hold in drand's HTTP API: the council's own beacon if there are two.

    Raises:
        ListenError: The address is taken or not ours, or the API cannot tell of the beacon.
    """
    ledger, clock = node.ledger, node.ports.clock
    held = ledger.mixed or ledger.rounds
    book = LedgerRounds(ledger, held, clock)
    host, _, port = listen.rpartition(":")
    try:
        await serve_rounds(
            book,
            held.beacon,
            BEACON_NAME,
            host.strip("[]"),
            int(port),
            clock,
            task_status=task_status,
        )
    except (OSError, ValueError) as error:
        raise ListenError(f"cannot serve rounds on {listen}: {error}") from error
