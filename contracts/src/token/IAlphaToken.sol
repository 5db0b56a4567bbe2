// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title The token of one subnet: ERC-20, permit, votes (timestamp clock), burnable; 21,000,000 minted once into the vault (AlphaPools).
interface IAlphaToken {
    function netuid() external view returns (Netuid);
    // constructor(Netuid netuid, string name, string symbol, address vault)
}

/// @title Creates alpha tokens for AlphaPools alone (kept apart for bytecode size).
interface IAlphaFactory {
    /// @notice Only AlphaPools. Name "Tandem Alpha <n>", symbol "a<n>"; supply goes to the caller.
    function create(Netuid netuid) external returns (address token);
    // constructor(address pools)
}
