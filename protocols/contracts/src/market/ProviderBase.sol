// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Timelocked} from "../governance/Timelocked.sol";
import {IPolicy} from "../interfaces/IPolicy.sol";
import {IProviders} from "../interfaces/IProviders.sol";
import {IRegistry} from "../interfaces/IRegistry.sol";
import {IReputationAnchor} from "../interfaces/IReputationAnchor.sol";
import {ScoreProof} from "../interfaces/IScores.sol";
import {Scores} from "./Scores.sol";

/// @title What the parts of `Providers` share
abstract contract ProviderBase is Timelocked, IProviders {
    /// @dev A node of a provider.
    /// @param provider       Whose it is; 0 if it was never added. It stays when the node is removed.
    /// @param isBusy         Whether it serves a deal.
    /// @param answeredBlock  Block in which it last showed that it lives.
    /// @param chainNode      Blockchain node it is bound to; 0 if it is not.
    /// @param answeredEpoch  Epoch with which it did.
    /// @param judgedUntil    Epochs before this one disqualify no more.
    /// @param challenge      Latest liveness challenge; 0 if there was none.
    struct Node {
        address provider;
        bool isBusy;
        uint64 answeredBlock;
        bytes32 chainNode;
        uint64 answeredEpoch;
        uint64 judgedUntil;
        uint128 challenge;
    }

    /// @notice What is staked: ANKR. It must move exactly what it is told to.
    IERC20 public immutable TOKEN;

    /// @notice Where the numbers stand that governors set.
    IPolicy public immutable POLICY;

    /// @notice Where sidecars are registered.
    IRegistry public immutable REGISTRY;

    /// @notice Where scores are anchored.
    IReputationAnchor public immutable ANCHOR;

    /// @notice The contract of deals.
    address public immutable DEALS;

    mapping(address account => Provider) internal _providers;
    mapping(uint256 registration => Node) internal _nodes;

    modifier onlyDeals() {
        _checkDeals();
        _;
    }

    constructor(
        IERC20 token,
        IPolicy policy,
        address timelock,
        IRegistry registry,
        IReputationAnchor anchor,
        address deals
    ) Timelocked(timelock) {
        TOKEN = token;
        POLICY = policy;
        REGISTRY = registry;
        ANCHOR = anchor;
        DEALS = deals;
    }

    function _checkDeals() private view {
        if (msg.sender != DEALS) revert NotDeals(msg.sender);
    }

    /// @dev The record of a provider that has come just so far.
    function _inStatus(address account, Status status)
        internal
        view
        returns (Provider storage held)
    {
        held = _providers[account];
        if (held.status != status) revert WrongStatus(account, held.status);
    }

    /// @dev Reverts unless an anchored epoch has this score of a node that was added once.
    function _checkScore(uint256 registration, ScoreProof calldata shown) internal view {
        if (_nodes[registration].provider == address(0)) revert NeverAdded(registration);
        Scores.checkScore(ANCHOR, REGISTRY.registrationAt(registration), shown);
    }
}
