// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  Checks rounds of one beacon
/// @notice Stateless: whoever needs a round's randomness on chain brings the round, and it is checked.
interface IBeaconVerifier {
    /// @notice Returns a round's randomness; reverts unless `signature` is the beacon's on `round`.
    /// @param  round      The round's number, counted from 1 as drand does.
    /// @param  signature  G1 point, uncompressed (EIP-2537), 128 bytes.
    function verifyRound(uint64 round, bytes calldata signature) external view returns (bytes32);

    /// @notice The same for a signature as drand publishes it. Costs about 40,000 gas more.
    /// @param  round      The round's number, counted from 1 as drand does.
    /// @param  signature  G1 point, compressed, 48 bytes.
    function verifyRoundCompressed(uint64 round, bytes calldata signature)
        external
        view
        returns (bytes32);

    /// @notice The beacon's public key, G2 as EIP-2537 encodes it, 256 bytes.
    function publicKey() external view returns (bytes memory);
}
