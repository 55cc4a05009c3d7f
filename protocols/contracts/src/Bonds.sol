// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IBonds} from "./interfaces/IBonds.sol";
import {ICouncilKeys} from "./interfaces/ICouncilKeys.sol";

/// @title What the governors answer with for their anchors
abstract contract Bonds is IBonds {
    using SafeERC20 for IERC20;

    /// @inheritdoc IBonds
    uint16 public constant SLASH_BPS_MAX = 9_000;

    /// @inheritdoc IBonds
    uint16 public constant REWARD_BPS_MAX = 5_000;

    uint256 private constant BPS = 10_000;

    /// @dev Shares that nobody has, as if they had been bonded with one unit of the token. So the
    ///      first to bond cannot make a share so dear, by losing deposits, that the next one's bond
    ///      is rounded away: most of what it gave would be these shares'.
    uint256 private constant NOBODYS_SHARES = 10 ** 6;

    /// @notice Who governs.
    ICouncilKeys public immutable COUNCIL;

    /// @notice The token that is bonded.
    IERC20 public immutable TOKEN;

    uint128 internal immutable BOND_MIN;
    uint128 private immutable DEPOSIT;
    uint16 private immutable SLASH_BPS;
    uint16 private immutable REWARD_BPS;
    uint32 internal immutable CHALLENGE_S;
    address private immutable SINK;

    /// @inheritdoc IBonds
    mapping(address account => uint256) public sharesOf;

    /// @dev All shares that somebody has.
    uint256 private _shares;

    /// @inheritdoc IBonds
    /// @dev The last of these variables: those of `Anchors` are in the same slot.
    uint128 public pool;

    constructor(ICouncilKeys council, IERC20 token, Policy memory given) {
        if (given.slashBps > SLASH_BPS_MAX || given.rewardBps > REWARD_BPS_MAX) revert BadPolicy();
        if (given.challengeS == 0 || given.sink == address(0)) revert BadPolicy();
        COUNCIL = council;
        TOKEN = token;
        BOND_MIN = given.bondMin;
        DEPOSIT = given.deposit;
        SLASH_BPS = given.slashBps;
        REWARD_BPS = given.rewardBps;
        CHALLENGE_S = given.challengeS;
        SINK = given.sink;
    }

    /// @inheritdoc IBonds
    function bond(uint256 amount) external {
        if (!COUNCIL.isGovernor(msg.sender)) revert NotGovernor(msg.sender);
        uint256 shares = Math.mulDiv(amount, _shares + NOBODYS_SHARES, uint256(pool) + 1);
        if (shares == 0) revert BondTooSmall(amount);

        sharesOf[msg.sender] += shares;
        _shares += shares;
        pool = SafeCast.toUint128(pool + amount);
        emit Bonded(msg.sender, amount, shares);

        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IBonds
    function unbond() external {
        uint256 shares = sharesOf[msg.sender];
        if (shares == 0) revert NoBond(msg.sender);
        uint256 untilS = uint256(COUNCIL.satUntil(msg.sender)) + CHALLENGE_S;
        if (block.timestamp < untilS) revert StillLiable(msg.sender, untilS);

        uint256 amount = bondOf(msg.sender);
        delete sharesOf[msg.sender];
        _shares -= shares;
        pool -= SafeCast.toUint128(amount);
        emit Unbonded(msg.sender, amount);

        TOKEN.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IBonds
    function policy() external view returns (Policy memory) {
        return Policy({
            bondMin: BOND_MIN,
            deposit: DEPOSIT,
            slashBps: SLASH_BPS,
            rewardBps: REWARD_BPS,
            challengeS: CHALLENGE_S,
            sink: SINK
        });
    }

    /// @inheritdoc IBonds
    /// @dev Rounded down, so all bonds together are never more than the pool.
    function bondOf(address account) public view returns (uint256) {
        return Math.mulDiv(sharesOf[account], uint256(pool) + 1, _shares + NOBODYS_SHARES);
    }

    /// @dev Takes a part of the pool, for the challenger and the sink. Calls the token: nothing else
    ///      may follow.
    function _slash(address challenger) internal {
        uint256 amount = uint256(pool) * SLASH_BPS / BPS;
        // slither-disable-next-line divide-before-multiply -- a share of what is taken, to the unit
        uint256 reward = amount * REWARD_BPS / BPS;
        pool -= SafeCast.toUint128(amount);
        emit Slashed(amount, reward);

        TOKEN.safeTransfer(challenger, reward);
        TOKEN.safeTransfer(SINK, amount - reward);
    }

    /// @dev Takes the deposit into the pool. Calls the token: nothing else may follow.
    function _takeDeposit(address challenger) internal {
        pool += DEPOSIT;
        TOKEN.safeTransferFrom(challenger, address(this), DEPOSIT);
    }

    /// @dev The deposit is only moved when it is lost; this lets nobody challenge without it.
    function _checkDeposit(address challenger) internal view {
        bool isThere = TOKEN.balanceOf(challenger) >= DEPOSIT
            && TOKEN.allowance(challenger, address(this)) >= DEPOSIT;
        if (!isThere) revert DepositMissing(challenger, DEPOSIT);
    }
}
