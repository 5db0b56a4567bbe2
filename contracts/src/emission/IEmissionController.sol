// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title The law of emission [EM-1]: Σ emitted <= φ · Σ burned, at all times
/// @notice Holds the TNDM emission vault and settles epochs that have ended. Burning TNDM for a subnet raises its allowance
/// by φ of what was burned; an epoch's emission comes out of allowances only. Amounts have 18 decimals and round down.
interface IEmissionController {
    /// @notice Of one subnet: what it may still be emitted, and lifetime sums. `burned` counts at once, `allowance` from the
    /// closing of the next epoch on.
    struct Ledger {
        uint128 allowance;
        uint128 burned;
        uint128 emitted;
    }

    /// @notice What closing `epoch` granted to a subnet; immutable once `settledThrough() > epoch`.
    struct Grant {
        uint128 emitted; // TNDM into the pool's pending
        uint128 alphaOut; // alpha budget
        uint128 usdc; // USDC budget, from the pot
        uint128 share; // WAD of its EMA over those of all subnets that took part
        uint128 price; // EMA used: as it stood before this closing; 0 without a pool older than the epoch
        bool eligible; // three validators held the minimum stake at the epoch's start
    }

    struct Config {
        address tndm;
        address pools;
        address distributor;
        address registry;
        address staking;
        address gate;
        address auction;
        uint64 genesis;
        uint64 epochLength;
        uint256 phi; // WAD, at most 0.95
        uint256 smoothing; // epochs over which an allowance is paid out at the fastest
        uint64 fadePeriod; // seconds; unspent allowance fades by epochLength / fadePeriod per epoch
        uint256 emissionPerDay; // TNDM ceiling, halving with what was emitted of 10.5 M
        uint256 alphaPerDay; // per subnet, halving with what was issued of 21 M; as in AlphaPools
    }

    event BurnCredited(Netuid indexed netuid, uint64 indexed epoch, uint256 burned, uint8 source); // 0 auction, 1 lock, 2 sponsor
    event EpochSettled(uint64 indexed epoch, uint256 ceiling, uint256 emitted);
    event Granted(
        uint64 indexed epoch,
        Netuid indexed netuid,
        uint256 emitted,
        uint256 alphaOut,
        uint256 usdc,
        uint256 allowanceLeft
    );

    /// @notice φ above 0.95, no smoothing, or a fade that takes more than everything.
    error EmissionController_BadConfig();
    /// @notice Only auction and registry credit burns.
    error EmissionController_OnlyBurners(address caller);
    error EmissionController_UnknownSubnet(Netuid netuid);
    /// @notice More was to be credited than the supply of TNDM has lost: this burn did not happen.
    error EmissionController_NotDestroyed(uint256 credited, uint256 destroyed);

    /// @notice Only auction (source 0) and registry (source 1), after the TNDM was burned by them. Counts from the next
    /// epoch on. Zero is ignored.
    function creditBurn(
        Netuid netuid,
        uint256 burned
    ) external;

    /// @notice Burn the caller's TNDM (by allowance to this contract) for an existing subnet. By anyone.
    function sponsor(
        Netuid netuid,
        uint256 amount
    ) external;

    /// @notice Close ended epochs in order; visits at most `maxSubnets` subnet steps (three per subnet and emission epoch, two
    /// otherwise); resumable. By anyone. The result never depends on who, when, or in which batches [EM-2]: it reads values as
    /// of the end of the epoch only.
    /// Closing e, for subnets registered in or before e:
    /// 1. fold burns of e−1 into allowances (φ·), fade `a −= a·L/fadePeriod`, close the pool's price of e;
    /// 2. `e_i = min(share_i·E, a_i/smoothing)`, share by the EMA before this closing over subnets that take part: allowance
    ///    above zero, eligible at e, pool older than e;
    /// 3. the unused part of E to what is unmet of `a_i/smoothing`, pro rata; TNDM to the pool's pending, alpha budgets
    ///    `min(schedule, e_i / max(EMA, TWAP of e))`, and the USDC pot of e.
    /// If markets were not open at the epoch's start nothing fades and nothing is emitted; pots are closed in every phase.
    /// @return settledThrough first epoch that is not settled yet.
    function settle(
        uint256 maxSubnets
    ) external returns (uint64 settledThrough);

    /// @notice First epoch that is not settled yet: epochs below are final.
    function settledThrough() external view returns (uint64);

    function grantOf(
        uint64 epoch,
        Netuid netuid
    ) external view returns (Grant memory);

    function ledgerOf(
        Netuid netuid
    ) external view returns (Ledger memory);

    function totalEmitted() external view returns (uint256);

    /// @notice TNDM burned that earned allowance.
    function totalBurned() external view returns (uint256);

    /// @notice TNDM burned for the subnet in `epoch`; it folds into the allowance when `epoch` + 1 is closed.
    function burnedIn(
        uint64 epoch,
        Netuid netuid
    ) external view returns (uint256);

    /// @notice WAD.
    function phi() external view returns (uint256);

    /// @notice Ceiling of one epoch at the present amount emitted.
    function ceiling() external view returns (uint256);

    // constructor(Config config)
}
