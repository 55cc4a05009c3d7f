// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {Resources} from "../interfaces/IPolicy.sol";
import {IProviders} from "../interfaces/IProviders.sol";
import {IRegistry} from "../interfaces/IRegistry.sol";
import {MemberProof} from "../interfaces/IScores.sol";
import {Capacity} from "./Capacity.sol";
import {ProviderBase} from "./ProviderBase.sol";
import {Scores} from "./Scores.sol";

/// @title A provider's nodes: sidecars bound to blockchain nodes, and what they serve
abstract contract ProviderNodes is ProviderBase {
    using Capacity for Resources;
    using EnumerableSet for EnumerableSet.UintSet;

    /// @dev Registrations that a provider has bound.
    mapping(address account => EnumerableSet.UintSet) internal _bound;

    /// @dev Which sidecar controls a blockchain node: its registration plus 1.
    mapping(bytes32 chainNode => uint256) private _controllers;

    /// @inheritdoc IProviders
    function addNode(uint256 registration, bytes32 chainNode, MemberProof calldata shown) external {
        // slither-disable-next-line unused-return -- only whether it is approved
        _inStatus(msg.sender, Status.Approved);
        IRegistry.Registration memory member = REGISTRY.registrationAt(registration);
        if (member.operator != msg.sender) revert NotOperator(registration, msg.sender);
        if (member.status != IRegistry.Status.Active) revert NotActive(registration);
        if (member.kind != IRegistry.Kind.Full) revert LightSidecar(registration);
        if (chainNode == bytes32(0)) revert ZeroChainNode();
        Node storage node = _nodes[registration];
        if (node.chainNode != bytes32(0)) revert AlreadyBound(registration, node.chainNode);
        Scores.checkMember(ANCHOR, member, shown);

        _giveWay(chainNode);
        node.provider = msg.sender;
        node.chainNode = chainNode;
        _controllers[chainNode] = registration + 1;
        assert(_bound[msg.sender].add(registration));
        emit NodeAdded(msg.sender, registration, chainNode);
    }

    /// @inheritdoc IProviders
    function removeNode(uint256 registration) external {
        Node storage node = _nodes[registration];
        if (node.provider != msg.sender) revert NotOperator(registration, msg.sender);
        if (node.chainNode == bytes32(0)) revert NotBound(registration);
        if (node.isBusy) revert NodeNotFree(msg.sender, registration);
        _unbind(registration);
    }

    /// @inheritdoc IProviders
    function occupy(address account, uint256 registration, Resources calldata need)
        external
        onlyDeals
    {
        Provider storage held = _inStatus(account, Status.Approved);
        if (!isFree(account, registration)) revert NodeNotFree(account, registration);
        if (!_hasRoom(held, need)) revert CapacityExceeded(held.capacity, held.inUse, need);

        _nodes[registration].isBusy = true;
        ++held.runningDeals;
        held.inUse = held.inUse.plus(need);
        emit Occupied(account, registration, need);
    }

    /// @inheritdoc IProviders
    function release(address account, uint256 registration, Resources calldata need)
        external
        onlyDeals
    {
        Node storage node = _nodes[registration];
        if (node.provider != account || !node.isBusy) revert NodeNotBusy(account, registration);
        Provider storage held = _providers[account];

        node.isBusy = false;
        --held.runningDeals;
        held.inUse = held.inUse.minus(need);
        emit Released(account, registration, need);
    }

    /// @inheritdoc IProviders
    function sidecarOf(uint256 registration) external view returns (Sidecar memory) {
        IRegistry.Registration memory member = REGISTRY.registrationAt(registration);
        Node storage node = _nodes[registration];
        return Sidecar({
            isInstalled: member.status == IRegistry.Status.Active,
            kind: member.kind,
            operator: member.operator,
            nodeId: member.nodeId,
            chainNode: node.chainNode,
            isBusy: node.isBusy,
            challenge: node.challenge,
            answeredEpoch: node.answeredEpoch,
            answeredBlock: node.answeredBlock
        });
    }

    /// @inheritdoc IProviders
    function isFree(address account, uint256 registration) public view returns (bool) {
        Node storage node = _nodes[registration];
        if (node.provider != account || node.chainNode == bytes32(0) || node.isBusy) return false;
        return _isRegistered(registration);
    }

    /// @dev Whether what is not in use covers `need`.
    function _hasRoom(Provider storage held, Resources calldata need) internal view returns (bool) {
        return held.capacity.minus(held.inUse).covers(need);
    }

    /// @dev Unbinds the sidecar that controls a blockchain node, if it has no right to it any more.
    function _giveWay(bytes32 chainNode) private {
        uint256 controller = _controllers[chainNode];
        if (controller == 0) return;
        uint256 registration = controller - 1;
        Node storage node = _nodes[registration];
        // slither-disable-next-line incorrect-equality -- one of four states
        bool isKept =
            _providers[node.provider].status == Status.Approved && _isRegistered(registration);
        if (node.isBusy || isKept) revert ChainNodeTaken(chainNode, registration);
        _unbind(registration);
    }

    function _unbind(uint256 registration) private {
        Node storage node = _nodes[registration];
        (address provider, bytes32 chainNode) = (node.provider, node.chainNode);
        delete node.chainNode;
        delete _controllers[chainNode];
        assert(_bound[provider].remove(registration));
        emit NodeRemoved(provider, registration, chainNode);
    }

    function _isRegistered(uint256 registration) private view returns (bool) {
        return REGISTRY.registrationAt(registration).status == IRegistry.Status.Active;
    }
}
