// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {CouncilKeys} from "../src/CouncilKeys.sol";
import {ICouncilKeys} from "../src/interfaces/ICouncilKeys.sol";
import {Test} from "./lib/Test.sol";

/// @dev Nine people, in and out of councils of three, five and seven, do what they may and what they
///      may not, as time goes by. Each writes down what was taken of it.
contract Governors is Test {
    uint256 public constant PEOPLE = 9;
    uint64 private constant PHASE_S = 100;
    uint256 private constant LISTS = 4;

    CouncilKeys public immutable COUNCIL = new CouncilKeys(listOf(0), PHASE_S);

    /// @notice The phase each session was seen in last; session s stands at s - 1.
    ICouncilKeys.Phase[] public phases;

    /// @notice Whether a session was seen in an earlier phase than before, or in another after its end.
    bool public hasGoneBack;

    /// @notice Whether a session number fell or was left out, or the latest session was not the one
    ///         that was seated.
    bool public hasSkipped;

    /// @notice Whether a post was taken that had been taken before.
    bool public hasTakenTwice;

    /// @notice How many posts were taken.
    uint256 public posts;

    /// @dev By session, function, and who posted what.
    mapping(bytes32 post => bool) private _taken;

    uint64 private _latest;
    uint64 private _sitting;

    modifier watched() {
        _;
        _look();
    }

    function support(uint256 who, uint256 which) external watched {
        ICouncilKeys.Governor[] memory list = listOf(which);
        // Until there is a key only the sitting list will do.
        if (COUNCIL.sittingSession() == 0 && which % 8 != 7) list = listOf(0);
        vm.prank(_mostlyOf(COUNCIL.sitting().governors, who));
        COUNCIL.support(which % 16 == 6 ? _latest : _latest + 1, list);
    }

    /// @dev A threshold wants the same list; seldom while a session is under way.
    function open(uint256 which) external watched {
        bool isOver = _latest == 0 || phases[_latest - 1] >= ICouncilKeys.Phase.Confirmed;
        if (!isOver && which % 8 != 7) return;
        ICouncilKeys.Governor[] memory list = listOf(COUNCIL.sittingSession() == 0 ? 0 : which >> 3);
        bytes32 listHash = keccak256(abi.encode(list));
        ICouncilKeys.Governor[] memory sitting = COUNCIL.sitting().governors;
        uint64 session = _latest + 1;
        for (uint256 i = 0; i < sitting.length && COUNCIL.latestSession() < session; ++i) {
            if (COUNCIL.hasSupported(sitting[i].account, listHash)) continue;
            vm.prank(sitting[i].account);
            COUNCIL.support(session, list);
        }
    }

    function postDeal(uint256 who) external watched {
        _deal(_mostlyOf(COUNCIL.sessionAt(_latest).dealers, who));
    }

    function respond(uint256 who, uint256 complaints) external watched {
        ICouncilKeys.Session memory session = COUNCIL.sessionAt(_latest);
        uint256 mask = complaints % 8 == 7 ? 0xff : _dealt(session);
        complaints = (complaints >> 8) & (complaints >> 16) & mask;
        _respond(_mostlyOf(session.receivers, who), complaints);
    }

    /// @dev From some complaint on, the first that there is; or, one in eight, of none.
    function justify(uint256 who, uint256 receiver) external watched {
        ICouncilKeys.Session memory session = COUNCIL.sessionAt(_latest);
        uint256 dealer = (who >> 3) % session.dealers.length;
        receiver = receiver % session.receivers.length;
        for (uint256 tries = 0; tries < 64 && who % 8 != 7; ++tries) {
            if ((session.complaints[receiver] >> dealer) & 1 != 0) break;
            dealer = (dealer + 1) % session.dealers.length;
            if (tries % session.dealers.length == 0) {
                receiver = (receiver + 1) % session.receivers.length;
            }
        }
        address account = session.dealers[dealer].account;
        vm.prank(account);
        COUNCIL.justify(_latest, receiver, new bytes(64));
        _take(abi.encode(_latest, "justify", account, receiver));
    }

    function confirm(uint256 who, uint256 group) external watched {
        _confirm(_mostlyOf(COUNCIL.sessionAt(_latest).receivers, who), group % 8 == 0 ? 2 : 1);
    }

    /// @dev Nearly everyone does what the phase asks, or sessions would hardly ever be confirmed.
    /// @param absent  Two bits a governor: it does nothing if both are set.
    function goOn(uint256 absent, uint256 complaints) external watched {
        ICouncilKeys.Session memory session = COUNCIL.sessionAt(_latest);
        complaints = complaints % 2 == 0 ? 0 : complaints >> 1;
        bool isDeal = session.phase == ICouncilKeys.Phase.Deal;
        ICouncilKeys.Governor[] memory list = isDeal ? session.dealers : session.receivers;
        for (uint256 i = 0; i < list.length; ++i) {
            if ((absent >> (2 * i)) & 3 == 3) continue;
            if (isDeal) {
                if (session.dealHashes[i] == bytes32(0)) _deal(list[i].account);
            } else if (session.phase == ICouncilKeys.Phase.Respond) {
                if ((session.responded >> i) & 1 != 0) continue;
                uint256 bits = complaints >> (16 * i);
                _respond(list[i].account, bits & (bits >> 8) & _dealt(session));
            } else if (session.phase == ICouncilKeys.Phase.Confirm) {
                if (COUNCIL.sittingSession() == _latest) break;
                if (session.confirmations[i] == bytes32(0)) _confirm(list[i].account, 1);
            }
        }
    }

    function wait(uint256 timeS) external watched {
        vm.warp(block.timestamp + timeS % 60);
    }

    function sessions() external view returns (uint256) {
        return phases.length;
    }

    /// @notice List 0 has five people, the others share some with it.
    function listOf(uint256 which) public pure returns (ICouncilKeys.Governor[] memory list) {
        uint256[4] memory firsts = [uint256(0), 2, 3, 0];
        uint256[4] memory counts = [uint256(5), 7, 3, 5];
        which = which % LISTS;
        list = new ICouncilKeys.Governor[](counts[which]);
        for (uint256 i = 0; i < list.length; ++i) {
            // The last list is the first with its places turned round.
            uint256 place = which == 3 ? list.length - 1 - i : i;
            list[i].account = person(firsts[which] + place);
            list[i].nodeId = keccak256(abi.encode(list[i].account));
        }
    }

    function person(uint256 who) public pure returns (address) {
        return address(SafeCast.toUint160(0x1000 + who % PEOPLE));
    }

    function _deal(address account) private {
        vm.prank(account);
        COUNCIL.postDeal(_latest, keccak256("deal"));
        _take(abi.encode(_latest, "deal", account));
    }

    function _respond(address account, uint256 complaints) private {
        vm.prank(account);
        // forge-lint: disable-next-line(unsafe-typecast) -- a byte at most
        COUNCIL.respond(_latest, uint64(complaints));
        _take(abi.encode(_latest, "respond", account));
    }

    function _confirm(address account, uint256 group) private {
        vm.prank(account);
        COUNCIL.confirm(_latest, bytes32(group));
        _take(abi.encode(_latest, "confirm", account));
    }

    function _take(bytes memory post) private {
        if (_taken[keccak256(post)]) hasTakenTwice = true;
        _taken[keccak256(post)] = true;
        ++posts;
    }

    function _look() private {
        uint64 latest = COUNCIL.latestSession();
        uint64 sitting = COUNCIL.sittingSession();
        if (latest < _latest || latest > _latest + 1) hasSkipped = true;
        if (sitting != _sitting && sitting != latest) hasSkipped = true;
        (_latest, _sitting) = (latest, sitting);
        // What came before these was over long ago; `afterInvariant` looks at it.
        for (uint64 session = latest < 2 ? 1 : latest - 1; session <= latest; ++session) {
            ICouncilKeys.Phase phase = COUNCIL.sessionAt(session).phase;
            if (session > phases.length) phases.push(phase);
            ICouncilKeys.Phase before = phases[session - 1];
            if (phase < before) hasGoneBack = true;
            if (before >= ICouncilKeys.Phase.Confirmed && phase != before) hasGoneBack = true;
            phases[session - 1] = phase;
        }
    }

    function _dealt(ICouncilKeys.Session memory session) private pure returns (uint256 bits) {
        for (uint256 i = 0; i < session.dealers.length; ++i) {
            if (session.dealHashes[i] != bytes32(0)) bits |= uint256(1) << i;
        }
    }

    /// @dev One of the list seven times in eight.
    function _mostlyOf(ICouncilKeys.Governor[] memory list, uint256 who)
        private
        pure
        returns (address)
    {
        return who % 8 == 7 ? person(who >> 3) : list[(who >> 3) % list.length].account;
    }
}

contract CouncilKeysInvariantTest is Test {
    Governors private governors;
    CouncilKeys private council;

    function setUp() public {
        governors = new Governors();
        council = governors.COUNCIL();
        targetContract(address(governors));
    }

    function invariant_sessionNumbersOnlyGrow() public view {
        vm.assertFalse(governors.hasSkipped());
        vm.assertEq(governors.sessions(), council.latestSession());
    }

    function invariant_phasesNeverGoBackWithinASession() public view {
        vm.assertFalse(governors.hasGoneBack());
    }

    function invariant_noPostIsTakenTwice() public view {
        vm.assertFalse(governors.hasTakenTwice());
    }

    function invariant_theSittingListIsTheOneThatAThresholdConfirmedLast() public view {
        uint64 latest = council.latestSession();
        uint64 sitting = council.sittingSession();
        bytes32 sittingHash = keccak256(abi.encode(council.sitting().governors));
        if (sitting == 0) {
            vm.assertEq(sittingHash, keccak256(abi.encode(governors.listOf(0))));
        } else {
            ICouncilKeys.Session memory session = council.sessionAt(sitting);
            vm.assertTrue(session.phase == ICouncilKeys.Phase.Confirmed);
            vm.assertEq(sittingHash, keccak256(abi.encode(session.receivers)));
            vm.assertEq(_most(session), session.receiversThreshold);
        }
        if (latest == sitting) return;
        ICouncilKeys.Session memory last = council.sessionAt(latest);
        vm.assertTrue(_most(last) < last.receiversThreshold);
        vm.assertEq(last.groupHash, bytes32(0));
        vm.assertEq(sittingHash, keccak256(abi.encode(last.dealers)));
    }

    function invariant_aSupportCountsForItsSittingGovernorAndForOneList() public view {
        uint256 total = 0;
        for (uint256 which = 0; which < 4; ++which) {
            bytes32 listHash = keccak256(abi.encode(governors.listOf(which)));
            uint256 supporters = 0;
            for (uint256 who = 0; who < governors.PEOPLE(); ++who) {
                address person = governors.person(who);
                if (!council.hasSupported(person, listHash)) continue;
                vm.assertTrue(council.isGovernor(person));
                ++supporters;
            }
            vm.assertEq(council.supportersOf(listHash), supporters);
            total += supporters;
        }
        vm.assertTrue(total <= council.sitting().governors.length);
    }

    function invariant_justificationLastsWhileAnAnswerIsOwed() public view {
        uint64 latest = council.latestSession();
        if (latest == 0) return;
        ICouncilKeys.Session memory session = council.sessionAt(latest);
        bool isOwed = _owed(session) != 0;
        if (isOwed) {
            vm.assertEq(session.justifyEndsAt, session.respondEndsAt + council.PHASE_S());
        } else {
            vm.assertTrue(session.phase != ICouncilKeys.Phase.Justify);
        }
    }

    function invariant_whoGovernsHasNoEndAndWhoLeftHasOne() public view {
        uint64 startsAt = council.sitting().startsAt;
        for (uint256 who = 0; who < governors.PEOPLE(); ++who) {
            uint64 untilS = council.satUntil(governors.person(who));
            bool isGovernor = council.isGovernor(governors.person(who));
            vm.assertTrue(isGovernor == (untilS == type(uint64).max));
            vm.assertTrue(isGovernor || untilS <= startsAt);
        }
    }

    /// @notice What is over stays as it is, and every post that was taken stands on the board.
    function afterInvariant() public view {
        uint256 standing = 0;
        for (uint64 number = 1; number <= council.latestSession(); ++number) {
            ICouncilKeys.Session memory session = council.sessionAt(number);
            vm.assertTrue(session.phase == governors.phases(number - 1));
            vm.assertTrue(
                number == council.latestSession() || session.phase >= ICouncilKeys.Phase.Confirmed
            );
            for (uint256 i = 0; i < session.dealers.length; ++i) {
                if (session.dealHashes[i] != bytes32(0)) ++standing;
            }
            for (uint256 i = 0; i < session.receivers.length; ++i) {
                if (session.confirmations[i] != bytes32(0)) ++standing;
                standing += (session.responded >> i) & 1;
            }
            standing += session.justifications.length;
        }
        vm.assertEq(standing, governors.posts());
    }

    /// @dev Confirmations of the group that most named.
    function _most(ICouncilKeys.Session memory session) private pure returns (uint256 most) {
        uint256[3] memory counts;
        for (uint256 i = 0; i < session.receivers.length; ++i) {
            if (session.confirmations[i] == bytes32(0)) continue;
            uint256 count = ++counts[uint256(session.confirmations[i])];
            if (count > most) most = count;
        }
    }

    /// @dev Complaints about dealers with less than a threshold of them, less the answers.
    function _owed(ICouncilKeys.Session memory session) private pure returns (uint256 owed) {
        for (uint256 dealer = 0; dealer < session.dealers.length; ++dealer) {
            uint256 against = 0;
            for (uint256 i = 0; i < session.receivers.length; ++i) {
                against += (session.complaints[i] >> dealer) & 1;
            }
            if (against < session.receiversThreshold) owed += against;
        }
        owed -= session.justifications.length;
    }
}
