"""The compiled contracts, as `protocols/contracts/build.py` wrote them: do not edit the JSON files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One compiled contract."""

    abi: list[dict[str, Any]]
    """The contract's interface in Ethereum's JSON form, as web3.py takes it."""

    bytecode: bytes
    """Creation code; the encoded constructor arguments go behind it."""

    runtime: bytes
    """The code after deployment, with zeros where immutables go."""

    immutables: tuple[tuple[int, int], ...]
    """(start, length) of each place in `runtime` that the constructor fills; in order."""

    def is_deployed_as(self, code: bytes) -> bool:
        """Tell whether `code`, as a chain has it at an address, was built from this contract."""
        if len(code) != len(self.runtime):
            return False
        masked = bytearray(code)
        for start, length in self.immutables:
            masked[start : start + length] = bytes(length)
        return bytes(masked) == self.runtime


def load(contract: str) -> Artifact:
    """Return the artifact of a contract, such as `Registry`.

    Raises:
        FileNotFoundError: There is no contract of that name.
    """
    text = resources.files(__name__).joinpath(f"{contract}.json").read_text(encoding="utf-8")
    fields = json.loads(text)
    return Artifact(
        abi=fields["abi"],
        bytecode=bytes.fromhex(fields["bytecode"][2:]),
        runtime=bytes.fromhex(fields["runtime"][2:]),
        immutables=tuple((start, length) for start, length in fields["immutables"]),
    )
