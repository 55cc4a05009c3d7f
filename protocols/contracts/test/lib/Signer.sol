// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BLS12381} from "../../src/BLS12381.sol";

/// @dev Signs inside the EVM, for tests whose messages are not known beforehand. Secrets are public.
library Signer {
    bytes internal constant G1_GENERATOR = hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0f"
        hex"c3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
        hex"0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4"
        hex"fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1";

    bytes internal constant G2_GENERATOR = hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051"
        hex"c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65"
        hex"596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        hex"000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351a"
        hex"adfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"
        hex"000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99"
        hex"cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be";

    uint256 internal constant GROUP_ORDER =
        0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    function publicKey(uint256 secret) internal view returns (bytes memory) {
        return _run(address(0x0e), bytes.concat(G2_GENERATOR, bytes32(secret)));
    }

    function sign(uint256 secret, bytes memory domain, bytes memory message)
        internal
        view
        returns (bytes memory)
    {
        return times(BLS12381.hashToG1(domain, message), secret);
    }

    function times(bytes memory point, uint256 scalar) internal view returns (bytes memory) {
        return _run(address(0x0c), bytes.concat(point, bytes32(scalar)));
    }

    function negated(bytes memory point) internal view returns (bytes memory) {
        return times(point, GROUP_ORDER - 1);
    }

    function sum(bytes memory left, bytes memory right) internal view returns (bytes memory) {
        return _run(address(0x0b), bytes.concat(left, right));
    }

    function _run(address precompile, bytes memory input) private view returns (bytes memory) {
        (bool ok, bytes memory output) = precompile.staticcall(input);
        assert(ok);
        return output;
    }
}
