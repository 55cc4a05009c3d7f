"""What the services need of the world, as small protocols; adapters implement them.

No port has a method that no service calls. Every call that leaves the process may fail with the
errors named here and with nothing else, so a service can answer each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import NamedTuple, Protocol, Self

from stkrp2p.core.anchor import Header, Proposal, SealedAnchor
from stkrp2p.core.batch import Batch
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.challenge import Receipt
from stkrp2p.core.crypto import Secret
from stkrp2p.core.fraud import Challenge
from stkrp2p.core.group import GovernorShare, Group
from stkrp2p.core.roster import Registration
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Judgement, NodeId, Outcome, Round, UnixMs

Handler = Callable[[NodeId, bytes], Awaitable[bytes]]
"""Answers one question frame of an authenticated peer with one answer frame."""

Judge = Callable[[NodeId, bytes], Judgement]
"""Judges one gossiped message (forwarder, data); quick, pure of I/O, and never raises."""


class Unreachable(Exception):
    """A peer gave no (whole) answer in time: not connected, refused, reset, or too slow."""


class WallClock(Protocol):
    """The machine's idea of what time it is; asked only for "which round is due"."""

    def unix_ms(self) -> UnixMs: ...


class Entropy(Protocol):
    """Randomness for jitter and peer choice; never for anything signed or scored."""

    def below(self, limit: int) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """One peer as the network edge sees it now."""

    node: NodeId
    address: str
    """The multiaddr in use."""

    is_inbound: bool
    latency_ms: int | None
    """Of the last liveness probe; `None` before the first."""

    connected_s: int


class Network(Protocol):
    """The libp2p edge: authenticated peers, gossip, and one-question streams.

    Peers are known by node id; the edge finds them through `set_addresses` and keeps connections
    up by itself. Callers never see a library's exception.
    """

    @property
    def node(self) -> NodeId:
        """Our own id."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The multiaddrs we listen on, without `/p2p/…`."""

    def set_addresses(self, book: Mapping[NodeId, Sequence[str]]) -> None:
        """Replace the address book: whom to stay connected with, and where they may be found."""

    def learn_addresses(self, node: NodeId, addresses: Sequence[str]) -> None:
        """Add addresses for one peer that another source (a signed record) named."""

    def join_topic(self, topic: str, judge: Judge) -> None:
        """Take part in a topic; `judge` decides on every message before it is passed on.

        ACCEPT passes it on, IGNORE drops it, REJECT drops it and counts against the forwarder.
        """

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip one message of our own; returns when it is queued for the mesh.

        Raises:
            ValueError: `data` is larger than the topic's cap.
        """

    def serve(self, protocol: str, handler: Handler, *, answer_bytes_max: int) -> None:
        """Answer `protocol`'s questions. An exception in the handler closes that stream only."""

    async def ask(
        self,
        node: NodeId,
        protocol: str,
        question: bytes,
        *,
        timeout_ms: int,
        answer_bytes_max: int,
    ) -> bytes:
        """Send one question on a stream of its own and return the answer.

        Raises:
            Unreachable: No whole answer within `timeout_ms`, whatever the reason.
        """

    def peers(self) -> tuple[PeerStatus, ...]:
        """The peers connected now, sorted by node id."""

    def ban(self, node: NodeId) -> None:
        """Drop the peer's connections and refuse new ones until restart."""

    def counters(self) -> Mapping[str, int]:
        """Counts of everything dropped or refused, by reason; nothing is dropped uncounted."""


class BeaconUnavailable(Exception):
    """No source gave the round: not due yet, endpoints down, or answers that make no sense."""


class Beacons(Protocol):
    """Sources of beacon rounds. What they give is unchecked: the caller verifies it."""

    async def fetch(self, number: Round) -> bytes:
        """Return a round's signature (48 bytes), waiting a little for one that is just due.

        Raises:
            BeaconUnavailable: After all endpoints were tried.
        """


class ChainState(StrEnum):
    """How the node stands with its Ethereum endpoint."""

    OK = auto()
    CONNECTING = auto()
    DOWN = auto()
    """Refused, hanging or answering nonsense; audits and gossip go on."""

    WRONG_CHAIN = auto()
    """Another chain id, or no contracts at the addresses: nothing is read or sent."""

    OFF = auto()
    """No endpoint is configured."""


class ChainUnavailable(Exception):
    """The endpoint is down, hanging, on the wrong chain, or answered nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySnapshot:
    """The registry as of one finalised block."""

    registrations: tuple[Registration, ...]
    block: int
    """Number of that block."""

    block_ms: UnixMs
    """Its timestamp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorRecord:
    """One anchored epoch, as the chain tells it now; a reorganisation may take it back."""

    header: Header
    block: int
    is_final: bool
    transaction: str
    """Hash, 0x-hex."""


class Chain(Protocol):
    """The contracts, through one or more Ethereum JSON-RPC endpoints.

    Every method may raise `ChainUnavailable` and nothing else, within its own time-out.
    """

    @property
    def state(self) -> ChainState:
        """How the endpoint was at the last call."""

    @property
    def detail(self) -> str:
        """One line for people on `state`."""

    async def registry(self) -> RegistrySnapshot:
        """Return the registry as of the last finalised block."""

    @property
    def voids(self) -> int:
        """How often the contract had voided an anchor, as of the last `anchors`."""

    async def anchors(self, first: Epoch) -> tuple[AnchorRecord, ...]:
        """Return the anchored epochs from `first` on, in order, at most `ANCHORS_MAX`."""

    async def submit_anchor(self, header: Header, signature: bytes) -> None:
        """Send the next epoch's anchor unless it is anchored or waiting already.

        Args:
            header: The epoch's roots; its epoch must be the next one.
            signature: The council's, compressed (48 bytes).
        """

    async def challenge(self, challenge: Challenge) -> str:
        """Show the contract that an anchored score is wrong; return the transaction's hash.

        The deposit comes back, with a reward, if it is; it is lost if the score is right.
        """

    async def is_score_proved(self, header: Header, score: Score, proof: Sequence[bytes]) -> bool:
        """Ask the contract whether the score stands in the anchored root."""


ANCHORS_MAX = 256
"""Most anchors one call of `Chain.anchors` returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What we saw of one target in one round, with the receipt if there was an answer."""

    round: Round
    target: NodeId
    outcome: Outcome
    latency_ms: int
    receipt: Receipt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEpoch:
    """An epoch whose roots we know."""

    header: Header
    proposal: Proposal | None
    signature: bytes | None
    """The council's, once we have seen it."""

    voids: int = 0
    """How often the contract had voided an anchor when the council signed."""

    is_anchored: bool

    @classmethod
    def of(cls, sealed: SealedAnchor, *, is_anchored: bool) -> Self:
        """Return what is stored of an epoch that the council sealed."""
        return cls(
            header=sealed.header,
            proposal=sealed.proposal,
            signature=sealed.signature,
            voids=sealed.voids,
            is_anchored=is_anchored,
        )

    def sealed(self) -> SealedAnchor | None:
        """Return what the council sealed, `None` unless both proposal and signature are known."""
        if self.proposal is None or self.signature is None:
            return None
        return SealedAnchor(
            header=self.header,
            proposal=self.proposal,
            voids=self.voids,
            signature=self.signature,
        )


class History(Protocol):
    """The reading half of a store: what replaying a past epoch needs."""

    async def batches(self, epoch: Epoch) -> tuple[Batch, ...]:
        """Return all stored batches of an epoch; more than two of one auditor are possible."""

    async def rounds(self, first: Round, last: Round) -> tuple[BeaconRound, ...]: ...

    async def mixed_rounds(self, first: Round, last: Round) -> tuple[BeaconRound, ...]:
        """Return what `rounds` does, of the second beacon."""

    async def registry(self) -> RegistrySnapshot | None: ...

    async def epoch(self, epoch: Epoch) -> StoredEpoch | None: ...

    async def scores(self, epoch: Epoch) -> tuple[Score, ...]: ...

    async def contested(self, epoch: Epoch) -> tuple[StoredEpoch, tuple[Score, ...]] | None:
        """Return an epoch as it was anchored although it does not follow, with its table."""

    async def contests(self) -> tuple[Epoch, ...]:
        """Return the epochs that are, or were, contested, in order."""


class NoSpace(Exception):
    """The store's disk takes no more: full, read-only, over quota.

    What was stored stays readable, and writing works again once there is space.
    """


class Store(History, Protocol):
    """What must survive the process. Writes return once they are on disk as promised.

    Each write may raise `NoSpace`, which the node outlives; whatever else a store raises ends it.
    """

    async def record_own_batch(self, batch: Batch) -> Batch:
        """Record our batch of an epoch before anybody sees it, durably against power loss.

        Returns:
            The batch recorded first for that epoch: whoever calls publishes that one and no other.
        """

    async def own_batch(self, epoch: Epoch) -> Batch | None: ...

    async def record_vote(self, slot: int, voids: int, header: Header) -> Header:
        """Record, durably, the header we are about to vote for.

        Returns:
            The header recorded first for its epoch in that slot, with so many voids: a governor
            votes once in a slot, and for that one.
        """

    async def put_observations(self, observations: Sequence[Observation]) -> None: ...

    async def observations(self, first: Round, last: Round) -> tuple[Observation, ...]:
        """Return our observations of rounds `first` to `last`, in order of round and target."""

    async def put_batches(self, epoch: Epoch, batches: Sequence[Batch]) -> None: ...

    async def put_rounds(self, rounds: Sequence[BeaconRound]) -> None: ...

    async def put_mixed_rounds(self, rounds: Sequence[BeaconRound]) -> None:
        """Keep rounds of the second beacon."""

    async def put_registry(self, snapshot: RegistrySnapshot) -> None: ...

    async def put_epoch(self, epoch: StoredEpoch, scores: Sequence[Score]) -> None:
        """Keep an epoch's roots and score table (empty for light nodes) for good.

        Replaces, but nothing that is anchored by what is not.
        """

    async def put_contested(self, epoch: StoredEpoch, scores: Sequence[Score]) -> None:
        """Keep an anchored epoch that does not follow from its evidence, with its table; replaces."""

    async def take_back(self, first: Epoch) -> None:
        """Forget the roots and tables of an epoch and all later ones: they stand no more."""

    async def last_anchored(self) -> Epoch | None: ...

    async def prune(self, before: Epoch, before_round: Round, before_mixed: Round) -> None:
        """Forget batches, observations and rounds of older epochs; roots and tables stay.

        Args:
            before: Batches of earlier epochs are forgotten.
            before_round: Observations and rounds of lower numbers are.
            before_mixed: The second beacon's rounds of lower numbers are.
        """


class WorkloadError(Exception):
    """The blockchain node or service behind us cannot answer now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadHealth:
    """What a workload says of itself."""

    is_ready: bool
    detail: str
    """One line for people: version and head, or what is wrong."""


class Workload(Protocol):
    """The blockchain node (or service) one sidecar looks after (R10, R64, R70)."""

    @property
    def descriptor(self) -> str:
        """What the registry says of it, such as `ethereum:31337`, `http:8080/health`, `none`."""

    async def health(self) -> WorkloadHealth: ...

    async def answer(self, challenge: bytes) -> bytes:
        """Return the report only a working node can give for this 32-byte challenge.

        Raises:
            WorkloadError: The node behind us cannot answer.
        """


CANNOT_EXAMINE = frozenset({"unknown-workload", "bad-host"})
"""Faults of the examination and not of the report; they blame nobody."""


class Examiner(Protocol):
    """Checks other nodes' reports, by the workload their registration names."""

    async def fault(
        self, *, descriptor: str, host: str, challenge: bytes, report: bytes, now_ms: UnixMs
    ) -> str:
        """Return one word that says what is wrong with a report, "" if it is right.

        Args:
            descriptor: The target's workload, from its registration.
            host: The IP address the target is connected from; the only one ever probed.
            challenge: 32 bytes.
            report: What the target answered.
            now_ms: Wall clock, for "a head no older than …".
        """


class Phase(StrEnum):
    """How far a session on the council's bulletin board has come, by the newest block's time."""

    DEAL = auto()
    """Dealers post the hashes of their deals."""

    RESPOND = auto()
    """Receivers say which dealers they complain about."""

    JUSTIFY = auto()
    """Dealers reveal the shares complained about; left out if there are none to reveal."""

    CONFIRM = auto()
    """Receivers name the group they come to."""

    CONFIRMED = auto()
    """A threshold of the receivers came to the same group: they are the council now."""

    FAILED = auto()
    """Too few deals, or too few confirmations of one group, in time."""

    SUPERSEDED = auto()
    """The council opened another session meanwhile."""


class Governor(NamedTuple):
    """One seat in a list of the council; its place in the list is the governor's index."""

    account: bytes
    """Ethereum address that posts for it, 20 bytes."""

    node: NodeId


class Justification(NamedTuple):
    """A share that its dealer revealed, because the receiver complained."""

    dealer: int
    receiver: int
    """Places in the lists of dealers and receivers."""

    shares: bytes
    """32 bytes a purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSession:
    """One session, as the newest block has it; a reorganisation may take the last posts back."""

    number: int
    """Counted from 1."""

    is_reshare: bool
    """Whether the sitting council deals its key anew; else the key is a fresh one."""

    phase: Phase
    phase_ends_ms: UnixMs | None
    """When the phase ends at the latest; `None` if the session is over."""

    opened_ms: UnixMs
    dealers: tuple[Governor, ...]
    receivers: tuple[Governor, ...]
    dealers_threshold: int
    receivers_threshold: int
    deals: tuple[bytes | None, ...]
    """Hash of each dealer's deal, `None` if it posted none."""

    complaints: tuple[int | None, ...]
    """Each receiver's complaints, bit i against dealer i; `None` if it did not respond."""

    justifications: tuple[Justification, ...]
    """In the order they were posted."""

    confirmations: tuple[bytes | None, ...]
    """The group's hash that each receiver named, `None` if it named none."""

    group_hash: bytes | None
    """The group that was confirmed."""

    starts_ms: UnixMs | None
    """Rounds due from then on take the new shares; `None` unless confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SittingCouncil:
    """Who governs now, as the newest block has it."""

    session: int
    """The session that seated it; 0 is the council as deployed, which has no key yet."""

    governors: tuple[Governor, ...]
    group_hash: bytes | None
    """`None` if there is no key yet."""

    starts_ms: UnixMs | None
    """Rounds due from then on take its shares; `None` if there is no key yet."""


class Board(Protocol):
    """The council's bulletin board: what governors tell each other on chain to make their keys.

    Every method may raise `ChainUnavailable` (or its `Rejected`, which names the board's rule) and
    nothing else. Posts return once they are in a block. Each may be repeated: what stands on the
    board, or waits in the pool, is not posted again.
    """

    async def account(self) -> bytes:
        """Return the address we post from, 20 bytes."""

    async def session(self) -> BoardSession | None:
        """Return the latest session; `None` before the first."""

    async def sitting(self) -> SittingCouncil: ...

    async def support(self, session: int, governors: Sequence[Governor]) -> None:
        """Ask for the next session, with these as receivers; a threshold of those who sit open it.

        It supersedes the one under way. If it is open already with these receivers, that is as good.
        """

    async def post_deal(self, session: int, deal_hash: bytes) -> None: ...

    async def respond(self, session: int, complaints: int) -> None:
        """Say that we hold our shares of all deals but those whose bits are set in `complaints`."""

    async def justify(self, session: int, receiver: int, shares: bytes) -> None:
        """Reveal the shares we dealt to a receiver that complained, 32 bytes a purpose."""

    async def confirm(self, session: int, group_hash: bytes) -> None: ...


class SafeError(Exception):
    """A governor's secrets could not be written, read or opened; the message names file and reason."""


class KeptGroup(NamedTuple):
    """A group that a session made, as we keep it."""

    group: Group
    share: GovernorShare | None
    """Ours; `None` if we hold none, or it was deleted because a later group took over."""

    starts_ms: UnixMs | None
    """From when its shares sign; `None` as long as the board has not confirmed it."""


class Safe(Protocol):
    """What a governor must not lose of the council's ceremonies, by session; secrets are encrypted.

    Writes return once they are on the disk. Every method may raise `SafeError` and nothing else; what
    was to be done then can be tried again.
    """

    async def seed(self, session: int) -> Secret:
        """Return the seed of our deal; it is drawn, and kept, if there was none."""

    async def deals(self, session: int) -> Mapping[int, bytes]:
        """Return the encoded deals that we keep, by dealer."""

    async def put_deal(self, session: int, dealer: int, body: bytes) -> None:
        """Keep an encoded deal; replaces another one of that dealer."""

    async def put_group(self, group: Group, share: GovernorShare | None) -> None:
        """Keep what a session made; replaces another group of that session, its share included."""

    async def put_start(self, session: int, starts_ms: UnixMs) -> None:
        """Note from when a kept group's shares sign; replaces."""

    async def groups(self) -> tuple[KeptGroup, ...]:
        """Return the kept groups in the order of their sessions, the newest `KEPT_GROUPS_MAX`."""

    async def forget(self, before: int) -> None:
        """Delete the seeds, shares and deals of the sessions before one."""


KEPT_GROUPS_MAX = 4
"""Most groups that `Safe.groups` returns, and that a node has in mind: the one in force, and those that
several sessions confirmed while none of them has started."""
