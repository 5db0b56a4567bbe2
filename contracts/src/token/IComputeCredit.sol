// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IERC20Metadata } from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title CREDIT, the soulbound billing unit
/// @notice One credit (1e18) is one normalised A100-minute. Bought for USDC at the desk, spent on inference through settlement,
/// earned by those who serve it, burned when it is cashed out.
///
/// Promises:
/// - `[CR-1]` No call sequence moves a credit between two accounts except settlement of work: `transfer`, `transferFrom`,
///   `approve` and `permit` always revert, `allowance` is always zero.
/// - The desk, the settlement contract and the launch gate are constructor immutables; nobody else mints, burns, moves or
///   takes the snapshot, and no role can change that.
/// - `totalSupply` is the sum of all `balanceOf`. Credits in open channels are the balance of the settlement contract.
/// - Every change of a balance emits `Transfer`: mint 0 → account, escrow account → settlement, earning settlement →
///   contributor, return settlement → payer, cash-out account → 0; so indexers that know only ERC-20 count right. `Purchased`,
///   `Escrowed`, `Returned` and `Earned` tell the sub-balances of the same changes; a burn takes earned credits only.
/// - `[CR-3]` The deferred margin that entered with purchased credits leaves with them once, to the unit, by average cost.
/// - A settlement never fails for want of room: a series ends at 2^96 − 1 wei of credits (79 billion credits) and 2^56 − 1 units
///   of margin (72 billion USDC) ever sold, which the mint refuses to pass; what is earned stays below both.
interface IComputeCredit is IERC20Metadata {
    /// @notice What an account or a channel holds.
    /// @param purchased Credits (18 decimals) bought for USDC; they can be spent, never cashed out.
    /// @param earned Credits (18 decimals) earned by serving; they can be spent or cashed out.
    /// @param margin Deferred margin of the purchased part, in USDC units (6 decimals).
    struct Holding {
        uint128 purchased;
        uint128 earned;
        uint128 margin;
    }

    /// @notice Lifetime counters of an account, or of the network.
    /// @param bought Credits minted to the account.
    /// @param spent Credits that left the account for channels and did not come back: settled to contributors, or still in
    /// open channels. Always `bought + earned − cashedOut − balance`. What the network settled is its `earned`.
    /// @param earned Credits earned by serving.
    /// @param earnedFromPurchased The part of `earned` that the payer had bought (not earned); airdrop shares count it.
    /// @param cashedOut Credits burned at the desk for USDC.
    /// @param marginRecognised USDC units (6 decimals) of margin that the account's serving turned into revenue.
    struct Lifetime {
        uint128 bought;
        uint128 spent;
        uint128 earned;
        uint128 earnedFromPurchased;
        uint128 cashedOut;
        uint128 marginRecognised;
    }

    /// @notice `account` got `amount` purchased credits that carry `margin` (USDC units).
    event Purchased(address indexed account, uint256 amount, uint256 margin);
    /// @notice Credits of `account` went into a channel; `margin` in USDC units.
    event Escrowed(address indexed account, uint256 purchased, uint256 earned, uint256 margin);
    /// @notice A closed channel gave back what it still held; `margin` in USDC units.
    event Returned(address indexed account, uint256 purchased, uint256 earned, uint256 margin);
    /// @notice `contributor` earned `amount` credits, `fromPurchased` of them bought for USDC; `margin` (USDC units) stopped being
    /// deferred. One event for a whole batch; settlement's own tell the channels.
    event Earned(address indexed contributor, uint256 amount, uint256 fromPurchased, uint256 margin);
    /// @notice From now on `snapshotOf` answers; `total` credits were earned from purchased ones so far.
    event SnapshotTaken(uint256 total);

    /// @notice Credits are bound to their account.
    error ComputeCredit_Soulbound();
    /// @notice Only the desk mints and burns.
    error ComputeCredit_OnlyDesk(address caller);
    /// @notice Only settlement moves credits.
    error ComputeCredit_OnlySettlement(address caller);
    /// @notice Only the launch gate takes the snapshot.
    error ComputeCredit_OnlyGate(address caller);
    /// @notice The zero address and the settlement contract hold no credits of their own.
    error ComputeCredit_InvalidAccount(address account);
    /// @notice The account holds `available` credits, `needed` were asked for.
    error ComputeCredit_InsufficientCredits(address account, uint256 available, uint256 needed);
    /// @notice The account holds `available` earned credits, `needed` were to be cashed out.
    error ComputeCredit_InsufficientEarned(address account, uint256 available, uint256 needed);
    /// @notice All channels together do not hold these credits, or hold them without that margin.
    error ComputeCredit_AboveEscrow(uint256 purchased, uint256 earned, uint256 margin);
    /// @notice With this purchase the series would have sold `bought` wei of credits and `margin` units of margin: more than its
    /// words hold. A new series takes over.
    error ComputeCredit_SeriesFull(uint256 bought, uint256 margin);
    /// @notice There is one snapshot, and it is taken.
    error ComputeCredit_SnapshotTaken();
    /// @notice No snapshot is taken yet.
    error ComputeCredit_NoSnapshot();

    /// @notice Always reverts with `ComputeCredit_Soulbound`.
    function permit(
        address owner,
        address spender,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice False: wallets and indexers may ask before they offer a transfer.
    function transferable() external pure returns (bool);

    /// @notice What `account` holds outside channels; for the settlement contract the sum of all open channels.
    function holdingOf(
        address account
    ) external view returns (Holding memory);

    /// @notice Lifetime counters of `account`. `marginRecognised` counts for the contributor who served, not for the payer.
    function lifetimeOf(
        address account
    ) external view returns (Lifetime memory);

    /// @notice The counters of all accounts together.
    function lifetimeTotal() external view returns (Lifetime memory);

    /// @notice Margin of all credits that are not spent yet, in accounts and channels, USDC units.
    function deferredMargin() external view returns (uint256);

    /// @notice What `account` had earned from purchased credits when the snapshot was taken, 18 decimals.
    /// @dev Reverts with `ComputeCredit_NoSnapshot` before.
    function snapshotOf(
        address account
    ) external view returns (uint256);

    /// @notice The sum of `snapshotOf` over all accounts.
    /// @dev Reverts with `ComputeCredit_NoSnapshot` before the snapshot.
    function snapshotTotal() external view returns (uint256);

    /// @notice Whether the snapshot is taken.
    function snapshotTaken() external view returns (bool);

    /// @notice Only the launch gate, once: fix `earnedFromPurchased` of every account as of now. Costs the same however many
    /// accounts there are: an account's first earning after it keeps the old number aside.
    function takeSnapshot() external;

    /// @notice Only the desk: mint `amount` purchased credits that carry `margin` (USDC units) of deferred margin to `to`.
    /// @dev Reverts with `ComputeCredit_InvalidAccount` for the zero address and the settlement contract, and with
    /// `ComputeCredit_SeriesFull`.
    function mintPurchased(
        address to,
        uint256 amount,
        uint256 margin
    ) external;

    /// @notice Only the desk: burn `amount` earned credits of `from` that are cashed out.
    /// @dev Reverts with `ComputeCredit_InsufficientEarned`; purchased credits never serve here.
    function burnEarned(
        address from,
        uint256 amount
    ) external;

    /// @notice Only settlement: take `amount` credits of `from` into escrow, purchased ones first.
    /// @dev Margin leaves by average cost, rounded down; all of it with the last purchased unit.
    /// @return taken The three parts that the channel holds from now on.
    function escrow(
        address from,
        uint256 amount
    ) external returns (Holding memory taken);

    /// @notice Only settlement: give back to `to` what a channel still holds, the same three parts.
    function unescrow(
        address to,
        Holding calldata rest
    ) external;

    /// @notice Only settlement: move escrowed credits to the contributor, as earned ones whatever they were before.
    /// @param purchased Credits that left channels as purchased ones.
    /// @param earned Credits that left channels as earned ones.
    /// @param margin USDC units of margin of the purchased ones; no longer deferred after this call.
    function earn(
        address contributor,
        uint256 purchased,
        uint256 earned,
        uint256 margin
    ) external;

    // constructor(address desk, address settlement, address gate)
}
