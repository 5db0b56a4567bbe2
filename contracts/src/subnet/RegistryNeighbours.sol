// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

// What the registry asks of its neighbours.

interface IStoppable {
    function stop(
        Netuid netuid,
        uint64 fromEpoch
    ) external;
}

interface IActiveRoot {
    function activeSubnetsRoot() external view returns (bytes32 root, uint64 epoch);
}
