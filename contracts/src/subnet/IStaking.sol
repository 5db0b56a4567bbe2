// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Stake behind validators, who are named by their hotkey: alpha per subnet, TNDM bond for all, and the mesh phase's
/// virtual stake.
/// @notice Everything counts from the next epoch's start on and is read as of an epoch's start [SN-2]: what holds for an epoch
/// that has begun never changes again. Stake and bond belong to the account that put them in, whoever the validator is; they
/// leave through a queue of unbondings. Nothing here can be paused [GV-2].
interface IStaking {
    /// @notice Stake without tokens that a mesh validator holds in a genesis subnet; no votes.
    struct Virtual {
        Netuid netuid;
        address hotkey;
        uint128 weight;
    }

    /// @notice `asset` is an alpha token or TNDM; withdrawable from `releaseAt` (seconds since 1970) on.
    struct Unbonding {
        address account;
        address asset;
        uint128 amount;
        uint64 releaseAt;
    }

    /// @notice Periods in seconds; shares and root weights in WAD. `rootWeightGlide` is how long the root weight takes from start
    /// to floor, counted from the opening of markets.
    struct Config {
        address tndm;
        address pools;
        address registry;
        address gate;
        uint64 genesis;
        uint64 epochLength;
        uint64 unbondingPeriod;
        uint64 virtualFade;
        uint256 minimumStakeShare;
        uint256 rootWeightStart;
        uint256 rootWeightFloor;
        uint64 rootWeightGlide;
    }

    event Staked(Netuid indexed netuid, address indexed hotkey, address indexed account, uint256 amount);
    event Unstaked(
        Netuid indexed netuid,
        address indexed hotkey,
        address indexed account,
        uint256 amount,
        uint256 unbondingId,
        uint64 releaseAt
    );
    event Bonded(address indexed hotkey, address indexed account, uint256 amount);
    event Unbonded(
        address indexed hotkey, address indexed account, uint256 amount, uint256 unbondingId, uint64 releaseAt
    );
    event Withdrawn(uint256 indexed unbondingId, address indexed account, uint256 amount);
    event VirtualStakeGiven(Netuid indexed netuid, address indexed hotkey, uint256 weight);
    event CirculationSampled(Netuid indexed netuid, uint64 indexed forEpoch, uint256 circulating);

    error Staking_ZeroAmount();
    error Staking_UnknownHotkey(Netuid netuid, address hotkey);
    error Staking_NoPool(Netuid netuid);
    error Staking_Insufficient(uint256 asked, uint256 held);
    error Staking_UnknownUnbonding(uint256 unbondingId);
    error Staking_StillBound(uint256 unbondingId, uint64 releaseAt);
    error Staking_BadConfig();
    error Staking_DuplicateVirtual(Netuid netuid, address hotkey);

    /// @notice Put the caller's alpha (pulled) behind a hotkey that has a uid in the subnet.
    function stake(
        Netuid netuid,
        address hotkey,
        uint256 alphaAmount
    ) external;

    /// @notice Take the caller's alpha back out: it stops counting at the next epoch's start and is withdrawable after the
    /// unbonding period.
    function unstake(
        Netuid netuid,
        address hotkey,
        uint256 alphaAmount
    ) external returns (uint256 unbondingId);

    /// @notice Put the caller's TNDM (pulled) behind a hotkey that is registered in at least one subnet.
    function bond(
        address hotkey,
        uint256 tndmAmount
    ) external;

    /// @notice As `unstake`, for the bond.
    function unbond(
        address hotkey,
        uint256 tndmAmount
    ) external returns (uint256 unbondingId);

    /// @notice By anyone, to the account that unbonded, from `releaseAt` on. Never paused [GV-2].
    function withdraw(
        uint256 unbondingId
    ) external;

    /// @notice By anyone, in the markets phase: note how much alpha is outside the vault, which is what the minimum stake of the
    /// next epoch is measured against. The lowest sample of an epoch counts, so that alpha bought for a moment shuts nobody out.
    /// Staking and unstaking take a sample too; without one the last sample goes on.
    function sampleCirculation(
        Netuid netuid
    ) external;

    function stakeOf(
        Netuid netuid,
        address hotkey,
        address account
    ) external view returns (uint256);
    function bondOf(
        address hotkey,
        address account
    ) external view returns (uint256);
    function unbondingOf(
        uint256 unbondingId
    ) external view returns (Unbonding memory);

    /// @notice Number of unbondings so far; ids count from 1.
    function unbondingCount() external view returns (uint256);

    /// @notice The virtual stake given at birth, before it fades.
    function virtualStakeOf(
        Netuid netuid,
        address hotkey
    ) external view returns (uint256);

    /// @notice Alpha and TNDM behind a hotkey as of the epoch's start.
    function totalStakeAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);
    function totalBondAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice WAD: what one TNDM of bond weighs; falls in a straight line from start to floor after markets opened.
    function rootWeightAt(
        uint64 epoch
    ) external view returns (uint256);

    /// @notice WAD: what is left of virtual stake; whole until markets open, then falls in a straight line to zero.
    function virtualShareAt(
        uint64 epoch
    ) external view returns (uint256);

    /// @notice alpha stake + rootWeight · bond / (subnets of the hotkey) + virtual stake · virtualShare, each part rounded down, as
    /// of the epoch's start; zero if the hotkey had no uid in the subnet before it.
    function weightAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256);

    /// @notice `weightAt` of every present uid's hotkey; zero for those that registered at or after the epoch's start.
    function weightsAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256[] memory);

    /// @notice Three validators of distinct owners, registered before the epoch's start, each hold the minimum stake. Looks at uids
    /// in order until the third is found.
    function eligibleAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (bool);

    /// @notice The configured share, rounded up, of the alpha outside the vault as last sampled before the epoch's start; at least
    /// one wei, which is what it is before markets: any stake suffices then.
    function minimumStakeAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256);
    // constructor(Config config, Virtual[] meshValidators)
}
