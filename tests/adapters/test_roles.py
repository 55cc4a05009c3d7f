"""No owner key is left: what only the timelock may do, nobody else can, and it only after its delay.

The table names every function that changes the state of a contract of rule and market, read from the
interfaces: a function that is not in it fails the test.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from stkrp2p.adapters.artifacts import load
from stkrp2p.adapters.chain import Rejected
from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.rule.party import addresses_of
from stkrp2p.adapters.chain.rule.proposals import OperationState, TimelockCall
from stkrp2p.adapters.deploy_market import ADMIN_ROLE, PROPOSER_ROLE
from stkrp2p.core.merkle import keccak256
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Operator
from tests.adapters.chain_kit import ALICE, rpc
from tests.adapters.market_kit import (
    CAROL,
    DELAY_S,
    ERIN,
    VALUES,
    MarketNet,
    address_of,
    decide,
    seat,
)

pytestmark = pytest.mark.chain

ANYBODY = "anybody"
"""The function looks at the caller's own stake, seat, bid or deal, if at anything."""

TIMELOCK, DEALS, MARKET, COUNCIL, NOBODY = "Timelock", "Deals", "Market", "Council", "nobody"

ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "Timelock": {
        COUNCIL: ("schedule", "scheduleBatch"),
        TIMELOCK: ("grantRole", "revokeRole", "updateDelay"),
        NOBODY: ("cancel",),
        ANYBODY: (
            "execute",
            "executeBatch",
            "renounceRole",
            "onERC1155BatchReceived",
            "onERC1155Received",
            "onERC721Received",
        ),
    },
    "Policy": {TIMELOCK: ("set", "setDistribution", "setProjectType", "setScoring")},
    "Council": {
        ANYBODY: (
            "accept",
            "back",
            "close",
            "closeElection",
            "handOnSlashed",
            "openElection",
            "propose",
            "stake",
            "stand",
            "unstake",
            "vote",
            "voteAsStaker",
            "withdraw",
        )
    },
    "VoterRewards": {ANYBODY: ("claim", "fund", "reclaim")},
    "Prices": {TIMELOCK: ("setFeeds",), ANYBODY: ("poke",)},
    "Pot": {TIMELOCK: ("release",), DEALS: ("cover",), ANYBODY: ("take",)},
    "Providers": {
        TIMELOCK: ("approve", "reject", "revoke", "setTier"),
        DEALS: ("lock", "occupy", "recordFailure", "release", "seize", "unlock"),
        ANYBODY: (
            "addNode",
            "answer",
            "apply_",
            "challenge",
            "collect",
            "disqualify",
            "lapse",
            "removeNode",
            "resign",
            "stake",
            "timeOut",
            "unstake",
            "update",
            "withdraw",
        ),
    },
    "Market": {
        ANYBODY: (
            "choose",
            "close",
            "collect",
            "commit",
            "draw",
            "flush",
            "open",
            "reclaim",
            "reveal",
        )
    },
    "Deals": {
        TIMELOCK: ("cancel", "rule"),
        MARKET: ("assign",),
        ANYBODY: (
            "abandon",
            "addProfit",
            "collect",
            "collectTo",
            "compensate",
            "complete",
            "dispute",
            "fail",
            "failSilent",
            "flush",
            "fund",
            "insure",
            "start",
        ),
    },
}

REFUSALS = {
    "NotTimelock",
    "NotDeals",
    "NotAllowed",
    "NotPayer",
    "AccessControlUnauthorizedAccount",
    "TimelockUnauthorizedCaller",
}
"""How a contract says that the caller has no right."""

PRIVILEGES = [
    (contract, who, function)
    for contract, roles in ROLES.items()
    for who, functions in roles.items()
    for function in functions
]

SOUND = {"updateDelay": (DELAY_S,)}
"""What a call must say for it to come as far as the question who makes it."""


abi_of = cache(lambda contract: load(contract).abi)


def changing(contract: str) -> set[str]:
    """Return the functions of a contract that change its state, by its interface."""
    return {
        entry["name"]
        for entry in abi_of(contract)
        if entry["type"] == "function" and entry["stateMutability"] in {"nonpayable", "payable"}
    }


def blank(parameter: dict[str, Any]) -> Any:
    """Return a value of a type; what the call says does not matter to who may make it."""
    kind = parameter["type"]
    if kind.endswith("[]"):
        return []
    if kind.endswith("]"):
        inner, _, count = kind[:-1].rpartition("[")
        return [blank({**parameter, "type": inner}) for _ in range(int(count))]
    if kind == "tuple":
        return tuple(blank(part) for part in parameter["components"])
    plain = {"address": bytes(20), "bool": False, "string": "", "bytes": b"", "bytes32": bytes(32)}
    return plain.get(kind, 0)


def call_of(contract: str, function: str) -> bytes:
    [entry] = [e for e in abi_of(contract) if e.get("name") == function]
    arguments = SOUND.get(function) or tuple(blank(p) for p in entry["inputs"])
    return interface(contract).call(function, *arguments)


def call_as(net: MarketNet, contract: str, data: bytes, caller: bytes) -> dict[str, str]:
    to = f"0x{place(net, contract).hex()}"
    return {"from": f"0x{caller.hex()}", "to": to, "data": f"0x{data.hex()}"}


def place(net: MarketNet, contract: str) -> bytes:
    places = {**addresses_of(net.genesis, net.market), "Pot": net.market.insurance}
    return places[contract]


def test_every_function_that_changes_anything_is_in_the_table() -> None:
    for contract, roles in ROLES.items():
        listed = [name for functions in roles.values() for name in functions]
        assert sorted(listed) == sorted(changing(contract)), contract


def test_nothing_else_is_deployed_that_somebody_rules(market_net: MarketNet) -> None:
    # All addresses of a network file, the feeds aside: those of a public network are Chainlink's.
    ruled = {place(market_net, contract) for contract in ROLES} | {market_net.market.rewards}
    rest = set(addresses_of(market_net.genesis, market_net.market).values()) - ruled
    assert rest == {
        market_net.genesis.registry,
        market_net.genesis.anchor,
        market_net.market.beacon_verifier,
    }


async def test_a_privilege_is_its_holders_and_neither_deployers_nor_governors_nor_strangers(
    market_net: MarketNet,
) -> None:
    await seat(market_net)
    strangers = [address_of(key) for key in (ALICE, CAROL, ERIN)]
    asked, expected = [], []
    for contract, who, function in PRIVILEGES:
        held = [place(market_net, who)] if who not in {ANYBODY, NOBODY} else []
        data = call_of(contract, function)
        asked += [call_as(market_net, contract, data, caller) for caller in strangers + held]
        expected += [(contract, function, who != ANYBODY)] * 3
        expected += [(contract, function, False)] * len(held)
    errors = market_net.refusals(asked)
    found = [(*case[:2], error in REFUSALS) for case, error in zip(expected, errors, strict=True)]
    assert found == expected


def test_nobody_cancels_a_decision(market_net: MarketNet) -> None:
    data = call_of("Timelock", "cancel")
    callers = [place(market_net, contract) for contract in ROLES]
    errors = market_net.refusals([call_as(market_net, "Timelock", data, c) for c in callers])
    assert errors == ["AccessControlUnauthorizedAccount"] * len(callers)


def test_the_reward_pot_pays_losses_to_nobodys_order(market_net: MarketNet) -> None:
    data = call_of("Pot", "cover")
    callers = [place(market_net, contract) for contract in ROLES]
    pot = {"to": f"0x{market_net.market.rewards.hex()}"}
    calls = [call_as(market_net, "Pot", data, caller) | pot for caller in callers]
    assert market_net.refusals(calls) == ["NotPayer"] * len(callers)


def holders(net: MarketNet) -> dict[bytes, set[bytes]]:
    """Return who has which role of the timelock, by all that it ever said of roles."""
    abi = interface("Timelock")
    wanted = {"address": f"0x{net.market.timelock.hex()}", "fromBlock": "0x0"}
    held: dict[bytes, set[bytes]] = {}
    for log in rpc(net.url, "eth_getLogs", wanted):
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        name, fields = abi.event(topics, bytes.fromhex(log["data"][2:]))
        account = bytes.fromhex(str(fields.get("account", "0x"))[2:])
        if name == "RoleGranted":
            held.setdefault(fields["role"], set()).add(account)
        elif name == "RoleRevoked":
            held[fields["role"]].remove(account)
    return held


def test_only_the_timelock_itself_gives_out_roles_and_only_the_council_proposes(
    market_net: MarketNet,
) -> None:
    held = {role: accounts for role, accounts in holders(market_net).items() if accounts}
    assert held == {
        ADMIN_ROLE: {market_net.market.timelock},
        PROPOSER_ROLE: {market_net.market.council},
        keccak256(b"EXECUTOR_ROLE"): {bytes(20)},
    }


async def test_a_decision_takes_effect_after_the_timelocks_delay_and_not_before(
    market_net: MarketNet,
) -> None:
    await seat(market_net)
    bond = VALUES[Parameter.BID_BOND] + 1
    data = interface("Policy").call("set", Parameter.BID_BOND, bond)
    target = Operator(market_net.market.policy)
    proposal = await decide(market_net, TimelockCall(target=target, value=0, data=data))

    stranger = market_net.party(ERIN)
    assert await stranger.proposals.operation_state(proposal) is OperationState.WAITING
    with pytest.raises(Rejected) as early:
        await stranger.proposals.execute(proposal)
    assert early.value.rule == "TimelockUnexpectedOperationState"

    market_net.wait(DELAY_S)
    await stranger.send(await stranger.proposals.execute(proposal))
    assert await stranger.policy.get(Parameter.BID_BOND) == bond
    again = await stranger.proposals.execute(proposal)
    assert again.done == "its calls were made"


async def test_no_vote_touches_the_timelocks_roles(market_net: MarketNet) -> None:
    await seat(market_net)
    carol = market_net.party(CAROL)
    data = interface("Timelock").call("grantRole", PROPOSER_ROLE, address_of(CAROL))
    call = TimelockCall(target=Operator(market_net.market.timelock), value=0, data=data)
    with pytest.raises(Rejected) as refused:
        await carol.proposals.propose([call], summary="a key for Carol")
    assert refused.value.rule == "CallForbidden"
