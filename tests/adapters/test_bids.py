"""A sealed bid is on the disk before it can be sent, and nothing that happens later loses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from stkrp2p.adapters.bids import BidStore, BidUnreadable
from stkrp2p.core.draw import Auction
from stkrp2p.core.types import Operator

AUCTION = Auction(chain_id=31_337, market=Operator(b"\1" * 20), deal=7)
ERIN = Operator(b"\2" * 20)
PRICE = 10**18

SEAL_AND_DIE = """
import os, signal, sys
from pathlib import Path
from stkrp2p.adapters.bids import BidStore
from stkrp2p.core.draw import Auction

auction = Auction(chain_id=31_337, market=bytes([1]) * 20, deal=7)
bid = BidStore(Path(sys.argv[1])).seal(auction, provider=bytes([2]) * 20, registration=3,
                                       price_wei=10**18)
print(bid.commitment.hex(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def store(tmp_path: Path) -> BidStore:
    return BidStore(tmp_path / "bids")


def seal(store: BidStore, *, price_wei: int = PRICE, auction: Auction = AUCTION):
    return store.seal(auction, provider=ERIN, registration=3, price_wei=price_wei)


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_a_bid_is_kept_by_its_commitment_for_its_owner_alone(
    store: BidStore, tmp_path: Path
) -> None:
    bid = seal(store)
    [path] = files(tmp_path)
    assert path.relative_to(tmp_path).as_posix() == f"bids/7/{bid.commitment.hex()}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert store.find(AUCTION, bid.commitment) == bid


def test_the_same_bid_again_has_the_same_salt(store: BidStore, tmp_path: Path) -> None:
    assert seal(store) == seal(store)
    assert len(files(tmp_path)) == 1


def test_another_price_is_another_bid_and_takes_nothing_from_the_first(store: BidStore) -> None:
    first, second = seal(store), seal(store, price_wei=PRICE + 1)
    assert first.salt != second.salt
    assert {bid.price_wei for bid in store.of_auction(AUCTION)} == {PRICE, PRICE + 1}
    assert store.find(AUCTION, first.commitment) == first


def test_bids_of_other_markets_and_chains_are_told_apart(store: BidStore) -> None:
    elsewhere = Auction(chain_id=1, market=AUCTION.market, deal=AUCTION.deal)
    ours, theirs = seal(store), seal(store, auction=elsewhere)
    assert ours.commitment != theirs.commitment
    assert store.of_auction(AUCTION) == (ours,)
    assert store.of_auction(elsewhere) == (theirs,)


def test_a_process_killed_between_recording_and_sending_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "bids"
    ran = subprocess.run(
        [sys.executable, "-c", SEAL_AND_DIE, folder],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    told = bytes.fromhex(ran.stdout.strip())
    survivor = BidStore(folder)
    kept = survivor.find(AUCTION, told)
    assert kept is not None
    assert kept.commitment == told
    assert seal(survivor) == kept


def test_what_was_half_written_is_no_bid(store: BidStore, tmp_path: Path) -> None:
    bid = seal(store)
    [path] = files(tmp_path)
    (path.parent / f".{path.name}.0123").write_bytes(path.read_bytes()[:40])
    assert store.of_auction(AUCTION) == (bid,)
    assert seal(store) == bid


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"price_wei": str(PRICE - 1)}, "holds another bid than its name says"),
        ({"salt": "00" * 32}, "holds another bid than its name says"),
        ({"salt": "zz"}, "holds no bid"),
        ({"price_wei": "cheap"}, "holds no bid"),
        ({"more": 1}, "holds no bid"),
    ],
)
def test_a_changed_bid_is_refused_rather_than_sent(
    store: BidStore, tmp_path: Path, change: dict[str, object], why: str
) -> None:
    bid = seal(store)
    [path] = files(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    for look in (lambda: store.find(AUCTION, bid.commitment), lambda: seal(store)):
        with pytest.raises(BidUnreadable, match=why):
            look()


def test_a_bid_that_others_may_read_is_refused(store: BidStore, tmp_path: Path) -> None:
    bid = seal(store)
    [path] = files(tmp_path)
    path.chmod(0o644)
    with pytest.raises(BidUnreadable, match="run: chmod 600"):
        store.find(AUCTION, bid.commitment)


def test_a_bid_that_cannot_be_kept_is_not_sealed(tmp_path: Path) -> None:
    (tmp_path / "bids").write_text("a file")
    with pytest.raises(BidUnreadable, match="cannot keep a bid in"):
        seal(BidStore(tmp_path / "bids"))


def test_the_salt_is_in_no_text_of_a_bid(store: BidStore) -> None:
    bid = seal(store)
    assert bid.salt.hex() not in repr(bid)
    assert repr(bid.salt) not in repr(bid)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    registration=st.integers(0, 2**64 - 1),
    price_wei=st.integers(0, 2**112 - 1),
    provider=st.binary(min_size=20, max_size=20),
    deal=st.integers(1, 2**64 - 1),
)
def test_a_store_gives_back_what_it_was_given(
    tmp_path: Path, registration: int, price_wei: int, provider: bytes, deal: int
) -> None:
    auction = Auction(chain_id=1, market=AUCTION.market, deal=deal)
    store = BidStore(tmp_path / "bids")
    bid = store.seal(
        auction, provider=Operator(provider), registration=registration, price_wei=price_wei
    )
    assert store.find(auction, bid.commitment) == bid
