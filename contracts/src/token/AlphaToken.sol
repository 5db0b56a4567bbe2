// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { IAlphaToken } from "./IAlphaToken.sol";
import { VotesToken } from "./VotesToken.sol";

/// @title AlphaToken
/// @notice Promises, units and errors are documented on IAlphaToken.
contract AlphaToken is IAlphaToken, VotesToken {
    Netuid private immutable NETUID;

    /// @param netuid_ The subnet of this token.
    /// @param name_ ERC-20 and EIP-712 name.
    /// @param symbol_ ERC-20 symbol.
    /// @param vault Receives the whole supply.
    constructor(
        Netuid netuid_,
        string memory name_,
        string memory symbol_,
        address vault
    ) VotesToken(name_, symbol_) {
        NETUID = netuid_;
        _mint(vault, SUPPLY);
    }

    /// @inheritdoc IAlphaToken
    function netuid() external view returns (Netuid) {
        return NETUID;
    }
}
