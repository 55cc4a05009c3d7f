"""Somebody who deals with the contracts of rule and market: an account, or one who only looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.calls import send_and_wait
from stkrp2p.adapters.chain.endpoint import (
    REQUEST_S_MAX,
    Endpoint,
    Endpoints,
    Refused,
    WrongChain,
    unhex,
)
from stkrp2p.adapters.chain.follower import latest_block
from stkrp2p.adapters.chain.rule.actions import NOTHING, Action, Money, Step, gas_of
from stkrp2p.adapters.chain.rule.logs import find_logs
from stkrp2p.adapters.chain.wallet import (
    FEE_WEI_MAX,
    Account,
    Call,
    Receipt,
    Wallet,
    read_int,
    rejection,
)
from stkrp2p.core.network import Genesis, MarketAddresses

T = TypeVar("T")

TOKEN = "TestAnkr"  # noqa: S105  # a contract's name
"""The interface of ANKR; the stand-in has it too."""


def addresses_of(genesis: Genesis, market: MarketAddresses) -> Mapping[str, bytes]:
    """Return where each contract is, by its name."""
    return {
        "Registry": genesis.registry,
        "ReputationAnchor": genesis.anchor,
        "BeaconVerifier": market.beacon_verifier,
        "Timelock": market.timelock,
        "Policy": market.policy,
        "Council": market.council,
        "VoterRewards": market.voter_rewards,
        "Prices": market.prices,
        "Providers": market.providers,
        "Market": market.market,
        "Deals": market.deals,
    }


class Party:
    """The account, or nobody in particular; reads, prepares and sends."""

    def __init__(
        self,
        genesis: Genesis,
        market: MarketAddresses,
        endpoints: Sequence[str],
        *,
        account_key: bytes | None = None,
        deploy_block: int = 0,
        request_s_max: float = REQUEST_S_MAX,
        fee_wei_max: int = FEE_WEI_MAX,
    ) -> None:
        """Set up; nothing is loaded or sent before the first call.

        Args:
            genesis: Names the chain.
            market: Where the contracts are.
            endpoints: http(s) addresses, the preferred one first.
            account_key: secp256k1 secret of the account that pays, 32 bytes; `None` only reads.
            deploy_block: No event of the contracts is in an earlier block.
            request_s_max: How long one request may take.
            fee_wei_max: Most to offer for a unit of gas.

        Raises:
            ValueError: An endpoint is no http(s) address, or there are too many.
        """
        self._chain_id = genesis.chain_id
        self.board = genesis.council
        """Where the council's keys are made, `CouncilKeys`; zeros if nowhere."""

        self._addresses = addresses_of(genesis, market)
        self._endpoints = Endpoints(
            [Endpoint(url, request_s_max=request_s_max) for url in endpoints], self._check
        )
        self._account = Account(account_key, chain_id=genesis.chain_id, fee_wei_max=fee_wei_max)
        self._deploy_block = deploy_block
        self._token = b""

    def close(self) -> None:
        """Close all connections; call it when nobody uses the party any more."""
        self._endpoints.close()

    async def account(self) -> bytes:
        """Return our account's address.

        Raises:
            ChainUnavailable: There is no account.
        """
        return (await self._account.wallet()).address

    async def ankr_of(self, account: bytes) -> int:
        """Return an account's ANKR, in wei; raises `ChainUnavailable`."""
        return await self.read(TOKEN, "balanceOf", account, shape=int)

    async def now_s(self) -> int:
        """Return the newest block's time, Unix seconds; raises `ChainUnavailable`."""
        block = await self._endpoints.use(latest_block)
        return int(block.timestamp, 16)

    async def read(
        self, contract: str, function: str, *arguments: object, shape: type[T], at: bytes = b""
    ) -> T:
        """Call a view function at the newest block.

        Args:
            contract: Its name.
            function: The function's name.
            arguments: As eth-abi takes them.
            shape: Type of the result; a `msgspec.Struct` for a contract's struct.
            at: The contract's address where its name does not tell, 20 bytes.

        Raises:
            Rejected: The function reverts: `rule` says why.
            ChainUnavailable: No endpoint could tell.
        """

        async def work(endpoint: Endpoint) -> T:
            to = at or await self._place_of(endpoint, contract)
            return await _view(endpoint, to, (contract, function), arguments, shape)

        return await self._endpoints.use(work)

    async def events(
        self, contract: str, event: str, *, shape: type[T], **indexed: object
    ) -> tuple[T, ...]:
        """Return what a contract said in all its logs of an event, the oldest first.

        Args:
            contract: Its name.
            event: The event's name.
            shape: Type of its fields; those that it does not have are left out.
            indexed: Values that indexed parameters must have, by their Python names.

        Raises:
            ChainUnavailable: No endpoint could tell.
        """
        abi = interface(contract)
        topics = abi.topics(event, **indexed)

        async def work(endpoint: Endpoint) -> tuple[T, ...]:
            place = await self._place_of(endpoint, contract)
            last = (await latest_block(endpoint)).height
            logs = await find_logs(endpoint, place, topics, first=self._deploy_block, last=last)
            said = [abi.said(event, log.topic_bytes, unhex(log.data)) for log in logs]
            return tuple(msgspec.convert(fields, type=shape) for fields in said)

        return await self._endpoints.use(work)

    async def prepare(
        self,
        contract: str,
        function: str,
        *arguments: object,
        does: str,
        done: str = "",
        ankr_wei: int = 0,
        value_wei: int = 0,
        gets: Money = NOTHING,
    ) -> Action:
        """Prepare a call, and before it the allowance that it needs.

        Args:
            contract: Its name.
            function: The function's name.
            arguments: As eth-abi takes them.
            does: What it will do, for people.
            done: What the chain shows already; nothing is sent then.
            ankr_wei: What the contract takes from the account.
            value_wei: Ether that goes with the call.
            gets: What it brings whoever `does` names.

        Raises:
            Rejected: The contract would not have it: `rule` says why.
            ChainUnavailable: No endpoint could tell, or there is no account.
        """
        wallet = await self._account.wallet()
        if done:
            return Action(does=does, done=done)
        data = interface(contract).call(function, *arguments)

        async def work(endpoint: Endpoint) -> Action:
            to = await self._place_of(endpoint, contract)
            call = Call(to=to, data=data, value_wei=value_wei)
            calls = [(f"{contract}.{function}", call)]
            if ankr_wei > await self._allowance(endpoint, wallet, to):
                calls.insert(0, (f"{TOKEN}.approve", await self._approval(endpoint, to, ankr_wei)))
            steps = await _steps(endpoint, wallet, calls)
            fee, _ = await wallet.fees(endpoint, await latest_block(endpoint))
            return Action(
                does=does,
                steps=steps,
                ankr_wei=ankr_wei,
                gets=gets,
                fee_wei=fee,
                balance_wei=await wallet.balance(endpoint),
            )

        return await self._endpoints.use(work)

    async def send(self, action: Action) -> tuple[Receipt, ...]:
        """Send an action's transactions, each once the one before is in a block; none if it is done.

        Raises:
            Rejected: One reverted, or would by now, or another took its place.
            ChainUnavailable: Not mined in time; it may still be.
        """
        wallet = await self._account.wallet()
        return tuple(
            [await send_and_wait(self._endpoints, wallet, step.call) for step in action.steps]
        )

    async def _place_of(self, endpoint: Endpoint, contract: str) -> bytes:
        if contract != TOKEN:
            return self._addresses[contract]
        if not self._token:
            registry = self._addresses["Registry"]
            self._token = await _view(endpoint, registry, ("Registry", "TOKEN"), (), bytes)
        return self._token

    async def _allowance(self, endpoint: Endpoint, wallet: Wallet, spender: bytes) -> int:
        token = await self._place_of(endpoint, TOKEN)
        return await _view(endpoint, token, (TOKEN, "allowance"), (wallet.address, spender), int)

    async def _approval(self, endpoint: Endpoint, spender: bytes, ankr_wei: int) -> Call:
        data = interface(TOKEN).call("approve", spender, ankr_wei)
        return Call(to=await self._place_of(endpoint, TOKEN), data=data)

    async def _check(self, endpoint: Endpoint) -> None:
        """Check that an endpoint is on our chain and that there are contracts at our addresses.

        Raises:
            WrongChain: It is not, or there are none.
            EndpointFailed: The endpoint did not tell.
        """
        chain_id = await endpoint.ask("eth_chainId", parse=read_int)
        if chain_id != self._chain_id:
            raise WrongChain(f"chain {chain_id}, we are on {self._chain_id}")
        for contract, place in self._addresses.items():
            if not await endpoint.code(place):
                raise WrongChain(f"no contract {contract} at 0x{place.hex()}")


async def _steps(
    endpoint: Endpoint, wallet: Wallet, calls: Sequence[tuple[str, Call]]
) -> tuple[Step, ...]:
    """Return what each named call may use of gas, one after the other.

    Raises:
        Rejected: One would revert.
        EndpointFailed: The endpoint did not tell.
    """
    gas = await gas_of(endpoint, wallet, [call for _, call in calls])
    named = zip(calls, gas, strict=True)
    return tuple(Step(what=what, call=call, gas_max=gas_max) for (what, call), gas_max in named)


async def _view(
    endpoint: Endpoint,
    to: bytes,
    named: tuple[str, str],
    arguments: Sequence[object],
    shape: type[T],
) -> T:
    """Call a view function, named by contract and function.

    Raises:
        Rejected: It reverts.
        EndpointFailed: The endpoint did not tell, or there is no such contract.
    """
    contract, function = named
    abi = interface(contract)

    def parse(data: bytes) -> T:
        return msgspec.convert(abi.result(function, data), type=shape)

    try:
        return await endpoint.call(to, abi.call(function, *arguments), parse=parse)
    except Refused as error:
        raise rejection(error) from None
