"""The benchmarks by name, each run in a process of its own.

    python -m testnet.bench.suite NAME [--quick]

runs one and prints its report as JSON; `measure` calls that, so that one benchmark's memory and
garbage are no part of the next one's figures.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import msgspec

from testnet.bench.figures import Report

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "core": "core_figures",
        "gas": "gas",
        "council": "council",
        "start": "start",
        "gossip": "gossip",
        "beacon": "beacon",
        "node": "node",
        "testnet": "first_anchor",
        "market": "market_story",
    }
)
"""Names in the order they run; `testnet.bench.<module>.measure` makes the report."""

BENCH_S_MAX = 1800
"""Time for one benchmark; the longest takes some five minutes on a quiet machine."""

_ERROR_CHARS_SHOWN = 2000


class BenchFailed(Exception):
    """A benchmark ended without a report; the message has the end of what it said."""


def measure(name: str, *, is_quick: bool) -> Report:
    """Run one benchmark in a fresh process.

    Args:
        name: One of `MODULES`.
        is_quick: Take tiny sizes, which show that it runs and measure nothing.

    Raises:
        BenchFailed: It did not finish.
    """
    command = [sys.executable, "-m", "testnet.bench.suite", name, *["--quick"] * is_quick]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as child:
        try:
            out, errors = child.communicate(timeout=BENCH_S_MAX)
        except subprocess.TimeoutExpired as error:
            child.send_signal(signal.SIGINT)  # it ends what it started
            raise BenchFailed(f"{name} took more than {BENCH_S_MAX} s") from error
    if child.returncode != 0:
        raise BenchFailed(f"{name} failed:\n{errors[-_ERROR_CHARS_SHOWN:]}")
    return msgspec.json.decode(out.splitlines()[-1], type=Report)


def measure_here(name: str, *, is_quick: bool) -> Report:
    """Run one benchmark in this process."""
    report: object = import_module(f"testnet.bench.{MODULES[name]}").measure(is_quick=is_quick)
    if not isinstance(report, Report):
        raise TypeError(f"{name} made no report")
    return report


def main(arguments: list[str]) -> None:
    """Run the named benchmark and print its report."""
    report = measure_here(arguments[0], is_quick="--quick" in arguments[1:])
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
