// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

// What the registry asks of its neighbours.

interface IRevenue {
    function revenueOf(
        Netuid netuid
    ) external view returns (uint256);
}

interface IStoppable {
    function stop(
        Netuid netuid,
        uint64 fromEpoch
    ) external;
}

interface IActiveRoot {
    function activeSubnetsRoot() external view returns (bytes32 root, uint64 epoch);
}

interface ISeatWatcher {
    function onSeatsChanged(
        Netuid netuid,
        address hotkey
    ) external;
}
