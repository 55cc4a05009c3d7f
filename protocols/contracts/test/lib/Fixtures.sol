// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "./Test.sol";

/// @dev Reads `fixtures.json`, which `make_fixtures.py` wrote with another BLS library.
abstract contract Fixtures is Test {
    uint256 internal constant ROUNDS = 4;

    string private _json;

    struct RoundFixture {
        uint64 round;
        bytes signature;
        bytes compressed;
        bytes32 randomness;
    }

    function _bytes(string memory key) internal returns (bytes memory) {
        return vm.parseJsonBytes(_text(), key);
    }

    function _word(string memory key) internal returns (bytes32) {
        return vm.parseJsonBytes32(_text(), key);
    }

    function _number(string memory key) internal returns (uint256) {
        return vm.parseJsonUint(_text(), key);
    }

    function _address(string memory key) internal returns (address) {
        return vm.parseJsonAddress(_text(), key);
    }

    function _round(uint256 index) internal returns (RoundFixture memory) {
        string memory key = string.concat(".quicknet.rounds[", _digit(index), "]");
        return RoundFixture({
            // forge-lint: disable-next-line(unsafe-typecast) -- the fixture has real rounds only
            round: uint64(_number(string.concat(key, ".round"))),
            signature: _bytes(string.concat(key, ".signature")),
            compressed: _bytes(string.concat(key, ".compressed")),
            randomness: _word(string.concat(key, ".randomness"))
        });
    }

    function _digit(uint256 value) internal pure returns (string memory) {
        return string(abi.encodePacked(bytes("0123456789")[value]));
    }

    function _text() private returns (string memory) {
        if (bytes(_json).length == 0) _json = vm.readFile("test/fixtures.json");
        return _json;
    }
}
