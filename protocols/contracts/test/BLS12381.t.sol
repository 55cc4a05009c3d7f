// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BLS12381} from "../src/BLS12381.sol";
import {Fixtures} from "./lib/Fixtures.sol";
import {Signer} from "./lib/Signer.sol";

/// @dev Gives the library's functions an outside, so that a revert of theirs is one of a call.
contract Library {
    function verify(bytes memory key, bytes memory hash, bytes memory signature)
        external
        view
        returns (bool)
    {
        return BLS12381.verify(key, hash, signature);
    }

    function isPublicKey(bytes memory key) external view returns (bool) {
        return BLS12381.isPublicKey(key);
    }

    function hashToG1(bytes memory domain, bytes memory message)
        external
        view
        returns (bytes memory)
    {
        return BLS12381.hashToG1(domain, message);
    }

    function compressG1(bytes memory point) external pure returns (bytes memory) {
        return BLS12381.compressG1(point);
    }

    function decompressG1(bytes calldata point) external view returns (bytes memory) {
        return BLS12381.decompressG1(point);
    }
}

contract BLS12381Test is Fixtures {
    bytes private constant DOMAIN = "A-TEST_BLS12381G1_XMD:SHA-256_SSWU_RO_";
    uint256 private constant SECRET = 0x1234567;

    Library private immutable BLS = new Library();

    function test_hashToG1_givesThePointsOfRfc9380() public {
        bytes memory domain = bytes("QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_");
        for (uint256 i = 0; i < 5; ++i) {
            string memory key = string.concat(".hashes[", _digit(i), "]");
            bytes memory message = _bytes(string.concat(key, ".message"));
            vm.assertEq(BLS.hashToG1(domain, message), _bytes(string.concat(key, ".point")));
        }
    }

    function testFuzz_verify_acceptsTheSignature(uint256 secret, bytes calldata message)
        public
        view
    {
        secret = bound(secret, 1, Signer.GROUP_ORDER - 1);
        bytes memory signature = Signer.sign(secret, DOMAIN, message);
        vm.assertTrue(
            BLS.verify(Signer.publicKey(secret), BLS.hashToG1(DOMAIN, message), signature)
        );
    }

    function testFuzz_verify_refusesAnotherMessage(bytes calldata signed, bytes calldata shown)
        public
        view
    {
        vm.assume(keccak256(signed) != keccak256(shown));
        bytes memory signature = Signer.sign(SECRET, DOMAIN, signed);
        vm.assertFalse(BLS.verify(Signer.publicKey(SECRET), BLS.hashToG1(DOMAIN, shown), signature));
    }

    function testFuzz_verify_refusesAnotherKey(uint256 secret) public view {
        secret = bound(secret, 1, Signer.GROUP_ORDER - 1);
        vm.assume(secret != SECRET);
        bytes memory signature = Signer.sign(SECRET, DOMAIN, "m");
        vm.assertFalse(BLS.verify(Signer.publicKey(secret), BLS.hashToG1(DOMAIN, "m"), signature));
    }

    function test_verify_refusesAnotherDomain() public view {
        bytes memory signature = Signer.sign(SECRET, DOMAIN, "m");
        bytes memory key = Signer.publicKey(SECRET);
        vm.assertFalse(BLS.verify(key, BLS.hashToG1("ANOTHER", "m"), signature));
    }

    /// @dev Infinity for key and signature solves the pairing equation for every message.
    function test_verify_refusesInfinity() public view {
        bytes memory hash = BLS.hashToG1(DOMAIN, "m");
        bytes memory key = Signer.publicKey(SECRET);
        vm.assertFalse(BLS.verify(new bytes(256), hash, new bytes(128)));
        vm.assertFalse(BLS.verify(key, hash, new bytes(128)));
        vm.assertFalse(BLS.verify(new bytes(256), hash, Signer.sign(SECRET, DOMAIN, "m")));
    }

    function test_verify_refusesPointsOutsideTheSubgroup() public {
        bytes memory hash = BLS.hashToG1(DOMAIN, "m");
        bytes memory key = Signer.publicKey(SECRET);
        vm.assertFalse(BLS.verify(key, hash, _bytes(".outside_g1")));
        bytes memory signature = Signer.sign(SECRET, DOMAIN, "m");
        vm.assertFalse(BLS.verify(_bytes(".outside_g2"), hash, signature));
    }

    /// @dev A point of small order added to the signature still solves the equation's curve part.
    function test_verify_refusesTheSignaturePlusAPointOutsideTheSubgroup() public {
        bytes memory signature = Signer.sum(Signer.sign(SECRET, DOMAIN, "m"), _bytes(".outside_g1"));
        bytes memory hash = BLS.hashToG1(DOMAIN, "m");
        vm.assertFalse(BLS.verify(Signer.publicKey(SECRET), hash, signature));
    }

    function testFuzz_verify_refusesRandomBytes(bytes32[4] calldata words) public view {
        bytes memory key = Signer.publicKey(SECRET);
        vm.assertFalse(BLS.verify(key, BLS.hashToG1(DOMAIN, "m"), abi.encode(words)));
    }

    /// @dev An invalid point costs a precompile all the gas it got: the bound is what is forwarded.
    function testFuzz_verify_spendsNoMoreThanItsBoundOnRandomBytes(bytes32[4] calldata words)
        public
        view
    {
        bytes memory key = Signer.publicKey(SECRET);
        bytes memory hash = BLS.hashToG1(DOMAIN, "m");
        uint256 gasBefore = gasleft();
        BLS.verify(key, hash, abi.encode(words));
        vm.assertTrue(gasBefore - gasleft() < 230_000);
    }

    function test_verify_RevertWhen_APointHasAnotherLength() public {
        bytes memory key = Signer.publicKey(SECRET);
        bytes memory hash = BLS.hashToG1(DOMAIN, "m");
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, 255, 256));
        BLS.verify(new bytes(255), hash, hash);
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, 129, 128));
        BLS.verify(key, new bytes(129), hash);
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, 0, 128));
        BLS.verify(key, hash, "");
    }

    function test_isPublicKey_isTrueOfAKey() public view {
        vm.assertTrue(BLS.isPublicKey(Signer.publicKey(SECRET)));
    }

    function test_isPublicKey_isFalseOfInfinityAndOutsideTheSubgroup() public {
        vm.assertFalse(BLS.isPublicKey(new bytes(256)));
        vm.assertFalse(BLS.isPublicKey(_bytes(".outside_g2")));
    }

    function testFuzz_isPublicKey_isFalseOfRandomBytes(bytes32[8] calldata words) public view {
        vm.assertFalse(BLS.isPublicKey(abi.encode(words)));
    }

    function testFuzz_decompressG1_undoesCompressG1(uint256 scalar) public view {
        scalar = bound(scalar, 1, Signer.GROUP_ORDER - 1);
        bytes memory point = Signer.times(Signer.G1_GENERATOR, scalar);
        vm.assertEq(BLS.decompressG1(BLS.compressG1(point)), point);
        bytes memory negated = Signer.negated(point);
        vm.assertEq(BLS.decompressG1(BLS.compressG1(negated)), negated);
    }

    /// @dev Where a carry or a comparison of two words goes the rare way.
    function test_decompressG1_undoesCompressG1AtTheEdgesOfItsArithmetic() public {
        string[3] memory edges = [".at_the_carry", ".at_the_sign[0]", ".at_the_sign[1]"];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory point = _bytes(string.concat(edges[i], ".point"));
            bytes memory compressed = _bytes(string.concat(edges[i], ".compressed"));
            vm.assertEq(BLS.decompressG1(compressed), point);
            vm.assertEq(BLS.compressG1(point), compressed);
        }
    }

    function test_compressG1_RevertWhen_ThePointHasAnotherLength() public {
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, 127, 128));
        BLS.compressG1(new bytes(127));
    }

    function test_decompressG1_RevertWhen_ThePointHasAnotherLength() public {
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, 47, 48));
        BLS.decompressG1(new bytes(47));
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, 49, 48));
        BLS.decompressG1(new bytes(49));
    }

    function test_decompressG1_RevertWhen_TheFlagsSayInfinityOrUncompressed() public {
        for (uint256 flags = 0; flags < 0x100; flags += 0x20) {
            if (flags & 0xc0 == 0x80) continue;
            bytes memory point = new bytes(48);
            // forge-lint: disable-next-line(unsafe-typecast) -- counts to 0xe0
            point[0] = bytes1(uint8(flags));
            vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointFlags.selector, flags));
            BLS.decompressG1(point);
        }
    }

    /// @dev x + p fits in 381 bits for small x: it must not be a second name of the same point.
    function testFuzz_decompressG1_RevertWhen_TheCoordinateIsNotReduced(uint256 excess) public {
        excess = bound(excess, 0, 1 << 248);
        uint256 low;
        uint256 high = 0x1a0111ea397fe69a4b1ba7b6434bacd7 | (0x80 << 120);
        unchecked {
            low = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab + excess;
        }
        // forge-lint: disable-next-line(unsafe-typecast) -- 16 bytes with the flags
        bytes memory point = abi.encodePacked(uint128(high), low);
        vm.expectRevert(BLS12381.CoordinateNotReduced.selector);
        BLS.decompressG1(point);
    }

    /// @dev As on a chain without EIP-2537, where the address answers with nothing.
    function test_hashToG1_RevertWhen_ThereIsNoPrecompile() public {
        vm.mockCall(address(0x10), "", "");
        vm.expectRevert(abi.encodeWithSelector(BLS12381.PrecompileFailed.selector, address(0x10)));
        BLS.hashToG1(DOMAIN, "m");
    }
}
