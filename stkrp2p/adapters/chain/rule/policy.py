"""The contract `Policy`: every number that governors set (R19, R29, R42, R54, R55)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.core.draw import Rule
from stkrp2p.core.economics import Resources
from stkrp2p.core.policy import Parameter, Unit

CONTRACT = "Policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRecord:
    """A parameter as the contract has it."""

    value: int
    unit: Unit
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectType:
    """Which providers may serve a type of project, and how one is chosen (R42)."""

    is_open: bool
    rule: Rule
    shortlist: int
    reliability_ppm_min: int
    uptime_ppm_min: int
    failures_max: int
    eth_stake_wei: int
    """What provider and requester stake together for a node."""

    need: Resources
    """What a node needs at the least."""

    def fields(self) -> tuple[object, ...]:
        """Return it as the contract takes it."""
        return astuple(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """By which rules members are scored (R19)."""

    version: int
    params_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _TypeSet:
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    unit: Unit
    min: int
    max: int


class PolicyContract:
    """Reads the policy; only votes change it. Each call raises `ChainUnavailable`."""

    def __init__(self, party: Party) -> None:
        """Read the policy as a party."""
        self._party = party

    async def get(self, parameter: Parameter) -> int:
        """Return a parameter's value."""
        return await self._party.read(CONTRACT, "get", parameter, shape=int)

    async def parameters(self) -> Mapping[Parameter, ParameterRecord]:
        """Return all parameters, in the contract's order."""
        return {parameter: await self._parameter(parameter) for parameter in Parameter}

    async def project_type(self, number: int) -> ProjectType:
        """Return a type of project; closed if it was never set."""
        return await self._party.read(CONTRACT, "projectType", number, shape=ProjectType)

    async def project_types(self) -> Mapping[int, ProjectType]:
        """Return all types of projects that were ever set, by their numbers."""
        said = await self._party.events(CONTRACT, "ProjectTypeSet", shape=_TypeSet)
        numbers = sorted({each.id for each in said})
        return {number: await self.project_type(number) for number in numbers}

    async def distribution(self) -> tuple[int, ...]:
        """Return the reward pool's shares in 1/10,000 (R54).

        They are for governance, providers and requesters, stakers, development, in this order.
        """
        return await self._party.read(CONTRACT, "distribution", shape=tuple[int, ...])

    async def scoring(self) -> Scoring:
        """Return by which rules members are scored."""
        return await self._party.read(CONTRACT, "scoring", shape=Scoring)

    async def _parameter(self, parameter: Parameter) -> ParameterRecord:
        spec = await self._party.read(CONTRACT, "specOf", parameter, shape=_Spec)
        return ParameterRecord(
            value=await self.get(parameter), unit=spec.unit, least=spec.min, most=spec.max
        )
