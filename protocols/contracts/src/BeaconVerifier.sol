// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Beacon} from "./Beacon.sol";
import {BLS12381} from "./BLS12381.sol";
import {G2Key} from "./G2Key.sol";
import {IBeaconVerifier} from "./interfaces/IBeaconVerifier.sol";

/// @title Checks rounds of one beacon, quicknet for instance
contract BeaconVerifier is IBeaconVerifier, G2Key {
    /// @param key The beacon's public key, G2 as EIP-2537 encodes it, 256 bytes.
    constructor(bytes memory key) G2Key(key) {}

    /// @inheritdoc IBeaconVerifier
    function verifyRound(uint64 round, bytes calldata signature) external view returns (bytes32) {
        return Beacon.verify(_key(), round, signature);
    }

    /// @inheritdoc IBeaconVerifier
    function verifyRoundCompressed(uint64 round, bytes calldata signature)
        external
        view
        returns (bytes32)
    {
        return Beacon.verify(_key(), round, BLS12381.decompressG1(signature));
    }

    /// @inheritdoc IBeaconVerifier
    function publicKey() external view returns (bytes memory) {
        return _key();
    }
}
