// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Votes of staked tokens, which follow the delegator and not the validator
/// @notice One ballot per netuid: the subnet's alpha, or TNDM bonds under 0. A position votes with what it was worth when it was
/// last touched (stake, unstake, `syncVotes`), so that after a slash it has too many votes until somebody calls `syncVotes`.
/// Unbonding tokens do not vote. Votes are checkpointed on the timestamp clock; wrappers give them the shape of ERC-5805.
interface IStakedVotes {
    event StakedVotesDelegated(
        Netuid indexed netuid, address indexed account, address indexed fromDelegate, address toDelegate
    );
    event StakedVotesChanged(Netuid indexed netuid, address indexed delegate, uint256 previous, uint256 votes);

    /// @dev Votes can be asked for the past alone; `clock` is the present second.
    error Staking_FutureLookup(uint256 timepoint, uint48 clock);

    /// @notice Let `to` vote with all that the caller has or will have staked under the netuid; zero lets nobody. From then on the
    /// token's own delegation no longer decides.
    function delegate(
        Netuid netuid,
        address to
    ) external;

    /// @notice By anyone: bring a position's votes to what it is worth now, and, unless the account has chosen a delegate here, its
    /// votes to whom the account has delegated in the token.
    function syncVotes(
        Netuid netuid,
        address hotkey,
        address account
    ) external;

    /// @notice Who votes with what the account has staked: whom it chose here, or whom it had chosen in the token when it last
    /// staked or was synced; zero if nobody.
    function delegateOf(
        Netuid netuid,
        address account
    ) external view returns (address);

    /// @notice Wei of tokens that the account has staked under the netuid and that vote, whoever votes with them.
    function votingUnitsOf(
        Netuid netuid,
        address account
    ) external view returns (uint256);

    /// @notice Votes that the account has now, in wei of tokens.
    function getVotes(
        Netuid netuid,
        address account
    ) external view returns (uint256);

    /// @notice Votes that the account had at the end of the past second `timepoint`.
    function getPastVotes(
        Netuid netuid,
        address account,
        uint256 timepoint
    ) external view returns (uint256);
}
