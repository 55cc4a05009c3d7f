"""Who is to hold the council's keys by its elections, beside who holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stkrp2p.cli.errors import Failure
from stkrp2p.cli.governor_list import fault_of
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import ask_rule
from stkrp2p.ports import Governor

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.adapters.chain.rule.council import Council
    from stkrp2p.config import NodeConfig

HAND_ON = "council reshare --elected"
"""The command that asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elected:
    """The list that is to hold the keys, and who holds them."""

    governors: tuple[Governor, ...]
    """In the order of the seats, so that all who ask for it name the same list."""

    fault: str
    """Why it is not to have the keys, "" if it is."""

    holders: tuple[Governor, ...]
    """Nobody before there are keys."""

    @property
    def is_due(self) -> bool:
        """Whether the keys are to be handed on."""
        is_other = set(self.governors) != set(self.holders)
        return bool(self.holders) and not self.fault and is_other

    def is_due_by(self, us: bytes) -> bool:
        """Tell whether we hold keys, and are to ask for handing them on.

        Args:
            us: Our account, or our node.
        """
        return self.is_due and any(us in holder for holder in self.holders)

    def text(self) -> str:
        """Return it for people."""
        if not self.holders:
            return "not made yet"
        if self.fault:
            return f"not to be handed on: {self.fault}"
        count = len(self.governors)
        if not self.is_due:
            return f"with the {count} elected"
        joining = len(set(self.governors) - set(self.holders))
        leaving = len(set(self.holders) - set(self.governors))
        return f"not yet with the {count} elected: {joining} to join, {leaving} to leave"

    def document(self) -> dict[str, object]:
        """Return it for scripts."""
        return {
            "governors": [
                {"node": g.node.hex(), "account": f"0x{g.account.hex()}"} for g in self.governors
            ],
            "fault": self.fault or None,
            "is_due": self.is_due,
        }


async def read_elected(chain: RuleChain) -> Elected:
    """Return who is elected and who holds the keys; raises `ChainUnavailable`."""
    governors = await chain.council.key_list()
    return Elected(
        governors=governors,
        fault=await _fault(chain.council, governors),
        holders=await chain.council.key_holders(),
    )


async def _fault(council: Council, governors: tuple[Governor, ...]) -> str:
    if not await council.has_elected():
        return "no election has seated anybody yet"
    seats, majority = len(await council.seats()), (await council.term()).n + 1
    if seats < majority:
        return f"seats taken: {seats}; a majority is {majority}"
    return fault_of(governors)


def ask_elected(config: NodeConfig) -> Elected | None:
    """Return who is elected; `None` if the network has no elections.

    Raises:
        Failure: The network file cannot be read, or the chain not be asked.
    """
    network = network_of(config)
    return None if network.market is None else ask_rule(config, network, read_elected)


def elected_list(config: NodeConfig) -> tuple[Governor, ...]:
    """Return the list that is to hold the keys.

    Raises:
        Failure: The network has no elections, the list is not to have the keys, or the chain cannot
            be asked.
    """
    elected = ask_rule(config, network_of(config), read_elected)
    if elected.fault:
        raise Failure(
            "the keys are not to be handed to the council's list",
            why=elected.fault,
            hint="stkrp2p gov status",
        )
    return elected.governors
