"""What the contract `Market` knows of an auction, as records (R32, R47-R51)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from stkrp2p.core.draw import Rule
from stkrp2p.core.economics import Resources
from stkrp2p.core.types import Epoch, Operator


class Stage(IntEnum):
    """How far an auction has come; the numbers are the contract's."""

    NONE = 0
    OPEN = 1
    ASSIGNED = 2
    CLOSED = 3


class BidState(IntEnum):
    """What became of a bid and its bond; the numbers are the contract's."""

    NONE = 0
    COMMITTED = 1
    """Sealed; the bond is lost unless the bid is opened in time."""

    REVEALED = 2
    """Opened; the bond comes back when the auction is over."""

    RELEASED = 3
    """The bond came back, or went with the deal."""

    FORFEITED = 4
    """The bond is lost: the provider was drawn and could not serve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a requester asks for."""

    project_type: int
    """The policy's number of it."""

    length_s: int
    """How long it shall run, in seconds."""

    need: Resources
    score_epoch: Epoch
    """The latest final epoch: bidders prove their scores in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a project costs and is expected to bring (R47)."""

    fp_wei: int
    """The fixed price, in 10^-18 ANKR."""

    eth_stake_wei: int
    """What requester and provider stake together."""

    expected_profit_wei: int
    """In wei, over the whole length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionRecord:
    """An auction; times are Unix seconds, amounts as in `IMarket.Auction`."""

    requester: Operator
    stage: Stage
    rule: Rule
    shortlist: int
    """How many of the lowest bids are in the draw."""

    draw_round: int
    """The beacon's round that draws."""

    commit_until_s: int
    reveal_until_s: int
    choose_until_s: int
    draw_until_s: int
    score_epoch: Epoch
    fp_wei: int
    bond_wei: int
    eth_stake_wei: int
    expected_profit_wei: int
    length_s: int
    project_type: int
    reliability_ppm_min: int
    uptime_ppm_min: int
    need: Resources
    failures_max: int
    committed: int
    revealed: int
    is_flushed: bool

    @property
    def request(self) -> Request:
        """What was asked for."""
        return Request(
            project_type=self.project_type,
            length_s=self.length_s,
            need=self.need,
            score_epoch=self.score_epoch,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BidRecord:
    """A provider's bid as the market knows it."""

    commitment: bytes
    state: BidState


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An opened bid, with all that the draw depends on."""

    provider: Operator
    registration: int
    reliability_ppm: int
    uptime_ppm: int
    price_wei: int
    stake_wei: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortlist:
    """The bids that are in the draw, in market order, and their weights."""

    entries: tuple[Entry, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An auction that a requester opened."""

    deal: int
    fp_wei: int
    score_epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The beacon's round that drew."""

    round: int
    randomness: bytes
