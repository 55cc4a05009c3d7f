// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AssignmentVerifier} from "../src/AssignmentVerifier.sol";
import {Beacon} from "../src/Beacon.sol";
import {BeaconVerifier} from "../src/BeaconVerifier.sol";
import {BLS12381} from "../src/BLS12381.sol";
import {Circle} from "../src/Circle.sol";
import {IAssignmentVerifier} from "../src/interfaces/IAssignmentVerifier.sol";
import {IBeaconVerifier} from "../src/interfaces/IBeaconVerifier.sol";
import {IReputationAnchor} from "../src/interfaces/IReputationAnchor.sol";
import {AssignmentFixtures} from "./lib/AssignmentFixtures.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @dev Takes any header for anchored; the real contract is deployed by Python's tests.
contract AnyAnchor {
    uint64 public constant GENESIS_MS = 1_000_000_000;
    uint64 public immutable EPOCH_MS;
    bytes32 private _anchored;

    constructor(uint64 epochMs) {
        EPOCH_MS = epochMs;
    }

    /// @notice Anchors a header.
    function anchor(IReputationAnchor.Header calldata header) external {
        _anchored = keccak256(abi.encode(header));
    }

    /// @notice As `IReputationAnchor` has it.
    function verifyRoster(
        IReputationAnchor.Header calldata header,
        bytes32[8] calldata words,
        bytes32[] calldata proof
    ) external view returns (bool) {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(words))));
        return _anchored == keccak256(abi.encode(header))
            && MerkleProof.verifyCalldata(proof, header.rosterRoot, leaf);
    }
}

contract AssignmentVerifierTest is AssignmentFixtures {
    uint64 private constant FIRST_ROUND = 51;
    bytes32 private constant STRANGER = keccak256("nobody's node");

    IBeaconVerifier private beacon;
    IBeaconVerifier private mixed;

    /// @dev The case that most tests take: reading the file takes longer than they do.
    bytes private _mixedKinds;

    function setUp() public {
        beacon = new BeaconVerifier(_key("beacon"));
        mixed = new BeaconVerifier(_key("mixed"));
        _mixedKinds = abi.encode(_case(MIXED_KINDS));
    }

    // What is so, and what is not so, is proved.

    function test_isAssigned_agreesWithTheCoreOnEveryPair() public {
        for (uint256 i = 0; i < CASES; ++i) {
            Case memory told = _case(i);
            IAssignmentVerifier verifier = _deploy(told);
            for (uint256 target = 0; target < told.candidates.length; ++target) {
                this.agreesOnAuditors(verifier, told, target);
            }
        }
    }

    function test_isCandidate_agreesWithTheCoreOnEveryPair() public {
        for (uint256 i = 0; i < CASES; ++i) {
            Case memory told = _case(i);
            IAssignmentVerifier verifier = _deploy(told);
            for (uint256 target = 0; target < told.candidates.length; ++target) {
                this.agreesOnCandidates(verifier, told, target);
            }
        }
    }

    function test_isAssigned_provesThatAStrangerIsNot() public {
        for (uint256 i = 0; i < CASES; ++i) {
            Case memory told = _case(i);
            IAssignmentVerifier verifier = _deploy(told);
            for (uint256 target = 0; target < told.candidates.length; ++target) {
                IAssignmentVerifier.Membership[] memory all =
                    _settling(told, target, type(uint256).max);
                vm.assertFalse(
                    verifier.isAssigned(
                        told.header, told.rounds, told.members[target], all, STRANGER
                    )
                );
            }
        }
    }

    function test_seedOf_isTheCores() public {
        for (uint256 i = 0; i < CASES; ++i) {
            Case memory told = _case(i);
            bytes32 seed =
                _deploy(told).seedOf(told.header.epoch, told.header.rosterRoot, told.rounds);
            vm.assertEq(seed, told.seed);
        }
    }

    /// @dev Whoever is brought: an answer, if there is one, is the right one, and only the proof that
    ///      the core would make gets one.
    function testFuzz_isAssigned_neverLies(uint256 target, uint256 auditor, uint256 picks) public {
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        target = target % told.members.length;
        auditor = auditor % told.members.length;
        IAssignmentVerifier.Membership[] memory right = _settling(told, target, auditor);
        IAssignmentVerifier.Membership[] memory brought = _spoiled(told, right, picks);
        bool isRight = keccak256(abi.encode(brought)) == keccak256(abi.encode(right));
        bytes32 node = told.members[auditor].words[0];
        try verifier.isAssigned(
            told.header, told.rounds, told.members[target], brought, node
        ) returns (
            bool isAuditor
        ) {
            vm.assertTrue(isRight);
            vm.assertTrue(isAuditor == _contains(told.auditors[target], auditor));
        } catch {
            vm.assertFalse(isRight);
        }
    }

    // Proofs that are none.

    function test_isAssigned_RevertWhen_ACandidateIsSkipped() public {
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        uint256 target = _audited(told);
        IAssignmentVerifier.Membership[] memory all = _all(told, target);
        for (uint256 skipped = 0; skipped + 1 < all.length; ++skipped) {
            IAssignmentVerifier.Membership[] memory brought = _first(all, all.length - 1);
            for (uint256 i = skipped; i < brought.length; ++i) {
                brought[i] = all[i + 1];
            }
            _refuses(verifier, told, target, brought, _wrongPlace(told, target, skipped));
        }
    }

    function test_isAssigned_RevertWhen_CandidatesAreTooFew() public {
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        uint256 target = _audited(told);
        IAssignmentVerifier.Membership[] memory all = _settling(told, target, type(uint256).max);
        for (uint256 count = 0; count < all.length; ++count) {
            bytes memory reason =
                abi.encodeWithSelector(IAssignmentVerifier.TooFewCandidates.selector, count);
            _refuses(verifier, told, target, _first(all, count), reason);
        }
    }

    function test_isAssigned_RevertWhen_CandidatesAreTooMany() public {
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        uint256 target = _audited(told);
        IAssignmentVerifier.Membership[] memory all = _all(told, target);
        bytes32 nearest = all[0].words[0];
        vm.expectRevert(_tooMany(1, 2));
        verifier.isAssigned(told.header, told.rounds, told.members[target], _first(all, 2), nearest);
    }

    /// @dev More than all candidates are not even looked at: the walk is bounded.
    function test_isAssigned_RevertWhen_ThereAreMoreThanAllCandidates() public {
        Case memory told = _told();
        uint256 target = _audited(told);
        _refuses(_deploy(told), told, target, told.members, _tooMany(6, told.members.length));
    }

    function test_isAssigned_RevertWhen_NobodyIsNeeded() public {
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        IAssignmentVerifier.Membership[] memory one = _first(told.members, 1);
        uint256 light = _light(told);
        _refuses(verifier, told, light, one, _tooMany(0, 1));

        uint256 target = _audited(told);
        bytes32 itself = told.members[target].words[0];
        vm.expectRevert(_tooMany(0, 1));
        verifier.isAssigned(told.header, told.rounds, told.members[target], one, itself);
    }

    function test_isAssigned_RevertWhen_AMemberAloneHasCandidates() public {
        Case memory told = _case(0);
        _refuses(_deploy(told), told, 0, told.members, _tooMany(0, 1));
    }

    function testFuzz_isAssigned_RevertWhen_ALeafIsNotInTheRoster(
        uint256 which,
        uint256 word,
        bytes32 mask
    ) public {
        vm.assume(mask != 0);
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        uint256 target = _audited(told);
        IAssignmentVerifier.Membership[] memory all = _settling(told, target, type(uint256).max);
        IAssignmentVerifier.Membership memory spoiled =
            which % 2 == 0 ? told.members[target] : all[which / 2 % all.length];
        spoiled.words[word % 8] ^= mask;
        _refuses(verifier, told, target, all, _notInRoster(spoiled.words[0]));
    }

    function test_isAssigned_RevertWhen_ALeafIsOfAnotherRoster() public {
        Case memory told = _told();
        Case memory other = _case(SECOND_BEACON);
        IAssignmentVerifier verifier = _deploy(told);
        uint256 target = _audited(told);
        IAssignmentVerifier.Membership[] memory all = _settling(told, target, type(uint256).max);
        all[0] = other.members[0];
        _refuses(verifier, told, target, all, _notInRoster(other.members[0].words[0]));
    }

    function testFuzz_isAssigned_RevertWhen_AProofIsSpoiled(uint256 level, bytes32 mask) public {
        vm.assume(mask != 0);
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        uint256 target = _audited(told);
        IAssignmentVerifier.Membership memory shown = told.members[target];
        shown.proof[level % shown.proof.length] ^= mask;
        _refuses(
            verifier,
            told,
            target,
            new IAssignmentVerifier.Membership[](0),
            _notInRoster(shown.words[0])
        );
    }

    function test_isAssigned_RevertWhen_TheHeaderIsNotAnchored() public {
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        uint256 target = _audited(told);
        IAssignmentVerifier.Membership[] memory all = _settling(told, target, type(uint256).max);
        told.header.scoreRoot = keccak256("other scores");
        bytes memory reason = abi.encodeWithSelector(
            IAssignmentVerifier.HeaderNotAnchored.selector, told.header.epoch
        );
        _refuses(verifier, told, target, all, reason);
        vm.expectRevert(reason);
        verifier.isCandidate(told.header, told.rounds, told.members[target], told.members[0]);
    }

    function testFuzz_isAssigned_RevertWhen_TheRoundIsNotTheEpochs(uint64 epoch) public {
        Case memory told = _told();
        vm.assume(epoch != told.header.epoch && epoch < 1 << 60);
        IAssignmentVerifier verifier = _deploy(told);
        told.header.epoch = epoch;
        AnyAnchor(address(verifier.ANCHOR())).anchor(told.header);
        bytes memory reason =
            abi.encodeWithSelector(Beacon.BadRoundSignature.selector, verifier.roundOf(epoch));
        _refuses(verifier, told, 0, told.members, reason);
        vm.expectRevert(reason);
        verifier.isCandidate(told.header, told.rounds, told.members[0], told.members[1]);
    }

    /// @dev The round of an epoch is right, but with the seed of another roster all stand elsewhere.
    function test_isAssigned_RevertWhen_ASignatureIsAnothers() public {
        Case memory told = _case(SECOND_BEACON);
        IAssignmentVerifier verifier = _deploy(told);
        bytes memory own = told.rounds.signature;
        told.rounds.signature = told.rounds.mixed;
        bytes memory reason = abi.encodeWithSelector(
            Beacon.BadRoundSignature.selector, verifier.roundOf(told.header.epoch)
        );
        _refuses(verifier, told, 0, told.members, reason);
        told.rounds = IAssignmentVerifier.Rounds(own, own);
        reason = abi.encodeWithSelector(Beacon.BadRoundSignature.selector, told.network.mixedRound);
        _refuses(verifier, told, 0, told.members, reason);
        told.rounds.mixed = "";
        reason = abi.encodeWithSelector(BLS12381.BadPointLength.selector, 0, 128);
        _refuses(verifier, told, 0, told.members, reason);
    }

    function test_seedOf_RevertWhen_ThereIsNoSecondBeacon() public {
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        told.rounds.mixed = told.rounds.signature;
        vm.expectRevert(IAssignmentVerifier.NoSecondBeacon.selector);
        verifier.seedOf(told.header.epoch, told.header.rosterRoot, told.rounds);
    }

    function test_isCandidate_RevertWhen_TheAuditorIsNotInTheRoster() public {
        Case memory told = _told();
        IAssignmentVerifier verifier = _deploy(told);
        IAssignmentVerifier.Membership memory other = _case(SECOND_BEACON).members[0];
        vm.expectRevert(_notInRoster(other.words[0]));
        verifier.isCandidate(told.header, told.rounds, told.members[0], other);
    }

    // Rounds and deployment.

    function testFuzz_mixedRoundOf_isTheFirstThatFallsDueInTheEpoch(
        uint64 genesisMs,
        uint64 periodMs,
        uint64 epoch
    ) public {
        IAssignmentVerifier.Network memory network = _network(_told());
        network.mixed = mixed;
        network.mixedGenesisMs = genesisMs % (1 << 48);
        network.mixedPeriodMs = 1 + periodMs % (1 << 32);
        epoch = epoch % (1 << 32);
        IAssignmentVerifier verifier = new AssignmentVerifier(network);
        uint256 startMs = verifier.GENESIS_MS() + uint256(epoch) * verifier.EPOCH_MS();
        uint256 number = verifier.mixedRoundOf(epoch);
        uint256 dueMs = network.mixedGenesisMs + (number - 1) * network.mixedPeriodMs;
        vm.assertTrue(dueMs >= startMs);
        vm.assertTrue(number == 1 || dueMs - network.mixedPeriodMs < startMs);
    }

    function test_roundsAreThoseOfTheCore() public {
        for (uint256 i = 0; i < CASES; ++i) {
            Case memory told = _case(i);
            IAssignmentVerifier verifier = _deploy(told);
            uint64 epoch = told.header.epoch;
            vm.assertEq(verifier.mixedRoundOf(epoch), told.network.mixedRound);
            vm.assertEq(verifier.roundOf(epoch), FIRST_ROUND + epoch * verifier.ROUNDS_PER_EPOCH());
        }
    }

    function test_everythingIsTheOneGiven() public {
        IAssignmentVerifier.Network memory network = _network(_case(MAINNET));
        IAssignmentVerifier verifier = new AssignmentVerifier(network);
        vm.assertEq(address(verifier.ANCHOR()), address(network.anchor));
        vm.assertEq(address(verifier.BEACON()), address(beacon));
        vm.assertEq(address(verifier.MIXED()), address(mixed));
        vm.assertEq(verifier.NETWORK_ID(), network.networkId);
        vm.assertEq(verifier.FIRST_ROUND(), FIRST_ROUND);
        vm.assertEq(verifier.ROUNDS_PER_EPOCH(), network.roundsPerEpoch);
        vm.assertEq(verifier.MIXED_GENESIS_MS(), network.mixedGenesisMs);
        vm.assertEq(verifier.MIXED_PERIOD_MS(), network.mixedPeriodMs);
        vm.assertEq(verifier.AUDITORS_MAX(), 9);
        vm.assertEq(verifier.CANDIDATES_MAX(), 18);
        vm.assertEq(verifier.GENESIS_MS(), network.anchor.GENESIS_MS());
        vm.assertEq(verifier.EPOCH_MS(), network.anchor.EPOCH_MS());
    }

    function test_constructor_RevertWhen_TheCommitteeIsBad() public {
        IAssignmentVerifier.Network memory network = _network(_told());
        uint64[2][3] memory bad = [[uint64(0), 6], [uint64(7), 6], [uint64(3), 33]];
        for (uint256 i = 0; i < bad.length; ++i) {
            (network.auditorsMax, network.candidatesMax) = (bad[i][0], bad[i][1]);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IAssignmentVerifier.BadCommittee.selector, bad[i][0], bad[i][1]
                )
            );
            new AssignmentVerifier(network);
        }
    }

    function test_constructor_RevertWhen_ThereAreNoRounds() public {
        IAssignmentVerifier.Network memory network = _network(_told());
        network.firstRound = 0;
        vm.expectRevert(abi.encodeWithSelector(IAssignmentVerifier.BadRounds.selector, 0, 12));
        new AssignmentVerifier(network);
        (network.firstRound, network.roundsPerEpoch) = (1, 0);
        vm.expectRevert(abi.encodeWithSelector(IAssignmentVerifier.BadRounds.selector, 1, 0));
        new AssignmentVerifier(network);
    }

    function test_constructor_RevertWhen_TheSecondClockIsBad() public {
        IAssignmentVerifier.Network memory network = _network(_case(SECOND_BEACON));
        bytes4 selector = IAssignmentVerifier.BadMixedClock.selector;
        (network.mixedGenesisMs, network.mixedPeriodMs) = (5, 0);
        vm.expectRevert(abi.encodeWithSelector(selector, 5, 0));
        new AssignmentVerifier(network);
        network.mixed = IBeaconVerifier(address(0));
        vm.expectRevert(abi.encodeWithSelector(selector, 5, 0));
        new AssignmentVerifier(network);
        (network.mixedGenesisMs, network.mixedPeriodMs) = (0, 7);
        vm.expectRevert(abi.encodeWithSelector(selector, 0, 7));
        new AssignmentVerifier(network);
    }

    function test_gas() public {
        Case memory told = _case(LARGE);
        IAssignmentVerifier verifier = _deploy(told);
        IAssignmentVerifier.Membership[] memory all = _settling(told, 0, type(uint256).max);
        vm.assertEq(all.length, 18);
        verifier.isAssigned(told.header, told.rounds, told.members[0], all, STRANGER);
        vm.assertTrue(vm.snapshotGasLastCall("isAssigned, 18 candidates of 1,000") <= 1_000_000);
        verifier.isCandidate(told.header, told.rounds, told.members[0], told.members[1]);
        vm.snapshotGasLastCall("isCandidate of 1,000");
    }

    /// @dev Called from outside, so that memory is given back: it costs by its square.
    function agreesOnAuditors(IAssignmentVerifier verifier, Case memory told, uint256 target)
        external
        view
    {
        for (uint256 i = 0; i < told.members.length; ++i) {
            IAssignmentVerifier.Membership[] memory behind = _settling(told, target, i);
            bool isAssigned = verifier.isAssigned(
                told.header, told.rounds, told.members[target], behind, told.members[i].words[0]
            );
            vm.assertTrue(isAssigned == _contains(told.auditors[target], i));
        }
    }

    /// @dev As `agreesOnAuditors`.
    function agreesOnCandidates(IAssignmentVerifier verifier, Case memory told, uint256 target)
        external
        view
    {
        for (uint256 i = 0; i < told.members.length; ++i) {
            bool isCandidate = verifier.isCandidate(
                told.header, told.rounds, told.members[target], told.members[i]
            );
            vm.assertTrue(isCandidate == _contains(told.candidates[target], i));
        }
    }

    function _told() private view returns (Case memory) {
        return abi.decode(_mixedKinds, (Case));
    }

    function _deploy(Case memory told) private returns (IAssignmentVerifier) {
        IAssignmentVerifier.Network memory network = _network(told);
        AnyAnchor(address(network.anchor)).anchor(told.header);
        return new AssignmentVerifier(network);
    }

    function _network(Case memory told) private returns (IAssignmentVerifier.Network memory) {
        bool isMainnet = told.network.auditorsMax == 9;
        bool hasMixed = told.network.hasMixed;
        return IAssignmentVerifier.Network({
            anchor: IReputationAnchor(address(new AnyAnchor(isMainnet ? 3_600_000 : 12_000))),
            beacon: beacon,
            mixed: hasMixed ? mixed : IBeaconVerifier(address(0)),
            networkId: told.network.networkId,
            firstRound: FIRST_ROUND,
            roundsPerEpoch: isMainnet ? 1_200 : 12,
            mixedGenesisMs: hasMixed ? 999_999_700 : 0,
            mixedPeriodMs: hasMixed ? 700 : 0,
            auditorsMax: told.network.auditorsMax,
            candidatesMax: told.network.candidatesMax
        });
    }

    /// @dev Expects that it is refused to say whether a stranger is assigned.
    function _refuses(
        IAssignmentVerifier verifier,
        Case memory told,
        uint256 target,
        IAssignmentVerifier.Membership[] memory brought,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        verifier.isAssigned(told.header, told.rounds, told.members[target], brought, STRANGER);
    }

    /// @dev The candidates that settle whether a member (or nobody we know) is an auditor.
    function _settling(Case memory told, uint256 target, uint256 auditor)
        private
        pure
        returns (IAssignmentVerifier.Membership[] memory)
    {
        if (target == auditor) return new IAssignmentVerifier.Membership[](0);
        bytes memory auditors = told.auditors[target];
        bool isComplete = auditors.length == told.network.auditorsMax;
        IAssignmentVerifier.Membership[] memory all = _all(told, target);
        for (uint256 i = 0; i < all.length; ++i) {
            uint256 candidate = uint256(uint8(told.candidates[target][i]));
            bool isLast = isComplete && candidate == uint256(uint8(auditors[auditors.length - 1]));
            if (candidate == auditor || isLast) return _first(all, i + 1);
        }
        return all;
    }

    function _all(Case memory told, uint256 target)
        private
        pure
        returns (IAssignmentVerifier.Membership[] memory all)
    {
        bytes memory candidates = told.candidates[target];
        all = new IAssignmentVerifier.Membership[](candidates.length);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = told.members[uint256(uint8(candidates[i]))];
        }
    }

    /// @dev A copy of the first members of a list.
    function _first(IAssignmentVerifier.Membership[] memory members, uint256 count)
        private
        pure
        returns (IAssignmentVerifier.Membership[] memory few)
    {
        few = new IAssignmentVerifier.Membership[](count);
        for (uint256 i = 0; i < count; ++i) {
            few[i] = members[i];
        }
    }

    /// @dev The right list, shortened, lengthened, or with some members exchanged; or just right.
    function _spoiled(
        Case memory told,
        IAssignmentVerifier.Membership[] memory right,
        uint256 picks
    ) private pure returns (IAssignmentVerifier.Membership[] memory brought) {
        uint256 length = (right.length + picks % 3 + 7) % 8;
        brought = new IAssignmentVerifier.Membership[](length);
        for (uint256 i = 0; i < length; ++i) {
            picks = uint256(keccak256(abi.encode(picks)));
            bool isRight = i < right.length && picks % 4 != 0;
            brought[i] = isRight ? right[i] : told.members[picks / 4 % told.members.length];
        }
    }

    /// @dev A full member that not all candidates are needed to settle, but several.
    function _audited(Case memory told) private pure returns (uint256) {
        for (uint256 i = 0; i < told.members.length; ++i) {
            uint256 count = _settling(told, i, type(uint256).max).length;
            if (count > 2 && count < told.candidates[i].length) return i;
        }
        revert("no such member");
    }

    function _light(Case memory told) private pure returns (uint256 light) {
        while (told.members[light].words[3] == 0) ++light;
    }

    function _contains(bytes memory numbers, uint256 number) private pure returns (bool) {
        for (uint256 i = 0; i < numbers.length; ++i) {
            if (uint8(numbers[i]) == number) return true;
        }
        return false;
    }

    /// @dev What is said when the candidate behind the one that is wanted is brought.
    function _wrongPlace(Case memory told, uint256 target, uint256 index)
        private
        pure
        returns (bytes memory)
    {
        uint256 wanted = uint256(uint8(told.candidates[target][index]));
        uint256 next = uint256(uint8(told.candidates[target][index + 1]));
        return abi.encodeWithSelector(
            IAssignmentVerifier.WrongPlace.selector,
            told.members[next].words[0],
            index + 1,
            told.places[next],
            told.places[wanted]
        );
    }

    function _tooMany(uint256 needed, uint256 given) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAssignmentVerifier.TooManyCandidates.selector, needed, given);
    }

    function _notInRoster(bytes32 node) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAssignmentVerifier.NotInRoster.selector, node);
    }
}
