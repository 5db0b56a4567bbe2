// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { IAlphaToken } from "./IAlphaToken.sol";
import { VotesToken } from "./VotesToken.sol";
import { Votes } from "@openzeppelin/contracts/governance/utils/Votes.sol";

/// @title AlphaToken
/// @notice Promises, units and errors are documented on IAlphaToken.
contract AlphaToken is IAlphaToken, VotesToken {
    Netuid private immutable NETUID;
    /// @notice Holds what is not issued, and the pool's reserves.
    address public immutable VAULT;
    /// @notice Pays budgets out of the vault.
    address public immutable DISTRIBUTOR;

    /// @param netuid_ The subnet of this token.
    /// @param name_ ERC-20 and EIP-712 name.
    /// @param symbol_ ERC-20 symbol.
    /// @param vault Receives the whole supply.
    /// @param distributor The only caller of `release`.
    constructor(
        Netuid netuid_,
        string memory name_,
        string memory symbol_,
        address vault,
        address distributor
    ) VotesToken(name_, symbol_) {
        NETUID = netuid_;
        VAULT = vault;
        DISTRIBUTOR = distributor;
        _mint(vault, SUPPLY);
    }

    /// @inheritdoc IAlphaToken
    function release(
        address to,
        uint256 amount
    ) external returns (bool) {
        if (msg.sender != DISTRIBUTOR) revert AlphaToken_OnlyDistributor(msg.sender);
        _transfer(VAULT, to, amount);
        return true;
    }

    /// @inheritdoc IAlphaToken
    function netuid() external view returns (Netuid) {
        return NETUID;
    }

    /// @inheritdoc Votes
    /// @dev Every swap and claim moves alpha in or out of the vault: known by heart, its delegate costs them no slot.
    function delegates(
        address account
    ) public view override returns (address) {
        return account == VAULT ? address(0) : super.delegates(account);
    }

    function _delegate(
        address account,
        address delegatee
    ) internal override {
        if (account == VAULT) revert AlphaToken_VaultHasNoVotes();
        super._delegate(account, delegatee);
    }
}
