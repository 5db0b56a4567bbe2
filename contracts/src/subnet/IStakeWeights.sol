// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title What the stake behind a validator weighs in an epoch, and whether a subnet has validators enough to be granted anything
/// @notice All values are as of an epoch's start and never change once it has begun [SN-2].
interface IStakeWeights {
    event VirtualStakeGiven(Netuid indexed netuid, address indexed hotkey, uint256 weight);
    event CirculationSampled(Netuid indexed netuid, uint64 indexed forEpoch, uint256 circulating);
    /// @notice Until the circulation passes `circulationLimit`, a member's stake falls by half or its uid goes, and for 256 epochs
    /// from `fromEpoch` at most, these three make the subnet eligible without another look.
    event TrioFound(Netuid indexed netuid, uint64 indexed fromEpoch, address[3] hotkeys, uint256 circulationLimit);

    /// @dev The three do not have distinct owners and uids, or would not suffice if half of their stake left.
    error Staking_NoTrio(Netuid netuid);
    error Staking_OnlyRegistry(address caller);

    /// @notice By anyone, in the markets phase: note how much alpha is outside the vault, which is what the minimum stake of the
    /// next epoch is measured against. The lowest sample of an epoch counts, so that alpha bought for a moment shuts nobody out;
    /// a sample within 1/64 of the one that stands is not noted. Staking takes one too; without one the last sample goes on.
    function sampleCirculation(
        Netuid netuid
    ) external;

    /// @notice The answers of `eligibleAt`, remembered where they can be: by anyone, in practice by the settlement of an epoch.
    function checkEligible(
        uint16[] calldata netuids,
        uint64 epoch
    ) external returns (bool[] memory);

    /// @notice By anyone: name three hotkeys of distinct owners, with uids in the subnet, whose stake suffices with room to spare, so that
    /// `checkEligible` need not look for them. Does nothing while another trio stands; never changes an answer.
    function nameTrio(
        Netuid netuid,
        address[3] calldata hotkeys
    ) external;

    /// @notice Only the registry: the hotkey has lost its uid in the subnet, or has got one there beside others elsewhere; all have lost
    /// theirs if it is zero.
    function onSeatsChanged(
        Netuid netuid,
        address hotkey
    ) external;

    /// @notice The virtual stake given at birth, before it fades.
    function virtualStakeOf(
        Netuid netuid,
        address hotkey
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

    /// @notice The three parts of `weightAt`, by which a validator's dividends are split: alpha stakers get `alpha / weight` of what
    /// the take leaves, bonders `bond / weight`, the owner the rest.
    function weightPartsAt(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) external view returns (uint256 alpha, uint256 bonded, uint256 virtualStake);

    /// @notice `weightAt` of every uid's hotkey, as of the epoch; zero for those that registered at or after its start.
    function weightsAt(
        Netuid netuid,
        uint64 epoch
    ) external view returns (uint256[] memory);

    /// @notice Three validators of distinct owners, registered before the epoch's start, each hold the minimum stake. Looks at uids
    /// in order until the third is found. Permits are not ranked for this: the answer differs from "three of the permitted ones"
    /// only where more validators than there are permits hold the minimum and the largest of them all belong to two owners.
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
}
