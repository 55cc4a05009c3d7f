"""What a sidecar looks after, and how others check it: Ethereum nodes, web services, open ports.

A new kind of workload is a form of descriptor, a class that answers, and a check (R70).
"""

from __future__ import annotations

from typing import assert_never

from stkrp2p.adapters.workloads.descriptor import (
    Ethereum,
    Http,
    Nothing,
    Tcp,
    read_descriptor,
)
from stkrp2p.adapters.workloads.ethereum import EthereumWorkload
from stkrp2p.adapters.workloads.examiner import WorkloadExaminer
from stkrp2p.adapters.workloads.service import HttpWorkload, NoWorkload, TcpWorkload

__all__ = [
    "EthereumWorkload",
    "HttpWorkload",
    "NoWorkload",
    "TcpWorkload",
    "WorkloadExaminer",
    "open_workload",
    "read_descriptor",
]

DEFAULT_RPC_URL = "http://127.0.0.1:8545"


def open_workload(
    descriptor: str, *, rpc_url: str = DEFAULT_RPC_URL, host: str = "127.0.0.1"
) -> EthereumWorkload | HttpWorkload | TcpWorkload | NoWorkload:
    """Return the workload a descriptor names; nothing is sent yet.

    Args:
        descriptor: Such as `ethereum:1`; see `descriptor.py`.
        rpc_url: JSON-RPC of the Ethereum node; for `ethereum:…` only.
        host: IP address the service is asked at from here; for `http:…` and `tcp:…` only.

    Raises:
        ValueError: No such workload, or no such address.
    """
    workload = read_descriptor(descriptor)
    match workload:
        case Ethereum(chain_id):
            return EthereumWorkload(rpc_url, chain_id)
        case Http(port, path):
            return HttpWorkload(port, path, host=host)
        case Tcp(port):
            return TcpWorkload(port, host=host)
        case Nothing():
            return NoWorkload()
        case _:
            assert_never(workload)
