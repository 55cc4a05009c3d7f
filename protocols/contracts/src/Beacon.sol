// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BLS12381} from "./BLS12381.sol";

/// @title  Rounds of a drand beacon, scheme `bls-unchained-g1-rfc9380` (quicknet)
/// @notice A round proves itself: it is the beacon's signature on the round's number.
library Beacon {
    bytes private constant DOMAIN = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

    /// @notice The signature is not the beacon's on this round.
    error BadRoundSignature(uint64 round);

    /// @notice Returns the randomness of a round after checking the beacon's signature.
    /// @param  key        The beacon's public key, G2, 256 bytes.
    /// @param  round      The round's number, counted from 1 as drand does.
    /// @param  signature  G1, uncompressed, 128 bytes; any content.
    /// @return SHA-256 of the compressed signature, as drand defines it.
    function verify(bytes memory key, uint64 round, bytes memory signature)
        internal
        view
        returns (bytes32)
    {
        bytes memory message = abi.encodePacked(sha256(abi.encodePacked(round)));
        if (!BLS12381.verify(key, BLS12381.hashToG1(DOMAIN, message), signature)) {
            revert BadRoundSignature(round);
        }
        return sha256(BLS12381.compressG1(signature));
    }
}
