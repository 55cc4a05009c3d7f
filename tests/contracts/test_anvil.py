"""Starting and stopping a real anvil."""

from __future__ import annotations

import os
import socket
import time

import pytest
from web3 import HTTPProvider, Web3

from testnet import anvil

pytestmark = pytest.mark.chain


def is_open(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


def test_it_is_gone_when_the_block_is_left_by_an_error(tmp_path):
    seen = []

    def fail() -> None:
        with anvil.running(anvil.Options(), log_path=tmp_path / "log") as running:
            seen.append(running)
            assert is_open(running.url)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    [running] = seen
    assert running.process.returncode is not None
    assert not is_open(running.url)


def test_a_port_already_taken_is_said(tmp_path):
    with anvil.running(anvil.Options(), log_path=tmp_path / "log") as running:
        port = int(running.url.rsplit(":", 1)[1])
        with pytest.raises(anvil.AnvilFailed, match="Address already in use"):
            anvil.start(anvil.Options(port=port), log_path=tmp_path / "second")


def test_a_missing_program_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("STKRP2P_ANVIL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(anvil, "_CONTRACTS", tmp_path)
    with pytest.raises(anvil.AnvilMissing, match="npm install"):
        anvil.find()


def test_the_environment_names_another_program(tmp_path, monkeypatch):
    monkeypatch.setenv("STKRP2P_ANVIL", os.fspath(tmp_path / "mine"))
    assert anvil.find() == tmp_path / "mine"


def test_a_chain_with_a_place_for_its_state_is_there_again_after_a_stop(tmp_path):
    options = anvil.Options(state_path=tmp_path / "state.json")
    for blocks_before in (0, 3):
        with anvil.running(options, log_path=tmp_path / "log") as running:
            web3 = Web3(HTTPProvider(running.url))
            assert web3.eth.block_number == blocks_before
            for _ in range(3):
                web3.provider.make_request("evm_mine", [])


def test_blocks_come_at_the_pace_asked_for(tmp_path):
    options = anvil.Options(block_time_s=1)
    with anvil.running(options, log_path=tmp_path / "log") as running:
        web3 = Web3(HTTPProvider(running.url))
        give_up = time.monotonic() + 10
        while web3.eth.block_number < 2:
            assert time.monotonic() < give_up
            time.sleep(0.05)
        assert web3.eth.get_block(2)["timestamp"] - web3.eth.get_block(1)["timestamp"] == 1


def test_the_chain_finalises_as_fast_as_asked_for(chain):
    for _ in range(4):
        chain.web3.provider.make_request("evm_mine", [])
    assert chain.web3.eth.get_block("safe")["number"] == 3
    assert chain.web3.eth.get_block("finalized")["number"] == 2
