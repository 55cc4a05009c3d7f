// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What is owed to whom, until they fetch it
/// @notice Nothing is ever sent to a party unasked: what it gets is credited, and it collects. So a
///         party that refuses its money, or does something evil on getting it, hinders nobody else.
interface ILedger {
    /// @notice An account got a credit out of a deal.
    /// @param  deal     Which one.
    /// @param  account  Who.
    /// @param  ankrWei  How much ANKR, in 10^-18 ANKR.
    /// @param  ethWei   How much ETH, in wei.
    event Credited(uint256 indexed deal, address indexed account, uint256 ankrWei, uint256 ethWei);

    /// @notice An account's credits were paid.
    /// @param  account  Whose.
    /// @param  to       To whom.
    /// @param  ankrWei  How much ANKR, in 10^-18 ANKR.
    /// @param  ethWei   How much ETH, in wei.
    event Collected(address indexed account, address indexed to, uint256 ankrWei, uint256 ethWei);

    /// @notice The account is owed nothing.
    error NothingOwed(address account);

    /// @notice The receiver of the ETH refused it.
    error EthRefused(address to);

    /// @notice Only the two pots are flushed.
    error NotPot(address account);

    /// @notice The pot left a part of its ANKR.
    error NotTaken(address pot, uint256 ankrWei);

    /// @notice ETH comes here only with a call that says what for.
    error UnexpectedEth(address from);

    /// @notice Pays the caller all that it is owed.
    function collect() external;

    /// @notice Pays all that the caller is owed to somebody else, for callers that cannot take ETH.
    /// @param  to  Who gets it.
    function collectTo(address to) external;

    /// @notice Hands the insurance or the reward pot what it is owed. Anybody may.
    /// @param  pot  Which of the two.
    function flush(address pot) external;

    /// @notice What an account is owed, in 10^-18 ANKR.
    function ankrOf(address account) external view returns (uint256);

    /// @notice What an account is owed, in wei.
    function ethOf(address account) external view returns (uint256);
}
