// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CouncilKeys} from "../src/CouncilKeys.sol";
import {Council} from "../src/governance/Council.sol";
import {ICouncil} from "../src/interfaces/ICouncil.sol";
import {ICouncilKeys} from "../src/interfaces/ICouncilKeys.sol";
import {ISeats} from "../src/interfaces/ISeats.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

contract SeatsTest is CouncilKit {
    function setUp() public {
        _deploy(_testAnkr());
    }

    // Phase 1 (R16).

    /// @dev R16: an invitation alone is no seat.
    function test_accept_seatsWhoWasInvitedAndStaked() public {
        vm.assertTrue(council.isInvited(_person(0)));
        vm.assertFalse(council.isGovernor(_person(0)));
        vm.assertEq(council.seatCount(), 0);
        _stake(_person(0), STAKE);
        vm.assertFalse(council.isGovernor(_person(0)));
        vm.expectEmit(address(council));
        emit ISeats.Seated(0, _person(0), _node(0));
        vm.prank(_person(0));
        council.accept();
        vm.assertTrue(council.isGovernor(_person(0)));
        ISeats.Seat[] memory seats = council.seats();
        vm.assertEq(seats.length, 1);
        vm.assertEq(seats[0].account, _person(0));
        vm.assertEq(seats[0].stakeMin, STAKE);
        vm.assertEq(seats[0].nodeId, _node(0));
    }

    function test_accept_RevertWhen_TheCallerWasNotInvited() public {
        _stake(_person(7), STAKE);
        vm.expectRevert(abi.encodeWithSelector(ISeats.NotInvited.selector, _person(7)));
        vm.prank(_person(7));
        council.accept();
    }

    function test_accept_RevertWhen_TheCallerSits() public {
        _accept(0);
        vm.expectRevert(abi.encodeWithSelector(ISeats.AlreadySeated.selector, _person(0)));
        vm.prank(_person(0));
        council.accept();
    }

    /// @dev Q22: who was invited and waited keeps no claim to a seat of the elected list.
    function test_accept_RevertWhen_AListWasElected() public {
        _accept(0);
        _renew(20, 2 * N + 1);
        _stake(_person(1), STAKE);
        vm.expectRevert(abi.encodeWithSelector(ISeats.InvitationOver.selector, 1));
        vm.prank(_person(1));
        council.accept();
    }

    /// @dev A majority cannot price those who were invited out before they accept.
    function test_accept_asksForNoMoreThanAtDeployment() public {
        _set(Parameter.GovernorStakeMin, 10 * STAKE);
        vm.assertEq(council.stakeMin(), STAKE);
        _accept(0);
        _set(Parameter.GovernorStakeMin, STAKE / 10);
        vm.assertEq(council.stakeMin(), STAKE / 10);
        _stake(_person(1), STAKE / 10);
        vm.prank(_person(1));
        council.accept();
        vm.assertEq(council.seatCount(), 2);
    }

    // Deployment.

    function test_constructor_RevertWhen_ThePhasesAreNotInOrder() public {
        ICouncil.Setup memory setup = _setup();
        setup.phase3At = setup.phase2At;
        _refused(
            setup, abi.encodeWithSelector(ISeats.BadPhases.selector, PHASE_2_AT, PHASE_2_AT, TERM_S)
        );
        setup = _setup();
        setup.termS = 0;
        _refused(
            setup, abi.encodeWithSelector(ISeats.BadPhases.selector, PHASE_2_AT, PHASE_3_AT, 0)
        );
    }

    function testFuzz_constructor_RevertWhen_NotOneMoreThanNAreInvited(uint8 count) public {
        vm.assume(count != INVITED);
        ICouncil.Setup memory setup = _setup();
        setup.invited = _invited(count);
        _refused(setup, abi.encodeWithSelector(ISeats.BadInvitedCount.selector, count, N));
    }

    function test_constructor_RevertWhen_NobodyOrNothingIsInvited() public {
        ICouncil.Setup memory setup = _setup();
        setup.invited[2].account = address(0);
        _refused(setup, abi.encodeWithSelector(ISeats.BadInvitation.selector, 2));
        setup = _setup();
        setup.invited[3].nodeId = bytes32(0);
        _refused(setup, abi.encodeWithSelector(ISeats.BadInvitation.selector, 3));
    }

    function test_constructor_RevertWhen_AnAccountOrANodeIsInvitedTwice() public {
        ICouncil.Setup memory setup = _setup();
        setup.invited[3].account = _person(0);
        _refused(setup, abi.encodeWithSelector(ISeats.InvitedTwice.selector, _person(0)));
        setup = _setup();
        setup.invited[3].nodeId = _node(1);
        _refused(setup, abi.encodeWithSelector(ISeats.NodeTaken.selector, _node(1), _person(1)));
    }

    // Phases (Q22, R24).

    /// @dev Q22: the dates are part of the code. There is no function that could change them, so it
    ///      is enough that they read the same after all that can happen.
    function test_theDatesStayAsDeployedWhateverHappens() public {
        _acceptAll();
        _renew(20, 2 * N + 1);
        _renew(40, 2 * N + 1);
        vm.assertEq(council.PHASE_2_AT(), PHASE_2_AT);
        vm.assertEq(council.PHASE_3_AT(), PHASE_3_AT);
        vm.assertEq(council.TERM_S(), TERM_S);
        vm.assertEq(council.dueAt(), PHASE_3_AT + 2 * TERM_S);
    }

    function testFuzz_phase_goesByTheClockAlone(uint256 time) public {
        time = bound(time, START, PHASE_3_AT + 10 * TERM_S);
        vm.warp(time);
        uint256 wanted = time < PHASE_2_AT ? 1 : time < PHASE_3_AT ? 2 : 3;
        vm.assertEq(council.phase(), wanted);
    }

    // The list for the keys.

    function test_list_hasAnOddNumberOfThoseWhoSit() public {
        vm.assertEq(council.list().length, 0);
        for (uint256 i = 0; i < INVITED; ++i) {
            _accept(i);
            ICouncilKeys.Governor[] memory list = council.list();
            vm.assertEq(list.length, i - i % 2 + 1);
            for (uint256 k = 0; k < list.length; ++k) {
                vm.assertEq(list[k].account, _person(k));
                vm.assertEq(list[k].nodeId, _node(k));
            }
        }
    }

    /// @dev The elected list can be handed to the board of the keys as it is.
    function test_list_isWhatTheBoardOfTheKeysTakes() public {
        _acceptAll();
        new CouncilKeys(council.list(), 100);
        _renew(20, 2 * N + 1);
        ICouncilKeys.Governor[] memory list = council.list();
        CouncilKeys keys = new CouncilKeys(list, 100);
        vm.assertEq(abi.encode(keys.sitting().governors), abi.encode(list));
        // Best first: people with a higher number have more stake.
        vm.assertEq(list[0].account, _person(20 + 2 * N));
        vm.assertEq(list[2 * N].account, _person(20));
    }

    function test_accountOf_tellsWhoseANodeIs() public view {
        vm.assertEq(council.accountOf(_node(2)), _person(2));
        vm.assertEq(council.accountOf(_node(9)), address(0));
    }

    function deploy(ICouncil.Setup memory setup) external {
        new Council(setup);
    }

    function _refused(ICouncil.Setup memory setup, bytes memory reason) private {
        vm.expectRevert(reason);
        this.deploy(setup);
    }
}
