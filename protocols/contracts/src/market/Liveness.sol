// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20, SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ILiveness} from "../interfaces/ILiveness.sol";
import {Parameter} from "../interfaces/IPolicy.sol";
import {IReputationAnchor} from "../interfaces/IReputationAnchor.sol";
import {ScoreProof} from "../interfaces/IScores.sol";
import {ProviderBase} from "./ProviderBase.sol";
import {Scores} from "./Scores.sol";

/// @title Does a node still answer?
abstract contract Liveness is ProviderBase {
    using SafeERC20 for IERC20;

    /// @inheritdoc ILiveness
    uint256 public constant LAPSE_S = 30 days;

    uint256 private immutable GENESIS_MS;
    uint256 private immutable EPOCH_MS;

    /// @inheritdoc ILiveness
    mapping(address account => uint256) public owedTo;

    mapping(uint256 challenge => Challenge) private _challenges;

    /// @dev How many there were; they are numbered from 1.
    uint128 private _count;

    constructor() {
        GENESIS_MS = ANCHOR.GENESIS_MS();
        EPOCH_MS = ANCHOR.EPOCH_MS();
    }

    /// @inheritdoc ILiveness
    function challenge(uint256 registration) external returns (uint256 challenge_) {
        Node storage node = _nodes[registration];
        if (node.chainNode == bytes32(0)) revert NotBound(registration);
        _checkNew(registration, node.challenge);
        uint256 bond = POLICY.get(Parameter.ChallengeBond);

        node.challenge = ++_count;
        challenge_ = _count;
        _challenges[challenge_] = Challenge({
            state: ChallengeState.Open,
            answerS: SafeCast.toUint32(POLICY.get(Parameter.AnswerS)),
            challengedAt: uint64(block.timestamp),
            challenger: msg.sender,
            provider: node.provider,
            registration: registration,
            bond: bond
        });
        emit Challenged(challenge_, registration, msg.sender, bond);

        TOKEN.safeTransferFrom(msg.sender, address(this), bond);
    }

    /// @inheritdoc ILiveness
    function answer(uint256 challenge_, ScoreProof calldata shown) external {
        Challenge storage held = _open(challenge_);
        uint64 epoch = shown.header.epoch;
        uint256 registration = held.registration;
        _checkSeen(held, shown.header);
        _checkScore(registration, shown);
        if (!Scores.isUp(shown.words)) revert NotUp(registration, epoch);

        _nodes[registration].answeredEpoch = epoch;
        _nodes[registration].answeredBlock = uint64(block.number);
        _close(held, ChallengeState.Answered, held.provider);
        emit Answered(challenge_, registration, epoch);
    }

    /// @inheritdoc ILiveness
    function timeOut(uint256 challenge_, IReputationAnchor.Header calldata header) external {
        Challenge storage held = _open(challenge_);
        _checkSeen(held, header);
        Scores.checkAnchored(ANCHOR, header);
        Scores.checkFinal(ANCHOR, header.epoch);
        // slither-disable-next-line unused-return -- the header was compared just before
        (, uint64 anchoredAt) = ANCHOR.recordOf(header.epoch);
        _checkTime(challenge_, uint256(anchoredAt) + held.answerS);

        _close(held, ChallengeState.Silent, held.challenger);
        emit Silent(challenge_, held.registration, header.epoch);
    }

    /// @inheritdoc ILiveness
    function lapse(uint256 challenge_) external {
        Challenge storage held = _open(challenge_);
        _checkTime(challenge_, uint256(held.challengedAt) + held.answerS + LAPSE_S);
        _close(held, ChallengeState.Lapsed, held.challenger);
        emit Lapsed(challenge_, held.registration);
    }

    /// @inheritdoc ILiveness
    function collect() external {
        uint256 amount = owedTo[msg.sender];
        if (amount == 0) revert NothingOwed(msg.sender);
        delete owedTo[msg.sender];
        emit Collected(msg.sender, amount);

        TOKEN.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc ILiveness
    function challengeOf(uint256 challenge_) external view returns (Challenge memory) {
        return _challenges[challenge_];
    }

    /// @inheritdoc ILiveness
    function silence(uint256 challenge_)
        external
        view
        returns (bool isSilent, uint256 registration, uint64 challengedAt)
    {
        Challenge storage held = _challenges[challenge_];
        return (held.state == ChallengeState.Silent, held.registration, held.challengedAt);
    }

    /// @dev Reverts if a node's latest challenge is open and younger than an epoch.
    function _checkNew(uint256 registration, uint256 latest) private view {
        Challenge storage held = _challenges[latest];
        uint256 untilMs = uint256(held.challengedAt) * 1000 + EPOCH_MS;
        if (held.state == ChallengeState.Open && block.timestamp * 1000 < untilMs) {
            revert ChallengeOpen(registration, latest);
        }
    }

    function _open(uint256 challenge_) private view returns (Challenge storage held) {
        held = _challenges[challenge_];
        if (held.state != ChallengeState.Open) revert ChallengeNotOpen(challenge_, held.state);
    }

    /// @dev Decides a challenge and owes its bond to an account.
    function _close(Challenge storage held, ChallengeState state, address account) private {
        held.state = state;
        owedTo[account] += held.bond;
    }

    /// @dev Reverts unless the network looked at its members after the challenge, in this epoch.
    function _checkSeen(Challenge storage held, IReputationAnchor.Header calldata header)
        private
        view
    {
        uint256 startMs = GENESIS_MS + header.epoch * EPOCH_MS;
        if (startMs < uint256(held.challengedAt) * 1000) {
            revert EpochTooEarly(header.epoch, held.challengedAt);
        }
        if (header.isVoid) revert EpochVoid(header.epoch);
    }

    function _checkTime(uint256 challenge_, uint256 untilS) private view {
        if (block.timestamp < untilS) revert TooEarly(challenge_, untilS);
    }
}
