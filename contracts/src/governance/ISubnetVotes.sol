// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { IVotesView } from "./IVotesView.sol";

/// @title Votes of one subnet's alpha
/// @notice What a SubnetGovernor counts: alpha delegated at the token and alpha staked in the subnet. Anyone may deploy one.
///
/// `getPastTotalSupply` is the alpha outside the vault (AlphaPools) as it was last sampled. Trading moves that figure and nobody
/// notes it in passing, because a checkpoint in each swap would cost more than the swap; so anyone notes it with `sample`, and a
/// SubnetGovernor does so with every proposal. A trade around a sample shifts the fraction of a quorum by no more than that
/// fraction of what was traded; a quorum's floor does not move.
interface ISubnetVotes is IVotesView {
    /// @notice The alpha outside the vault was noted, in wei.
    event SupplySampled(uint256 circulating);

    /// @notice The subnet has no alpha token (yet).
    error SubnetVotes_NoAlpha(Netuid netuid);

    /// @notice By anyone: note how much alpha is outside the vault now. Of several samples in one second the last counts.
    /// @return circulating In wei of alpha.
    function sample() external returns (uint256 circulating);

    /// @notice The subnet whose alpha votes.
    function netuid() external view returns (Netuid);

    // constructor(Netuid netuid, address pools, address staking)
}
