// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../../src/types/Types.sol";

/// @notice A launch gate whose times the test sets.
contract GateTimes {
    uint64 public announcedAt;
    uint64 public tokenOpenedAt;
    uint64 public marketsOpenedAt;

    function announce() external {
        announcedAt = uint64(block.timestamp);
    }

    function openToken() external {
        tokenOpenedAt = uint64(block.timestamp);
    }

    function closeToken() external {
        tokenOpenedAt = 0;
    }

    function openMarkets() external {
        marketsOpenedAt = uint64(block.timestamp);
    }
}

/// @notice Credits whose snapshot the test writes.
contract SnapshotStand {
    mapping(address account => uint256) public snapshotOf;
    uint256 public snapshotTotal;

    function set(
        address account,
        uint256 credits
    ) external {
        snapshotTotal = snapshotTotal - snapshotOf[account] + credits;
        snapshotOf[account] = credits;
    }
}

/// @notice Staked votes that the test sets; they hold for all times.
contract StakedVotesStand {
    mapping(Netuid key => mapping(address account => uint256)) public getVotes;

    function set(
        Netuid key,
        address account,
        uint256 votes
    ) external {
        getVotes[key][account] = votes;
    }

    function getPastVotes(
        Netuid key,
        address account,
        uint256
    ) external view returns (uint256) {
        return getVotes[key][account];
    }
}

/// @notice A circulating supply that the test sets; it holds for all times.
contract CirculationStand {
    uint256 public supply;

    function set(
        uint256 circulating
    ) external {
        supply = circulating;
    }

    function circulatingAt(
        uint256
    ) external view returns (uint256) {
        return supply;
    }
}
