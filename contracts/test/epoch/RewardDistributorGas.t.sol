// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { Netuid, RewardKind } from "../../src/types/Types.sol";
import { closeBudget } from "../support/Closings.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";

/// @notice Whole transactions, calldata and the 21,000 included: each call of an isolated test is one. What is deployed goes through IR and
/// costs less than what is measured here without it.
contract RewardDistributorGasTest is EconomyWorld {
    uint256 private constant DEPTH = 20;
    /// @dev Of 80,846 through IR.
    uint256 private constant ALPHA_LIMIT = 85_000;
    /// @dev Of 79,132 through IR, of which the test USDC's lists and pause are 7,000.
    uint256 private constant USDC_LIMIT = 83_000;

    Netuid private one;
    address private alice = makeActor("alice");
    bytes32[] private siblings;

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        _openMarkets();
        for (uint256 level = 0; level < DEPTH; ++level) {
            siblings.push(keccak256(abi.encode("sibling", level)));
        }
    }

    /// @dev A tree of a million leaves in which only one is known.
    function _activate(
        uint64 epoch,
        IRewardDistributor.Claim memory c
    ) private {
        bytes32 inner = keccak256(abi.encode(c.index, c.kind, c.netuid, c.account, c.cumulative));
        bytes32 node = keccak256(bytes.concat(inner));
        for (uint256 level = 0; level < DEPTH; ++level) {
            bool isLeft = (c.index >> level) & 1 == 1;
            node = isLeft ? keccak256(abi.encode(node, siblings[level])) : keccak256(abi.encode(siblings[level], node));
        }
        vm.prank(oracle);
        distributor.activateRoot(epoch, node);
    }

    /// @dev The third claim of an account, in an epoch in which somebody has claimed of that kind already.
    function _measure(
        RewardKind kind,
        uint256 unit
    ) private returns (uint256) {
        for (uint64 e = 0; e < 60; ++e) {
            _toEpoch(e);
            _contribute(one, 1000e6);
            vm.prank(address(controller));
            closeBudget(distributor, e, one, true, 1000e18);
        }
        IRewardDistributor.Claim memory c =
            IRewardDistributor.Claim({ index: 0x5a5a5, kind: kind, netuid: one, account: alice, cumulative: 0 });
        bytes32[] memory proof = siblings;
        for (uint64 e = 0; e < 3; ++e) {
            c.cumulative += unit + 12_345;
            _activate(e, c);
            distributor.claim(c, proof);
        }
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.assertEq(distributor.paidTo(one, kind, alice), c.cumulative);
        return gas;
    }

    /// forge-config: default.isolate = true
    function test_anAlphaClaimOfTwentyLevels() public {
        vm.assertLe(_measure(RewardKind.ContributorAlpha, 7e18), ALPHA_LIMIT);
    }

    /// forge-config: default.isolate = true
    function test_aUsdcClaimOfTwentyLevels() public {
        vm.assertLe(_measure(RewardKind.ValidatorUsdc, 7e6), USDC_LIMIT);
    }
}
