"""Calls, answers, events and errors of the contracts, as bytes.

A thin layer over eth-abi and the compiled artifacts: it names types by the artifact's interface, so
no selector or topic is written down twice. eth-abi is imported by the first use, not with the module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from stkrp2p.adapters.artifacts import load
from stkrp2p.core.merkle import keccak256

if TYPE_CHECKING:
    from eth_abi.codec import ABICodec

SELECTOR_BYTES = 4

CONTRACTS = (
    "AssignmentVerifier",
    "BeaconVerifier",
    "Council",
    "CouncilKeys",
    "Deals",
    "Market",
    "Policy",
    "Pot",
    "Prices",
    "Providers",
    "Registry",
    "ReputationAnchor",
    "TestAnkr",
    "TestFeed",
    "Timelock",
    "VoterRewards",
)


@cache
def _codec() -> ABICodec:
    """Return a codec that takes any bytes for a text, as contracts do: nobody can hide by bad UTF-8."""
    from eth_abi import codec, decoding, registry  # noqa: PLC0415  # half a second, only where used

    ours = registry.registry.copy()  # type: ignore[no-untyped-call]  # eth-abi's, as those below
    ours.unregister_decoder("string")
    text = decoding.StringDecoder(handle_string_errors="replace")  # type: ignore[no-untyped-call]
    strings = registry.BaseEquals("string")  # type: ignore[no-untyped-call]
    ours.register_decoder(strings, text, label="string")
    return codec.ABICodec(ours)


def _decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    from eth_abi import exceptions  # noqa: PLC0415  # half a second, only where used

    try:
        return _codec().decode(types, data)
    except (exceptions.DecodingError, OverflowError) as error:
        raise ValueError(f"not an encoding of {', '.join(types)}: {error}") from error


def _encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    from eth_abi import abi  # noqa: PLC0415  # half a second, only where used

    return abi.encode(types, values)


def _type(parameter: dict[str, Any]) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_types(parameter['components']))}){kind.removeprefix('tuple')}"


def _types(parameters: Iterable[dict[str, Any]]) -> list[str]:
    return [_type(parameter) for parameter in parameters]


def _python_name(name: str) -> str:
    """Return `ethStakeWei` as `eth_stake_wei`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _plain(parameter: dict[str, Any], value: Any) -> Any:  # noqa: ANN401  # one type a parameter
    """Return a decoded value: structs as dictionaries of Python's names, addresses as bytes."""
    kind: str = parameter["type"]
    if kind.endswith("]"):
        inner = {**parameter, "type": kind[: kind.rindex("[")]}
        return tuple(_plain(inner, each) for each in value)
    if kind == "tuple":
        pairs = zip(parameter["components"], value, strict=True)
        return {_python_name(part["name"]): _plain(part, each) for part, each in pairs}
    return bytes.fromhex(value[2:]) if kind == "address" else value


class Interface:
    """What one contract understands and says."""

    def __init__(self, contract: str) -> None:
        """Read the interface of `contract`, one of `CONTRACTS`."""
        self._artifact = load(contract)

    @cached_property
    def _entries(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(e["type"], e.get("name", "")): e for e in self._artifact.abi}

    def _digest(self, kind: str, name: str) -> bytes:
        types = ",".join(_types(self._entries[kind, name]["inputs"]))
        return keccak256(f"{name}({types})".encode())

    def call(self, function: str, *arguments: object) -> bytes:
        """Return the data of a call: selector and arguments."""
        types = _types(self._entries["function", function]["inputs"])
        return self._digest("function", function)[:SELECTOR_BYTES] + _encode(types, arguments)

    def creation(self, *arguments: object) -> bytes:
        """Return the data of the transaction that deploys the contract."""
        types = _types(self._entries["constructor", ""]["inputs"])
        return self._artifact.bytecode + _encode(types, arguments)

    def answer(self, function: str, data: bytes) -> Any:  # noqa: ANN401  # one type a function
        """Read what a function that returns one value returned.

        Raises:
            ValueError: `data` is no such value.
        """
        return _decode(_types(self._entries["function", function]["outputs"]), data)[0]

    def fields(self, function: str, data: bytes) -> dict[str, Any]:
        """Read the struct that a function returned: its fields by their names.

        Raises:
            ValueError: `data` is no such struct.
        """
        [output] = self._entries["function", function]["outputs"]
        names = (component["name"] for component in output["components"])
        return dict(zip(names, self.answer(function, data), strict=True))

    def called(self, data: bytes) -> tuple[str, list[str]] | None:
        """Read a call: the function's name and its arguments, for people.

        Returns:
            `None` if the contract has no such function, or the arguments are not its.
        """
        found = self._called(data)
        return None if found is None else (found[0], [_shown(value) for value in found[1]])

    def called_with(self, data: bytes) -> tuple[str, dict[str, Any]] | None:
        """Read a call: the function's name and its arguments, by their Python names.

        Returns:
            `None` if the contract has no such function, or the arguments are not its.
        """
        found = self._called(data)
        if found is None:
            return None
        parameters = self._entries["function", found[0]]["inputs"]
        fields: dict[str, Any] = _plain({"type": "tuple", "components": parameters}, found[1])
        return found[0], fields

    def _called(self, data: bytes) -> tuple[str, tuple[Any, ...]] | None:
        name = self._functions.get(data[:SELECTOR_BYTES])
        if name is None:
            return None
        types = _types(self._entries["function", name]["inputs"])
        try:
            return name, _decode(types, data[SELECTOR_BYTES:])
        except ValueError:
            return None

    @cached_property
    def _functions(self) -> dict[bytes, str]:
        names = [name for kind, name in self._entries if kind == "function"]
        return {self._digest("function", name)[:SELECTOR_BYTES]: name for name in names}

    def result(self, function: str, data: bytes) -> Any:  # noqa: ANN401  # one type a function
        """Read what a function returned; structs and several values by their Python names.

        Raises:
            ValueError: `data` is no such result.
        """
        outputs = self._entries["function", function]["outputs"]
        values = _decode(_types(outputs), data)
        if len(outputs) == 1:
            return _plain(outputs[0], values[0])
        return _plain({"type": "tuple", "components": outputs}, values)

    def topic(self, event: str) -> bytes:
        """Return the first topic of an event's logs."""
        return self._digest("event", event)

    def event(self, topics: Sequence[bytes], data: bytes) -> tuple[str, dict[str, Any]] | None:
        """Read a log: the event's name and fields; `None` if the contract has no such event.

        Raises:
            ValueError: The event's, but not of its shape.
        """
        name = self._events.get(topics[0]) if topics else None
        if name is None:
            return None
        parameters, values = self._logged(name, topics, data)
        return name, dict(zip((p["name"] for p in parameters), values, strict=True))

    def said(self, event: str, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """Read a log of an event: its fields by their Python names.

        Raises:
            ValueError: Not of the event's shape.
        """
        parameters, values = self._logged(event, topics, data)
        fields: dict[str, Any] = _plain({"type": "tuple", "components": parameters}, values)
        return fields

    def _logged(
        self, event: str, topics: Sequence[bytes], data: bytes
    ) -> tuple[list[dict[str, Any]], tuple[Any, ...]]:
        inputs = self._entries["event", event]["inputs"]
        indexed = [p for p in inputs if p["indexed"]]
        plain = [p for p in inputs if not p["indexed"]]
        values = _decode(_types(indexed), b"".join(topics[1:])) + _decode(_types(plain), data)
        return indexed + plain, values

    def topics(self, event: str, **indexed: object) -> list[bytes | None]:
        """Return which topics an event's logs have that name these values; `None` for any.

        Args:
            event: Its name.
            indexed: Values of indexed parameters, by their Python names.
        """
        parameters = [p for p in self._entries["event", event]["inputs"] if p["indexed"]]
        given = [indexed.get(_python_name(p["name"])) for p in parameters]
        words = [
            None if value is None else _encode([_type(p)], [value])
            for p, value in zip(parameters, given, strict=True)
        ]
        return [self.topic(event), *words]

    @cached_property
    def _events(self) -> dict[bytes, str]:
        return {self.topic(name): name for kind, name in self._entries if kind == "event"}

    @cached_property
    def errors(self) -> dict[bytes, tuple[str, list[str]]]:
        """Name and types of each error the contract reverts with, by selector."""
        return {
            self._digest("error", name)[:SELECTOR_BYTES]: (name, _types(entry["inputs"]))
            for (kind, name), entry in self._entries.items()
            if kind == "error"
        }


@cache
def interface(contract: str) -> Interface:
    """Return the interface of a contract, one of `CONTRACTS`."""
    return Interface(contract)


@cache
def _errors() -> dict[bytes, tuple[str, list[str]]]:
    # Solidity's own two, then each contract's: a token's error comes through the registry as it is.
    table = {
        bytes.fromhex("08c379a0"): ("Error", ["string"]),
        bytes.fromhex("4e487b71"): ("Panic", ["uint256"]),
    }
    for contract in CONTRACTS:
        table.update(interface(contract).errors)
    return table


def error_of(data: bytes) -> tuple[str, str]:
    """Read what a call reverted with.

    Returns:
        The error's name ("" if it is none we know) and a line with its arguments, for people.
    """
    name, types = _errors().get(data[:SELECTOR_BYTES], ("", []))
    if not name:
        return "", f"0x{data[:36].hex()}"
    try:
        values = _decode(types, data[SELECTOR_BYTES:])
    except ValueError:
        return name, name
    return name, f"{name}({', '.join(map(_shown, values))})"


def _shown(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
