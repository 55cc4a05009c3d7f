// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Resources} from "./IPolicy.sol";
import {ScoreProof} from "./IProviders.sol";

/// @title The market: sealed bids and a draw that anyone can check (R32, R47-R51)
interface IMarket {
    /// @notice What a requester asks for.
    /// @param  projectType The policy's type of project.
    /// @param  lengthS     How long it shall run, in seconds; more than 0.
    /// @param  need        What it needs; at least what the type says.
    /// @param  scoreEpoch  The latest final epoch: bidders prove their scores in it.
    struct Request {
        uint16 projectType;
        uint32 lengthS;
        Resources need;
        uint64 scoreEpoch;
    }

    /// @notice What a project costs and is expected to bring (R47).
    function quote(uint16 projectType, Resources calldata need, uint32 lengthS)
        external
        view
        returns (uint256 fpWei, uint256 ethStakeWei, uint256 expectedProfitWei);

    /// @notice Opens an auction and takes the fixed price from the caller (R43, R49).
    /// @param  fpWeiMax The most the caller will pay, in 10^-18 ANKR.
    function open(Request calldata request, uint256 fpWeiMax) external returns (uint256 deal);

    /// @notice Seals a bid; takes the bond.
    function commit(uint256 deal, bytes32 commitment) external;

    /// @notice Opens the caller's sealed bid.
    function reveal(
        uint256 deal,
        uint256 registration,
        uint256 priceWei,
        bytes32 salt,
        ScoreProof calldata score
    ) external;

    /// @notice Lets the requester choose, where the rule is `RequesterChoice`.
    function choose(uint256 deal, address provider) external;

    /// @notice Draws the provider by the deal's beacon round.
    /// @param  signature The round's signature: G1, uncompressed, 128 bytes.
    function draw(uint256 deal, bytes calldata signature) external;

    /// @notice Ends an auction that can come to nothing any more, and refunds.
    function close(uint256 deal) external;

    /// @notice Pays the caller what it is owed.
    function collect() external;
}
