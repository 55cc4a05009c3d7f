"""The contract `Market`: quotes, auctions, sealed bids and draws (R32, R47-R51)."""

from __future__ import annotations

from dataclasses import astuple

from stkrp2p.adapters.bids import SealedBid
from stkrp2p.adapters.chain.rule.actions import Action, Money
from stkrp2p.adapters.chain.rule.auctions import (
    AuctionRecord,
    BidRecord,
    BidState,
    Drawn,
    Entry,
    Opened,
    Quote,
    Request,
    Shortlist,
    Stage,
)
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.adapters.chain.rule.proofs import ProvedScore
from stkrp2p.core import bls
from stkrp2p.core.economics import Resources

CONTRACT = "Market"


class Market:
    """Reads auctions; prepares what requesters, bidders and anybody do with them.

    Each preparing call raises `Rejected` if the contract would not have it and `ChainUnavailable` if
    no endpoint could tell; each reading call raises `ChainUnavailable`.
    """

    def __init__(self, party: Party) -> None:
        """Deal with the market as a party."""
        self._party = party

    # Reading.

    async def quote(self, *, project_type: int, need: Resources, length_s: int) -> Quote:
        """Return what a project would cost and bring; `Rejected` if it cannot be had."""
        arguments = (project_type, astuple(need), length_s)
        return await self._party.read(CONTRACT, "quote", *arguments, shape=Quote)

    async def latest(self) -> int:
        """Return the number of the latest auction; 0 before the first."""
        return await self._party.read(CONTRACT, "deals", shape=int)

    async def auction(self, deal: int) -> AuctionRecord:
        """Return an auction; its stage is `NONE` if there is none of this number."""
        return await self._party.read(CONTRACT, "auctionOf", deal, shape=AuctionRecord)

    async def bid(self, deal: int, provider: bytes) -> BidRecord:
        """Return a provider's bid; its state is `NONE` if there is none."""
        return await self._party.read(CONTRACT, "bidOf", deal, provider, shape=BidRecord)

    async def entries(self, deal: int) -> tuple[Entry, ...]:
        """Return the lowest opened bids, by price and then by who opened first."""
        return await self._party.read(CONTRACT, "entriesOf", deal, shape=tuple[Entry, ...])

    async def shortlist(self, deal: int) -> Shortlist:
        """Return the bids that are in the draw, and their weights."""
        return await self._party.read(CONTRACT, "shortlistOf", deal, shape=Shortlist)

    async def owed(self, account: bytes) -> int:
        """Return what an account can collect, in 10^-18 ANKR."""
        return await self._party.read(CONTRACT, "ankrOf", account, shape=int)

    async def opened_by(self, requester: bytes) -> tuple[Opened, ...]:
        """Return all auctions that an account opened, the oldest first."""
        return await self._party.events(CONTRACT, "Opened", shape=Opened, requester=requester)

    async def drawn(self, deal: int) -> Drawn | None:
        """Return by which round an auction was drawn; `None` if it was not."""
        found = await self._party.events(CONTRACT, "Drawn", shape=Drawn, deal=deal)
        return found[-1] if found else None

    # What requesters do.

    async def open(self, request: Request, *, fp_wei_max: int) -> Action:
        """Prepare to open an auction, which takes the fixed price (R40, R43, R49).

        It is done if an auction of ours for the very same is open: to open another one, let that end.

        Args:
            request: What is asked for.
            fp_wei_max: The most to pay, in 10^-18 ANKR.
        """
        quote = await self.quote(
            project_type=request.project_type, need=request.need, length_s=request.length_s
        )
        deal = await self._same(request)
        return await self._party.prepare(
            CONTRACT,
            "open",
            astuple(request),
            fp_wei_max,
            does=f"open an auction for a project of type {request.project_type}",
            done="" if deal is None else f"deal {deal} is open for the same project",
            ankr_wei=min(quote.fp_wei, fp_wei_max),
        )

    async def choose(self, deal: int, provider: bytes) -> Action:
        """Prepare to choose a provider of the shortlist, where the auction's rule lets us."""
        return await self._end("choose", deal, provider, does=f"choose a provider for deal {deal}")

    async def close(self, deal: int) -> Action:
        """Prepare to end an auction that can come to nothing any more; the price comes back."""
        return await self._end("close", deal, does=f"close deal {deal} and refund it")

    # What bidders do.

    async def commit(self, bid: SealedBid) -> Action:
        """Prepare to seal a bid, which takes the bond; it is on the disk already."""
        deal = bid.auction.deal
        known = await self.bid(deal, await self._party.account())
        auction = await self.auction(deal)
        return await self._party.prepare(
            CONTRACT,
            "commit",
            deal,
            bid.commitment,
            does=f"seal a bid for deal {deal}",
            done="this bid is sealed" if known.commitment == bid.commitment else "",
            ankr_wei=auction.bond_wei,
        )

    async def reveal(self, bid: SealedBid, score: ProvedScore) -> Action:
        """Prepare to open a sealed bid, with the node's score of the auction's epoch."""
        deal = bid.auction.deal
        known = await self.bid(deal, await self._party.account())
        is_open = known.commitment == bid.commitment and known.state > BidState.COMMITTED
        return await self._party.prepare(
            CONTRACT,
            "reveal",
            deal,
            bid.registration,
            bid.price_wei,
            bid.salt,
            score.fields(),
            does=f"open the bid for deal {deal}",
            done="the bid was opened" if is_open else "",
        )

    async def reclaim(self, deal: int) -> Action:
        """Prepare to get the bond of an opened bid back, once the auction is over."""
        known = await self.bid(deal, await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "reclaim",
            deal,
            does=f"get the bond for deal {deal} back",
            done="the bond came back" if known.state == BidState.RELEASED else "",
            gets=Money(ankr_wei=(await self.auction(deal)).bond_wei),
        )

    # What anybody does.

    async def draw(self, deal: int, signature: bytes) -> Action:
        """Prepare to draw the provider by the beacon's round that the auction names.

        Args:
            deal: The auction.
            signature: The round's, compressed (48 bytes).

        Raises:
            ValueError: The signature is no point.
        """
        point = bls.g1_uncompressed(signature)
        return await self._end("draw", deal, point, does=f"draw the provider of deal {deal}")

    async def flush(self, deal: int) -> Action:
        """Prepare to hand the lost bonds of an auction to the insurance."""
        auction = await self.auction(deal)
        return await self._party.prepare(
            CONTRACT,
            "flush",
            deal,
            does=f"hand the lost bonds of deal {deal} to the insurance",
            done="the insurance has them" if auction.is_flushed else "",
        )

    async def collect(self) -> Action:
        """Prepare to collect what the market owes us."""
        owed = await self.owed(await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "collect",
            does="collect what the market owes the account",
            done="" if owed else "the market owes the account nothing",
            gets=Money(ankr_wei=owed),
        )

    async def _same(self, request: Request) -> int | None:
        """Return our open auction for the same; `None` if there is none."""
        opened = await self.opened_by(await self._party.account())
        for each in reversed([o for o in opened if o.score_epoch == request.score_epoch]):
            auction = await self.auction(each.deal)
            if auction.stage is Stage.OPEN and auction.request == request:
                return each.deal
        return None

    async def _end(self, function: str, deal: int, *more: object, does: str) -> Action:
        stage = (await self.auction(deal)).stage
        is_over = stage in {Stage.ASSIGNED, Stage.CLOSED}
        return await self._party.prepare(
            CONTRACT,
            function,
            deal,
            *more,
            does=does,
            done=f"deal {deal} is {stage.name.lower()}" if is_over else "",
        )
