"""Does a node still answer? Challenges of its liveness, in the contract `Providers` (R41, Q15)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from stkrp2p.adapters.chain.challenges import header_fields
from stkrp2p.adapters.chain.rule.actions import Action, Money
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.adapters.chain.rule.proofs import ProvedScore
from stkrp2p.adapters.chain.rule.providers import CONTRACT, Providers
from stkrp2p.core.anchor import Header
from stkrp2p.core.types import Operator

CHALLENGES_MAX = 1_024
"""Challenges of a node looked at, the latest ones: no two are opened within an epoch while one is open."""


class ChallengeState(IntEnum):
    """How far a liveness challenge has come; the numbers are the contract's."""

    NONE = 0
    OPEN = 1
    ANSWERED = 2
    SILENT = 3
    LAPSED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LivenessChallenge:
    """A challenge of a node's liveness (R41)."""

    state: ChallengeState
    answer_s: int
    challenged_at: int
    challenger: Operator
    provider: Operator
    registration: int
    bond: int
    """In 10^-18 ANKR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Challenged:
    challenge: int


class Liveness:
    """Reads challenges; prepares what doubters, providers and anybody do with them.

    Each preparing call raises `Rejected` if the contract would not have it and `ChainUnavailable` if
    no endpoint could tell; each reading call raises `ChainUnavailable`.
    """

    def __init__(self, party: Party) -> None:
        """Deal with challenges as a party."""
        self._party = party
        self._providers = Providers(party)

    async def record(self, challenge: int) -> LivenessChallenge:
        """Return a liveness challenge; its state is `NONE` if there is none of this number."""
        return await self._party.read(CONTRACT, "challengeOf", challenge, shape=LivenessChallenge)

    async def of_node(self, registration: int) -> dict[int, LivenessChallenge]:
        """Return a node's challenges by their numbers, the oldest first, `CHALLENGES_MAX` at most."""
        if not (await self._providers.sidecar(registration)).challenge:
            return {}
        said = await self._party.events(
            CONTRACT, "Challenged", shape=_Challenged, registration=registration
        )
        numbers = [each.challenge for each in said[-CHALLENGES_MAX:]]
        return {number: await self.record(number) for number in numbers}

    async def owed(self, account: bytes) -> int:
        """Return what bonds came to for an account, in 10^-18 ANKR."""
        return await self._party.read(CONTRACT, "owedTo", account, shape=int)

    async def challenge(self, registration: int, *, bond_wei: int) -> Action:
        """Prepare to challenge a node's liveness (R41).

        Args:
            registration: The node.
            bond_wei: The policy's `ChallengeBond`, in 10^-18 ANKR; lost if the node answers.
        """
        latest = (await self._providers.sidecar(registration)).challenge
        record = await self.record(latest)
        is_ours = record.challenger == await self._party.account()
        is_open = is_ours and record.state is ChallengeState.OPEN
        return await self._party.prepare(
            CONTRACT,
            "challenge",
            registration,
            does=f"challenge the liveness of node {registration}",
            done=f"challenge {latest} is open" if is_open else "",
            ankr_wei=bond_wei,
        )

    async def answer(self, challenge: int, score: ProvedScore) -> Action:
        """Prepare to answer a challenge with a score of an epoch begun after it."""
        does = f"answer challenge {challenge}"
        return await self._decide(challenge, "answer", score.fields(), does=does)

    async def time_out(self, challenge: int, header: Header) -> Action:
        """Prepare to show that a challenge could have been answered, and was not.

        Args:
            challenge: Which.
            header: Of a final epoch, not void, begun after the challenge.
        """
        does = f"show that challenge {challenge} went unanswered"
        return await self._decide(challenge, "timeOut", header_fields(header), does=does)

    async def lapse(self, challenge: int) -> Action:
        """Prepare to end a challenge that nothing decided; the bond comes back."""
        return await self._decide(challenge, "lapse", does=f"end challenge {challenge}")

    async def collect(self) -> Action:
        """Prepare to collect what bonds of challenges came to."""
        owed = await self.owed(await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "collect",
            does="collect what challenges' bonds came to",
            done="" if owed else "nothing is owed to the account",
            gets=Money(ankr_wei=owed),
        )

    async def _decide(self, challenge: int, function: str, *more: object, does: str) -> Action:
        state = (await self.record(challenge)).state
        is_decided = state > ChallengeState.OPEN
        return await self._party.prepare(
            CONTRACT,
            function,
            challenge,
            *more,
            does=does,
            done=f"the challenge is {state.name.lower()}" if is_decided else "",
        )
