// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Circle} from "./Circle.sol";
import {Epochs} from "./Epochs.sol";
import {IAssignmentVerifier} from "./interfaces/IAssignmentVerifier.sol";
import {IBeaconVerifier} from "./interfaces/IBeaconVerifier.sol";
import {IReputationAnchor} from "./interfaces/IReputationAnchor.sol";

/// @title Who audits whom, proved
contract AssignmentVerifier is IAssignmentVerifier, Epochs {
    using Circle for Circle.Places;

    string private constant SEED_TAG = "stkr/seed/1";

    /// @dev Of every network: bounds the walk behind a target (`core/params.py`).
    uint64 private constant CANDIDATES_LIMIT = 32;

    /// @dev Words of a roster leaf.
    uint256 private constant NODE = 0;
    uint256 private constant OPERATOR = 2;
    uint256 private constant KIND = 3;
    uint256 private constant RANK = 5;
    uint256 private constant FULLS = 6;
    uint256 private constant LIGHTS = 7;

    /// @dev The kind of members that are audited.
    bytes32 private constant FULL = bytes32(0);

    /// @inheritdoc IAssignmentVerifier
    IReputationAnchor public immutable ANCHOR;

    /// @inheritdoc IAssignmentVerifier
    IBeaconVerifier public immutable BEACON;

    /// @inheritdoc IAssignmentVerifier
    IBeaconVerifier public immutable MIXED;

    /// @inheritdoc IAssignmentVerifier
    bytes32 public immutable NETWORK_ID;

    /// @inheritdoc IAssignmentVerifier
    uint64 public immutable FIRST_ROUND;

    /// @inheritdoc IAssignmentVerifier
    uint64 public immutable ROUNDS_PER_EPOCH;

    /// @inheritdoc IAssignmentVerifier
    uint64 public immutable MIXED_GENESIS_MS;

    /// @inheritdoc IAssignmentVerifier
    uint64 public immutable MIXED_PERIOD_MS;

    /// @inheritdoc IAssignmentVerifier
    uint64 public immutable AUDITORS_MAX;

    /// @inheritdoc IAssignmentVerifier
    uint64 public immutable CANDIDATES_MAX;

    /// @param network The network whose assignments are proved.
    constructor(Network memory network)
        Epochs(network.anchor.GENESIS_MS(), network.anchor.EPOCH_MS())
    {
        (uint64 auditors, uint64 candidates) = (network.auditorsMax, network.candidatesMax);
        if (auditors == 0 || auditors > candidates || candidates > CANDIDATES_LIMIT) {
            revert BadCommittee(auditors, candidates);
        }
        if (network.firstRound == 0 || network.roundsPerEpoch == 0) {
            revert BadRounds(network.firstRound, network.roundsPerEpoch);
        }
        (uint64 genesisMs, uint64 periodMs) = (network.mixedGenesisMs, network.mixedPeriodMs);
        bool hasMixed = address(network.mixed) != address(0);
        if (hasMixed ? periodMs == 0 : genesisMs != 0 || periodMs != 0) {
            revert BadMixedClock(genesisMs, periodMs);
        }
        ANCHOR = network.anchor;
        BEACON = network.beacon;
        MIXED = network.mixed;
        NETWORK_ID = network.networkId;
        FIRST_ROUND = network.firstRound;
        ROUNDS_PER_EPOCH = network.roundsPerEpoch;
        MIXED_GENESIS_MS = genesisMs;
        MIXED_PERIOD_MS = periodMs;
        AUDITORS_MAX = auditors;
        CANDIDATES_MAX = candidates;
    }

    /// @inheritdoc IAssignmentVerifier
    function isAssigned(
        IReputationAnchor.Header calldata header,
        Rounds calldata rounds,
        Membership calldata target,
        Membership[] calldata candidates,
        bytes32 auditor
    ) external view returns (bool) {
        uint256 window = _requireAnchored(header, target);
        bytes32 seed = seedOf(header.epoch, header.rosterRoot, rounds);
        bool isAudited = target.words[KIND] == FULL && target.words[NODE] != auditor;
        if (!isAudited || window == 0) {
            _requireNeeded(0, candidates.length);
            return false;
        }
        if (candidates.length > window) revert TooManyCandidates(window, candidates.length);
        Circle.Places memory places = _circle(seed, target, window, candidates.length + 1);
        _requireOneBehindTheOther(header.rosterRoot, places, target, candidates);
        return _isChosen(target.words[OPERATOR], candidates, auditor, window);
    }

    /// @inheritdoc IAssignmentVerifier
    function isCandidate(
        IReputationAnchor.Header calldata header,
        Rounds calldata rounds,
        Membership calldata target,
        Membership calldata auditor
    ) external view returns (bool) {
        uint256 window = _requireAnchored(header, target);
        _requireInRoster(header.rosterRoot, auditor);
        bytes32 seed = seedOf(header.epoch, header.rosterRoot, rounds);
        if (target.words[KIND] != FULL) return false;
        Circle.Places memory places = _circle(seed, target, window, 2);
        uint256 start = _startBehind(places, target);
        uint256 distance = (start + places.size - _placeOf(places, auditor)) % places.size;
        return distance > 0 && distance <= window;
    }

    /// @inheritdoc IAssignmentVerifier
    function seedOf(uint64 epoch, bytes32 rosterRoot, Rounds calldata rounds)
        public
        view
        returns (bytes32)
    {
        bytes32 randomness = BEACON.verifyRound(roundOf(epoch), rounds.signature);
        bytes memory mixed = "";
        if (address(MIXED) != address(0)) {
            mixed = bytes.concat(MIXED.verifyRound(mixedRoundOf(epoch), rounds.mixed));
        } else if (rounds.mixed.length != 0) {
            revert NoSecondBeacon();
        }
        return sha256(abi.encodePacked(SEED_TAG, NETWORK_ID, epoch, randomness, mixed, rosterRoot));
    }

    /// @inheritdoc IAssignmentVerifier
    function roundOf(uint64 epoch) public view returns (uint64) {
        return SafeCast.toUint64(FIRST_ROUND + uint256(epoch) * ROUNDS_PER_EPOCH);
    }

    /// @inheritdoc IAssignmentVerifier
    function mixedRoundOf(uint64 epoch) public view returns (uint64) {
        if (address(MIXED) == address(0)) return 0;
        uint256 startMs = _startMs(epoch);
        if (startMs <= MIXED_GENESIS_MS) return 1;
        uint256 sinceMs = startMs - MIXED_GENESIS_MS;
        return SafeCast.toUint64((sinceMs + MIXED_PERIOD_MS - 1) / MIXED_PERIOD_MS + 1);
    }

    /// @dev Checks that the header is anchored and that the target is in its roster: then the header's
    ///      roster root may be trusted for the other members.
    /// @return How many candidates a target has in this roster.
    function _requireAnchored(IReputationAnchor.Header calldata header, Membership calldata target)
        private
        view
        returns (uint256)
    {
        if (!ANCHOR.verifyRoster(header, target.words, target.proof)) {
            _requireInRoster(header.rosterRoot, target);
            revert HeaderNotAnchored(header.epoch);
        }
        uint256 size = uint256(target.words[FULLS]) + uint256(target.words[LIGHTS]);
        return size - 1 < CANDIDATES_MAX ? size - 1 : CANDIDATES_MAX;
    }

    function _circle(bytes32 seed, Membership calldata target, uint256 window, uint256 walks)
        private
        pure
        returns (Circle.Places memory)
    {
        uint256 fulls = uint256(target.words[FULLS]);
        return Circle.arrange(seed, fulls, uint256(target.words[LIGHTS]), window, walks);
    }

    /// @dev Checks that the candidates stand in the places behind the target, none left out.
    function _requireOneBehindTheOther(
        bytes32 rosterRoot,
        Circle.Places memory places,
        Membership calldata target,
        Membership[] calldata candidates
    ) private view {
        uint256 start = _startBehind(places, target);
        for (uint256 i = 0; i < candidates.length; ++i) {
            _requireInRoster(rosterRoot, candidates[i]);
            uint256 wanted = (start + places.size - i - 1) % places.size;
            uint256 place = _placeOf(places, candidates[i]);
            if (place != wanted) {
                revert WrongPlace(candidates[i].words[NODE], i + 1, place, wanted);
            }
        }
    }

    /// @dev Chooses auditors until it is settled whether `auditor` is one; the last candidate given
    ///      must be the one that settles it.
    function _isChosen(
        bytes32 targetOperator,
        Membership[] calldata candidates,
        bytes32 auditor,
        uint256 window
    ) private view returns (bool) {
        bytes32[] memory operators = new bytes32[](candidates.length + 1);
        operators[0] = targetOperator;
        uint256 used = 1;
        for (uint256 i = 0; i < candidates.length; ++i) {
            bytes32 operator = candidates[i].words[OPERATOR];
            bool isFree = !_contains(operators, used, operator);
            if (isFree) operators[used++] = operator;
            bool isAuditor = candidates[i].words[NODE] == auditor;
            if (isAuditor || used > AUDITORS_MAX || i + 1 == window) {
                _requireNeeded(i + 1, candidates.length);
                return isAuditor && isFree;
            }
        }
        revert TooFewCandidates(candidates.length);
    }

    /// @dev The place that a target's candidates stand behind: `turn` places behind its own.
    function _startBehind(Circle.Places memory places, Membership calldata target)
        private
        view
        returns (uint256)
    {
        return (_placeOf(places, target) + places.size - places.turn) % places.size;
    }

    function _placeOf(Circle.Places memory places, Membership calldata member)
        private
        view
        returns (uint256)
    {
        return places.placeOf(member.words[KIND] == FULL, uint256(member.words[RANK]));
    }

    function _requireInRoster(bytes32 root, Membership calldata member) private pure {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(member.words))));
        if (!MerkleProof.verifyCalldata(member.proof, root, leaf)) {
            revert NotInRoster(member.words[NODE]);
        }
    }

    function _requireNeeded(uint256 needed, uint256 given) private pure {
        if (given > needed) revert TooManyCandidates(needed, given);
    }

    function _contains(bytes32[] memory words, uint256 count, bytes32 word)
        private
        pure
        returns (bool)
    {
        for (uint256 i = 0; i < count; ++i) {
            if (words[i] == word) return true;
        }
        return false;
    }
}
