"""Ports implemented with libraries; the only place that imports libp2p, web3 and sqlite3."""
