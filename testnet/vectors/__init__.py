"""Test vectors of the protocol: what another implementation must get, as files.

    python -m testnet.vectors --write     write protocols/vectors/*.json anew
    python -m testnet.vectors --check     say whether they are what the code gives

The same inputs give the same bytes everywhere: secrets are hashes of names, and nothing else varies.
The format is described in `protocols/vectors/README.md`.
"""
