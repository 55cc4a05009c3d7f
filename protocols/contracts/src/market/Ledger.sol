// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ILedger} from "../interfaces/ILedger.sol";
import {IInsurance, IReceiver} from "../interfaces/IReceiver.sol";

/// @title What is owed to whom, until they fetch it
abstract contract Ledger is ILedger, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice ANKR.
    IERC20 public immutable TOKEN;

    /// @notice The insurance pot.
    IInsurance public immutable INSURANCE;

    /// @notice The reward pot.
    IReceiver public immutable REWARDS;

    /// @inheritdoc ILedger
    mapping(address account => uint256) public ankrOf;

    /// @inheritdoc ILedger
    mapping(address account => uint256) public ethOf;

    constructor(IERC20 token, IInsurance insurance, IReceiver rewards) {
        TOKEN = token;
        INSURANCE = insurance;
        REWARDS = rewards;
    }

    /// @notice The insurance pays losses in ETH; nobody else sends any without a word.
    receive() external payable {
        if (msg.sender != address(INSURANCE)) revert UnexpectedEth(msg.sender);
    }

    /// @inheritdoc ILedger
    function collect() external nonReentrant {
        _pay(msg.sender);
    }

    /// @inheritdoc ILedger
    function collectTo(address to) external nonReentrant {
        _pay(to);
    }

    /// @inheritdoc ILedger
    function flush(address pot) external nonReentrant {
        bool isPot = pot == address(INSURANCE) || pot == address(REWARDS);
        if (!isPot) revert NotPot(pot);
        (uint256 ankrWei, uint256 ethWei) = _takeCredits(pot);
        emit Collected(pot, pot, ankrWei, ethWei);

        TOKEN.forceApprove(pot, ankrWei);
        // slither-disable-next-line arbitrary-send-eth -- one of two contracts fixed at deployment
        IReceiver(pot).take{value: ethWei}(ankrWei);
        uint256 leftWei = TOKEN.allowance(address(this), pot);
        if (leftWei != 0) revert NotTaken(pot, leftWei);
    }

    /// @dev Owes an account some of the money that the contract holds.
    function _credit(uint256 deal, address account, uint256 ankrWei, uint256 ethWei) internal {
        bool isSome = ankrWei > 0 || ethWei > 0;
        if (!isSome) return;
        ankrOf[account] += ankrWei;
        ethOf[account] += ethWei;
        emit Credited(deal, account, ankrWei, ethWei);
    }

    /// @dev Pays all that the caller is owed.
    function _pay(address to) private {
        (uint256 ankrWei, uint256 ethWei) = _takeCredits(msg.sender);
        emit Collected(msg.sender, to, ankrWei, ethWei);

        if (ankrWei > 0) TOKEN.safeTransfer(to, ankrWei);
        if (ethWei > 0) {
            (bool isTaken,) = to.call{value: ethWei}("");
            if (!isTaken) revert EthRefused(to);
        }
    }

    /// @dev Nothing is owed to the account any more when this returns.
    function _takeCredits(address account) private returns (uint256 ankrWei, uint256 ethWei) {
        (ankrWei, ethWei) = (ankrOf[account], ethOf[account]);
        bool isSome = ankrWei > 0 || ethWei > 0;
        if (!isSome) revert NothingOwed(account);
        delete ankrOf[account];
        delete ethOf[account];
    }
}
