"""`stkrp2p bench`: measure what the protocol costs on this machine."""

from __future__ import annotations

import sys
import time

import click
import msgspec

from stkrp2p.cli.output import print_json, print_lines
from testnet.bench import process
from testnet.bench.figures import Report, table
from testnet.bench.suite import MODULES, BenchFailed, measure

EXIT_FAILED = 1


@click.command("bench")
@click.argument("names", nargs=-1, type=click.Choice(list(MODULES)), metavar="[NAMES]...")
@click.option("--quick", is_flag=True, help="Tiny sizes: shows that it runs, measures nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON with all that was measured.")
def command(names: tuple[str, ...], *, quick: bool, as_json: bool) -> None:
    """Measure what the protocol costs on this machine.

    NAMES are core, gas, start, gossip, node and testnet; all by default, in some ten minutes. Each
    figure stands beside its aim and a limit measured in the same run. A ! marks a missed aim.
    """
    runs: dict[str, dict[str, object]] = {}
    reports: dict[str, Report] = {}
    for name in names or MODULES:
        before, began = process.load(), time.monotonic()
        try:
            reports[name] = _measure(name, is_quick=quick)
        except BenchFailed as error:
            click.echo(f"error: {error}\n  next: python -m testnet.bench.suite {name}", err=True)
            sys.exit(EXIT_FAILED)
        took_s = round(time.monotonic() - began, 1)
        runs[name] = {"took_s": took_s, "load_before": before, "load_after": process.load()}
    _show(reports, runs, is_quick=quick, as_json=as_json)


def _measure(name: str, *, is_quick: bool) -> Report:
    click.echo(f"{name} …", err=True, nl=False)
    began = time.monotonic()
    report = measure(name, is_quick=is_quick)
    click.echo(f" {time.monotonic() - began:.0f} s", err=True)
    return report


def _show(
    reports: dict[str, Report],
    runs: dict[str, dict[str, object]],
    *,
    is_quick: bool,
    as_json: bool,
) -> None:
    if as_json:
        benchmarks = {n: {**runs[n], **msgspec.to_builtins(r)} for n, r in reports.items()}
        body = {"machine": process.machine(), "is_quick": is_quick, "benchmarks": benchmarks}
        print_json("bench/1", body)
        return
    facts = process.machine()
    one, five, _ = process.load()
    what = f"{facts['cpu']}, {facts['cores']} cores, Python {facts['python']}"
    click.echo(f"{what}; load {one:.1f}, {five:.1f}\n")
    print_lines(table(reports))
    if is_quick:
        click.echo("\nquick: the sizes are too small to mean anything")
