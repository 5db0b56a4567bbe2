// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title The law of emission [EM-1]: Σ emitted <= φ · Σ burned, at all times
/// @notice Holds the TNDM emission vault and settles epochs that have ended. Burning TNDM for a subnet raises its allowance
/// by φ of what was burned; an epoch's emission comes out of allowances only. Three sources burn: the auction (a subnet's part of a
/// lot), the registry (half of the subnet's own registration lock, once) and `sponsor`. Nothing else earns.
/// Amounts have 18 decimals and round down.
///
/// Promises:
/// - `[EM-1]` Nobody can be emitted what was not burned for before: φ is immutable and at most 0.95, only TNDM whose burning lowered
///   `totalSupply` counts, and TNDM leaves this contract by way of an allowance alone.
/// - `[EM-2]` `settle` grants the same whoever calls it, when, and in which batches.
/// - Emission is limited in speed too: `ceiling()` per epoch, halving with what was emitted of 10,500,000 TNDM.
/// - Nobody owns this contract; it has no pause and no parameter that anybody could change.
interface IEmissionController {
    /// @notice Of one subnet: what it may still be emitted, and lifetime sums. `burned` counts at once, `allowance` from the
    /// closing of the next epoch on. A pruned subnet's allowance is dropped: zero.
    struct Ledger {
        uint128 allowance;
        uint128 burned;
        uint128 emitted;
    }

    /// @notice What closing an epoch granted to a subnet.
    struct Grant {
        uint128 emitted; // TNDM into the pool's pending
        uint128 alphaOut; // alpha budget
        uint128 usdc; // USDC budget, from the pot; 2^64 − 1 stands for that and more
        bool eligible; // three validators held the minimum stake at the epoch's start
    }

    /// @param phi WAD, at most 0.95: the part of a burn that becomes allowance.
    /// @param smoothing Epochs over which an allowance is paid out at the fastest; above zero.
    /// @param fadePeriod Seconds; unspent allowance fades by epochLength / fadePeriod per epoch. At least an epoch.
    /// @param emissionPerDay TNDM ceiling, halving with what was emitted of 10.5 M. An epoch's part is below 2^80 wei.
    /// @param alphaPerDay Per subnet, halving with what was issued of 21 M; the same as in AlphaPools. An epoch's part is below 2^80
    /// wei.
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
        uint256 phi;
        uint256 smoothing;
        uint64 fadePeriod;
        uint256 emissionPerDay;
        uint256 alphaPerDay;
    }

    /// @notice `burned` TNDM were destroyed for the subnet in `epoch`. Source: 0 auction, 1 lock, 2 sponsor.
    event BurnCredited(Netuid indexed netuid, uint64 indexed epoch, uint256 burned, uint8 source);
    /// @notice The last visit of an epoch's closing: `emitted` of at most `ceiling` TNDM, all subnets together.
    event EpochSettled(uint64 indexed epoch, uint256 ceiling, uint256 emitted);
    /// @notice What the closing of `epoch` changed, for the subnets that one call of `settle` has paid, two words for each: all subnets of a network
    /// cost one event, and those for which nothing changed are left out.
    /// @param grants From the low end: 80 bits of TNDM emitted, 80 of alpha, 64 of USDC (2^64 − 1 stands for that and more), 16 of the netuid.
    /// @param states Beside each: 128 bits of the allowance that is left, 128 of the price, which is the EMA before this closing and zero for a
    /// subnet that took no part in emission.
    event Granted(uint64 indexed epoch, uint256[] grants, uint256[] states);

    /// @notice φ above 0.95, no smoothing, a fade that takes more than everything, or an epoch's part of 2^80 wei or more.
    error EmissionController_BadConfig();
    /// @notice Only the auction and the registry credit burns.
    error EmissionController_OnlyBurners(address caller);
    /// @notice A burn needs a subnet to count for.
    error EmissionController_UnknownSubnet(Netuid netuid);
    /// @notice Nobody should sponsor a subnet that is pruned: it would be emitted nothing.
    error EmissionController_PrunedSubnet(Netuid netuid);
    /// @notice More was to be credited than the supply of TNDM has lost: this burn did not happen.
    error EmissionController_NotDestroyed(uint256 credited, uint256 destroyed);
    /// @notice Grants are remembered of epochs from `oldest` to before `settledThrough`.
    error EmissionController_NoGrant(uint64 epoch, uint64 oldest, uint64 settledThrough);

    /// @notice Only the registry, which burned half of the subnet's registration lock. Counts from the next epoch on. Zero is
    /// ignored.
    /// @dev Reverts with `EmissionController_OnlyBurners`, `EmissionController_UnknownSubnet` (netuid 0) or
    /// `EmissionController_NotDestroyed`.
    function creditBurn(
        Netuid netuid,
        uint256 burned
    ) external;

    /// @notice Only the auction, which burned a lot's price: `burned[i]` of it for `netuids[i]`, as many of the one as of the other.
    /// Counts from the next epoch on, for a pruned subnet never. Zeros are ignored.
    /// @dev Reverts like `creditBurn`.
    function creditBurns(
        Netuid[] calldata netuids,
        uint256[] calldata burned
    ) external;

    /// @notice Burn the caller's TNDM (by allowance to this contract) for an existing subnet. By anyone.
    /// @dev Reverts with `EmissionController_UnknownSubnet` or `EmissionController_PrunedSubnet`.
    function sponsor(
        Netuid netuid,
        uint256 amount
    ) external;

    /// @notice Close ended epochs in order; makes at most `maxSubnets` visits to subnets (three per subnet in an epoch that emits,
    /// two otherwise; an epoch without subnets counts as one); goes on where the last call stopped. By anyone. The result never
    /// depends on who, when, or in which batches [EM-2]: it reads values as of the end of the epoch only. All epochs of one
    /// call share one transfer of TNDM.
    ///
    /// Closing e, for the subnets that are live in e:
    /// 1. *weigh*: fold burns of e−1 into allowances (φ·), fade `a −= a·L/fadePeriod`, close the pool's price of e;
    /// 2. *share*: `e_i = min(share_i·E, a_i/smoothing)`, share by the EMA before this closing over subnets that take part: allowance
    ///    above zero, eligible at e, pool older than e;
    /// 3. *pay*: the unused part of E to what is unmet of `a_i/smoothing`, pro rata; TNDM to the pool's pending, alpha budgets
    ///    `min(schedule, e_i / max(EMA, TWAP of e))`, and the USDC pot of e.
    /// If markets were not open at the epoch's start nothing fades and nothing is emitted; pots are closed in every phase.
    /// A call that finishes an epoch checkpoints the circulating supply.
    /// @return settledThrough first epoch that is not settled yet.
    function settle(
        uint256 maxSubnets
    ) external returns (uint64 settledThrough);

    /// @notice First epoch that is not settled yet: epochs below are final.
    function settledThrough() external view returns (uint64);

    /// @notice What `epoch` granted to the subnet, remembered for 256 epochs after; the event `Granted` says it for ever.
    /// @dev Reverts with `EmissionController_NoGrant` for an epoch that is not settled, or longer ago.
    function grantOf(
        uint64 epoch,
        Netuid netuid
    ) external view returns (Grant memory);

    /// @notice The subnet's account; zeros for one that nobody has burned for.
    function ledgerOf(
        Netuid netuid
    ) external view returns (Ledger memory);

    /// @notice TNDM that left the vault, ever.
    function totalEmitted() external view returns (uint256);

    /// @notice TNDM burned that earned allowance, ever.
    function totalBurned() external view returns (uint256);

    /// @notice TNDM emitted by epochs that ended in the running week or in the 52 before it.
    function emittedInYear() external view returns (uint256);

    /// @notice Circulating supply of TNDM as of the last finished epoch at or before `timepoint` (seconds since 1970); 0
    /// before the first. What quorums are measured against.
    function circulatingAt(
        uint256 timepoint
    ) external view returns (uint256);

    /// @notice WAD.
    function phi() external view returns (uint256);

    /// @notice Ceiling of one epoch at the present amount emitted.
    function ceiling() external view returns (uint256);

    // constructor(Config config)
}
