"""Compile the contracts into the files that the Python package carries.

    python protocols/contracts/build.py            write them
    python protocols/contracts/build.py --check    exit with 1 unless they are what would be written

It needs Node, and `npm install` run once in this folder; no network after that. Each contract gets one
file with its ABI, its creation code, and its runtime code with the places of its immutables, so that
what is deployed can be compared with what was built. `build.json` says how they were made: the exact
compiler and settings, the library with the digest of its package, and the SHA-256 of the compiler's
whole input, which is what a block explorer needs to verify the sources.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import posixpath
import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ARTIFACTS = HERE.parents[1] / "stkrp2p" / "adapters" / "artifacts"
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
LIBRARY = "@openzeppelin/contracts"

# An import at the start of a line; the examples in comments stand behind an asterisk.
IMPORT = re.compile(r"""^\s*import\s[^"']*["']([^"']+)["']""", re.MULTILINE)


def sources_of(name: str, found: dict[str, dict[str, str]]) -> None:
    """Add the source `name` to `found`, and all that it imports.

    Args:
        name: As the compiler sees it: below this folder, or `@…` for a package.
        found: Sources by name, each as the compiler's input wants it.
    """
    if name in found:
        return
    path = HERE / "node_modules" / name if name.startswith("@") else HERE / name
    text = path.read_text(encoding="utf-8")
    found[name] = {"content": text}
    for imported in IMPORT.findall(text):
        is_relative = imported.startswith(".")
        folder = posixpath.dirname(name) if is_relative else ""
        sources_of(posixpath.normpath(posixpath.join(folder, imported)), found)


def source_of(contract: str) -> str:
    """Return the name of a contract's source: `src/`, perhaps a folder, and `<contract>.sol`."""
    [path] = (HERE / "src").rglob(f"{contract}.sol")
    return path.relative_to(HERE).as_posix()


def compiler_input() -> dict[str, object]:
    """Return the compiler's standard-JSON input, with the settings of `foundry.toml`."""
    profile = tomllib.loads((HERE / "foundry.toml").read_text())["profile"]["default"]
    sources: dict[str, dict[str, str]] = {}
    for contract in CONTRACTS:
        sources_of(source_of(contract), sources)
    parts = ["abi", "evm.bytecode.object", "evm.deployedBytecode"]
    return {
        "language": "Solidity",
        "sources": dict(sorted(sources.items())),
        "settings": {
            "evmVersion": profile["evm_version"],
            "metadata": {
                "appendCBOR": profile["cbor_metadata"],
                "bytecodeHash": profile["bytecode_hash"],
            },
            "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
            "outputSelection": {source_of(name): {name: parts} for name in CONTRACTS},
        },
    }


def compile_json(text: str) -> dict[str, dict[str, dict[str, object]]]:
    """Return the compiler's contracts by source and name.

    Raises:
        SystemExit: The compiler found an error, or a warning in a source of ours.
    """
    run = subprocess.run(
        [HERE / "tools" / "solc", "--standard-json"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        sys.exit(run.stderr.strip())
    output = json.loads(run.stdout)
    for message in output.get("errors", []):
        is_ours = message.get("sourceLocation", {}).get("file", "src/").startswith("src/")
        if message["severity"] == "error" or is_ours:
            sys.exit(message["formattedMessage"])
    return output["contracts"]


def artifact_of(contract: dict) -> dict[str, object]:
    """Return what the package needs of a compiled contract.

    `immutables` are [start, length] in bytes: the places of the runtime code that hold zeros here
    and, once deployed, what the constructor was given.
    """
    runtime = contract["evm"]["deployedBytecode"]
    places = [
        [place["start"], place["length"]]
        for uses in runtime.get("immutableReferences", {}).values()
        for place in uses
    ]
    return {
        "abi": contract["abi"],
        "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
        "runtime": "0x" + runtime["object"],
        "immutables": sorted(places),
    }


def to_json(value: object) -> str:
    """Return the one way we write JSON: sorted keys, so that equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"


def build() -> dict[str, str]:
    """Return the text of each artifact file, by file name."""
    wanted = compiler_input()
    text = json.dumps(wanted, sort_keys=True)
    compiled = compile_json(text)
    files = {
        f"{name}.json": to_json(artifact_of(compiled[source_of(name)][name]))
        for name in CONTRACTS
    }
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]
    version = subprocess.run(
        [HERE / "tools" / "solc", "--version"], capture_output=True, text=True, check=True
    )
    manifest = {
        "compiler": version.stdout.rsplit("Version: ", 1)[1].strip(),
        "input_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "library": {
            "name": LIBRARY,
            "version": locked[f"node_modules/{LIBRARY}"]["version"],
            "integrity": locked[f"node_modules/{LIBRARY}"]["integrity"],
        },
        "settings": {
            key: value for key, value in wanted["settings"].items() if key != "outputSelection"
        },
        "sha256": {name: hashlib.sha256(body.encode()).hexdigest() for name, body in files.items()},
    }
    files["build.json"] = json.dumps(manifest, sort_keys=True, indent=2) + "\n"
    return files


def differences(files: dict[str, str]) -> list[str]:
    """Return the names of artifacts that are not, byte for byte, what `files` says; sorted."""
    present = {path.name: path.read_text() for path in ARTIFACTS.glob("*.json")}
    names = files.keys() | present.keys()
    return sorted(name for name in names if files.get(name) != present.get(name))


def main() -> None:
    """Write the artifacts, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    is_check = parser.parse_args().check
    files = build()
    if not is_check:
        ARTIFACTS.mkdir(exist_ok=True)
        for name, text in files.items():
            (ARTIFACTS / name).write_text(text)
        return
    different = differences(files)
    if different:
        sys.exit(f"not what the sources build to: {', '.join(different)}; run build.py")


if __name__ == "__main__":
    main()
