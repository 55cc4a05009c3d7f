"""What the chain charges: whole transactions on a real anvil, from the package's artifacts.

Gas is exact and the same on every machine. The limit is what the gas schedule itself takes for the
least that must happen: a transaction with these bytes, and the precompiles that check one BLS
signature (EIP-2537); for an anchor one fresh storage slot and the slot of the next epoch, and for a
proof of an assignment the hashes that lead to each member's place and up its proof.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stkrp2p.adapters.chain.challenges import challenge_fields, header_fields
from stkrp2p.core.merkle import Tree, words_in
from stkrp2p.core.params import MAINNET
from testnet.bench.assignment_gas import Cost, costs, rosters
from testnet.bench.figures import Figure, Report
from testnet.contracts import (
    Chain,
    deploy_anchors,
    header_of,
    running_chain,
    score_of,
)
from testnet.frauds import large_epoch

if TYPE_CHECKING:
    from hexbytes import HexBytes
    from web3.contract.contract import ContractFunction

ANCHOR_GAS_MAX = 200_000
ROUND_GAS_MAX = 175_000
SCORE_GAS_MAX = 60_000
CHALLENGE_GAS_MAX = 400_000
MEMBERS = 10_000

TRANSACTION_GAS = 21_000
DATA_GAS_ZERO = 4
DATA_GAS_OTHER = 16
FLOOR_GAS_ZERO = 10
"""EIP-7623: what a byte of calldata costs at the least; other bytes four times as much."""

FLOOR_GAS_OTHER = 40
PAIRINGS_GAS = 37_700 + 2 * 32_600
"""Two pairings: the signature against the generator, the message against the key."""

HASH_TO_CURVE_GAS = 2 * 5_500 + 375
"""Two field elements mapped to the curve, and their sum."""

STORE_GAS_FRESH = 22_100
STORE_GAS_CHANGED = 5_000
CHALLENGE_SLOTS = 4
"""Slots that a void changes: the contract's next epoch, voids and pool in one, and the balances of
contract, challenger and sink."""

GOVERNOR, WATCHER = 1, 5
"""Accounts of who bonds and who challenges."""

BOND = 10**23
_FIXTURES = (
    Path(__file__).resolve().parents[2] / "protocols" / "contracts" / "test" / "fixtures.json"
)


def data_gas(data: bytes) -> int:
    """Return what a transaction with this calldata costs before it does anything."""
    zeros = data.count(0)
    return TRANSACTION_GAS + DATA_GAS_ZERO * zeros + DATA_GAS_OTHER * (len(data) - zeros)


def floor_gas(data: bytes) -> int:
    """Return what a transaction with this calldata costs however little it does (EIP-7623)."""
    zeros = data.count(0)
    return TRANSACTION_GAS + FLOOR_GAS_ZERO * zeros + FLOOR_GAS_OTHER * (len(data) - zeros)


def _sent(chain: Chain, call: ContractFunction, account: int = 0) -> tuple[int, bytes]:
    """Send a call; return the gas its transaction took, and its calldata."""
    receipt = chain.send(call, account)
    return int(receipt["gasUsed"]), _input(chain, receipt["transactionHash"])


def _input(chain: Chain, transaction: HexBytes) -> bytes:
    return bytes(chain.web3.eth.get_transaction(transaction)["input"])


def _anchoring(chain: Chain, members: int) -> tuple[Figure, Figure]:
    anchors = deploy_anchors(chain, chain.now_s + 100)
    anchors.settle(1)
    scores = [score_of(i).leaf() for i in range(members)]
    tree = Tree(scores)
    first, second = header_of(0, score_root=tree.root), header_of(1)
    _sent(chain, anchors.call(first, anchors.sign(first)))  # the first epoch fills an empty slot
    gas, data = _sent(chain, anchors.call(second, anchors.sign(second)))
    least = data_gas(data) + PAIRINGS_GAS + HASH_TO_CURVE_GAS + STORE_GAS_FRESH + STORE_GAS_CHANGED
    anchored = Figure(
        name="anchor of an epoch",
        measured=gas,
        unit="gas",
        aim=ANCHOR_GAS_MAX,
        limit=least,
        limit_is="its bytes, pairings, slots",
    )
    proof = tree.proof(scores[0])
    verify = anchors.contract.functions.verifyScore(
        header_fields(first), words_in(scores[0]), proof
    )
    gas, data = _sent(chain, verify)
    proved = Figure(
        name=f"proof of a score among {members:,}",
        measured=gas,
        unit="gas",
        aim=SCORE_GAS_MAX,
        limit=floor_gas(data),
        limit_is="its bytes (EIP-7623)",
    )
    return anchored, proved


def _challenging(chain: Chain, members: int) -> tuple[Figure, ...]:
    anchors = deploy_anchors(chain, chain.now_s + 100, params=MAINNET)
    anchors.fund(GOVERNOR, BOND)
    anchors.fund(WATCHER, BOND)
    chain.send(anchors.contract.functions.bond(BOND), GOVERNOR)
    anchors.settle(1)
    epoch = large_epoch(members, forged_ppm=999_999)
    anchors.anchor(epoch.before)
    figures = []
    for whose, challenge in (("a", epoch.of_old), ("a newcomer's", epoch.of_new)):
        anchors.anchor(epoch.header)
        call = anchors.contract.functions.challenge(challenge_fields(challenge))
        gas, data = _sent(chain, call, WATCHER)
        figures.append(
            Figure(
                name=f"challenge of {whose} score among {members:,}",
                measured=gas,
                unit="gas",
                aim=CHALLENGE_GAS_MAX,
                limit=max(floor_gas(data), data_gas(data) + CHALLENGE_SLOTS * STORE_GAS_CHANGED),
                limit_is="its bytes, slots",
            )
        )
    return tuple(figures)


def _round(chain: Chain) -> Figure:
    quicknet = json.loads(_FIXTURES.read_text())["quicknet"]
    verifier = chain.deploy("BeaconVerifier", quicknet["key"])
    worst, least = 0, 0
    for real in quicknet["rounds"]:
        call = verifier.functions.verifyRound(real["round"], real["signature"])
        gas, data = _sent(chain, call)
        if gas > worst:
            worst, least = gas, data_gas(data) + PAIRINGS_GAS + HASH_TO_CURVE_GAS
    return Figure(
        name="check of a quicknet round",
        measured=worst,
        unit="gas",
        aim=ROUND_GAS_MAX,
        limit=least,
        limit_is="its bytes and pairings",
    )


def _assigning(chain: Chain, members: int) -> tuple[Figure, ...]:
    return tuple(_of_cost(cost) for cost in costs(chain, "mainnet", *rosters(members)))


def _of_cost(cost: Cost) -> Figure:
    return Figure(
        name=f"proof of an assignment among {cost.members:,}: {cost.what}",
        measured=cost.gas,
        unit="gas",
        limit=data_gas(cost.data) + PAIRINGS_GAS + HASH_TO_CURVE_GAS + cost.hashing_gas,
        limit_is="its bytes, pairings, hashes",
    )


def measure(*, is_quick: bool) -> Report:
    """Send one transaction of each kind."""
    with (
        tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as folder,
        running_chain(Path(folder) / "anvil.log") as chain,
    ):
        members = 100 if is_quick else MEMBERS
        anchored, proved = _anchoring(chain, members)
        challenged = _challenging(chain, members)
        figures = (anchored, _round(chain), proved, *challenged, *_assigning(chain, members))
        client = chain.web3.client_version
    detail = {f.name: {"gas": f.measured, "least": f.limit} for f in figures}
    return Report(figures=figures, detail={**detail, "client": client, "hardfork": "prague"})
