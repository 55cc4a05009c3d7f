// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAssignmentVerifier} from "../../src/interfaces/IAssignmentVerifier.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {Test} from "./Test.sol";

/// @dev Reads `assignment_fixtures.json`, which `make_assignment_fixtures.py` wrote with the core.
abstract contract AssignmentFixtures is Test {
    uint256 internal constant SHUFFLES = 9;
    uint256 internal constant CASES = 10;

    /// @dev Of these cases: all members, full and light, with operators in common; one and a second
    ///      beacon; MAINNET's numbers and a second beacon; 1,000 members of which one target is told.
    uint256 internal constant MIXED_KINDS = 6;
    uint256 internal constant SECOND_BEACON = 5;
    uint256 internal constant MAINNET = 8;
    uint256 internal constant LARGE = 9;

    /// @dev Numbers of a shuffle and where they go.
    struct ShuffleCase {
        bytes32 seed;
        uint256 size;
        uint256[2][] pairs;
    }

    struct Numbers {
        uint64 auditorsMax;
        uint64 candidatesMax;
        bytes32 networkId;
        uint64 mixedRound;
        bool hasMixed;
    }

    /// @dev An epoch. Candidates and auditors of a target are numbers of members, nearest first.
    struct Case {
        Numbers network;
        IReputationAnchor.Header header;
        IAssignmentVerifier.Rounds rounds;
        bytes32 seed;
        IAssignmentVerifier.Membership[] members;
        uint256[] places;
        bytes[] candidates;
        bytes[] auditors;
    }

    function _shuffle(uint256 index) internal view returns (ShuffleCase memory) {
        return abi.decode(_bytes(_entry(".shuffles", index)), (ShuffleCase));
    }

    function _case(uint256 index) internal view returns (Case memory) {
        return abi.decode(_bytes(_entry(".cases", index)), (Case));
    }

    function _key(string memory name) internal view returns (bytes memory) {
        return _bytes(string.concat(".keys.", name));
    }

    function _entry(string memory list, uint256 index) private pure returns (string memory) {
        bytes1 digit = bytes("0123456789")[index];
        return string.concat(list, "[", string(bytes.concat(digit)), "].encoded");
    }

    function _bytes(string memory key) private view returns (bytes memory) {
        return vm.parseJsonBytes(vm.readFile("test/assignment_fixtures.json"), key);
    }
}
