"""The command line. Nothing is imported before the command that needs it is known."""


def main() -> None:
    """Run the command line of this process."""
    from stkrp2p.cli.root import root  # noqa: PLC0415  - importing the package alone costs nothing

    root(prog_name="stkrp2p")
