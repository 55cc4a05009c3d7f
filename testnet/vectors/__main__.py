"""The command `python -m testnet.vectors --check | --write`."""

from __future__ import annotations

import argparse
import sys

from testnet.vectors.files import FILES, stale, write


def main() -> int:
    """Run the command; 1 if files were stale under `--check`."""
    parser = argparse.ArgumentParser(prog="python -m testnet.vectors")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="say which files are stale")
    what.add_argument("--write", action="store_true", help="write the stale files anew")
    names = write() if parser.parse_args().write else stale()
    is_check = "--check" in sys.argv
    for name in names:
        sys.stdout.write(f"{'stale' if is_check else 'written'}: protocols/vectors/{name}.json\n")
    sys.stdout.write(f"{len(FILES) - len(names)} of {len(FILES)} files as they should be\n")
    return 1 if is_check and names else 0


if __name__ == "__main__":
    raise SystemExit(main())
