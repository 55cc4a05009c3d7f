// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {TestAnkr} from "../../src/TestAnkr.sol";
import {Council} from "../../src/governance/Council.sol";
import {Policy} from "../../src/governance/Policy.sol";
import {Timelock} from "../../src/governance/Timelock.sol";
import {Pot} from "../../src/market/Pot.sol";
import {ICouncil} from "../../src/interfaces/ICouncil.sol";
import {ICouncilKeys} from "../../src/interfaces/ICouncilKeys.sol";
import {Parameter} from "../../src/interfaces/IPolicy.sol";
import {IProposals, Call} from "../../src/interfaces/IProposals.sol";
import {PolicyKit} from "./PolicyKit.sol";

/// @dev A council with its timelock, policy and reward pot. Of people, 0 to 3 are invited.
abstract contract CouncilKit is PolicyKit {
    uint256 internal constant N = 3;
    uint256 internal constant INVITED = N + 1;
    uint256 internal constant STAKE = 1_000 ether;
    uint48 internal constant START = 1_000_000;
    uint48 internal constant PHASE_2_AT = START + 100 days;
    uint48 internal constant PHASE_3_AT = START + 200 days;
    uint48 internal constant TERM_S = 100 days;
    uint48 internal constant UNBOND_S = 14 days;
    uint48 internal constant VOTING_S = 3 days;
    uint48 internal constant ELECTION_S = 7 days;
    uint256 internal constant DELAY_S = 2 days;

    IERC20 internal ankr;
    Timelock internal timelock;
    Policy internal policy;
    Pot internal rewards;
    Council internal council;

    function _deploy(IERC20 token) internal {
        vm.warp(START);
        ankr = token;
        address[] memory executors = new address[](1);
        timelock = new Timelock(DELAY_S, new address[](0), executors, address(this));
        policy = _policy(address(timelock));
        _set(Parameter.CouncilN, N);
        _set(Parameter.GovernorStakeMin, STAKE);
        _set(Parameter.UnbondS, UNBOND_S);
        _set(Parameter.VotingS, VOTING_S);
        _set(Parameter.ElectionS, ELECTION_S);
        rewards = new Pot(token, address(timelock), address(0));
        council = new Council(_setup());
        timelock.grantRole(timelock.PROPOSER_ROLE(), address(council));
        timelock.renounceRole(timelock.DEFAULT_ADMIN_ROLE(), address(this));
    }

    function _setup() internal view returns (ICouncil.Setup memory) {
        return ICouncil.Setup({
            token: ankr,
            policy: policy,
            timelock: timelock,
            receiver: rewards,
            invited: _invited(INVITED),
            phase2At: PHASE_2_AT,
            phase3At: PHASE_3_AT,
            termS: TERM_S
        });
    }

    function _invited(uint256 count) internal pure returns (ICouncilKeys.Governor[] memory made) {
        made = new ICouncilKeys.Governor[](count);
        for (uint256 i = 0; i < count; ++i) {
            made[i] = ICouncilKeys.Governor(_person(i), _node(i));
        }
    }

    function _person(uint256 index) internal pure returns (address) {
        return address(SafeCast.toUint160(0x9000 + index));
    }

    function _node(uint256 index) internal pure returns (bytes32) {
        return bytes32(0xd000 + index);
    }

    /// @dev Only the timelock may; the tests of proposals show how it comes to it.
    function _set(Parameter parameter, uint256 value) internal {
        vm.prank(address(timelock));
        policy.set(parameter, value);
    }

    function _stake(address who, uint256 amount) internal {
        require(ankr.transfer(who, amount), "a test token pays");
        vm.prank(who);
        ankr.approve(address(council), amount);
        vm.prank(who);
        council.stake(amount);
    }

    function _accept(uint256 index) internal {
        _stake(_person(index), STAKE);
        vm.prank(_person(index));
        council.accept();
    }

    /// @dev All who were invited sit.
    function _acceptAll() internal {
        for (uint256 i = 0; i < INVITED; ++i) {
            _accept(i);
        }
    }

    /// @dev Makes people from `first` on have stakes that rise with their index.
    function _stakeMany(uint256 first, uint256 count) internal {
        for (uint256 i = first; i < first + count; ++i) {
            _stake(_person(i), STAKE + i * 1 ether);
        }
    }

    function _open() internal returns (uint64) {
        return council.openElection();
    }

    function _stand(uint256 index) internal {
        uint64 election = council.latestElection();
        vm.prank(_person(index));
        council.stand(election, _node(index));
    }

    function _standMany(uint256 first, uint256 count) internal {
        for (uint256 i = first; i < first + count; ++i) {
            _stand(i);
        }
    }

    function _back(address who, uint256 index) internal {
        uint64 election = council.latestElection();
        vm.prank(who);
        council.back(election, _person(index));
    }

    function _close() internal {
        vm.warp(council.electionAt(council.latestElection()).closesAt);
        council.closeElection();
    }

    /// @dev Goes to the next renewal and elects people from `first` on.
    function _renew(uint256 first, uint256 count) internal {
        _stakeMany(first, count);
        if (block.timestamp < PHASE_3_AT) vm.warp(PHASE_3_AT);
        else vm.warp(council.dueAt());
        _open();
        _standMany(first, count);
        _close();
    }

    function _noCalls() internal pure returns (Call[] memory) {
        return new Call[](0);
    }

    /// @dev A call that sets a number of the policy.
    function _setting(Parameter parameter, uint256 value)
        internal
        view
        returns (Call[] memory calls)
    {
        calls = new Call[](1);
        calls[0] = Call(address(policy), 0, abi.encodeCall(policy.set, (parameter, value)));
    }

    function _propose(uint256 index, Call[] memory calls) internal returns (uint64) {
        vm.prank(_person(index));
        return council.propose(calls, false, "as a test has it");
    }

    function _vote(uint256 index, uint64 proposal, IProposals.Choice choice) internal {
        vm.prank(_person(index));
        council.vote(proposal, choice);
    }

    /// @dev The first of the governors vote yes, as many as say so, and time goes by.
    function _voteYes(uint64 proposal, uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            _vote(i, proposal, IProposals.Choice.Yes);
        }
        vm.warp(council.proposalAt(proposal).closesAt);
    }

    function _proposeReferendum(uint256 index, Call[] memory calls) internal returns (uint64) {
        vm.prank(_person(index));
        return council.propose(calls, true, "as stakers see it");
    }

    function _voteAsStaker(address who, uint64 proposal, IProposals.Choice choice) internal {
        vm.prank(who);
        council.voteAsStaker(proposal, choice);
    }

    /// @dev Closes a proposal at its time.
    function _closeProposal(uint64 proposal, Call[] memory calls)
        internal
        returns (IProposals.Outcome)
    {
        vm.warp(council.proposalAt(proposal).closesAt);
        council.close(proposal, calls);
        return council.proposalAt(proposal).outcome;
    }

    function _execute(uint64 proposal, Call[] memory calls) internal {
        address[] memory targets = new address[](calls.length);
        uint256[] memory values = new uint256[](calls.length);
        bytes[] memory payloads = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (targets[i], values[i], payloads[i]) = (calls[i].target, calls[i].value, calls[i].data);
        }
        timelock.executeBatch(targets, values, payloads, 0, bytes32(uint256(proposal)));
    }

    function _testAnkr() internal returns (IERC20) {
        return new TestAnkr(10 ** 36);
    }
}
