// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title The law of emission [EM-1]: Σ emitted <= φ · Σ burned, at all times. Holds the TNDM emission vault. Settles epochs that have ended.
interface IEmissionController {
    struct Ledger { uint128 allowance; uint128 burned; uint128 emitted; }
    /// @notice What closing `epoch` granted to a subnet; immutable once `settledThrough() > epoch`.
    struct Grant { uint128 emitted; uint128 alphaOut; uint128 usdc; uint128 share; /* WAD of e over ceiling shares */ uint128 price; /* EMA used */ bool eligible; }

    event BurnCredited(Netuid indexed netuid, uint64 indexed epoch, uint256 burned, uint8 source); // 0 auction, 1 lock, 2 sponsor
    event EpochSettled(uint64 indexed epoch, uint256 ceiling, uint256 emitted);
    event Granted(uint64 indexed epoch, Netuid indexed netuid, uint256 emitted, uint256 alphaOut, uint256 usdc, uint256 allowanceLeft);

    /// @notice Only auction (source 0) and registry (source 1), after the TNDM was burned by them. Counts from the next epoch on.
    function creditBurn(Netuid netuid, uint256 burned) external;
    /// @notice Burn the caller's TNDM for a subnet.
    function sponsor(Netuid netuid, uint256 amount) external;
    /// @notice By anyone: close ended epochs in order; visits at most `maxSubnets` subnet steps; resumable; the result never depends on who, when, or in which batches [EM-2].
    /// Closing e: pots of e (distributor.closeEpoch); if markets were open at startOf(e): fold burns of e−1 into allowances (φ·), fade, two passes over eligible subnets, addPending, alphaOut budgets.
    function settle(uint256 maxSubnets) external returns (uint64 settledThrough);
    /// @notice First epoch that is not settled yet: epochs below are final.
    function settledThrough() external view returns (uint64);
    function grantOf(uint64 epoch, Netuid netuid) external view returns (Grant memory);
    function ledgerOf(Netuid netuid) external view returns (Ledger memory);
    function totalEmitted() external view returns (uint256);
    function totalBurned() external view returns (uint256); // that earned allowance
    function phi() external view returns (uint256); // WAD
    /// @notice Ceiling of one epoch at the present amount emitted.
    function ceiling() external view returns (uint256);

    struct Config { address tndm; address pools; address distributor; address registry; address staking; address gate; address auction;
        uint64 genesis; uint64 epochLength; uint256 phi; uint256 smoothing; uint64 fadePeriod; uint256 emissionPerDay; uint256 alphaPerDay; }
    // constructor(Config config)
}
