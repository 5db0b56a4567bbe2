// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Everybody } from "./Everybody.sol";

/// @notice The whole suite with open markets, under any sequence of acts by users, traders, stakers, keepers, founders and attackers.
contract NetworkInvariantTest is Everybody {
    uint256 private constant STEPS = 2000;

    function invariant_theNetworkKeepsItsPromisesWhateverIsDoneToIt() public view {
        lookAtSome();
    }

    function test_everyActDoesItsThingOnALongWalk() public {
        walk(selectors(), STEPS, 1);
        checkThatAllWereDone(selectors());
    }
}
