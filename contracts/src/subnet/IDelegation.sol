// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Delegation: what accounts put behind validators, how it leaves, and how it is slashed
/// @notice There is one pool per (netuid, hotkey) for alpha and one per hotkey for bonded TNDM, which is written as netuid 0.
/// An account owns shares of a pool; the price of a share moves by slashing alone.
///
/// Promises:
/// - Everything put in, taken out or slashed counts from the next epoch's start; what an epoch that has begun reads never
///   changes again [SN-2]. Nobody holds shares of an epoch it was not in.
/// - What an account takes out of a pool is what it put in less what was slashed: short of that by at most two wei a call, or above
///   it by at most the one wei that others' calls were rounded down by. Tokens sent here directly belong to nobody and change no
///   price.
/// - Stake leaves through a queue, never at once; it is slashable until it is withdrawn and weighs and votes no more.
/// - Neither leaving nor withdrawing can be paused, and no role is asked [GV-2].
/// - A slash reaches one hotkey: its bond, its alpha in one subnet, and what of both is unbonding.
interface IDelegation {
    /// @notice An account and its shares of a pool.
    struct Delegation {
        address account;
        uint256 shares;
    }

    /// @notice `asset` is an alpha token or TNDM, `amount` what a withdrawal would pay now (wei), `releaseAt` the first second
    /// (since 1970) in which it does. `netuid` is 0 for TNDM.
    struct Unbonding {
        address account;
        address asset;
        uint128 amount;
        uint64 releaseAt;
        Netuid netuid;
        address hotkey;
    }

    event Staked(
        Netuid indexed netuid, address indexed hotkey, address indexed account, uint256 amount, uint256 shares
    );
    event Unstaked(
        Netuid indexed netuid,
        address indexed hotkey,
        address indexed account,
        uint256 amount,
        uint256 shares,
        uint256 unbondingId,
        uint64 releaseAt
    );
    event Bonded(address indexed hotkey, address indexed account, uint256 amount, uint256 shares);
    event Unbonded(
        address indexed hotkey,
        address indexed account,
        uint256 amount,
        uint256 shares,
        uint256 unbondingId,
        uint64 releaseAt
    );
    event Withdrawn(uint256 indexed unbondingId, address indexed account, uint256 amount);
    /// @notice `share` (WAD) of the pool of `netuid` (0: the bond) and of what leaves it was taken: `staked` and `unbonding` wei,
    /// of which the prover got `reward` and the rest was burned.
    event Slashed(
        Netuid indexed netuid,
        address indexed hotkey,
        address indexed prover,
        uint256 share,
        uint256 staked,
        uint256 unbonding,
        uint256 reward
    );
    event TakeSet(address indexed hotkey, uint64 indexed fromEpoch, uint16 take);

    error Staking_ZeroAmount();
    error Staking_UnknownHotkey(Netuid netuid, address hotkey);
    error Staking_NoPool(Netuid netuid);
    error Staking_Insufficient(uint256 asked, uint256 held);
    /// @dev `amount` is what the position would be worth after the call.
    error Staking_BelowMinimum(uint256 amount, uint256 minimum);
    /// @dev Slashes have left so little behind each share that no more shares can be counted; leaving works.
    error Staking_PoolRuined(Netuid netuid, address hotkey);
    error Staking_UnknownUnbonding(uint256 unbondingId);
    error Staking_StillBound(uint256 unbondingId, uint64 releaseAt);
    error Staking_OnlySlashing(address caller);
    error Staking_BadShare(uint256 share);
    error Staking_NotHotkeyOwner(address hotkey, address caller);
    error Staking_TakeAboveBound(uint16 take, uint16 bound);
    error Staking_TakeStepTooLarge(uint16 from, uint16 to, uint16 step);
    error Staking_TakeTooSoon(uint256 earliest);

    /// @notice Put the caller's alpha (pulled) behind a hotkey that has a uid in the subnet. The position must then be worth the
    /// minimum delegation. Shares round down. Takes a sample of the circulation as well (`sampleCirculation`).
    function stake(
        Netuid netuid,
        address hotkey,
        uint256 alphaAmount
    ) external;

    /// @notice Take the caller's alpha back out: it stops counting at the next epoch's start, stops voting at once, and is
    /// withdrawable after the unbonding period. What stays must be nothing or worth the minimum delegation. Shares round up.
    /// @param alphaAmount Wei of alpha; the largest uint256 stands for the whole position.
    function unstake(
        Netuid netuid,
        address hotkey,
        uint256 alphaAmount
    ) external returns (uint256 unbondingId);

    /// @notice Put the caller's TNDM (pulled) behind a hotkey that is registered in at least one subnet; otherwise as `stake`.
    function bond(
        address hotkey,
        uint256 tndmAmount
    ) external;

    /// @notice As `unstake`, for the bond.
    function unbond(
        address hotkey,
        uint256 tndmAmount
    ) external returns (uint256 unbondingId);

    /// @notice Pay an unbonding out to the account that it belongs to, by anyone, from `releaseAt` on: what it took out of its
    /// pool less what was slashed since, rounded down. Never paused [GV-2].
    function withdraw(
        uint256 unbondingId
    ) external;

    /// @notice ERC-2612 approval of the pool's token for this contract, for use in a `multicall` before `stake` or `bond`.
    /// Does nothing if the permit has been used or is wrong: the transfer then decides.
    /// @param netuid Whose alpha; 0 for TNDM.
    function permit(
        Netuid netuid,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice Part of a validator's dividends that its owner takes before its delegators, counted from the next epoch's start.
    /// By the hotkey's owner; never above the bound. Lowering is free; raising goes by at most the configured step and at most once
    /// per configured period.
    /// @param take Fraction of 65,535.
    function setTake(
        address hotkey,
        uint16 take
    ) external;

    /// @notice Only the slashing contract: take `share` (WAD, at most one) of the hotkey's bond, of its alpha in the subnet
    /// (none if `netuid` is 0), and of what is unbonding of both; each is rounded down. Half of it goes to the prover, the rest
    /// (the larger half) is burned. Of unbondings that slashes have cut below a thousandth all is taken.
    /// @return tndmTaken Wei of TNDM, half of which the prover got.
    /// @return alphaTaken The same in the subnet's alpha.
    function slash(
        Netuid netuid,
        address hotkey,
        uint256 share,
        address prover
    ) external returns (uint256 tndmTaken, uint256 alphaTaken);

    /// @notice What the account's alpha behind the hotkey is worth now, in wei, rounded down.
    function stakeOf(
        Netuid netuid,
        address hotkey,
        address account
    ) external view returns (uint256);

    /// @notice As `stakeOf`, for the bond.
    function bondOf(
        address hotkey,
        address account
    ) external view returns (uint256);

    /// @notice All zero if it is unknown or withdrawn.
    function unbondingOf(
        uint256 unbondingId
    ) external view returns (Unbonding memory);

    /// @notice Number of unbondings so far; ids count from 1.
    function unbondingCount() external view returns (uint256);

    /// @notice Alpha behind a hotkey as of the epoch's start.
    function totalStakeAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice TNDM behind a hotkey as of the epoch's start.
    function totalBondAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice The account's shares as of the epoch's start; of the bond if `netuid` is 0.
    function sharesAt(
        Netuid netuid,
        address hotkey,
        address account,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice The sum of all accounts' shares as of the epoch's start; of the bond if `netuid` is 0.
    function totalSharesAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice How many accounts ever put something into the pool.
    function delegatorCount(
        Netuid netuid,
        address hotkey
    ) external view returns (uint256);

    /// @notice The accounts numbered `from` to `from + count − 1` (fewer at the end) that ever put something into the pool, in the
    /// order in which they first did, with their shares as of the epoch's start. The list only grows.
    function delegationsAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch,
        uint256 from,
        uint256 count
    ) external view returns (Delegation[] memory);

    /// @notice As of the epoch's start, fraction of 65,535; the default before the first `setTake`.
    function takeAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint16);
}
