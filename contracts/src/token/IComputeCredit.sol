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
/// - The desk and the settlement contract are constructor immutables; nobody else mints, burns or moves, and no role can
///   change that.
/// - `totalSupply` is the sum of all `balanceOf`. Credits in open channels are the balance of the settlement contract.
/// - Every change of a balance emits `Transfer`: mint 0 → account, escrow account → settlement, earning settlement →
///   contributor, return settlement → payer, cash-out account → 0; so indexers that know only ERC-20 count right.
/// - `[CR-3]` The deferred margin that entered with purchased credits leaves with them once, to the unit, by average cost.
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

    /// @notice Lifetime counters of an account, or of the network; they only grow.
    /// @param bought Credits minted to the account.
    /// @param spent Credits of the account that were settled to contributors.
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

    /// @notice Credits of `account` went into a channel; `margin` in USDC units.
    event Escrowed(address indexed account, uint256 purchased, uint256 earned, uint256 margin);
    /// @notice A closed channel gave back what it still held; `margin` in USDC units.
    event Returned(address indexed account, uint256 purchased, uint256 earned, uint256 margin);
    /// @notice `contributor` earned `amount` credits from `payer`, `fromPurchased` of them bought for USDC; `margin` (USDC units)
    /// stopped being deferred.
    event Earned(
        address indexed payer, address indexed contributor, uint256 amount, uint256 fromPurchased, uint256 margin
    );

    /// @notice From now on `snapshotOf` answers; `total` credits were earned from purchased ones so far.
    event SnapshotTaken(uint256 total);

    /// @notice Only the launch gate takes the snapshot.
    error ComputeCredit_OnlyGate(address caller);
    /// @notice The snapshot is taken.
    error ComputeCredit_SnapshotTaken();
    /// @notice The snapshot is not taken yet.
    error ComputeCredit_NoSnapshot();
    /// @notice Credits are bound to their account.
    error ComputeCredit_Soulbound();
    /// @notice Only the desk mints and burns.
    error ComputeCredit_OnlyDesk(address caller);
    /// @notice Only settlement moves credits.
    error ComputeCredit_OnlySettlement(address caller);
    /// @notice The zero address and the settlement contract hold no credits of their own.
    error ComputeCredit_InvalidAccount(address account);
    /// @notice The account holds `available` credits, `needed` were asked for.
    error ComputeCredit_InsufficientCredits(address account, uint256 available, uint256 needed);
    /// @notice The account holds `available` earned credits, `needed` were to be cashed out.
    error ComputeCredit_InsufficientEarned(address account, uint256 available, uint256 needed);

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

    /// @notice Only the launch gate, once: fix `earnedFromPurchased` of every account as of now.
    function takeSnapshot() external;

    /// @notice Only the desk: mint `amount` purchased credits that carry `margin` (USDC units) of deferred margin to `to`.
    /// @dev Reverts with `ComputeCredit_InvalidAccount` for the zero address and the settlement contract.
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
    /// @param spent The parts that left the channel; `spent.margin` is no longer deferred after this call.
    function earn(
        address payer,
        address contributor,
        Holding calldata spent
    ) external;

    // constructor(address desk, address settlement, address gate)
}
