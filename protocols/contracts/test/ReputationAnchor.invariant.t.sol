// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReputationAnchor} from "../src/ReputationAnchor.sol";
import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IReputationAnchor} from "../src/interfaces/IReputationAnchor.sol";
import {AnchorKit} from "./lib/AnchorKit.sol";
import {Signer} from "./lib/Signer.sol";
import {Test} from "./lib/Test.sol";

/// @dev Anyone submits headers, signed by the council or by a stranger, for any epoch at any time.
contract Submitters is AnchorKit {
    ReputationAnchor public immutable ANCHORS;
    uint64 private immutable START_MS;

    /// @notice Hash of the header of each epoch that was accepted, in order.
    bytes32[] public accepted;

    /// @notice Whether something was accepted that should not have been.
    bool public isBroken;

    constructor() {
        START_MS = uint64(block.timestamp * 1000 + 500);
        IChallenges.Setup memory setup = _setup();
        setup.genesisMs = START_MS;
        ANCHORS = new ReputationAnchor(setup);
    }

    /// @dev Mostly the next epoch, else one near it.
    function submit(IReputationAnchor.Header memory header, uint256 ahead, bool isForged) external {
        uint64 next = ANCHORS.nextEpoch();
        header.epoch = next + uint64(ahead % 8 == 7 ? ahead % 3 : 0);
        if (ahead % 8 == 6 && next > 0) header.epoch = next - 1;
        header.medianPpm %= 1_000_002;
        bytes memory message = bytes.concat(ANCHORS.anchorMessage(header));
        ANCHORS.anchor(header, Signer.sign(isForged ? SECRET + 1 : SECRET, DOMAIN, message));

        uint256 endMs = START_MS + (uint256(header.epoch) + 1) * EPOCH_MS;
        bool isSettled = block.timestamp * 1000 >= endMs + SETTLE_MS;
        if (isForged || header.epoch != next || !isSettled) isBroken = true;
        accepted.push(keccak256(abi.encode(header)));
    }

    function wait(uint256 timeS) external {
        vm.warp(block.timestamp + timeS % 60);
    }

    function acceptedCount() external view returns (uint256) {
        return accepted.length;
    }
}

contract ReputationAnchorInvariantTest is Test {
    Submitters private submitters;
    ReputationAnchor private anchors;

    function setUp() public {
        submitters = new Submitters();
        anchors = submitters.ANCHORS();
        targetContract(address(submitters));
    }

    function invariant_epochsAreDenseAndInOrder() public view {
        uint64 next = anchors.nextEpoch();
        vm.assertEq(next, submitters.acceptedCount());
        for (uint64 epoch = 0; epoch < next; ++epoch) {
            vm.assertTrue(_headerHash(epoch) != 0);
        }
        for (uint64 epoch = next; epoch < next + 4; ++epoch) {
            vm.assertEq(_headerHash(epoch), 0);
        }
    }

    function invariant_anAnchoredHeaderNeverChanges() public view {
        for (uint64 epoch = 0; epoch < anchors.nextEpoch(); ++epoch) {
            vm.assertEq(_headerHash(epoch), bytes24(submitters.accepted(epoch)));
        }
    }

    function invariant_nothingIsAnchoredUnsignedOrEarly() public view {
        vm.assertFalse(submitters.isBroken());
    }

    function _headerHash(uint64 epoch) private view returns (bytes24 headerHash) {
        (headerHash,) = anchors.recordOf(epoch);
    }
}
