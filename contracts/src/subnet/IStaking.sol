// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { IDelegation } from "./IDelegation.sol";
import { IStakeWeights } from "./IStakeWeights.sol";
import { IStakedVotes } from "./IStakedVotes.sol";

/// @title Stake behind validators, who are named by their hotkey: alpha per subnet, TNDM bond for all, and the mesh phase's
/// virtual stake.
/// @notice Three parts: delegation (who put in what, and how it leaves), votes of what is staked, and weights (what the stake of
/// a validator counts in an epoch). Calls can be batched with `multicall(bytes[])`.
interface IStaking is IDelegation, IStakedVotes, IStakeWeights {
    /// @notice Stake without tokens that a mesh validator holds in a genesis subnet; no votes, no shares.
    struct Virtual {
        Netuid netuid;
        address hotkey;
        uint128 weight;
    }

    /// @notice Periods in seconds; shares and root weights in WAD; takes in fractions of 65,535. `rootWeightGlide` is how long the
    /// root weight takes from start to floor, counted from the opening of markets. `minimumDelegation` is in wei of alpha or
    /// TNDM. `takeStep` is the most that a take may rise by at once, `takePeriod` the time between two rises.
    struct Config {
        address tndm;
        address pools;
        address registry;
        address gate;
        address slashing;
        uint64 genesis;
        uint64 epochLength;
        uint64 unbondingPeriod;
        uint64 virtualFade;
        uint256 minimumStakeShare;
        uint256 minimumDelegation;
        uint256 rootWeightStart;
        uint256 rootWeightFloor;
        uint64 rootWeightGlide;
        uint16 takeDefault;
        uint16 takeBound;
        uint16 takeStep;
        uint64 takePeriod;
    }

    error Staking_BadConfig();
    error Staking_DuplicateVirtual(Netuid netuid, address hotkey);

    // constructor(Config config, Virtual[] meshValidators)
}
