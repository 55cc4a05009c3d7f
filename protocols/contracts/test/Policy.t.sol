// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Policy} from "../src/governance/Policy.sol";
import {IPolicy, Parameter, ProjectType, Resources, Rule} from "../src/interfaces/IPolicy.sol";
import {ITimelocked} from "../src/interfaces/ITimelocked.sol";
import {PolicyKit} from "./lib/PolicyKit.sol";

contract PolicyTest is PolicyKit {
    address private constant TIMELOCK = address(0x71);
    bytes32 private constant PARAMS_HASH = keccak256("params");

    Policy private policy;

    function setUp() public {
        policy = _policy(TIMELOCK);
    }

    // Numbers (R19, R29, R42, R55).

    function test_constructor_setsEveryNumberOfBothPresets() public {
        string[2] memory presets = ["minimal", "mainnet"];
        for (uint256 i = 0; i < presets.length; ++i) {
            uint256[] memory values = _values(presets[i]);
            vm.assertEq(values.length, PARAMETERS);
            policy = new Policy(TIMELOCK, values, _distribution(), 1, PARAMS_HASH);
            for (uint8 p = 0; p < PARAMETERS; ++p) {
                vm.assertEq(policy.get(Parameter(p)), values[p]);
            }
        }
    }

    function test_specOf_namesTheParametersInTheOrderOfThePresets() public view {
        string memory json = vm.readFile("../presets/policy-minimal.json");
        string[] memory names = vm.parseJsonKeys(json, ".parameters");
        for (uint8 p = 0; p < PARAMETERS; ++p) {
            (string memory name,,,) = policy.specOf(Parameter(p));
            vm.assertEq(name, names[p]);
        }
    }

    /// @dev The pools of R55 and P_min <= P_max (R46) are the only rules on two numbers at once.
    function test_set_takesTheLeastAndTheLargestOfEach() public {
        policy = _loose();
        for (uint8 p = 0; p < PARAMETERS; ++p) {
            (,, uint256 min, uint256 max) = policy.specOf(Parameter(p));
            uint256 before = policy.get(Parameter(p));
            _set(Parameter(p), min);
            _set(Parameter(p), max);
            vm.assertEq(policy.get(Parameter(p)), max);
            _set(Parameter(p), before);
        }
    }

    function test_set_RevertWhen_ItIsOutOfBounds() public {
        for (uint8 p = 0; p < PARAMETERS; ++p) {
            (,, uint256 min, uint256 max) = policy.specOf(Parameter(p));
            _refused(Parameter(p), max + 1, min, max);
            _refused(Parameter(p), type(uint256).max, min, max);
            if (min > 0) _refused(Parameter(p), min - 1, min, max);
        }
    }

    function testFuzz_set_tellsWhatItWasAndWhatItIs(uint8 which, uint256 value) public {
        Parameter parameter = Parameter(which % PARAMETERS);
        policy = _loose();
        (,, uint256 min, uint256 max) = policy.specOf(parameter);
        value = bound(value, min, max);
        uint256 before = policy.get(parameter);
        vm.expectEmit(address(policy));
        emit IPolicy.ParameterSet(parameter, before, value);
        _set(parameter, value);
        vm.assertEq(policy.get(parameter), value);
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_set_countsAtOnce() public {
        vm.prank(TIMELOCK);
        policy.set(Parameter.RewardBps, 999);
        vm.snapshotGasLastCall("set");
        vm.assertEq(policy.get(Parameter.RewardBps), 999);
        vm.snapshotGasLastCall("get");
    }

    /// @dev R30: a period of nothing would let one block do what shall take time.
    function test_specOf_noPeriodIsEverZero() public view {
        for (uint8 p = 0; p < PARAMETERS; ++p) {
            (, string memory unit, uint256 min,) = policy.specOf(Parameter(p));
            if (keccak256(bytes(unit)) == keccak256("seconds")) vm.assertTrue(min > 0);
        }
    }

    /// @dev R29: an untrusted provider brings 16 ETH or more (R28), a semi-trusted one what
    ///      governors say, and nobody more than a node stakes.
    function test_specOf_anUntrustedProviderBringsFrom16To32Ether() public view {
        (,, uint256 min, uint256 max) = policy.specOf(Parameter.KEthUntrusted);
        vm.assertEq(min, 16 ether);
        vm.assertEq(max, 32 ether);
    }

    /// @dev R55: the requester keeps at least half.
    function test_set_RevertWhen_ThePoolsTakeMoreThanHalf() public {
        _set(Parameter.InsuranceBps, 4_000);
        vm.expectRevert(abi.encodeWithSelector(IPolicy.SharesTooLarge.selector, 5_001, 5_000));
        vm.prank(TIMELOCK);
        policy.set(Parameter.InsuranceBps, 4_001);
    }

    function test_set_RevertWhen_TheLeastStakeIsAboveTheLargest() public {
        uint256 max = policy.get(Parameter.StakeMax);
        _set(Parameter.StakeMin, max);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPolicy.Inconsistent.selector, Parameter.StakeMin, max, Parameter.StakeMax, max - 1
            )
        );
        vm.prank(TIMELOCK);
        policy.set(Parameter.StakeMax, max - 1);
    }

    function test_constructor_RevertWhen_ItIsNotOneValueEach() public {
        uint256[] memory values = new uint256[](PARAMETERS - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IPolicy.WrongCount.selector, PARAMETERS - 1, PARAMETERS)
        );
        new Policy(TIMELOCK, values, _distribution(), 1, PARAMS_HASH);
    }

    function test_constructor_RevertWhen_ItsNumbersDoNotGoTogether() public {
        uint256[] memory values = _values("minimal");
        values[uint8(Parameter.RewardBps)] = 4_001;
        vm.expectRevert(abi.encodeWithSelector(IPolicy.SharesTooLarge.selector, 5_001, 5_000));
        new Policy(TIMELOCK, values, _distribution(), 1, PARAMS_HASH);
    }

    function test_constructor_RevertWhen_ThereIsNoTimelock() public {
        uint256[] memory values = _values("minimal");
        vm.expectRevert(ITimelocked.NoTimelock.selector);
        new Policy(address(0), values, _distribution(), 1, PARAMS_HASH);
    }

    // The reward pool's split (R54).

    function test_setDistribution_takesWhatSumsToTenThousand() public {
        uint16[4] memory bps = [uint16(10_000), 0, 0, 0];
        vm.expectEmit(address(policy));
        emit IPolicy.DistributionSet(_distribution(), bps);
        vm.prank(TIMELOCK);
        policy.setDistribution(bps);
        vm.assertEq(abi.encode(policy.distribution()), abi.encode(bps));
    }

    /// @dev R54: 30 % governance, 40 % providers and requesters, 20 % stakers, 10 % development.
    function test_distribution_beginsAsTheWhitePaperHasIt() public view {
        vm.assertEq(abi.encode(policy.distribution()), abi.encode(_distribution()));
    }

    function testFuzz_setDistribution_RevertWhen_TheSumIsNotTenThousand(uint16[4] memory bps)
        public
    {
        uint256 sum = uint256(bps[0]) + bps[1] + bps[2] + bps[3];
        vm.assume(sum != 10_000);
        vm.expectRevert(abi.encodeWithSelector(IPolicy.BadDistribution.selector, sum));
        vm.prank(TIMELOCK);
        policy.setDistribution(bps);
    }

    // The score (R19).

    function test_setScoring_replacesTheVersionByALaterOne() public {
        vm.expectEmit(address(policy));
        emit IPolicy.ScoringSet(1, PARAMS_HASH, 7, bytes32(uint256(7)));
        vm.prank(TIMELOCK);
        policy.setScoring(7, bytes32(uint256(7)));
        (uint32 version, bytes32 paramsHash) = policy.scoring();
        vm.assertEq(version, 7);
        vm.assertEq(paramsHash, bytes32(uint256(7)));
    }

    function test_setScoring_RevertWhen_TheVersionWasThere() public {
        vm.expectRevert(abi.encodeWithSelector(IPolicy.VersionNotNew.selector, 1, 1));
        vm.prank(TIMELOCK);
        policy.setScoring(1, bytes32(uint256(7)));
    }

    function test_setScoring_RevertWhen_ThereAreNoParameters() public {
        vm.expectRevert(IPolicy.NoParamsHash.selector);
        vm.prank(TIMELOCK);
        policy.setScoring(2, bytes32(0));
    }

    // Types of projects (R42).

    function testFuzz_setProjectType_keepsWhatItIsGiven(
        uint16 id,
        uint8 which,
        uint32 number,
        Resources memory need
    ) public {
        need.ramMb = uint32(bound(need.ramMb, 1, type(uint32).max));
        ProjectType memory given = _type();
        given.isOpen = which % 2 == 0;
        given.rule = Rule(which % 3);
        given.shortlist = uint8(bound(which, 1, 16));
        given.reliabilityPpmMin = number % 1_000_001;
        given.uptimePpmMin = number % 1_000_001;
        given.failuresMax = number;
        given.ethStakeWei = number % 2 == 0 ? 32 ether : 0;
        given.need = need;
        ProjectType memory none;
        vm.expectEmit(address(policy));
        emit IPolicy.ProjectTypeSet(id, none, given);
        _setType(id, given);
        vm.expectEmit(address(policy));
        emit IPolicy.ProjectTypeSet(id, given, given);
        _setType(id, given);
        vm.assertEq(abi.encode(policy.projectType(id)), abi.encode(given));
    }

    function test_projectType_isClosedUntilItIsSet() public view {
        vm.assertFalse(policy.projectType(1).isOpen);
    }

    function test_setProjectType_RevertWhen_NobodyOrTooManyEnterTheDraw() public {
        ProjectType memory given = _type();
        given.shortlist = 0;
        _refusedType(given, abi.encodeWithSelector(IPolicy.BadShortlist.selector, 5, 0, 16));
        given.shortlist = 17;
        _refusedType(given, abi.encodeWithSelector(IPolicy.BadShortlist.selector, 5, 17, 16));
    }

    function test_setProjectType_RevertWhen_AShareIsAboveOne() public {
        ProjectType memory given = _type();
        given.reliabilityPpmMin = 1_000_001;
        _refusedType(given, abi.encodeWithSelector(IPolicy.BadShare.selector, 5, 1_000_001));
        given = _type();
        given.uptimePpmMin = 1_000_002;
        _refusedType(given, abi.encodeWithSelector(IPolicy.BadShare.selector, 5, 1_000_002));
    }

    function test_setProjectType_RevertWhen_TheStakeIsNotANodes() public {
        ProjectType memory given = _type();
        given.ethStakeWei = 31 ether;
        _refusedType(given, abi.encodeWithSelector(IPolicy.BadEthStake.selector, 5, 31 ether));
    }

    function test_setProjectType_RevertWhen_ItNeedsNothing() public {
        ProjectType memory given = _type();
        given.need = Resources(0, 0, 0, 0);
        _refusedType(given, abi.encodeWithSelector(IPolicy.NeedsNothing.selector, 5));
    }

    // Who may.

    function testFuzz_nobodyButTheTimelockSetsAnything(address caller) public {
        vm.assume(caller != TIMELOCK);
        bytes memory reason = abi.encodeWithSelector(ITimelocked.NotTimelock.selector, caller);
        vm.startPrank(caller);
        vm.expectRevert(reason);
        policy.set(Parameter.RewardBps, 1);
        vm.expectRevert(reason);
        policy.setProjectType(1, _type());
        vm.expectRevert(reason);
        policy.setDistribution(_distribution());
        vm.expectRevert(reason);
        policy.setScoring(2, PARAMS_HASH);
        vm.stopPrank();
    }

    function _set(Parameter parameter, uint256 value) private {
        vm.prank(TIMELOCK);
        policy.set(parameter, value);
    }

    function _setType(uint16 id, ProjectType memory given) private {
        vm.prank(TIMELOCK);
        policy.setProjectType(id, given);
    }

    function _refused(Parameter parameter, uint256 value, uint256 min, uint256 max) private {
        vm.expectRevert(
            abi.encodeWithSelector(IPolicy.OutOfBounds.selector, parameter, value, min, max)
        );
        vm.prank(TIMELOCK);
        policy.set(parameter, value);
    }

    function _refusedType(ProjectType memory given, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(TIMELOCK);
        policy.setProjectType(5, given);
    }

    /// @dev A policy in which any one number may go to its bounds: the stakes are apart as far as
    ///      they can be, and the pools take nothing.
    function _loose() private returns (Policy) {
        uint256[] memory values = _values("minimal");
        values[uint8(Parameter.RewardBps)] = 0;
        values[uint8(Parameter.InsuranceBps)] = 0;
        (,, uint256 min,) = policy.specOf(Parameter.StakeMin);
        (,,, uint256 max) = policy.specOf(Parameter.StakeMax);
        values[uint8(Parameter.StakeMin)] = min;
        values[uint8(Parameter.StakeMax)] = max;
        return new Policy(TIMELOCK, values, _distribution(), 1, PARAMS_HASH);
    }

    function _type() private pure returns (ProjectType memory) {
        Resources memory need = Resources(4_000, 16_000, 1_000, 25);
        return ProjectType(true, Rule.FirstPrice, 3, 500_000, 900_000, 2, 32 ether, need);
    }
}
