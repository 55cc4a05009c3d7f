// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "../../src/ScoreMath.sol";

/// @dev Runs thousands of cases in one call, so that the core can be held against the contract's
///      mathematics at speed. A case is a row of words: score and old score (16 each), auditors,
///      rounds, epoch, median, whether void, delivered, owed, the preset's 9 numbers, and the length
///      of the matrix, whose bytes follow, filled up to whole words.
contract ScoreHarness {
    uint256 private constant HEAD_BYTES = 49 * 32;

    /// @notice What is wrong in each case, one byte a case.
    function faults(uint256 count, bytes calldata cases)
        external
        pure
        returns (bytes memory found)
    {
        found = new bytes(count);
        for (uint256 i = 0; i < count; ++i) {
            (ScoreMath.Claim memory claim, ScoreMath.Params memory params,) = _read(cases);
            (bytes calldata matrix, bytes calldata rest) = _matrix(cases);
            found[i] = bytes1(ScoreMath.fault(claim, matrix, params));
            cases = rest;
        }
    }

    /// @notice The score that each case comes to. Each has a matrix of the right size, and an old
    ///         score that can be.
    function scores(uint256 count, bytes calldata cases)
        external
        pure
        returns (uint256[16][] memory found)
    {
        found = new uint256[16][](count);
        for (uint256 i = 0; i < count; ++i) {
            (ScoreMath.Claim memory claim, ScoreMath.Params memory params, uint256[2] memory duty) =
                _read(cases);
            (bytes calldata matrix, bytes calldata rest) = _matrix(cases);
            ScoreMath.Seen memory seen = ScoreMath.tally(
                matrix, claim.auditors, claim.rounds, claim.old[ScoreMath.LAST_VERDICT]
            );
            (seen.delivered, seen.owed) = (duty[0], duty[1]);
            found[i] = ScoreMath.next(claim.old, seen, claim.epoch, claim.medianPpm, params);
            cases = rest;
        }
    }

    function _read(bytes calldata cases)
        private
        pure
        returns (
            ScoreMath.Claim memory claim,
            ScoreMath.Params memory params,
            uint256[2] memory duty
        )
    {
        (claim, duty, params) = abi.decode(cases, (ScoreMath.Claim, uint256[2], ScoreMath.Params));
    }

    function _matrix(bytes calldata cases)
        private
        pure
        returns (bytes calldata matrix, bytes calldata rest)
    {
        uint256 length = uint256(bytes32(cases[HEAD_BYTES - 32:]));
        uint256 end = HEAD_BYTES + (length + 31) / 32 * 32;
        return (cases[HEAD_BYTES:HEAD_BYTES + length], cases[end:]);
    }
}
