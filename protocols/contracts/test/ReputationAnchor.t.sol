// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BLS12381} from "../src/BLS12381.sol";
import {G2Key} from "../src/G2Key.sol";
import {ReputationAnchor} from "../src/ReputationAnchor.sol";
import {Scoring} from "../src/Scoring.sol";
import {IEpochs} from "../src/interfaces/IEpochs.sol";
import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IReputationAnchor} from "../src/interfaces/IReputationAnchor.sol";
import {AnchorKit} from "./lib/AnchorKit.sol";
import {Signer} from "./lib/Signer.sol";

contract ReputationAnchorTest is AnchorKit {
    function setUp() public {
        _warpToSettled(0);
    }

    // Anchoring.

    /// @dev Header hash, message, hash to the curve and signature all come from elsewhere.
    function test_anchor_takesASignatureMadeByAnotherLibrary() public {
        address place = _address(".anchor.address");
        IChallenges.Setup memory setup = _setup();
        setup.key = _bytes(".anchor.key");
        ReputationAnchor made = new ReputationAnchor(setup);
        vm.etch(place, address(made).code);
        vm.store(place, bytes32(uint256(2)), bytes32(uint256(1) << 128)); // all that is stored
        IReputationAnchor there = IReputationAnchor(place);
        IReputationAnchor.Header memory header = _fixtureHeader();
        vm.assertEq(there.anchorMessage(header), _word(".anchor.message"));
        there.anchor(header, _bytes(".anchor.signature"));
        (bytes24 held,) = there.recordOf(0);
        vm.assertEq(held, bytes24(_word(".anchor.header_hash")));
    }

    function testFuzz_anchor_storesTheHashAndTellsTheHeader(IReputationAnchor.Header memory header)
        public
    {
        header = _valid(header, 0);
        bytes memory signature = _sign(header);
        vm.expectEmit(address(anchors));
        emit IReputationAnchor.Anchored(
            0,
            header.rosterRoot,
            header.proposalHash,
            header.evidenceRoot,
            header.scoreRoot,
            header.medianPpm,
            header.isVoid
        );
        anchors.anchor(header, signature);
        _holds(header);
        vm.assertEq(anchors.nextEpoch(), 1);
    }

    function test_anchor_takesEpochsInOrderHoweverLate() public {
        _warpToSettled(100);
        for (uint64 epoch = 0; epoch < 4; ++epoch) {
            _anchor(_header(epoch));
        }
        vm.assertEq(anchors.nextEpoch(), 4);
    }

    function test_anchor_isOpenFromTheVeryMomentThatTheEpochIsSettled() public {
        IChallenges.Setup memory setup = _setup();
        setup.genesisMs = 1_000_000;
        anchors = new ReputationAnchor(setup);
        vm.warp((1_000_000 + EPOCH_MS + SETTLE_MS) / 1000);
        _anchor(_header(0));
        vm.assertEq(anchors.nextEpoch(), 1);
    }

    function testFuzz_anchor_RevertWhen_TheEpochIsNotNext(uint64 epoch) public {
        _anchor(_header(0));
        vm.assume(epoch != 1);
        IReputationAnchor.Header memory header = _header(epoch);
        bytes memory signature = _sign(header);
        vm.expectRevert(abi.encodeWithSelector(IReputationAnchor.EpochNotNext.selector, epoch, 1));
        anchors.anchor(header, signature);
    }

    /// @dev The first valid header of an epoch is final, even against another that is signed.
    function test_anchor_RevertWhen_TheEpochIsAnchoredAlready() public {
        _anchor(_header(0));
        IReputationAnchor.Header memory other = _header(0);
        other.scoreRoot = keccak256("other scores");
        bytes memory signature = _sign(other);
        vm.expectRevert(abi.encodeWithSelector(IReputationAnchor.EpochNotNext.selector, 0, 1));
        anchors.anchor(other, signature);
        _holds(_header(0));
    }

    function testFuzz_anchor_RevertWhen_TheEpochIsNotSettled(uint256 timestamp) public {
        uint256 untilMs = uint256(GENESIS_MS) + EPOCH_MS + SETTLE_MS;
        vm.warp(bound(timestamp, 0, untilMs / 1000));
        IReputationAnchor.Header memory header = _header(0);
        bytes memory signature = _sign(header);
        vm.expectRevert(
            abi.encodeWithSelector(IReputationAnchor.EpochNotSettled.selector, 0, untilMs)
        );
        anchors.anchor(header, signature);
    }

    function testFuzz_anchor_RevertWhen_TheMedianIsAboveOne(uint32 medianPpm) public {
        IReputationAnchor.Header memory header = _header(0);
        header.medianPpm = uint32(bound(medianPpm, 1_000_001, type(uint32).max));
        bytes memory signature = _sign(header);
        vm.expectRevert(
            abi.encodeWithSelector(IReputationAnchor.MedianAboveOne.selector, header.medianPpm)
        );
        anchors.anchor(header, signature);
    }

    /// @dev The signature covers each field: changing any one of them voids it.
    function test_anchor_RevertWhen_AnyFieldIsNotTheSignedOne() public {
        bytes memory signature = _sign(_header(0));
        for (uint256 field = 0; field < 6; ++field) {
            IReputationAnchor.Header memory header = _changed(_header(0), field);
            _refuses(header, signature);
        }
    }

    function testFuzz_anchor_RevertWhen_AnotherKeySigned(uint256 secret) public {
        secret = bound(secret, 1, Signer.GROUP_ORDER - 1);
        vm.assume(secret != SECRET);
        IReputationAnchor.Header memory header = _header(0);
        bytes32 message = anchors.anchorMessage(header);
        _refuses(header, Signer.sign(secret, DOMAIN, bytes.concat(message)));
    }

    function testFuzz_anchor_RevertWhen_ABitOfTheSignatureIsFlipped(uint256 bit) public {
        bytes memory signature = _sign(_header(0));
        bit = bit % 1024;
        signature[bit / 8] ^= bytes1(uint8(0x80)) >> (bit % 8);
        _refuses(_header(0), signature);
    }

    function test_anchor_RevertWhen_TheSignatureIsInfinityOrNegated() public {
        _refuses(_header(0), new bytes(128));
        _refuses(_header(0), Signer.negated(_sign(_header(0))));
    }

    function test_anchor_RevertWhen_ItWasSignedInTheBeaconsDomain() public {
        bytes memory domain = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
        bytes32 message = anchors.anchorMessage(_header(0));
        _refuses(_header(0), Signer.sign(SECRET, domain, bytes.concat(message)));
    }

    function test_anchor_RevertWhen_ItWasSignedForAnotherContract() public {
        ReputationAnchor other = new ReputationAnchor(_setup());
        bytes32 message = other.anchorMessage(_header(0));
        _refuses(_header(0), Signer.sign(SECRET, DOMAIN, bytes.concat(message)));
    }

    function test_anchor_RevertWhen_ItWasSignedForAnotherChain() public {
        bytes memory signature = _sign(_header(0));
        vm.chainId(1);
        _refuses(_header(0), signature);
    }

    function testFuzz_anchor_RevertWhen_TheSignatureHasAnotherLength(uint256 length) public {
        length = bound(length, 0, 300);
        vm.assume(length != 128);
        vm.expectRevert(abi.encodeWithSelector(BLS12381.BadPointLength.selector, length, 128));
        anchors.anchor(_header(0), new bytes(length));
    }

    // Proofs.

    function testFuzz_verifyScore_provesEachLeafOfATree(bytes32[16][5] memory leaves) public {
        bytes32[] memory hashes = new bytes32[](5);
        for (uint256 i = 0; i < 5; ++i) {
            hashes[i] = _leaf(abi.encode(leaves[i]));
        }
        IReputationAnchor.Header memory header = _header(0);
        header.scoreRoot = _root(hashes);
        _anchor(header);
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertTrue(anchors.verifyScore(header, leaves[i], _proof(hashes, i)));
        }
    }

    function testFuzz_verifyScore_refusesAnotherLeafOrProof(
        bytes32[16] memory words,
        uint256 index,
        bytes32 word,
        bytes32 sibling
    ) public {
        bytes32[] memory hashes = new bytes32[](2);
        hashes[0] = _leaf(abi.encode(words));
        hashes[1] = keccak256("sibling");
        IReputationAnchor.Header memory header = _header(0);
        header.scoreRoot = _root(hashes);
        _anchor(header);
        bytes32[] memory proof = _proof(hashes, 0);
        vm.assertTrue(anchors.verifyScore(header, words, proof));
        vm.assertFalse(anchors.verifyScore(header, words, new bytes32[](0)));

        vm.assume(sibling != proof[0] && word != words[index % 16]);
        words[index % 16] = word;
        vm.assertFalse(anchors.verifyScore(header, words, proof));
        words[index % 16] = bytes32(uint256(word) ^ 1);
        proof[0] = sibling;
        vm.assertFalse(anchors.verifyScore(header, words, proof));
    }

    function test_verifyScore_refusesAHeaderThatIsNotAnchored() public {
        bytes32[16] memory words;
        IReputationAnchor.Header memory header = _header(0);
        header.scoreRoot = _leaf(abi.encode(words));
        bytes32[] memory proof = new bytes32[](0);
        vm.assertFalse(anchors.verifyScore(header, words, proof));
        _anchor(header);
        vm.assertTrue(anchors.verifyScore(header, words, proof));
        for (uint256 field = 0; field < 6; ++field) {
            vm.assertFalse(anchors.verifyScore(_changed(header, field), words, proof));
        }
        header.epoch = 1;
        vm.assertFalse(anchors.verifyScore(header, words, proof));
    }

    /// @dev Hashed once, a leaf of two words could pass for an inner node and its children for it.
    function test_verifyRoster_refusesInnerNodes() public {
        bytes32[] memory hashes = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            hashes[i] = keccak256(abi.encode(i));
        }
        IReputationAnchor.Header memory header = _header(0);
        header.rosterRoot = _root(hashes);
        _anchor(header);
        bytes32[8] memory words;
        (words[0], words[1]) = (hashes[0], hashes[1]);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _pair(hashes[2], hashes[3]);
        vm.assertFalse(anchors.verifyRoster(header, words, proof));
    }

    function testFuzz_verifyEvidenceAndRoster_proveAgainstTheirOwnRoot(
        bytes32[6] memory evidence,
        bytes32[8] memory member
    ) public {
        IReputationAnchor.Header memory header = _header(0);
        header.evidenceRoot = _leaf(abi.encode(evidence));
        header.rosterRoot = _leaf(abi.encode(member));
        _anchor(header);
        bytes32[] memory none = new bytes32[](0);
        vm.assertTrue(anchors.verifyEvidence(header, evidence, none));
        vm.assertTrue(anchors.verifyRoster(header, member, none));
        evidence[5] = ~evidence[5];
        member[7] = ~member[7];
        vm.assertFalse(anchors.verifyEvidence(header, evidence, none));
        vm.assertFalse(anchors.verifyRoster(header, member, none));
    }

    /// @dev Roots of empty trees are zero, and no proof leads there.
    function testFuzz_verifyScore_findsNothingUnderAZeroRoot(bytes32[16] memory words) public {
        IReputationAnchor.Header memory header = _header(0);
        header.scoreRoot = bytes32(0);
        _anchor(header);
        vm.assertFalse(anchors.verifyScore(header, words, new bytes32[](0)));
    }

    function test_verifyScore_worksForEveryEpochEver() public {
        _warpToSettled(10);
        for (uint64 epoch = 0; epoch < 10; ++epoch) {
            IReputationAnchor.Header memory header = _header(epoch);
            bytes32[16] memory words;
            words[0] = bytes32(uint256(epoch));
            header.scoreRoot = _leaf(abi.encode(words));
            _anchor(header);
        }
        for (uint64 epoch = 0; epoch < 10; ++epoch) {
            IReputationAnchor.Header memory header = _header(epoch);
            bytes32[16] memory words;
            words[0] = bytes32(uint256(epoch));
            header.scoreRoot = _leaf(abi.encode(words));
            vm.assertTrue(anchors.verifyScore(header, words, new bytes32[](0)));
        }
    }

    // Deployment and gas.

    function test_councilKey_isTheOneGiven() public view {
        vm.assertEq(anchors.councilKey(), Signer.publicKey(SECRET));
    }

    function test_constructor_RevertWhen_TheKeyIsNoPublicKey() public {
        IChallenges.Setup memory setup = _setup();
        setup.key = new bytes(256);
        vm.expectRevert(G2Key.BadPublicKey.selector);
        new ReputationAnchor(setup);
    }

    function test_constructor_RevertWhen_AnEpochLastsNoTime() public {
        IChallenges.Setup memory setup = _setup();
        setup.epochMs = 0;
        vm.expectRevert(IEpochs.ZeroEpochLength.selector);
        new ReputationAnchor(setup);
    }

    function test_constructor_RevertWhen_ScoresCannotBeComputed() public {
        IChallenges.Setup memory setup = _setup();
        setup.scoring.designEffect = 0;
        vm.expectRevert(Scoring.BadScoring.selector);
        new ReputationAnchor(setup);
        setup.scoring.designEffect = 1;
        setup.scoring.decayQ32 = 0;
        vm.expectRevert(Scoring.BadScoring.selector);
        new ReputationAnchor(setup);
    }

    function test_scoring_isTheOneGiven() public view {
        vm.assertEq(abi.encode(anchors.scoring()), abi.encode(_scoring()));
    }

    function test_gas() public {
        _warpToSettled(1);
        _anchor(_header(0));
        IReputationAnchor.Header memory header = _header(1);
        bytes32[16] memory words;
        words[0] = keccak256("node");
        bytes32[] memory proof = new bytes32[](14);
        bytes32 root = _leaf(abi.encode(words));
        for (uint256 i = 0; i < proof.length; ++i) {
            proof[i] = keccak256(abi.encode(i));
            root = _pair(root, proof[i]);
        }
        header.scoreRoot = root;
        bytes memory signature = _sign(header);
        anchors.anchor(header, signature);
        vm.assertTrue(vm.snapshotGasLastCall("anchor") <= 175_000);
        vm.assertTrue(anchors.verifyScore(header, words, proof));
        vm.snapshotGasLastCall("verifyScore of 16,384");
    }

    function _fixtureHeader() private pure returns (IReputationAnchor.Header memory header) {
        header = _header(0);
        header.medianPpm = 987_654;
        header.isVoid = true;
    }

    function _valid(IReputationAnchor.Header memory header, uint64 epoch)
        private
        pure
        returns (IReputationAnchor.Header memory)
    {
        header.epoch = epoch;
        header.medianPpm = uint32(bound(header.medianPpm, 0, 1_000_000));
        return header;
    }

    /// @dev A copy with one field other than it was; the epoch stays.
    function _changed(IReputationAnchor.Header memory header, uint256 field)
        private
        pure
        returns (IReputationAnchor.Header memory)
    {
        header = abi.decode(abi.encode(header), (IReputationAnchor.Header));
        if (field == 0) header.rosterRoot = ~header.rosterRoot;
        if (field == 1) header.proposalHash = ~header.proposalHash;
        if (field == 2) header.evidenceRoot = ~header.evidenceRoot;
        if (field == 3) header.scoreRoot = ~header.scoreRoot;
        if (field == 4) header.medianPpm ^= 1;
        if (field == 5) header.isVoid = !header.isVoid;
        return header;
    }

    /// @dev The header stands, anchored in this block.
    function _holds(IReputationAnchor.Header memory header) private view {
        (bytes24 headerHash, uint64 anchoredAt) = anchors.recordOf(header.epoch);
        vm.assertEq(headerHash, bytes24(keccak256(abi.encode(header))));
        vm.assertEq(anchoredAt, block.timestamp);
    }

    function _refuses(IReputationAnchor.Header memory header, bytes memory signature) private {
        vm.expectRevert(
            abi.encodeWithSelector(IReputationAnchor.BadCouncilSignature.selector, header.epoch)
        );
        anchors.anchor(header, signature);
    }
}
