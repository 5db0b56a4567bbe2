// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title CREDIT, the soulbound billing unit. ERC-20 read surface; transfer, transferFrom, approve and permit revert [CR-1].
interface IComputeCredit {
    /// @notice What an account or a channel holds: credits (1e18 = one normalised A100-minute) and the deferred margin (USDC units, 6 decimals) of the purchased part.
    struct Holding { uint128 purchased; uint128 earned; uint128 margin; }
    /// @notice Lifetime counters; credits with 18, USDC with 6 decimals. `spent` counts settled spending, `earnedFromPurchased` income from purchased credits.
    struct Lifetime { uint128 bought; uint128 spent; uint128 earned; uint128 earnedFromPurchased; uint128 cashedOut; uint128 marginRecognised; }

    event Escrowed(address indexed account, uint256 purchased, uint256 earned, uint256 margin);
    event Returned(address indexed account, uint256 purchased, uint256 earned, uint256 margin);
    event Earned(address indexed payer, address indexed contributor, uint256 amount, uint256 fromPurchased, uint256 margin);

    error ComputeCredit_Soulbound();
    error ComputeCredit_OnlyDesk(address caller);
    error ComputeCredit_OnlySettlement(address caller);

    function transferable() external pure returns (bool); // always false
    function holdingOf(address account) external view returns (Holding memory);
    function lifetimeOf(address account) external view returns (Lifetime memory);
    function lifetimeTotal() external view returns (Lifetime memory);

    /// @notice Only the desk: mint purchased credits that carry `margin` of deferred margin.
    function mintPurchased(address to, uint256 amount, uint256 margin) external;
    /// @notice Only the desk: burn earned credits that are cashed out.
    function burnEarned(address from, uint256 amount) external;
    /// @notice Only settlement: take `amount` from the account into escrow, purchased first, margin by average cost (rounded down; all of it with the last purchased unit).
    function escrow(address from, uint256 amount) external returns (Holding memory taken);
    /// @notice Only settlement: give back what a channel still holds, the same three parts.
    function unescrow(address to, Holding calldata rest) external;
    /// @notice Only settlement: move escrowed credits to the contributor as earned; `spent` are the parts that left the channel.
    function earn(address payer, address contributor, Holding calldata spent) external;
    // constructor(address desk, address settlement)
}
