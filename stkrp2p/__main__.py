"""`python -m stkrp2p` is the command `stkrp2p`."""

from stkrp2p.cli import main

if __name__ == "__main__":
    main()
