"""`stkrp2p testnet …`: a local network of real processes, watched and judged."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

    from testnet.finding import Finding

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_NOT_RUNNING = 3
EXIT_TIMED_OUT = 5

SLACK_S = 60
"""How much longer than planned a run may take before it is given up."""

WIDTH_MAX = 100
_INDENT = " " * 10

STORY_S_MAX = 480
"""How long the market's story may take once its network runs; on an idle machine it takes two
minutes."""


@click.group("testnet")
def group() -> None:
    """Run a local network of real nodes on this machine."""


def _fail(what: str, why: str, next_step: str, code: int = EXIT_FAILED) -> NoReturn:
    click.echo(f"error: {what}\n  why:  {why}\n  next: {next_step}", err=True)
    sys.exit(code)


def _run_folder(run: str | None) -> Path:
    from testnet.manifest import FILE_NAME, RUNS  # noqa: PLC0415

    folder = Path(run) if run else RUNS / "latest"
    if not (folder / FILE_NAME).exists():
        _fail(
            f"there is no local network in {folder}",
            "no manifest.json is there",
            "start one with `./run testnet`, or name its folder with --run",
            EXIT_NOT_RUNNING,
        )
    return folder.resolve()


run_option = click.option("--run", metavar="FOLDER", help="Folder of the run; default runs/latest.")


@group.command()
@click.option("--nodes", default=8, show_default=True, help="Full nodes, failing ones included.")
@click.option("--light", default=2, show_default=True, help="Light nodes: they audit only.")
@click.option("--council", type=int, help="Governors, an odd number.  [default: 5, if so many fit]")
@click.option("--epochs", default=4, show_default=True, help="Epochs to anchor before the verdict.")
@click.option("--down", default=1, show_default=True, help="Nodes killed once they have been up.")
@click.option("--flaky", default=1, show_default=True, help="Nodes frozen and thawed in turn.")
@click.option("--keep", is_flag=True, help="Leave it running; `testnet down` ends it.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the run's files land.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def up(
    *,
    nodes: int,
    light: int,
    council: int | None,
    epochs: int,
    down: int,
    flaky: int,
    keep: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Start a network, watch it audit itself, and judge whether its promises held."""
    from testnet.plan import Plan, council_that_fits  # noqa: PLC0415
    from testnet.story import tell  # noqa: PLC0415

    try:
        fitting = council_that_fits(nodes - down - flaky) if council is None else council
        plan = Plan(
            nodes=nodes, light=light, council=fitting, epochs=epochs, down=down, flaky=flaky
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    chosen = (folder or _fresh_folder()).resolve()
    run = partial(tell, plan, chosen, _console(as_json=as_json), keep=keep, slack_s=SLACK_S)
    findings = _run(
        run,
        chosen,
        too_slow=f"{plan.epochs} epochs were not anchored in the time planned, plus {SLACK_S} s",
    )
    hint = f"stkrp2p explain NODE --config {_short(chosen)}/node0/config.toml"
    _conclude(findings, chosen, hint, as_json=as_json)


@group.command()
@click.option("--keep", is_flag=True, help="Leave it running; `testnet down` ends it.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the run's files land.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def market(*, keep: bool, folder: Path | None, as_json: bool) -> None:
    """Play a market on real nodes: votes, bids, a draw, work, money, and a provider that fails.

    Six nodes start, three of them the governors' and three those of providers. Takes two and a half
    minutes.
    """
    from testnet.market_story import tell_market  # noqa: PLC0415

    chosen = (folder or _fresh_folder()).resolve()
    console = _console(as_json=as_json)
    run = partial(tell_market, chosen, console, keep=keep, story_s_max=STORY_S_MAX)
    told = _run(run, chosen, too_slow=f"the story did not end within {STORY_S_MAX} s")
    look = "policy show" if keep else "explain NODE"
    hint = f"stkrp2p {look} --config {_short(chosen)}/node0/config.toml"
    times = {"duration_s": told.duration_s, "detection_s": told.detection_s}
    _conclude(told.findings, chosen, hint, times, as_json=as_json)


def _console(*, as_json: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=as_json, width=None if sys.stdout.isatty() else 100, highlight=False)


def _run(run: Callable[[], Awaitable[T]], folder: Path, *, too_slow: str) -> T:
    """Run a story to its end, or say why it has none and exit."""
    import trio  # noqa: PLC0415

    try:
        return trio.run(run)
    except BaseException as error:  # noqa: BLE001 - what it does not explain is raised again
        failure = error
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        return _explain_failure(failure, folder, too_slow)


def _explain_failure(failure: BaseException, folder: Path, too_slow: str) -> NoReturn:
    import trio  # noqa: PLC0415

    from stkrp2p.ports import ChainUnavailable  # noqa: PLC0415
    from testnet.anvil import AnvilFailed, AnvilMissing  # noqa: PLC0415
    from testnet.cluster import ClusterFailed  # noqa: PLC0415

    where = _short(folder)
    match failure:
        case AnvilMissing() | AnvilFailed() | ClusterFailed():
            _fail("the network did not start", str(failure), f"read the logs in {where}")
        case ChainUnavailable():
            _fail("the chain did not do a step", str(failure), f"read {where}/anvil.log")
        case trio.TooSlowError():
            _fail(
                "the run took too long",
                too_slow,
                f"`stkrp2p testnet logs --run {where}`; a busy machine may need fewer nodes",
                EXIT_TIMED_OUT,
            )
        case KeyboardInterrupt():
            _fail("interrupted", "Ctrl-C", f"the run's files are in {where}")
        case _:
            raise failure


def _fresh_folder() -> Path:
    from testnet.manifest import RUNS  # noqa: PLC0415

    return RUNS / time.strftime("%Y%m%d-%H%M%S")


def _conclude(
    findings: tuple[Finding, ...],
    folder: Path,
    hint: str,
    times: Mapping[str, float] = MappingProxyType({}),
    *,
    as_json: bool,
) -> NoReturn:
    held = all(f.held for f in findings)
    if as_json:
        rows = [{"promise": f.promise, "held": f.held, "detail": f.detail} for f in findings]
        said = {"held": held, "folder": str(folder), "findings": rows, **times}
        click.echo(json.dumps(said, indent=2))
    else:
        click.echo("\nverdict")
        for finding in findings:
            click.echo(f"  {'held  ' if finding.held else 'BROKEN'}  {finding.promise}")
            click.echo(indented(finding.detail))
        count = sum(f.held for f in findings)
        click.echo(f"\n{count} of {len(findings)} promises held. Files: {_short(folder)}")
        for name, seconds in times.items():
            click.echo(f"{name.removesuffix('_s')}: {seconds:.1f} s")
        click.echo(f"next: {hint}")
    sys.exit(0 if held else EXIT_FAILED)


def indented(detail: str) -> str:
    """Return what was found, broken into lines that fit; an address is never broken."""
    return textwrap.fill(
        detail,
        width=WIDTH_MAX,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@group.command()
@run_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(run: str | None, *, as_json: bool) -> None:
    """Show which processes of a run are alive."""
    from testnet.manifest import is_alive, load  # noqa: PLC0415

    manifest = load(_run_folder(run))
    alive = {name: is_alive(pid) for name, pid in manifest.pids().items()}
    if as_json:
        rows = {n: {"pid": p, "is_alive": alive[n]} for n, p in manifest.pids().items()}
        click.echo(json.dumps({"folder": manifest.folder, "processes": rows}, indent=2))
    else:
        for name, pid in manifest.pids().items():
            click.echo(f"{name:16} {pid:>8}  {'alive' if alive[name] else 'ended'}")
    if not any(alive.values()):
        sys.exit(EXIT_NOT_RUNNING)


@group.command()
@run_option
@click.option("--delete", is_flag=True, help="Delete the run's folder too.")
def down(run: str | None, *, delete: bool) -> None:
    """End every process of a run."""
    from testnet.cluster import stop  # noqa: PLC0415
    from testnet.manifest import load  # noqa: PLC0415

    folder = _run_folder(run)
    pids = list(load(folder).pids().values())
    stop(pids)
    if delete:
        shutil.rmtree(folder)
    click.echo(f"{len(pids)} processes ended{', folder deleted' if delete else ''}")


@group.command()
@click.argument("name")
@run_option
def kill(name: str, run: str | None) -> None:
    """Kill one process of a run with -9, such as node3 or anvil."""
    from testnet import manifest  # noqa: PLC0415

    pids = manifest.load(_run_folder(run)).pids()
    if name not in pids:
        raise click.UsageError(f"no process {name}; there are: {', '.join(pids)}")
    manifest.kill(pids[name])
    click.echo(f"{name} (pid {pids[name]}) killed")


@group.command()
@click.argument("name", default="")
@run_option
@click.option("--lines", default=20, show_default=True, help="Lines of each log, the last ones.")
def logs(name: str, run: str | None, lines: int) -> None:
    """Show the end of a process's log, or of all."""
    folder = _run_folder(run)
    paths = sorted([*folder.glob("*.log"), *folder.glob("*/node.log")])
    for path in paths:
        label = path.parent.name if path.name == "node.log" else path.stem
        if name in {"", label}:
            click.echo(f"== {label}: {_short(path)}")
            for line in path.read_text(errors="replace").splitlines()[-lines:]:
                click.echo(line)
