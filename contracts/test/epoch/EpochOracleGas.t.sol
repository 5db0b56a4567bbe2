// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { OracleWorld } from "../support/OracleWorld.sol";

/// @notice Whole transactions, calldata and the 21,000 included: each call of an isolated test is one. What is deployed goes through IR and
/// costs less than what is measured here without it.
contract EpochOracleGasTest is OracleWorld {
    uint64 private constant ROUND = 256;
    /// @dev Of 84,100 through IR.
    uint256 private constant LIMIT = 90_000;

    function setUp() public {
        buildOracle(7, 5);
    }

    /// @dev [EP-1] In the second round of the ring no slot is filled for the first time.
    /// forge-config: default.isolate = true
    function test_a_post_with_five_signatures_costs_at_most_85_000() public {
        endEpoch(1);
        activate(post(0));
        activate(post(1));
        endEpoch(ROUND);
        activate(post(ROUND));
        endEpoch(ROUND + 1);
        IEpochOracle.EpochReport memory r = reportFor(ROUND + 1);
        IEpochOracle.Signature[] memory signatures = quorum(r);
        oracle.post(r, signatures);
        vm.assertLe(vm.lastCallGas().gasTotalUsed, LIMIT);
    }
}
