// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { AlphaToken } from "./AlphaToken.sol";
import { IAlphaFactory } from "./IAlphaToken.sol";
import { Strings } from "@openzeppelin/contracts/utils/Strings.sol";

/// @title AlphaFactory
/// @notice Promises, units and errors are documented on IAlphaFactory (in IAlphaToken.sol).
contract AlphaFactory is IAlphaFactory {
    /// @notice The pools that this factory serves.
    address public immutable POOLS;

    /// @param pools The only caller of `create`.
    constructor(
        address pools
    ) {
        POOLS = pools;
    }

    /// @inheritdoc IAlphaFactory
    function create(
        Netuid netuid
    ) external returns (address token) {
        if (msg.sender != POOLS) revert AlphaFactory_OnlyPools(msg.sender);
        string memory number = Strings.toString(Netuid.unwrap(netuid));
        token = address(
            new AlphaToken(netuid, string.concat("Tandem Alpha ", number), string.concat("a", number), msg.sender)
        );
    }
}
