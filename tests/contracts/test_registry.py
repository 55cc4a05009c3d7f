"""Operators register on a real chain, and the roster by events is the roster by view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.contracts.conftest import Chain, refused

if TYPE_CHECKING:
    from web3.contract import Contract

pytestmark = pytest.mark.chain

ANKR = 10**18
EPOCH_MS = 12_000
MIN_FULL = 1_000 * ANKR
MIN_LIGHT = 100 * ANKR
UNBONDING_EPOCHS = 4
WEALTH = 10**6 * ANKR
FULL, LIGHT = 0, 1
ALICE, BOB = 1, 2


@dataclass
class Network:
    """A registry whose epoch 0 starts at `genesis_s`, and operators who have ANKR."""

    chain: Chain
    ankr: Contract
    registry: Contract
    genesis_s: int

    def register(self, account: int, node: bytes, kind: int = FULL, stake: int = MIN_FULL):
        call = self.registry.functions.register(node, kind, stake, bytes(64), b"/ip4/127.0.0.1")
        return self.chain.send(call, account)

    def to_epoch(self, epoch: int) -> None:
        self.chain.warp(self.genesis_s + epoch * EPOCH_MS // 1000)

    def roster(self, epoch: int) -> list[tuple]:
        return [tuple(entry) for entry in self.registry.functions.rosterAt(epoch, 0, 1024).call()]

    def roster_by_events(self, epoch: int) -> list[tuple]:
        """Fold all events up to now, as a node does."""
        entries, stakes, exits = {}, {}, {}
        for event in self.registry.events.Registered().get_logs(from_block=0):
            args = event["args"]
            number = args["registration"]
            entries[number] = (args["nodeId"], args["operator"], args["nonce"], args["kind"])
            stakes[number] = [(args["effectiveEpoch"], args["stake"])]
        for event in self.registry.events.StakeAdded().get_logs(from_block=0):
            args = event["args"]
            stakes[args["registration"]].append((args["effectiveEpoch"], args["stakeTotal"]))
        for event in self.registry.events.Exited().get_logs(from_block=0):
            exits[event["args"]["registration"]] = event["args"]["effectiveEpoch"]
        roster = []
        for number, entry in sorted(entries.items()):
            counting = [stake for first, stake in stakes[number] if first <= epoch]
            if counting and epoch < exits.get(number, epoch + 1):
                roster.append((number, *entry, counting[-1]))
        return roster


@pytest.fixture
def network(chain: Chain) -> Network:
    genesis_s = chain.now_s + 1_000
    ankr = chain.deploy("TestAnkr", 10 * WEALTH)
    registry = chain.deploy(
        "Registry",
        ankr.address,
        genesis_s * 1000,
        EPOCH_MS,
        MIN_FULL,
        MIN_LIGHT,
        UNBONDING_EPOCHS,
    )
    for account in (ALICE, BOB):
        chain.send(ankr.functions.transfer(chain.accounts[account], WEALTH))
        chain.send(ankr.functions.approve(registry.address, 2**256 - 1), account)
    return Network(chain, ankr, registry, genesis_s)


def test_the_roster_by_events_is_the_roster_by_view_in_every_epoch(network, chain):
    of = network.registry.functions
    network.register(ALICE, b"\x01" * 32)
    network.register(BOB, b"\x01" * 32)
    network.register(BOB, b"\x02" * 32, LIGHT, MIN_LIGHT)
    network.to_epoch(0)
    chain.send(of.addStake(0, 5 * ANKR), ALICE)
    network.to_epoch(1)
    network.register(ALICE, b"\x03" * 32)
    chain.send(of.exit(1), BOB)
    network.to_epoch(2)
    chain.send(of.addStake(0, 7 * ANKR), ALICE)
    chain.send(of.exit(3), ALICE)
    for epoch in range(8):
        assert network.roster(epoch) == network.roster_by_events(epoch), epoch
    alice, bob = chain.accounts[ALICE], chain.accounts[BOB]
    assert network.roster(0) == [
        (0, b"\x01" * 32, alice, 0, FULL, MIN_FULL),
        (1, b"\x01" * 32, bob, 0, FULL, MIN_FULL),
        (2, b"\x02" * 32, bob, 1, LIGHT, MIN_LIGHT),
    ]
    assert network.roster(3)[0][5] == MIN_FULL + 5 * ANKR
    assert [entry[0] for entry in network.roster(4)] == [0, 2, 3]
    assert [entry[0] for entry in network.roster(5)] == [0, 2]


def test_a_stake_comes_back_whole_once_unbonded_and_not_before(network, chain):
    of = network.registry.functions
    network.register(ALICE, b"\x01" * 32)
    network.to_epoch(1)
    chain.send(of.exit(0), ALICE)
    network.to_epoch(4 + UNBONDING_EPOCHS - 1)
    until_ms = network.genesis_s * 1000 + (4 + UNBONDING_EPOCHS) * EPOCH_MS
    with refused(network.registry, "StillBonded", 0, until_ms):
        of.withdraw(0).call({"from": chain.accounts[ALICE]})
    network.to_epoch(4 + UNBONDING_EPOCHS)
    chain.send(of.withdraw(0), ALICE)
    assert network.ankr.functions.balanceOf(chain.accounts[ALICE]).call() == WEALTH
    assert network.ankr.functions.balanceOf(network.registry.address).call() == 0


def test_what_the_registry_refuses_it_names(network, chain):
    of = network.registry.functions
    alice = {"from": chain.accounts[ALICE]}
    network.register(ALICE, b"\x01" * 32)
    with refused(network.registry, "AlreadyRegistered", alice["from"], b"\x01" * 32, 0):
        of.register(b"\x01" * 32, FULL, MIN_FULL, bytes(64), b"").call(alice)
    with refused(network.registry, "StakeTooLow", MIN_LIGHT, MIN_FULL):
        of.register(b"\x02" * 32, FULL, MIN_LIGHT, bytes(64), b"").call(alice)
    with refused(network.registry, "BadClaimLength", 63):
        of.register(b"\x02" * 32, FULL, MIN_FULL, bytes(63), b"").call(alice)
    with refused(network.registry, "AddressesTooLong", 513, 512):
        of.register(b"\x02" * 32, FULL, MIN_FULL, bytes(64), bytes(513)).call(alice)
    with refused(network.registry, "NotOperator", 0, chain.accounts[BOB]):
        of.exit(0).call({"from": chain.accounts[BOB]})


def test_addresses_and_names_are_told_by_events(network, chain):
    of = network.registry.functions
    network.register(ALICE, b"\x01" * 32)
    receipt = chain.send(of.setAddresses(0, b"/ip4/127.0.0.2"), ALICE)
    [moved] = network.registry.events.AddressesSet().process_receipt(receipt)
    assert dict(moved["args"]) == {"registration": 0, "addresses": b"/ip4/127.0.0.2"}
    receipt = chain.send(of.setOperatorName("Alice & Söhne"), ALICE)
    [named] = network.registry.events.OperatorNamed().process_receipt(receipt)
    assert named["args"]["name"] == "Alice & Söhne"


def test_a_roster_page_of_the_most_registrations_fits_a_call(network, chain):
    # The longest page, its members all there: what a node asks for costs less than a block's gas.
    for i in range(20):
        network.register(ALICE, bytes([i + 1]) * 32)
    per_member = network.registry.functions.rosterAt(0, 0, 20).estimate_gas() / 20
    assert per_member * 1024 <= 30_000_000
