// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReputationAnchor} from "../../src/ReputationAnchor.sol";
import {ScoreMath} from "../../src/ScoreMath.sol";
import {TestAnkr} from "../../src/TestAnkr.sol";
import {IBonds} from "../../src/interfaces/IBonds.sol";
import {ICouncilKeys} from "../../src/interfaces/ICouncilKeys.sol";
import {IChallenges} from "../../src/interfaces/IChallenges.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {Fixtures} from "./Fixtures.sol";
import {Signer} from "./Signer.sol";

/// @dev Who sits in the council, as a test wants it.
contract SomeCouncil {
    mapping(address account => uint64) public satUntil;

    function isGovernor(address account) external view returns (bool) {
        return satUntil[account] == type(uint64).max;
    }

    function seat(address account) external {
        satUntil[account] = type(uint64).max;
    }

    function unseat(address account, uint64 untilS) external {
        satUntil[account] = untilS;
    }
}

/// @dev An anchor contract with a council of one key, and how to anchor with it.
abstract contract AnchorKit is Fixtures {
    uint64 internal constant GENESIS_MS = 1_000_000_500;
    uint64 internal constant EPOCH_MS = 12_000;
    uint64 internal constant SETTLE_MS = 4_000;
    uint256 internal constant SECRET = 0xc0411c11;
    bytes internal constant DOMAIN = "STKR-ANCHOR-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_";

    uint128 internal constant DEPOSIT = 1_000 ether;
    uint16 internal constant SLASH_BPS = 5_000;
    uint16 internal constant REWARD_BPS = 2_000;
    uint32 internal constant CHALLENGE_S = 1 hours;
    address internal constant SINK = address(0x51a4);

    SomeCouncil internal council;
    TestAnkr internal ankr;
    ReputationAnchor internal anchors;

    constructor() {
        council = new SomeCouncil();
        ankr = new TestAnkr(10 ** 36);
        anchors = new ReputationAnchor(_setup());
    }

    function _setup() internal view returns (IChallenges.Setup memory) {
        return IChallenges.Setup({
            key: Signer.publicKey(SECRET),
            genesisMs: GENESIS_MS,
            epochMs: EPOCH_MS,
            settleMs: SETTLE_MS,
            council: ICouncilKeys(address(council)),
            token: ankr,
            policy: _policy(),
            scoring: _scoring()
        });
    }

    function _policy() internal pure returns (IBonds.Policy memory) {
        return IBonds.Policy({
            bondMin: 0,
            deposit: DEPOSIT,
            slashBps: SLASH_BPS,
            rewardBps: REWARD_BPS,
            challengeS: CHALLENGE_S,
            sink: SINK
        });
    }

    /// @dev MINIMAL's numbers.
    function _scoring() internal pure returns (ScoreMath.Params memory) {
        return ScoreMath.Params({
            decayQ32: 3_865_470_566,
            designEffect: 1,
            tenureEpochs: 2,
            vettingEpochs: 2,
            floorPpm: 600_000,
            leewayPpm: 200_000,
            probationEpochs: 3,
            suspensionEpochs: 5,
            dutyMax: 72
        });
    }

    function _give(address who, uint256 amount) internal {
        require(ankr.transfer(who, amount), "a test token pays");
    }

    function _header(uint64 epoch) internal pure returns (IReputationAnchor.Header memory) {
        return IReputationAnchor.Header({
            epoch: epoch,
            rosterRoot: keccak256("roster"),
            proposalHash: keccak256("proposal"),
            evidenceRoot: keccak256("evidence"),
            scoreRoot: keccak256("score"),
            medianPpm: 900_000,
            isVoid: false
        });
    }

    function _sign(IReputationAnchor.Header memory header) internal view returns (bytes memory) {
        return Signer.sign(SECRET, DOMAIN, bytes.concat(anchors.anchorMessage(header)));
    }

    function _anchor(IReputationAnchor.Header memory header) internal {
        anchors.anchor(header, _sign(header));
    }

    /// @dev To the first block time at which the epoch may be anchored.
    function _warpToSettled(uint256 epoch) internal {
        vm.warp((GENESIS_MS + (epoch + 1) * EPOCH_MS + SETTLE_MS + 999) / 1000);
    }

    function _leaf(bytes memory data) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(data)));
    }

    function _pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
    }

    /// @dev Root of a tree whose odd ones out rise a level unpaired.
    function _root(bytes32[] memory level) internal pure returns (bytes32) {
        while (level.length > 1) {
            level = _above(level);
        }
        return level[0];
    }

    function _proof(bytes32[] memory level, uint256 index)
        internal
        pure
        returns (bytes32[] memory proof)
    {
        bytes memory siblings;
        uint256 count = 0;
        while (level.length > 1) {
            uint256 sibling = index ^ 1;
            if (sibling < level.length) {
                siblings = bytes.concat(siblings, level[sibling]);
                ++count;
            }
            level = _above(level);
            index /= 2;
        }
        proof =
            abi.decode(bytes.concat(bytes32(uint256(32)), bytes32(count), siblings), (bytes32[]));
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory above) {
        above = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < level.length; i += 2) {
            above[i / 2] = i + 1 < level.length ? _pair(level[i], level[i + 1]) : level[i];
        }
    }
}
