// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BLS12381} from "./BLS12381.sol";

/// @title  A BLS public key that is fixed at deployment
/// @dev    Kept as eight words of the contract's code: reading it costs next to nothing, while eight
///         words of storage would cost 16,800 gas at each check.
abstract contract G2Key {
    bytes32 private immutable X_C0_HIGH;
    bytes32 private immutable X_C0_LOW;
    bytes32 private immutable X_C1_HIGH;
    bytes32 private immutable X_C1_LOW;
    bytes32 private immutable Y_C0_HIGH;
    bytes32 private immutable Y_C0_LOW;
    bytes32 private immutable Y_C1_HIGH;
    bytes32 private immutable Y_C1_LOW;

    /// @notice The key is infinity, off the curve, or outside the subgroup of prime order.
    error BadPublicKey();

    /// @param key G2 point as EIP-2537 encodes it, 256 bytes.
    constructor(bytes memory key) {
        if (!BLS12381.isPublicKey(key)) revert BadPublicKey();
        bytes32[8] memory words = abi.decode(key, (bytes32[8]));
        X_C0_HIGH = words[0];
        X_C0_LOW = words[1];
        X_C1_HIGH = words[2];
        X_C1_LOW = words[3];
        Y_C0_HIGH = words[4];
        Y_C0_LOW = words[5];
        Y_C1_HIGH = words[6];
        Y_C1_LOW = words[7];
    }

    /// @dev The key as it was given at deployment.
    function _key() internal view returns (bytes memory) {
        return abi.encode(
            X_C0_HIGH, X_C0_LOW, X_C1_HIGH, X_C1_LOW, Y_C0_HIGH, Y_C0_LOW, Y_C1_HIGH, Y_C1_LOW
        );
    }
}
