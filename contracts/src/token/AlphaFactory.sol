// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { alphaAddress, alphaSalt } from "./AlphaAddress.sol";
import { AlphaToken } from "./AlphaToken.sol";
import { IAlphaFactory } from "./IAlphaToken.sol";
import { Create3 } from "@openzeppelin/contracts/utils/Create3.sol";
import { Strings } from "@openzeppelin/contracts/utils/Strings.sol";

/// @title AlphaFactory
/// @notice Promises, units and errors are documented on IAlphaFactory (in IAlphaToken.sol).
contract AlphaFactory is IAlphaFactory {
    /// @notice The pools that this factory serves.
    address public immutable POOLS;
    /// @notice Pays budgets out of the vaults of the tokens.
    address public immutable DISTRIBUTOR;

    /// @param pools The only caller of `create`.
    /// @param distributor The only caller of the tokens' `release`.
    constructor(
        address pools,
        address distributor
    ) {
        POOLS = pools;
        DISTRIBUTOR = distributor;
    }

    /// @inheritdoc IAlphaFactory
    function create(
        Netuid netuid
    ) external returns (address token) {
        if (msg.sender != POOLS) revert AlphaFactory_OnlyPools(msg.sender);
        string memory number = Strings.toString(Netuid.unwrap(netuid));
        bytes memory arguments = abi.encode(
            netuid, string.concat("Tandem Alpha ", number), string.concat("a", number), msg.sender, DISTRIBUTOR
        );
        return Create3.deploy(0, alphaSalt(netuid), bytes.concat(type(AlphaToken).creationCode, arguments));
    }

    /// @inheritdoc IAlphaFactory
    function tokenOf(
        Netuid netuid
    ) external view returns (address token) {
        return alphaAddress(address(this), netuid);
    }
}
