// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { Create3 } from "@openzeppelin/contracts/utils/Create3.sol";

/// @dev Salt of a subnet's token at the factory.
function alphaSalt(
    Netuid netuid
) pure returns (bytes32) {
    return bytes32(uint256(Netuid.unwrap(netuid)));
}

/// @dev Where AlphaFactory puts the subnet's token, whether or not it did yet: who knows the factory has no slot to read for it.
function alphaAddress(
    address factory,
    Netuid netuid
) pure returns (address) {
    return Create3.computeAddress(alphaSalt(netuid), factory);
}
