// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title The token of one subnet
/// @notice ERC-20 with 18 decimals, ERC-2612 permit under an EIP-712 name of its own, ERC-5805 votes on the timestamp clock,
/// burnable by its holders. 21,000,000 are minted once, into the vault (AlphaPools); there is no mint function `[AC-2]`.
interface IAlphaToken {
    /// @notice Alpha in the vault has no votes, and the vault never names a delegate.
    error AlphaToken_VaultHasNoVotes();
    /// @notice Only the RewardDistributor pays budgets out of the vault.
    error AlphaToken_OnlyDistributor(address caller);

    /// @notice Only the RewardDistributor: pays a claimed budget out of the vault. For ever, after the pool was wound up too. It has no
    /// other way to the vault than this one, and answers for [EP-3]; what it pays is counted as issued since it was granted.
    /// @return always true, as ERC-20 transfers say it.
    function release(
        address to,
        uint256 amount
    ) external returns (bool);

    /// @notice The subnet that this token belongs to, for ever.
    function netuid() external view returns (Netuid);

    // constructor(Netuid netuid, string name, string symbol, address vault, address distributor)
}

/// @title Creates alpha tokens for AlphaPools alone
/// @notice Kept apart from the pools because a token's creation code would fill their bytecode.
interface IAlphaFactory {
    /// @notice Only the pools create tokens.
    error AlphaFactory_OnlyPools(address caller);

    /// @notice Only AlphaPools: create the token of subnet n, named "Tandem Alpha <n>" with symbol "a<n>"; the whole supply
    /// goes to the caller. A second one for the same subnet fails.
    function create(
        Netuid netuid
    ) external returns (address token);

    /// @notice Where the token of subnet n is, or will be: the address of CREATE3 from this contract with n as salt, so that who knows
    /// this factory needs no look-up.
    function tokenOf(
        Netuid netuid
    ) external view returns (address token);

    // constructor(address pools, address distributor)
}
