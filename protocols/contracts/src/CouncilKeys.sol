// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ICouncilKeys} from "./interfaces/ICouncilKeys.sol";

/// @title The bulletin board on which a council makes its keys, and who sits in it
/// @dev   Every loop is over the governors of one list, or over the justifications of one session,
///        which are fewer than governors times half the governors.
contract CouncilKeys is ICouncilKeys {
    /// @inheritdoc ICouncilKeys
    uint64 public constant PHASE_S_MAX = 30 days;

    /// @inheritdoc ICouncilKeys
    uint256 public constant GOVERNORS_MAX = 63;

    /// @inheritdoc ICouncilKeys
    uint256 public constant SHARES_BYTES = 64;

    /// @inheritdoc ICouncilKeys
    uint64 public immutable PHASE_S;

    /// @dev What a dealer did in a session, and what was said of it.
    struct Dealer {
        bytes32 dealHash;
        /// Bit j is set if the complaint of receiver j is answered.
        uint64 answered;
        uint64 complaints;
    }

    /// @dev What a receiver did in a session.
    struct Receiver {
        bytes32 groupHash;
        uint64 complaints;
    }

    /// @dev A session as it is kept. A time is 0 unless the phase ended early.
    struct Record {
        bytes32 dealersHash;
        bytes32 receiversHash;
        bytes32 groupHash;
        uint64 openedAt;
        uint64 dealtAt;
        uint64 respondedAt;
        uint64 justifiedAt;
        uint64 startsAt;
        /// Bit i of `dealt` is set if dealer i dealt, bit j of `responded` if receiver j responded.
        uint64 dealt;
        uint64 responded;
        /// How many complaints are to be answered: those about dealers that are not evicted.
        uint16 owed;
        uint8 dealtCount;
        uint8 respondedCount;
        uint8 dealerCount;
        uint8 receiverCount;
        Kind kind;
        mapping(uint256 dealer => Dealer) dealers;
        mapping(uint256 receiver => Receiver) receivers;
        mapping(bytes32 groupHash => uint256) confirmations;
        Justification[] justifications;
    }

    /// @inheritdoc ICouncilKeys
    uint64 public sittingSession;

    /// @inheritdoc ICouncilKeys
    uint64 public latestSession;

    /// @dev Record 0 is no session: the list given at deployment are its receivers.
    mapping(uint64 session => Record) private _records;

    mapping(bytes32 listHash => Governor[]) private _lists;

    /// @dev An account's index in a list, plus 1.
    mapping(bytes32 listHash => mapping(address account => uint256)) private _places;

    /// @dev How many support a list, by `_ballot`.
    mapping(bytes32 ballot => uint256) private _supporters;

    /// @dev What an account supported last.
    mapping(address account => bytes32 ballot) private _supported;

    /// @dev Until when the shares of an account counted that left last.
    mapping(address account => uint64) private _leftUntil;

    /// @param list    Who sits until the first session is confirmed.
    /// @param phaseS  How long a phase may last, in seconds.
    constructor(Governor[] memory list, uint64 phaseS) {
        if (phaseS == 0 || phaseS > PHASE_S_MAX) revert BadPhaseLength(phaseS, PHASE_S_MAX);
        PHASE_S = phaseS;
        bytes32 listHash = keccak256(abi.encode(list));
        _propose(listHash, list);
        _records[0].receiversHash = listHash;
        emit CouncilSeated(0, bytes32(0), 0);
    }

    /// @inheritdoc ICouncilKeys
    function support(uint64 session, Governor[] calldata list) external {
        bytes32 sittingHash = _sittingHash();
        if (_places[sittingHash][msg.sender] == 0) revert NotGovernor(msg.sender);
        if (session != latestSession + 1) revert NotNextSession(session, latestSession + 1);
        bytes32 listHash = keccak256(abi.encode(list));
        if (sittingSession == 0 && listHash != sittingHash) {
            revert NotSittingList(listHash, sittingHash);
        }
        if (_lists[listHash].length == 0) _propose(listHash, list);

        bytes32 ballot = _ballot(listHash);
        bytes32 before = _supported[msg.sender];
        if (before == ballot) revert AlreadySupported(msg.sender, listHash);
        // Of a ballot that is over the count no longer matters.
        if (before != bytes32(0)) --_supporters[before];
        _supported[msg.sender] = ballot;
        uint256 supporters = ++_supporters[ballot];
        emit ListSupported(session, listHash, msg.sender, supporters);

        if (supporters == _threshold(_lists[sittingHash].length)) _open(sittingHash, listHash);
    }

    /// @inheritdoc ICouncilKeys
    function postDeal(uint64 session, bytes32 dealHash) external {
        Record storage record = _latest(session);
        uint256 dealer = _dealer(session, record);
        if (record.dealers[dealer].dealHash != bytes32(0)) revert AlreadyDealt(session, dealer);
        _requirePhase(session, record, Phase.Deal);
        if (dealHash == bytes32(0)) revert ZeroHash();

        record.dealers[dealer].dealHash = dealHash;
        record.dealt |= _bit(dealer);
        if (++record.dealtCount == record.dealerCount) record.dealtAt = _now();
        emit DealPosted(session, dealer, dealHash);
    }

    /// @inheritdoc ICouncilKeys
    function respond(uint64 session, uint64 complaints) external {
        Record storage record = _latest(session);
        uint256 receiver = _receiver(session, record);
        if (record.responded & _bit(receiver) != 0) revert AlreadyResponded(session, receiver);
        _requirePhase(session, record, Phase.Respond);
        if (complaints & ~record.dealt != 0) revert NoSuchDeal(complaints, record.dealt);

        record.receivers[receiver].complaints = complaints;
        record.responded |= _bit(receiver);
        if (complaints != 0) record.owed = SafeCast.toUint16(_owedAfter(record, complaints));
        if (++record.respondedCount == record.receiverCount) record.respondedAt = _now();
        emit Responded(session, receiver, complaints);
    }

    /// @inheritdoc ICouncilKeys
    function justify(uint64 session, uint256 receiver, bytes calldata shares) external {
        Record storage record = _latest(session);
        uint256 dealer = _dealer(session, record);
        Dealer storage accused = record.dealers[dealer];
        if (accused.answered & _bit(receiver) != 0) {
            revert AlreadyJustified(session, dealer, receiver);
        }
        _requirePhase(session, record, Phase.Justify);
        if (record.receivers[receiver].complaints & _bit(dealer) == 0) {
            revert NoSuchComplaint(session, dealer, receiver);
        }
        uint256 threshold = _threshold(record.receiverCount);
        if (accused.complaints >= threshold) {
            revert DealerEvicted(session, dealer, accused.complaints, threshold);
        }
        if (shares.length != SHARES_BYTES) revert BadSharesLength(shares.length);

        accused.answered |= _bit(receiver);
        Justification storage answer = record.justifications.push();
        answer.dealer = SafeCast.toUint8(dealer);
        answer.receiver = SafeCast.toUint8(receiver);
        answer.shares = shares;
        if (--record.owed == 0) record.justifiedAt = _now();
        emit Justified(session, dealer, receiver, shares);
    }

    /// @inheritdoc ICouncilKeys
    function confirm(uint64 session, bytes32 groupHash) external {
        Record storage record = _latest(session);
        uint256 receiver = _receiver(session, record);
        if (record.receivers[receiver].groupHash != bytes32(0)) {
            revert AlreadyConfirmed(session, receiver);
        }
        _requirePhase(session, record, Phase.Confirm);
        if (groupHash == bytes32(0)) revert ZeroHash();

        record.receivers[receiver].groupHash = groupHash;
        uint256 confirmations = ++record.confirmations[groupHash];
        emit GroupConfirmed(session, receiver, groupHash, confirmations);

        if (confirmations == _threshold(record.receiverCount)) _seat(session, record, groupHash);
    }

    /// @inheritdoc ICouncilKeys
    function sitting() external view returns (Sitting memory) {
        Record storage record = _records[sittingSession];
        return Sitting({
            session: sittingSession,
            startsAt: record.startsAt,
            groupHash: record.groupHash,
            governors: _lists[record.receiversHash]
        });
    }

    /// @inheritdoc ICouncilKeys
    function sessionAt(uint64 session) external view returns (Session memory shown) {
        if (session == 0 || session > latestSession) revert NoSuchSession(session);
        Record storage record = _records[session];
        shown.number = session;
        shown.kind = record.kind;
        shown.phase = _phaseOf(session, record);
        shown.openedAt = record.openedAt;
        shown.dealEndsAt = _dealEndsAt(record);
        shown.respondEndsAt = _respondEndsAt(record);
        shown.justifyEndsAt = _justifyEndsAt(record);
        shown.confirmEndsAt = _confirmEndsAt(record);
        shown.startsAt = record.startsAt;
        shown.dealersThreshold = _threshold(record.dealerCount);
        shown.receiversThreshold = _threshold(record.receiverCount);
        shown.groupHash = record.groupHash;
        shown.dealers = _lists[record.dealersHash];
        shown.receivers = _lists[record.receiversHash];
        shown.dealHashes = new bytes32[](record.dealerCount);
        for (uint256 dealer = 0; dealer < record.dealerCount; ++dealer) {
            shown.dealHashes[dealer] = record.dealers[dealer].dealHash;
        }
        shown.responded = record.responded;
        shown.complaints = new uint64[](record.receiverCount);
        shown.confirmations = new bytes32[](record.receiverCount);
        for (uint256 receiver = 0; receiver < record.receiverCount; ++receiver) {
            shown.complaints[receiver] = record.receivers[receiver].complaints;
            shown.confirmations[receiver] = record.receivers[receiver].groupHash;
        }
        shown.justifications = record.justifications;
    }

    /// @inheritdoc ICouncilKeys
    function listOf(bytes32 listHash) external view returns (Governor[] memory) {
        return _lists[listHash];
    }

    /// @inheritdoc ICouncilKeys
    function supportersOf(bytes32 listHash) external view returns (uint256) {
        return _supporters[_ballot(listHash)];
    }

    /// @inheritdoc ICouncilKeys
    function hasSupported(address account, bytes32 listHash) external view returns (bool) {
        return _supported[account] == _ballot(listHash);
    }

    /// @inheritdoc ICouncilKeys
    function satUntil(address account) external view returns (uint64) {
        return isGovernor(account) ? type(uint64).max : _leftUntil[account];
    }

    /// @inheritdoc ICouncilKeys
    function isGovernor(address account) public view returns (bool) {
        return _places[_sittingHash()][account] != 0;
    }

    /// @dev Checks a list and keeps it.
    function _propose(bytes32 listHash, Governor[] memory list) private {
        uint256 count = list.length;
        if (count % 2 == 0 || count > GOVERNORS_MAX) revert BadGovernorCount(count, GOVERNORS_MAX);
        mapping(address => uint256) storage places = _places[listHash];
        for (uint256 i = 0; i < count; ++i) {
            Governor memory governor = list[i];
            if (governor.account == address(0)) revert ZeroAccount(i);
            if (governor.nodeId == bytes32(0)) revert ZeroNodeId(i);
            if (places[governor.account] != 0) {
                revert DuplicateAccount(places[governor.account] - 1, i);
            }
            for (uint256 j = 0; j < i; ++j) {
                if (list[j].nodeId == governor.nodeId) revert DuplicateNodeId(j, i);
            }
            places[governor.account] = i + 1;
            _lists[listHash].push(governor);
        }
        emit ListProposed(listHash, list);
    }

    function _open(bytes32 dealersHash, bytes32 receiversHash) private {
        uint64 session = ++latestSession;
        Record storage record = _records[session];
        record.dealersHash = dealersHash;
        record.receiversHash = receiversHash;
        record.openedAt = _now();
        record.kind = sittingSession == 0 ? Kind.Fresh : Kind.Reshare;
        record.dealerCount = SafeCast.toUint8(_lists[dealersHash].length);
        record.receiverCount = SafeCast.toUint8(_lists[receiversHash].length);
        emit SessionOpened(session, record.kind, dealersHash, receiversHash);
    }

    /// @dev Only a session's dealers can have sat until now: no other session was confirmed since
    ///      it opened, for the latest alone takes posts.
    function _seat(uint64 session, Record storage record, bytes32 groupHash) private {
        uint64 startsAt = _now() + PHASE_S;
        record.groupHash = groupHash;
        record.startsAt = startsAt;
        sittingSession = session;
        emit CouncilSeated(session, groupHash, startsAt);

        if (record.dealersHash != record.receiversHash) _dismiss(session, record, startsAt);
    }

    /// @dev Lets those go who deal and get no share.
    function _dismiss(uint64 session, Record storage record, uint64 untilS) private {
        Governor[] storage dealers = _lists[record.dealersHash];
        for (uint256 i = 0; i < record.dealerCount; ++i) {
            address account = dealers[i].account;
            if (_places[record.receiversHash][account] != 0) continue;
            _leftUntil[account] = untilS;
            emit GovernorLeft(session, account, untilS);
        }
    }

    /// @dev Counts one receiver's complaints, and returns how many are to be answered after that. A
    ///      dealer that reaches the threshold is evicted: of its complaints none counts any more.
    function _owedAfter(Record storage record, uint64 complaints) private returns (uint256 owed) {
        owed = record.owed;
        uint256 threshold = _threshold(record.receiverCount);
        for (uint256 dealer = 0; dealer < record.dealerCount; ++dealer) {
            if (complaints & _bit(dealer) == 0) continue;
            uint256 count = ++record.dealers[dealer].complaints;
            if (count < threshold) ++owed;
            else if (count == threshold) owed -= threshold - 1;
        }
    }

    function _latest(uint64 session) private view returns (Record storage) {
        if (session == 0) revert NoSuchSession(session);
        if (session != latestSession) revert NotLatestSession(session, latestSession);
        return _records[session];
    }

    function _dealer(uint64 session, Record storage record) private view returns (uint256) {
        uint256 place = _places[record.dealersHash][msg.sender];
        if (place == 0) revert NotDealer(session, msg.sender);
        return place - 1;
    }

    function _receiver(uint64 session, Record storage record) private view returns (uint256) {
        uint256 place = _places[record.receiversHash][msg.sender];
        if (place == 0) revert NotReceiver(session, msg.sender);
        return place - 1;
    }

    function _requirePhase(uint64 session, Record storage record, Phase wanted) private view {
        Phase phase = _phaseAt(record, block.timestamp);
        if (phase != wanted) revert WrongPhase(session, phase, wanted);
    }

    /// @dev The phase now; that of an old session is as it was when the next one opened.
    function _phaseOf(uint64 session, Record storage record) private view returns (Phase) {
        if (session == latestSession) return _phaseAt(record, block.timestamp);
        Phase phase = _phaseAt(record, _records[session + 1].openedAt);
        return phase < Phase.Confirmed ? Phase.Superseded : phase;
    }

    function _phaseAt(Record storage record, uint256 timestamp) private view returns (Phase) {
        if (record.startsAt != 0) return Phase.Confirmed;
        if (timestamp < _dealEndsAt(record)) return Phase.Deal;
        if (record.dealtCount < _threshold(record.dealerCount)) return Phase.Failed;
        if (timestamp < _respondEndsAt(record)) return Phase.Respond;
        if (timestamp < _justifyEndsAt(record)) return Phase.Justify;
        return timestamp < _confirmEndsAt(record) ? Phase.Confirm : Phase.Failed;
    }

    function _dealEndsAt(Record storage record) private view returns (uint64) {
        return record.dealtAt != 0 ? record.dealtAt : record.openedAt + PHASE_S;
    }

    function _respondEndsAt(Record storage record) private view returns (uint64) {
        return record.respondedAt != 0 ? record.respondedAt : _dealEndsAt(record) + PHASE_S;
    }

    function _justifyEndsAt(Record storage record) private view returns (uint64) {
        if (record.justifiedAt != 0) return record.justifiedAt;
        return _respondEndsAt(record) + (record.owed == 0 ? 0 : PHASE_S);
    }

    function _confirmEndsAt(Record storage record) private view returns (uint64) {
        return record.startsAt != 0 ? record.startsAt - PHASE_S : _justifyEndsAt(record) + PHASE_S;
    }

    function _sittingHash() private view returns (bytes32) {
        return _records[sittingSession].receiversHash;
    }

    /// @dev What a support is counted under: the list, and which session would be next by whose
    ///      votes. When one of these changes, every count starts anew.
    function _ballot(bytes32 listHash) private view returns (bytes32) {
        return keccak256(abi.encode(latestSession, sittingSession, listHash));
    }

    function _now() private view returns (uint64) {
        return SafeCast.toUint64(block.timestamp);
    }

    /// @dev 0 for indices that no list has.
    function _bit(uint256 index) private pure returns (uint64) {
        return index < GOVERNORS_MAX ? SafeCast.toUint64(2 ** index) : 0;
    }

    function _threshold(uint256 count) private pure returns (uint256) {
        return count / 2 + 1;
    }
}
