"""`stkrp2p council`: who governs, and how its keys are made and handed on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from stkrp2p.cli.errors import Exit, Failure, key_failures, safe_failure
from stkrp2p.cli.options import ReadingCommand, again
from stkrp2p.cli.output import print_json, print_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stkrp2p.cli.council_view import View
    from stkrp2p.cli.elected import Elected
    from stkrp2p.config import Loaded, NodeConfig
    from stkrp2p.services.council import Seat


class KeyCommand(ReadingCommand):
    """A command with the flags of all that a ceremony takes; a network file is not among it."""

    settings: ClassVar[tuple[str, ...]] = (
        "data_dir",
        "listen",
        "rpc",
        "peers",
        "council_password",
        "account_key",
        "account_password",
        "log_level",
        "log_format",
    )


@click.group("council")
def command() -> None:
    """Show who governs; make the council's keys, hand them on.

    Keys are made and handed on in sessions on a bulletin board, a contract: governors deal each
    other shares, respond, answer complaints and confirm, each node by itself. A session opens once a
    threshold of the governors asks for it. One that is stuck or failed is given up by asking again:
    the next session supersedes it, and nothing in force changes before that one is confirmed.
    """


# ---------------------------------------------------------------------------------- status


@command.command("status", cls=ReadingCommand)
def status(*, loaded: Loaded, as_json: bool) -> None:
    """Say who governs, how the latest session stands, and what this node holds.

    Asks the running node; if none runs, the bulletin board and this node's files.
    """
    from stkrp2p.adapters.clock import SystemClock  # noqa: PLC0415
    from stkrp2p.cli.council_view import council_lines, view_of  # noqa: PLC0415
    from stkrp2p.cli.live import ask_if_running  # noqa: PLC0415

    told: Mapping[str, object] | None = ask_if_running(loaded.config, "council")
    report = told if told is not None else _report_without_node(loaded)
    elected, trouble = _elected(loaded.config)
    view = view_of(report)
    hint = _next(loaded, view, elected)
    if as_json:
        shown = elected.document() if elected else None
        more = {"elected": shown, "elected_trouble": trouble, "next": hint}
        print_json("council-status/1", {"is_running": told is not None, **report, **more})
        return
    keys = [("keys", elected.text())] if elected else []
    print_lines(council_lines(view, SystemClock().unix_ms(), keys))
    print_lines([f"attention: who is elected is not known: {trouble}"] if trouble else [])
    print_lines([f"next: {hint}"] if hint else [])


def _elected(config: NodeConfig) -> tuple[Elected | None, str]:
    """Return who is elected, and what keeps us from knowing it; that fails nothing else."""
    from stkrp2p.cli.elected import ask_elected  # noqa: PLC0415

    try:
        return ask_elected(config), ""
    except Failure as failure:
        return None, failure.why or failure.message


def _next(loaded: Loaded, view: View, elected: Elected | None) -> str:
    from stkrp2p.cli.elected import HAND_ON  # noqa: PLC0415
    from stkrp2p.cli.identity import own_node  # noqa: PLC0415

    phase = view.session.phase if view.session is not None else ""
    is_over = phase in {"", "confirmed", "failed"}
    if elected is not None and is_over and elected.is_due_by(own_node(loaded.config)):
        return again(loaded, HAND_ON)
    return again(loaded, "council reshare LIST") if phase == "failed" else ""


def _report_without_node(loaded: Loaded) -> Mapping[str, object]:
    """Return what the board and the files say.

    Raises:
        Failure: The network names no board, or the chain cannot be asked.
    """
    from stkrp2p.adapters.clock import SystemClock  # noqa: PLC0415
    from stkrp2p.cli.boards import ask_board, board_of_network  # noqa: PLC0415
    from stkrp2p.cli.identity import own_node  # noqa: PLC0415
    from stkrp2p.cli.keymaking import safe_of  # noqa: PLC0415
    from stkrp2p.ports import Board, SafeError  # noqa: PLC0415
    from stkrp2p.services.ceremony import CeremonyState, load_seats  # noqa: PLC0415
    from stkrp2p.services.council import Seats  # noqa: PLC0415
    from stkrp2p.services.council_report import council_report  # noqa: PLC0415

    config, node = loaded.config, own_node(loaded.config)
    contract = board_of_network(config)

    async def read(board: Board, chain_id: int) -> Mapping[str, object]:
        state, seats = CeremonyState(), Seats()
        state.sitting, state.session = await board.sitting(), await board.session()
        try:
            safe = safe_of(config, node, chain_id, contract)
            await load_seats(safe, seats, state.sitting)
        except SafeError as error:
            state.trouble = str(error)
        return council_report(state, seats, node, SystemClock().unix_ms())

    return ask_board(config, contract, read)


# ---------------------------------------------------------------------------------- dkg


def _address(ctx: click.Context, param: click.Parameter, text: str) -> bytes:  # noqa: ARG001
    from stkrp2p.cli.governor_list import address_from_text  # noqa: PLC0415

    value = address_from_text(text)
    if value is None:
        raise click.BadParameter(f"{text} is no address: 0x and 40 hex digits")
    return value


@command.command("dkg", cls=KeyCommand)
@click.option(
    "--board",
    "contract",
    required=True,
    callback=_address,
    metavar="0x…",
    help="Address of the council's bulletin board, CouncilKeys.",
)
def dkg(*, loaded: Loaded, contract: bytes, as_json: bool) -> None:
    """Make the council's first keys, before there is a network.

    To be run by all governors at about the same time, each with its node's key and account, and with
    the others' addresses in "peers". Asks for a session, takes part in it, and prints both public
    keys, which the network file and the contracts need. If it is stopped, run it again: it goes on
    where it was. If the session fails, run it again everywhere: that asks for the next one.
    """
    seat = _make_keys(loaded, contract, partial(click.echo, err=as_json))
    keys = _document(seat)
    if as_json:
        print_json("council-dkg/1", keys)
        return
    click.echo(f"done: governor {keys['index']} of {keys['governors']}, group {keys['group_hash']}")
    click.echo(f"beacon key: {keys['beacon_key']}")
    click.echo(f"anchor key: {keys['anchor_key']}")
    click.echo(f"next: deploy the network with both keys and board 0x{contract.hex()}")


def _make_keys(loaded: Loaded, contract: bytes, say: Callable[[str], None]) -> Seat:
    """Return our seat once the keys are made.

    Raises:
        Failure: They were not, or something that it takes does not work.
    """
    from stkrp2p.adapters.keys import load_node_key  # noqa: PLC0415
    from stkrp2p.adapters.libp2p import ListenError  # noqa: PLC0415
    from stkrp2p.cli.boards import ask_board  # noqa: PLC0415
    from stkrp2p.cli.keymaking import Place, make_keys  # noqa: PLC0415
    from stkrp2p.cli.logs import set_up_logging  # noqa: PLC0415
    from stkrp2p.cli.run import first_of  # noqa: PLC0415
    from stkrp2p.ports import Board, SafeError  # noqa: PLC0415

    config = loaded.config
    with key_failures():
        key, account = load_node_key(config.node_key), account_of(loaded)
    # Progress is told by the command itself, so less is logged than a node logs.
    is_quiet = loaded.origins["log_level"] == "default"
    set_up_logging("error" if is_quiet else config.log_level, config.log_format)

    async def work(board: Board, chain_id: int) -> Seat:
        place = Place(config=config, key=key, chain_id=chain_id, contract=contract, board=board)
        return await make_keys(place, say)

    error: BaseException | None = None
    try:
        return ask_board(config, contract, work, account_key=account)
    except* (SafeError, ListenError) as errors:
        error = first_of(errors)
    if isinstance(error, SafeError):
        raise safe_failure(error) from error
    raise Failure(
        "the other governors cannot be reached",
        why=str(error),
        hint="stkrp2p council dkg --listen /ip4/0.0.0.0/tcp/<another port> …",
    ) from error


def account_of(loaded: Loaded) -> bytes:
    """Return the secret of the account that posts for this node.

    Raises:
        Failure: None is configured.
        KeyFileError: Its file cannot be used.
    """
    from stkrp2p.adapters.keys import load_account_key  # noqa: PLC0415

    config = loaded.config
    if config.account_key is None:
        raise Failure(
            "no account posts for this node",
            why='the setting "account_key" is empty',
            hint="set account_key to the account that the board lists for this governor",
            code=Exit.USAGE,
        )
    held = load_account_key(config.account_key, password_path=config.account_password)
    return held.secret.reveal()


def _document(seat: Seat) -> dict[str, object]:
    from stkrp2p.core.group import Purpose  # noqa: PLC0415

    group = seat.group
    return {
        "session": group.session,
        "group_hash": group.hash().hex(),
        "governors": len(group.governors),
        "threshold": group.threshold,
        "index": seat.share.index if seat.share else None,
        "starts_ms": seat.starts_ms,
        **{f"{p.name.lower()}_key": group.public_key(p).hex() for p in Purpose},
    }


# ---------------------------------------------------------------------------------- reshare


@command.command("reshare", cls=ReadingCommand)
@click.argument("path", metavar="LIST", required=False, type=click.Path(path_type=Path))
@click.option("--elected", "is_elected", is_flag=True, help="Take the list that was elected.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent and cost; send nothing.")
@click.option("--again", "anew", is_flag=True, help="Give up a session for LIST under way.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the session's end.")
def reshare(
    *,
    loaded: Loaded,
    path: Path | None,
    is_elected: bool,
    dry_run: bool,
    anew: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Ask for new shares of the same keys, for the governors in LIST, or for those elected.

    LIST is a file with one governor a line: account and PeerID; the present list is taken as "-".
    With --elected it is the list of the network's elections, the first seats of `gov status`; if
    those hold the keys, nothing is sent.
    The session opens once a threshold of those who sit have asked for the same list. The nodes do
    the rest by themselves, this governor's included: it must run. Ending this command ends nothing.

    To try again after a session that failed, ask again. To give up one that is stuck, ask for another
    list, or with --again for the same: the next session supersedes it. The shares in force stay so
    until a session is confirmed.
    """
    from stkrp2p.cli.resharing import Wish, ask_for_session  # noqa: PLC0415

    if path is None and not is_elected:
        raise click.UsageError("missing LIST, or --elected")
    if path is not None and is_elected:
        raise click.UsageError("LIST and --elected exclude each other")
    say = partial(click.echo, err=as_json)
    with key_failures():
        account = account_of(loaded)
    wish = Wish(path=path, is_dry=dry_run, is_waiting=not no_wait, is_anew=anew)
    done = ask_for_session(loaded.config, account, wish, say)
    if as_json:
        print_json("council-reshare/1", done.document())
    else:
        print_lines(done.lines())
        click.echo(f"next: {again(loaded, 'council status')}")
