// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Beacon} from "../src/Beacon.sol";
import {BeaconVerifier} from "../src/BeaconVerifier.sol";
import {BLS12381} from "../src/BLS12381.sol";
import {G2Key} from "../src/G2Key.sol";
import {Fixtures} from "./lib/Fixtures.sol";
import {Signer} from "./lib/Signer.sol";

contract BeaconVerifierTest is Fixtures {
    BeaconVerifier private quicknet;
    RoundFixture[] private rounds;

    function setUp() public {
        quicknet = new BeaconVerifier(_bytes(".quicknet.key"));
        for (uint256 i = 0; i < ROUNDS; ++i) {
            rounds.push(_round(i));
        }
    }

    function test_verifyRound_acceptsRealQuicknetRounds() public view {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            RoundFixture memory real = rounds[i];
            vm.assertEq(quicknet.verifyRound(real.round, real.signature), real.randomness);
        }
    }

    function test_verifyRoundCompressed_acceptsRealQuicknetRounds() public view {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            RoundFixture memory real = rounds[i];
            vm.assertEq(
                quicknet.verifyRoundCompressed(real.round, real.compressed), real.randomness
            );
        }
    }

    function test_publicKey_isTheOneGiven() public {
        vm.assertEq(quicknet.publicKey(), _bytes(".quicknet.key"));
    }

    function test_verifyRound_gas() public {
        quicknet.verifyRound(rounds[0].round, rounds[0].signature);
        vm.assertTrue(vm.snapshotGasLastCall("verifyRound") <= 150_000);
    }

    // Forgeries of each real round.

    function test_verifyRound_RevertWhen_ItIsAnotherRoundsSignature() public {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            _refuses(rounds[i].round, rounds[(i + 1) % ROUNDS].signature);
        }
    }

    function test_verifyRound_RevertWhen_TheSignatureIsNegated() public {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            _refuses(rounds[i].round, Signer.negated(rounds[i].signature));
        }
    }

    function test_verifyRound_RevertWhen_TheGeneratorIsAdded() public {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            _refuses(rounds[i].round, Signer.sum(rounds[i].signature, Signer.G1_GENERATOR));
        }
    }

    function test_verifyRound_RevertWhen_TheSignatureIsInfinity() public {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            _refuses(rounds[i].round, new bytes(128));
        }
    }

    function test_verifyRound_RevertWhen_AnotherKeySigned() public {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            bytes memory message = abi.encodePacked(sha256(abi.encodePacked(rounds[i].round)));
            bytes memory domain = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
            _refuses(rounds[i].round, Signer.sign(42, domain, message));
        }
    }

    function test_verifyRound_RevertWhen_ThePointIsOutsideTheSubgroup() public {
        bytes memory outside = _bytes(".outside_g1");
        for (uint256 i = 0; i < ROUNDS; ++i) {
            _refuses(rounds[i].round, outside);
            _refuses(rounds[i].round, Signer.sum(rounds[i].signature, outside));
        }
    }

    /// @dev The same point with x + p for x: the precompile takes reduced coordinates only.
    function test_verifyRound_RevertWhen_ACoordinateIsNotReduced() public {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            bytes memory signature = rounds[i].signature;
            (uint256 high, uint256 low, uint256 yHigh, uint256 yLow) =
                abi.decode(signature, (uint256, uint256, uint256, uint256));
            uint256 pLow = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
            unchecked {
                high += 0x1a0111ea397fe69a4b1ba7b6434bacd7 + (low + pLow < low ? 1 : 0);
                low += pLow;
            }
            _refuses(rounds[i].round, abi.encode(high, low, yHigh, yLow));
        }
    }

    function testFuzz_verifyRound_RevertWhen_ABitIsFlipped(uint256 index, uint256 bit) public {
        RoundFixture memory real = rounds[index % ROUNDS];
        _refuses(real.round, _flipped(real.signature, bit % 1024));
    }

    function testFuzz_verifyRound_RevertWhen_TheRoundIsAnother(uint256 index, uint64 round) public {
        RoundFixture memory real = rounds[index % ROUNDS];
        vm.assume(round != real.round);
        _refuses(round, real.signature);
    }

    function testFuzz_verifyRound_RevertWhen_TheLengthIsAnother(uint256 length) public {
        length = bound(length, 0, 300);
        vm.assume(length != 128);
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, length, 128));
        quicknet.verifyRound(rounds[0].round, new bytes(length));
    }

    // Forgeries in drand's own form.

    function test_verifyRoundCompressed_RevertWhen_TheSignIsFlipped() public {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            vm.expectRevert(_badSignature(rounds[i].round));
            quicknet.verifyRoundCompressed(rounds[i].round, _flipped(rounds[i].compressed, 2));
        }
    }

    function test_verifyRoundCompressed_RevertWhen_ItIsAnotherRoundsSignature() public {
        for (uint256 i = 0; i < ROUNDS; ++i) {
            vm.expectRevert(_badSignature(rounds[i].round));
            quicknet.verifyRoundCompressed(rounds[i].round, rounds[(i + 1) % ROUNDS].compressed);
        }
    }

    function testFuzz_verifyRoundCompressed_RevertWhen_ABitIsFlipped(uint256 index, uint256 bit)
        public
    {
        RoundFixture memory real = rounds[index % ROUNDS];
        vm.expectRevert();
        quicknet.verifyRoundCompressed(real.round, _flipped(real.compressed, bit % 384));
    }

    function testFuzz_verifyRoundCompressed_RevertWhen_TheBytesAreRandom(bytes32 a, bytes16 b)
        public
    {
        vm.expectRevert();
        quicknet.verifyRoundCompressed(42, abi.encodePacked(a, b));
    }

    function test_constructor_RevertWhen_TheKeyIsNoPublicKey() public {
        vm.expectRevert(G2Key.BadPublicKey.selector);
        new BeaconVerifier(new bytes(256));
        bytes memory outside = _bytes(".outside_g2");
        vm.expectRevert(G2Key.BadPublicKey.selector);
        new BeaconVerifier(outside);
    }

    function test_constructor_RevertWhen_TheKeyIsCompressed() public {
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, 96, 256));
        new BeaconVerifier(new bytes(96));
    }

    function _refuses(uint64 round, bytes memory signature) private {
        vm.expectRevert(_badSignature(round));
        quicknet.verifyRound(round, signature);
    }

    function _badSignature(uint64 round) private pure returns (bytes memory) {
        return abi.encodeWithSelector(Beacon.BadRoundSignature.selector, round);
    }

    /// @dev Bits are counted from the first byte's highest.
    function _flipped(bytes memory data, uint256 bit) private pure returns (bytes memory) {
        data[bit / 8] ^= bytes1(uint8(0x80)) >> (bit % 8);
        return data;
    }
}
