// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { Netuid, RewardKind, WAD } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";

/// @notice Revenue to alpha in somebody's wallet, through auction, allowance, settlement and claim.
contract EconomyFlowTest is EconomyWorld {
    Netuid internal one;
    Netuid internal two;
    address internal contributor = makeActor("contributor");

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        two = _addSubnet();
        _openMarkets();
    }

    function test_revenueBecomesBurnsBecomesEmissionBecomesPay() public {
        _fund(one, 900e6);
        _fund(two, 100e6);
        vm.warp(block.timestamp + 7 days);
        uint256 id = auction.startLot();
        vm.prank(treasury);
        uint256 burned = auction.take(id, type(uint256).max, block.timestamp);
        vm.assertEq(burned, 20_000e18);
        uint64 epoch = pools.currentEpoch();
        vm.assertEq(controller.ledgerOf(one).burned, 18_000e18);

        _toEpoch(epoch + 2);
        _settleAll();
        IEmissionController.Grant memory mine = controller.grantOf(epoch + 1, one);
        IEmissionController.Grant memory other = controller.grantOf(epoch + 1, two);
        vm.assertApproxEqAbs(uint256(mine.emitted) + other.emitted, 150e18, 2);
        vm.assertEq(pools.poolOf(one).pending, mine.emitted);

        IRewardDistributor.Claim memory c = IRewardDistributor.Claim({
            index: 0,
            kind: RewardKind.ContributorAlpha,
            netuid: one,
            account: contributor,
            cumulative: type(uint128).max
        });
        bytes32 leaf = keccak256(
            bytes.concat(keccak256(abi.encode(c.index, uint8(c.kind), Netuid.unwrap(one), contributor, c.cumulative)))
        );
        vm.prank(oracle);
        distributor.activateRoot(epoch + 1, leaf);
        uint256 paid = distributor.claim(c, new bytes32[](0));
        vm.assertEq(
            paid, uint256(mine.alphaOut) - uint256(mine.alphaOut) * 18 / 100 - uint256(mine.alphaOut) * 41 / 100
        );
        vm.assertEq(AlphaToken(pools.alphaOf(one)).balanceOf(contributor), paid);
        vm.assertEq(distributor.claim(c, new bytes32[](0)), 0, "the root says more than the budget holds");
    }

    /// @dev [EM-1]: who burns for a subnet that is all theirs gets at most φ back, and only ever in alpha.
    function testFuzz_dealingWithOneselfLosesAtLeastWhatPhiKeeps(
        uint256 amount
    ) public {
        amount = bound(amount, 1e18, 100_000e18);
        _sponsor(one, amount);
        _toEpoch(60);
        _settleAll();
        uint256 alpha;
        for (uint64 e = 0; e < 60; ++e) {
            alpha += controller.grantOf(e, one).alphaOut;
        }
        // Nobody trades: the price stays where it began.
        uint256 worth = alpha * PRICE / WAD;
        vm.assertLe(worth, amount * PHI / WAD);
        vm.assertLe(controller.totalEmitted(), amount * PHI / WAD);
        vm.assertEq(pools.poolOf(one).issued, SEED * WAD / PRICE + alpha);
    }
}
