// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPolicy, Parameter, ProjectType} from "../src/interfaces/IPolicy.sol";
import {PolicyKit} from "./lib/PolicyKit.sol";

/// @dev Governors who set whatever comes to their minds, sound or not, and somebody else who tries.
contract Lawmakers is PolicyKit {
    address private constant TIMELOCK = address(0x71);
    uint16 private constant TYPES = 4;

    IPolicy public immutable POLICY = _policy(TIMELOCK);

    /// @notice How many numbers were set, and how many types.
    uint256 public numbersSet;
    uint256 public typesSet;

    /// @notice Whether somebody else than the timelock set something.
    bool public isBroken;

    /// @dev Mostly near the bounds, on either side.
    function set(uint8 which, uint256 value, bool isNear) external {
        Parameter parameter = Parameter(which % PARAMETERS);
        (,, uint256 min, uint256 max) = POLICY.specOf(parameter);
        if (isNear) value = bound(value, min > 0 ? min - 1 : 0, max + 1);
        vm.prank(TIMELOCK);
        try POLICY.set(parameter, value) {
            ++numbersSet;
        } catch {}
    }

    function setProjectType(uint16 id, uint8 small, uint32 number, bool isStaking) external {
        ProjectType memory given;
        given.isOpen = true;
        given.shortlist = small % 20;
        given.reliabilityPpmMin = number % 1_500_000;
        given.uptimePpmMin = number % 1_200_000;
        given.ethStakeWei = isStaking ? 32 ether : small % 2;
        given.need.cpuMilli = small % 3;
        vm.prank(TIMELOCK);
        try POLICY.setProjectType(id % TYPES, given) {
            ++typesSet;
        } catch {}
    }

    function setDistribution(uint16[4] calldata bps) external {
        uint16[4] memory given = bps;
        if (bps[0] % 2 == 0) given = [uint16(2_500), 2_500, 2_500, 2_500];
        vm.prank(TIMELOCK);
        try POLICY.setDistribution(given) {} catch {}
    }

    function setScoring(uint32 version) external {
        (uint32 before,) = POLICY.scoring();
        vm.prank(TIMELOCK);
        try POLICY.setScoring(version, keccak256("params")) {
            if (version <= before) isBroken = true;
        } catch {}
    }

    function setAsAnybody(address caller, uint8 which) external {
        if (caller == TIMELOCK) return;
        Parameter parameter = Parameter(which % PARAMETERS);
        (,, uint256 min,) = POLICY.specOf(parameter);
        vm.prank(caller);
        try POLICY.set(parameter, min) {
            isBroken = true;
        } catch {}
    }
}

/// @dev The policy is always inside its bounds (R19, R42, R54, R55), whatever governors vote.
contract PolicyInvariantTest is PolicyKit {
    Lawmakers private lawmakers;
    IPolicy private policy;

    function setUp() public {
        lawmakers = new Lawmakers();
        policy = lawmakers.POLICY();
        targetContract(address(lawmakers));
    }

    /// @dev One run of calls for all of it.
    function invariant_thePolicyIsInsideItsBoundsAndOnlyTheTimelockSetsIt() public view {
        _everyNumberIsInsideItsBounds();
        _numbersGoTogether();
        for (uint16 id = 0; id < 4; ++id) {
            _canBeServed(policy.projectType(id));
        }
        vm.assertFalse(lawmakers.isBroken());
    }

    /// @dev So that the rest is about something.
    function afterInvariant() public view {
        vm.assertTrue(lawmakers.numbersSet() > 0 || lawmakers.typesSet() > 0);
    }

    function _everyNumberIsInsideItsBounds() private view {
        for (uint8 i = 0; i < PARAMETERS; ++i) {
            (,, uint256 min, uint256 max) = policy.specOf(Parameter(i));
            uint256 value = policy.get(Parameter(i));
            vm.assertTrue(value >= min && value <= max);
        }
    }

    function _numbersGoTogether() private view {
        uint256 bps = policy.get(Parameter.RewardBps) + policy.get(Parameter.InsuranceBps);
        vm.assertTrue(bps <= 5_000);
        vm.assertTrue(policy.get(Parameter.StakeMin) <= policy.get(Parameter.StakeMax));
        uint16[4] memory shares = policy.distribution();
        vm.assertEq(uint256(shares[0]) + shares[1] + shares[2] + shares[3], 10_000);
    }

    function _canBeServed(ProjectType memory given) private pure {
        if (!given.isOpen) return;
        vm.assertTrue(given.shortlist >= 1 && given.shortlist <= 16);
        vm.assertTrue(given.reliabilityPpmMin <= 1_000_000);
        vm.assertTrue(given.uptimePpmMin <= 1_000_000);
        vm.assertTrue(given.ethStakeWei == 0 || given.ethStakeWei == 32 ether);
        vm.assertTrue(given.need.cpuMilli > 0);
    }
}
