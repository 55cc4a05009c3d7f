"""The contracts on Ethereum, behind `ports.Chain`. web3.py is loaded by the first call only."""

from stkrp2p.adapters.chain.calls import Preview
from stkrp2p.adapters.chain.wallet import Receipt, Rejected
from stkrp2p.adapters.chain.web3chain import Web3Chain

__all__ = ["Preview", "Receipt", "Rejected", "Web3Chain"]
