// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IERC5805 } from "@openzeppelin/contracts/interfaces/IERC5805.sol";

/// @title Votes as a governor counts them, wherever their tokens lie
/// @notice A read-only ERC-5805 view on the timestamp clock: the sum of the votes at the token, at Staking, and in vesting contracts. It
/// holds nothing and moves nothing. `token()` of a governor names this contract, so wallets and explorers read votes here;
/// votes are delegated at their sources.
///
/// Promises:
/// - The votes of an account at a past second never change again, and no token counts twice: what is staked, bonded or unvested is not
///   in its account's balance.
/// - Votes of a flash loan count nowhere: they are gone at the end of the second in which they came.
interface IVotesView is IERC5805 {
    /// @notice Votes cannot be delegated here: call `delegate` at `token` (and at any other of `sources()`).
    error VotesView_DelegateAtSource(address token);
    /// @notice Votes of this second or a later one were asked for, which may still change.
    error ERC5805FutureLookup(uint256 timepoint, uint48 clock);

    /// @notice Where votes are delegated: first the token, then Staking, then vesting contracts.
    function sources() external view returns (address[] memory);

    /// @notice Always reverts with `VotesView_DelegateAtSource`.
    function delegate(
        address delegatee
    ) external;

    /// @notice Always reverts with `VotesView_DelegateAtSource`.
    function delegateBySig(
        address delegatee,
        uint256 nonce,
        uint256 expiry,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice For wallets and explorers that show a governor's token.
    function name() external view returns (string memory);

    /// @notice As `name`.
    function symbol() external view returns (string memory);

    /// @notice As `name`: votes have the token's 18 decimals.
    function decimals() external view returns (uint8);
}
