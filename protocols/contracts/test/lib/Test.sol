// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev The cheatcodes that these tests use: forge answers calls to one fixed address. Only what is
///      used is declared.
interface Vm {
    function addr(uint256 secret) external pure returns (address);
    function assertEq(uint256 left, uint256 right) external pure;
    function assertEq(address left, address right) external pure;
    function assertEq(bytes32 left, bytes32 right) external pure;
    function assertEq(bytes calldata left, bytes calldata right) external pure;
    function assertEq(string calldata left, string calldata right) external pure;
    function assertFalse(bool condition) external pure;
    function assertTrue(bool condition) external pure;
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function computeCreateAddress(address creator, uint256 nonce) external pure returns (address);
    function deal(address account, uint256 balance) external;
    function etch(address where, bytes calldata code) external;
    function expectEmit(address emitter) external;
    function expectPartialRevert(bytes4 selector) external;
    function expectRevert(bytes calldata reason) external;
    function expectRevert(bytes4 selector) external;
    function expectRevert() external;
    function getNonce(address account) external view returns (uint64);
    function mockCall(address callee, bytes calldata data, bytes calldata answer) external;
    function parseJsonAddress(string calldata json, string calldata key)
        external
        pure
        returns (address);
    function parseJsonBytes(string calldata json, string calldata key)
        external
        pure
        returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key)
        external
        pure
        returns (bytes32);
    function parseJsonKeys(string calldata json, string calldata key)
        external
        pure
        returns (string[] memory);
    function parseJsonUint(string calldata json, string calldata key)
        external
        pure
        returns (uint256);
    function prank(address caller) external;
    function readFile(string calldata path) external view returns (string memory);
    function revertToState(uint256 state) external returns (bool);
    function snapshotGasLastCall(string calldata name) external returns (uint256);
    function snapshotState() external returns (uint256);
    function startPrank(address caller) external;
    function stopPrank() external;
    function store(address where, bytes32 slot, bytes32 word) external;
    function warp(uint256 timestamp) external;
}

/// @dev What forge calls test and invariant contracts by.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice forge takes contracts with this flag for tests.
    bool public constant IS_TEST = true;

    address[] private _targets;

    /// @notice The contracts that invariant runs call; forge asks.
    function targetContracts() public view returns (address[] memory) {
        return _targets;
    }

    /// @dev Lets invariant runs call `target` and nothing else that is not named too.
    function targetContract(address target) internal {
        _targets.push(target);
    }

    /// @dev Brings `value` between `least` and `most`, both included, and evenly so.
    function bound(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        if (value >= least && value <= most) return value;
        return least + value % (most - least + 1);
    }
}
