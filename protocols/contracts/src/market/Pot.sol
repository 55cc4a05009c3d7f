// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Timelocked} from "../governance/Timelocked.sol";
import {IPot} from "../interfaces/IPot.sol";
import {IInsurance, IReceiver} from "../interfaces/IReceiver.sol";

/// @title A pot that shares of deals go into (R52, R53)
/// @dev   It owes nobody anything: what it pays is bounded by what it holds at that moment, and no
///        number is kept that a payment in the middle of another could find out of step.
contract Pot is Timelocked, IPot {
    using SafeERC20 for IERC20;

    /// @dev What somebody brought: in 10^-18 ANKR and in wei.
    struct Received {
        uint256 ankr;
        uint256 ethWei;
    }

    /// @notice ANKR.
    IERC20 public immutable TOKEN;

    /// @inheritdoc IPot
    address public immutable PAYER;

    /// @inheritdoc IPot
    mapping(address source => Received) public broughtBy;

    /// @param token    ANKR.
    /// @param timelock Who may send the pot's money anywhere.
    /// @param payer    Who may have losses paid; the zero address if nobody.
    constructor(IERC20 token, address timelock, address payer) Timelocked(timelock) {
        TOKEN = token;
        // slither-disable-next-line missing-zero-check -- a pot may have no payer
        PAYER = payer;
    }

    /// @notice Takes plain ETH from anybody.
    receive() external payable {
        _count(0);
    }

    /// @inheritdoc IReceiver
    function take(uint256 ankr) external payable {
        _count(ankr);
        TOKEN.safeTransferFrom(msg.sender, address(this), ankr);
    }

    /// @inheritdoc IInsurance
    function cover(address to, uint256 lossWei) external returns (uint256 paid) {
        if (msg.sender != PAYER) revert NotPayer(msg.sender);
        paid = Math.min(lossWei, address(this).balance);
        emit Covered(to, lossWei, paid);
        Address.sendValue(payable(to), paid);
    }

    /// @inheritdoc IPot
    function release(uint256 ankr, uint256 ethWei, address to) external onlyTimelock {
        emit Released(to, ankr, ethWei);
        TOKEN.safeTransfer(to, ankr);
        if (ethWei > 0) Address.sendValue(payable(to), ethWei);
    }

    function _count(uint256 ankr) private {
        broughtBy[msg.sender].ankr += ankr;
        broughtBy[msg.sender].ethWei += msg.value;
        emit Taken(msg.sender, ankr, msg.value);
    }
}
