"""What a proof of who audits whom costs on chain, by the size of the roster.

    python -m testnet.bench.assignment_gas            the whole table; a million members take minutes

Whole transactions on a real anvil. In one roster everybody has an operator of its own, so a target's
auditors are its nearest candidates; in the other so few share the operators that no committee is
full, and all candidates must be shown: the worst there is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.output import columns
from stkrp2p.core.assignment import SHUFFLE_ROUNDS, Assignment
from stkrp2p.core.params import PRESETS
from stkrp2p.core.placement import Membership, membership_of
from stkrp2p.core.roster import Roster
from stkrp2p.core.types import Epoch, NodeId
from testnet.assignments import Proved, deploy_assignments, made_up_roster
from testnet.contracts import Chain, deploy_anchors, running_chain

if TYPE_CHECKING:
    from web3.contract.contract import ContractFunction

SIZES = (10, 1_000, 10_000, 1_000_000)
FEW_OPERATORS = 3
"""One is the target's; the others do not make up three auditors, still less nine."""

SHA256_GAS = 100 + 60 + 2 * 12
"""A call of the precompile with two words."""

KECCAK_GAS = 30 + 2 * 6
"""Of two words."""

STRANGER = NodeId(bytes(32))
"""Nobody's node: to show that it is no auditor takes as long as can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One transaction."""

    what: str
    members: int
    preset: str
    shown: int
    """Members that the proof shows."""

    gas: int
    data: bytes
    hashing_gas: int
    """What the hashes alone take: of each member's walk, and up its proof."""


def rosters(members: int) -> tuple[Roster, Roster]:
    """Return two rosters, a fifth of each light: one without shared operators, one with few."""
    full = members - members // 5
    plain = made_up_roster(full, members - full, operators=members)
    return plain, made_up_roster(full, members - full, operators=FEW_OPERATORS)


@dataclass(frozen=True, slots=True)
class Trial:
    """One anchored epoch whose proofs are sent."""

    chain: Chain
    preset: str
    proved: Proved

    def candidate(self, target: NodeId, auditor: NodeId) -> Cost:
        """Prove that one is a candidate for the other."""
        shown = [membership_of(self.proved.roster, node) for node in (target, auditor)]
        return self._cost("candidate", shown, self.proved.candidate(target, auditor))

    def assigned(self, what: str, target: NodeId, auditor: NodeId) -> Cost:
        """Prove whether one is an auditor of the other."""
        placement = self.proved.placement(target, auditor)
        shown = [placement.target, *placement.candidates]
        return self._cost(what, shown, self.proved.assigned(placement))

    def _cost(self, what: str, shown: Sequence[Membership], call: ContractFunction) -> Cost:
        gas, data = sent(self.chain, call)
        siblings = sum(len(m.proof) for m in shown)
        return Cost(
            what=what,
            members=len(self.proved.roster),
            preset=self.preset,
            shown=len(shown),
            gas=gas,
            data=data,
            hashing_gas=len(shown) * SHUFFLE_ROUNDS * SHA256_GAS + siblings * KECCAK_GAS,
        )


def costs(chain: Chain, preset: str, plain: Roster, crowded: Roster) -> Iterator[Cost]:
    """Send a transaction of each kind, in a network of its own."""
    params = PRESETS[preset]
    assignments = deploy_assignments(deploy_anchors(chain, chain.now_s + 100), params)
    first = Trial(chain, preset, assignments.prove(Epoch(0), plain))
    target = plain.full[0].node
    auditors = Assignment(first.proved.seed, plain, params).auditors(target)
    yield first.candidate(target, auditors[-1])
    yield first.assigned("nearest auditor", target, auditors[0])
    yield first.assigned("last auditor", target, auditors[-1])
    second = Trial(chain, preset, assignments.prove(Epoch(1), crowded))
    yield second.assigned("all candidates", crowded.full[0].node, STRANGER)


def sent(chain: Chain, call: ContractFunction) -> tuple[int, bytes]:
    """Send a call; return the gas its transaction took, and its calldata."""
    receipt = chain.send(call)
    transaction = chain.web3.eth.get_transaction(receipt["transactionHash"])
    return int(receipt["gasUsed"]), bytes(transaction["input"])


@click.command()
@click.option("--most", type=int, default=SIZES[-1], show_default=True, help="Largest roster.")
def main(most: int) -> None:
    """Print gas, calldata and what the hashes take, for each preset and size of roster."""
    found: list[Cost] = []
    with (
        tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as folder,
        running_chain(Path(folder) / "anvil.log") as chain,
    ):
        for size in filter(lambda size: size <= most, SIZES):
            plain, crowded = rosters(size)
            for preset in PRESETS:
                found += costs(chain, preset, plain, crowded)
    head = ("preset", ">members", "proof", ">shown", ">gas", ">bytes", ">hashing gas")
    rows = (
        (
            cost.preset,
            f"{cost.members:,}",
            cost.what,
            cost.shown,
            f"{cost.gas:,}",
            f"{len(cost.data):,}",
            f"{cost.hashing_gas:,}",
        )
        for cost in found
    )
    for line in columns(head, rows):
        click.echo(line)


if __name__ == "__main__":
    main()
