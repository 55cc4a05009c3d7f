"""Sealed bids, kept until they are opened.

    bids/<deal>/<commitment>.json

Who cannot open a sealed bid loses its bond, and without price and salt nobody can. So a bid is on the
disk before its commitment can be sent: only the store makes a `SealedBid`, and no file is ever
replaced or deleted. A provider that changes its mind before it sends leaves another file; which of
them counts the chain says, by the commitment.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stkrp2p.adapters.keys import (
    KeyFileError,
    read_secret_file,
    sync_directory,
    write_secret_file,
)
from stkrp2p.core.draw import Auction, commitment_of
from stkrp2p.core.types import Digest, Operator

SALT_BYTES = 32

_DIRECTORY_MODE = 0o700


class BidUnreadable(Exception):
    """A kept bid cannot be read or written; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBid:
    """A bid that is on the disk, and may be sent."""

    auction: Auction
    provider: Operator
    registration: int
    """The provider's node that would serve."""

    price_wei: int
    """What it asks, in 10^-18 ANKR."""

    salt: bytes = field(repr=False)
    """32 bytes that nobody else knows."""

    @property
    def commitment(self) -> Digest:
        """What the market is told before the bid is opened, 32 bytes."""
        return commitment_of(
            self.auction,
            provider=self.provider,
            registration=self.registration,
            price=self.price_wei,
            salt=self.salt,
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    chain_id: int
    market: str
    deal: int
    provider: str
    registration: int
    price_wei: str
    salt: str


class BidStore:
    """The bids of one data directory."""

    def __init__(self, directory: Path) -> None:
        """Name the directory, such as `<data_dir>/bids`; it is made with the first bid."""
        self._directory = directory

    def seal(
        self, auction: Auction, *, provider: Operator, registration: int, price_wei: int
    ) -> SealedBid:
        """Return a bid with these terms, on the disk; the one that is there if there is one.

        Args:
            auction: Which auction it is for.
            provider: Who bids, 20 bytes.
            registration: The node that would serve.
            price_wei: In 10^-18 ANKR.

        Raises:
            BidUnreadable: The disk would not have it, or what is there is damaged.
        """
        terms = (auction, provider, registration, price_wei)
        for kept in self.of_auction(auction):
            if (kept.auction, kept.provider, kept.registration, kept.price_wei) == terms:
                return kept
        bid = SealedBid(
            auction=auction,
            provider=provider,
            registration=registration,
            price_wei=price_wei,
            salt=secrets.token_bytes(SALT_BYTES),
        )
        self._write(bid)
        return bid

    def find(self, auction: Auction, commitment: bytes) -> SealedBid | None:
        """Return the bid with this commitment; `None` if it is not here.

        Raises:
            BidUnreadable: It is here, and damaged.
        """
        path = self._path(auction, commitment)
        return self._read(path) if path.exists() else None

    def of_auction(self, auction: Auction) -> tuple[SealedBid, ...]:
        """Return all bids kept for an auction, sent or not, in the order of their commitments.

        Raises:
            BidUnreadable: One is damaged.
        """
        paths = sorted(self._folder(auction).glob("*.json"))
        return tuple(bid for path in paths if (bid := self._read(path)).auction == auction)

    def deals(self) -> tuple[int, ...]:
        """Return the numbers of all deals that a bid is kept for, in order."""
        names = [path.name for path in self._directory.glob("*") if path.is_dir()]
        return tuple(sorted(int(name) for name in names if name.isdecimal()))

    def _folder(self, auction: Auction) -> Path:
        return self._directory / str(auction.deal)

    def _path(self, auction: Auction, commitment: bytes) -> Path:
        return self._folder(auction) / f"{commitment.hex()}.json"

    def _write(self, bid: SealedBid) -> None:
        folder = self._folder(bid.auction)
        try:
            folder.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            sync_directory(folder.parent)
            write_secret_file(self._path(bid.auction, bid.commitment), _encoded(bid))
        except OSError as error:
            raise BidUnreadable(f"cannot keep a bid in {folder}: {error.strerror}") from error
        except KeyFileError as error:
            raise BidUnreadable(str(error)) from error

    def _read(self, path: Path) -> SealedBid:
        try:
            bid = _decoded(read_secret_file(path))
        except KeyFileError as error:
            raise BidUnreadable(str(error)) from error
        except (ValueError, msgspec.MsgspecError) as error:
            raise BidUnreadable(f"{path} holds no bid: {error}") from error
        if path.stem != bid.commitment.hex():
            raise BidUnreadable(f"{path} holds another bid than its name says: it was changed")
        return bid


def _encoded(bid: SealedBid) -> bytes:
    file = _File(
        chain_id=bid.auction.chain_id,
        market=bid.auction.market.hex(),
        deal=bid.auction.deal,
        provider=bid.provider.hex(),
        registration=bid.registration,
        price_wei=str(bid.price_wei),
        salt=bid.salt.hex(),
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def _decoded(content: bytes) -> SealedBid:
    file = msgspec.json.decode(content, type=_File)
    return SealedBid(
        auction=Auction(
            chain_id=file.chain_id, market=Operator(bytes.fromhex(file.market)), deal=file.deal
        ),
        provider=Operator(bytes.fromhex(file.provider)),
        registration=file.registration,
        price_wei=int(file.price_wei),
        salt=bytes.fromhex(file.salt),
    )
