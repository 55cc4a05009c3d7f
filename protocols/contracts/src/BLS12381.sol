// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  BLS signatures over BLS12-381, with the precompiles of EIP-2537
/// @notice Signatures lie in G1 and public keys in G2 ("min-sig", as drand's quicknet has them).
/// @dev    Encodings are EIP-2537's: a field element is 64 bytes of which the upper 16 are zero, a G1
///         point is x | y (128 bytes), a G2 point is x.c0 | x.c1 | y.c0 | y.c1 (256 bytes; drand and
///         ZCash put c1 first), and infinity is all zeros. A precompile that is given an invalid
///         point burns all the gas it got, so each gets about twice its price and no more.
library BLS12381 {
    /// @dev The field's prime p, its upper 16 and lower 32 bytes.
    uint128 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW =
        0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// @dev (p - 1) / 2: of y and p - y, the one above it carries the sign bit when compressed.
    uint128 private constant HALF_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW =
        0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// @dev (p + 1) / 4: this power of a square is its root, because p = 3 (mod 4).
    bytes private constant SQUARE_ROOT_EXPONENT = hex"0680447a8e5ff9a692c6e9ed90d2eb35d91dd2e13ce144afd9cc34a83dac3d89"
        hex"07aaffffac54ffffee7fbfffffffeaab";

    /// @dev The generator of G2, negated.
    bytes private constant G2_GENERATOR_NEGATED = hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051"
        hex"c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65"
        hex"596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        hex"000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bc"
        hex"b679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa"
        hex"0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d"
        hex"993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed";

    uint256 private constant G1_BYTES = 128;
    uint256 private constant G1_COMPRESSED_BYTES = 48;
    uint256 private constant G2_BYTES = 256;

    /// @dev First byte of a compressed point: that it is one, that it is infinity, that y > p / 2.
    uint8 private constant FLAG_COMPRESSED = 0x80;
    uint8 private constant FLAG_INFINITY = 0x40;
    uint8 private constant FLAG_SIGN = 0x20;

    /// @dev Precompiles, and the gas each gets. Prices: MODEXP 500 to reduce and 36,500 for a square
    ///      root (EIP-7883), G1ADD 375, G2MSM of one 22,500, PAIRING of two 102,900, MAP 5,500.
    address private constant MODEXP = address(0x05);
    address private constant G1_ADD = address(0x0b);
    address private constant G2_MSM = address(0x0e);
    address private constant PAIRING_CHECK = address(0x0f);
    address private constant MAP_TO_G1 = address(0x10);
    uint256 private constant MODEXP_GAS_MAX = 80_000;
    uint256 private constant G1_ADD_GAS_MAX = 1_000;
    uint256 private constant G2_MSM_GAS_MAX = 45_000;
    uint256 private constant PAIRING_CHECK_GAS_MAX = 206_000;
    uint256 private constant MAP_TO_G1_GAS_MAX = 11_000;

    /// @notice A point has the wrong number of bytes.
    error BadPointLength(uint256 length, uint256 wanted);

    /// @notice A compressed point's flag bits say it is not compressed, or is infinity.
    error BadPointFlags(uint8 flags);

    /// @notice A coordinate is not below the field's prime.
    error CoordinateNotReduced();

    /// @notice A precompile that cannot fail on these inputs did: this chain lacks EIP-2537, or the
    ///         call ran out of gas.
    error PrecompileFailed(address precompile);

    /// @notice Says whether `signature` is the signature of the key's holder on a message.
    /// @dev    Checks e(hash, key) == e(signature, generator). The precompile checks that each point
    ///         is on its curve and in its subgroup; infinity it would let pass, so that is done here.
    /// @param  key        G2 point, 256 bytes.
    /// @param  hash       The message hashed to G1 (`hashToG1`), 128 bytes.
    /// @param  signature  G1 point, 128 bytes; any content.
    function verify(bytes memory key, bytes memory hash, bytes memory signature)
        internal
        view
        returns (bool)
    {
        _requireLength(key, G2_BYTES);
        _requireLength(hash, G1_BYTES);
        _requireLength(signature, G1_BYTES);
        if (_isInfinity(key) || _isInfinity(signature)) return false;
        bytes memory pairs = bytes.concat(hash, key, signature, G2_GENERATOR_NEGATED);
        (bool ok, bytes memory result) = PAIRING_CHECK.staticcall{gas: PAIRING_CHECK_GAS_MAX}(pairs);
        return ok && result.length == 32 && abi.decode(result, (uint256)) == 1;
    }

    /// @notice Says whether `key` can be a public key: a point of G2's subgroup, and not infinity.
    /// @param  key  256 bytes; any content.
    function isPublicKey(bytes memory key) internal view returns (bool) {
        _requireLength(key, G2_BYTES);
        if (_isInfinity(key)) return false;
        bytes memory timesOne = bytes.concat(key, bytes32(uint256(1)));
        (bool ok, bytes memory result) = G2_MSM.staticcall{gas: G2_MSM_GAS_MAX}(timesOne);
        return ok && result.length == G2_BYTES;
    }

    /// @notice Hashes a message to G1: RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_.
    /// @param  domain   The domain separation tag, at most 255 bytes.
    /// @param  message  Any bytes.
    /// @return The point, 128 bytes.
    function hashToG1(bytes memory domain, bytes memory message)
        internal
        view
        returns (bytes memory)
    {
        bytes32[4] memory uniform = _expandMessage(domain, message);
        bytes memory first = _mapToG1(uniform[0], uniform[1]);
        bytes memory second = _mapToG1(uniform[2], uniform[3]);
        return _run(G1_ADD, G1_ADD_GAS_MAX, bytes.concat(first, second), G1_BYTES);
    }

    /// @notice Returns the 48-byte form of a G1 point, which is what drand hashes.
    /// @dev    Pure arithmetic: does not check that the point is on the curve.
    function compressG1(bytes memory point) internal pure returns (bytes memory) {
        _requireLength(point, G1_BYTES);
        (uint128 xHigh, uint256 xLow, uint128 yHigh, uint256 yLow) =
            abi.decode(point, (uint128, uint256, uint128, uint256));
        uint8 flags = _isUpperHalf(yHigh, yLow) ? FLAG_COMPRESSED | FLAG_SIGN : FLAG_COMPRESSED;
        return abi.encodePacked(xHigh | (uint128(flags) << 120), xLow);
    }

    /// @notice Returns the 128-byte form of a compressed G1 point.
    /// @dev    y = (x^3 + 4)^((p + 1) / 4). If x is on no curve point then neither is the result, and
    ///         `verify` refuses it. Costs about 40,000 gas from Osaka on.
    /// @param  point  48 bytes; any content. Infinity is refused.
    function decompressG1(bytes calldata point) internal view returns (bytes memory) {
        if (point.length != G1_COMPRESSED_BYTES) {
            revert BadPointLength(point.length, G1_COMPRESSED_BYTES);
        }
        uint8 flags = uint8(point[0]) & (FLAG_COMPRESSED | FLAG_INFINITY | FLAG_SIGN);
        if (flags & (FLAG_COMPRESSED | FLAG_INFINITY) != FLAG_COMPRESSED) {
            revert BadPointFlags(flags);
        }
        uint128 xHigh = uint128(bytes16(point[:16])) & (type(uint128).max >> 3);
        uint256 xLow = uint256(bytes32(point[16:]));
        if (xHigh > P_HIGH || (xHigh == P_HIGH && xLow >= P_LOW)) revert CoordinateNotReduced();

        (uint128 yHigh, uint256 yLow) = _curveY(xHigh, xLow);
        if (_isUpperHalf(yHigh, yLow) != (flags & FLAG_SIGN != 0)) {
            (yHigh, yLow) = _subtract(P_HIGH, P_LOW, yHigh, yLow);
        }
        return abi.encode(xHigh, xLow, yHigh, yLow);
    }

    /// @dev RFC 9380, 5.3.1, expand_message_xmd with SHA-256, for 128 bytes.
    function _expandMessage(bytes memory domain, bytes memory message)
        private
        pure
        returns (bytes32[4] memory uniform)
    {
        assert(domain.length <= type(uint8).max);
        bytes memory suffix = abi.encodePacked(domain, uint8(domain.length));
        bytes32 start =
            sha256(abi.encodePacked(new bytes(64), message, uint16(128), uint8(0), suffix));
        uniform[0] = sha256(abi.encodePacked(start, uint8(1), suffix));
        uniform[1] = sha256(abi.encodePacked(start ^ uniform[0], uint8(2), suffix));
        uniform[2] = sha256(abi.encodePacked(start ^ uniform[1], uint8(3), suffix));
        uniform[3] = sha256(abi.encodePacked(start ^ uniform[2], uint8(4), suffix));
    }

    /// @dev Takes 64 uniform bytes to the field, then to a point of G1's subgroup.
    function _mapToG1(bytes32 high, bytes32 low) private view returns (bytes memory) {
        bytes memory sizes = abi.encode(64, 1, 64);
        bytes memory power = abi.encodePacked(sizes, high, low, uint8(1), uint256(P_HIGH), P_LOW);
        bytes memory element = _run(MODEXP, MODEXP_GAS_MAX, power, 64);
        return _run(MAP_TO_G1, MAP_TO_G1_GAS_MAX, element, G1_BYTES);
    }

    /// @dev A y with y^2 = x^3 + 4, if there is one. Sizes of 48, not 64, halve MODEXP's price.
    function _curveY(uint128 xHigh, uint256 xLow) private view returns (uint128, uint256) {
        bytes memory prime = abi.encodePacked(P_HIGH, P_LOW);
        bytes memory cube = _run(
            MODEXP,
            MODEXP_GAS_MAX,
            abi.encodePacked(abi.encode(48, 1, 48), xHigh, xLow, uint8(3), prime),
            48
        );
        (uint128 high, uint256 low) = _split(cube);
        unchecked {
            // Below 2^382, so nothing is lost; MODEXP reduces what is not below p.
            uint256 sum = low + 4;
            if (sum < low) ++high;
            low = sum;
        }
        bytes memory root = _run(
            MODEXP,
            MODEXP_GAS_MAX,
            abi.encodePacked(abi.encode(48, 48, 48), high, low, SQUARE_ROOT_EXPONENT, prime),
            48
        );
        return _split(root);
    }

    /// @dev Calls a precompile and returns its `size` bytes.
    function _run(address precompile, uint256 gasMax, bytes memory input, uint256 size)
        private
        view
        returns (bytes memory)
    {
        (bool ok, bytes memory output) = precompile.staticcall{gas: gasMax}(input);
        if (!ok || output.length != size) revert PrecompileFailed(precompile);
        return output;
    }

    /// @dev The upper 16 and lower 32 of 48 bytes.
    function _split(bytes memory element) private pure returns (uint128 high, uint256 low) {
        (high, low) = abi.decode(bytes.concat(new bytes(16), element), (uint128, uint256));
    }

    /// @dev a - b of two-word numbers, for a >= b.
    function _subtract(uint128 aHigh, uint256 aLow, uint128 bHigh, uint256 bLow)
        private
        pure
        returns (uint128, uint256)
    {
        unchecked {
            return (aHigh - bHigh - (bLow > aLow ? 1 : 0), aLow - bLow);
        }
    }

    function _isUpperHalf(uint128 high, uint256 low) private pure returns (bool) {
        return high > HALF_HIGH || (high == HALF_HIGH && low > HALF_LOW);
    }

    function _isInfinity(bytes memory point) private pure returns (bool) {
        return keccak256(point) == keccak256(new bytes(point.length));
    }

    function _requireLength(bytes memory point, uint256 wanted) private pure {
        if (point.length != wanted) revert BadPointLength(point.length, wanted);
    }
}
