// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

// What the registry asks of its neighbours.

interface IActiveRoot {
    function activeSubnetsRoot() external view returns (bytes32 root, uint64 epoch);
}
