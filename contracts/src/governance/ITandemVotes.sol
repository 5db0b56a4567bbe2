// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IVotesView } from "./IVotesView.sol";

/// @title Votes of TNDM
/// @notice What TandemGovernor counts: TNDM delegated at the token, TNDM bonded in Staking, and TNDM that GenesisAllocation and Airdrop
/// have promised and not paid. `getPastTotalSupply` is the circulating supply as the controller noted it when it last
/// finished an epoch; what vests is not in it, which is why the quorum has an absolute floor.
interface ITandemVotes is IVotesView {
    // constructor(address token, address staking, address controller, address[] vesting)
}
