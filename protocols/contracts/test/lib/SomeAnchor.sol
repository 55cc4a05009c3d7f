// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Epochs} from "../../src/Epochs.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";

/// @dev Anchored epochs without a council: an epoch is final as soon as it has ended, and holds the
///      scores that a test told of. The council's signatures have tests of their own.
contract SomeAnchor is Epochs {
    mapping(bytes32 scoreHash => bool) private _isTold;

    constructor(uint64 genesisMs, uint64 epochMs) Epochs(genesisMs, epochMs) {}

    function tell(IReputationAnchor.Header calldata header, bytes32[16] calldata words) external {
        _isTold[keccak256(abi.encode(header, words))] = true;
    }

    function isFinal(uint64 epoch) external view returns (bool) {
        return block.timestamp * 1000 >= _startMs(uint256(epoch) + 1);
    }

    function recordOf(uint64 epoch) external view returns (bytes24, uint64) {
        IReputationAnchor.Header memory header;
        header.epoch = epoch;
        uint256 anchoredAt = (_startMs(uint256(epoch) + 1) + 999) / 1000;
        return (bytes24(keccak256(abi.encode(header))), SafeCast.toUint64(anchoredAt));
    }

    function verifyScore(
        IReputationAnchor.Header calldata header,
        bytes32[16] calldata words,
        bytes32[] calldata
    ) external view returns (bool) {
        return _isTold[keccak256(abi.encode(header, words))];
    }

    function verifyRoster(
        IReputationAnchor.Header calldata,
        bytes32[8] calldata,
        bytes32[] calldata
    ) external pure returns (bool) {
        return true;
    }
}
