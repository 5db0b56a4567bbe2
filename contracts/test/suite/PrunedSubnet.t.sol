// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Netuid, RewardKind } from "../../src/types/Types.sol";
import { SuiteTest } from "../support/Suite.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice The end of a subnet that worked: with stakers, holders, unclaimed rewards, an allowance and money that comes too late.
contract PrunedSubnetTest is SuiteTest {
    uint256 private constant SPENT = 500e18;
    uint256 private constant SPONSORED = 1000e18;
    uint256 private constant LATE = 7e6;
    uint256 private constant STAKED = 500e18;

    address private hotkey;
    uint64 private lastEpoch;
    uint256 private tndmInPool;

    function maxSubnets() internal pure override returns (uint16) {
        return 3;
    }

    function setUp() public override {
        super.setUp();
        (, hotkey) = validator(0);
        runEpoch(SPENT);
        runEpoch(SPENT);
        runEpoch(0);
        openMarkets();
        vm.startPrank(ecosystem);
        tndm.approve(address(registry), type(uint256).max);
        tndm.approve(address(pools), type(uint256).max);
        tndm.approve(address(controller), type(uint256).max);
        controller.sponsor(TEXT, SPONSORED);
        pools.buy(TEXT, 500e18, 0, block.timestamp);
        // The other genesis subnet is dearer, so that among equals without revenue the first one goes.
        pools.buy(MEME, 3000e18, 0, block.timestamp);
        IERC20(alpha()).approve(address(staking), STAKED);
        IERC20(alpha()).approve(address(pools), type(uint256).max);
        staking.stake(TEXT, hotkey, STAKED);
        vm.stopPrank();
    }

    /// @dev [SN-1] [GV-2] Registered beyond the limit, the weakest lives until the epoch ends, is settled and paid like all others, stops, and
    /// gives everybody the same for each alpha: holders, stakers after unbonding, and those who had not claimed yet.
    function test_a_pruned_subnet_pays_everybody_what_is_theirs() public {
        prune();
        // Until the boundary it trades and may be redeemed by nobody.
        vm.prank(ecosystem);
        pools.buy(TEXT, 1e18, 0, block.timestamp);
        vm.expectPartialRevert(IAlphaPools.AlphaPools_NotSettled.selector);
        pools.windUp(TEXT);

        endEpoch();
        vm.prank(ecosystem);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_Stopped.selector, TEXT));
        pools.buy(TEXT, 1e18, 0, block.timestamp);
        IEmissionController.Grant memory grant = controller.grantOf(lastEpoch, TEXT);
        vm.assertGt(grant.emitted, 0, "its last epoch is granted");
        vm.assertEq(controller.ledgerOf(TEXT).allowance, 0, "what it had not spent is cancelled");

        windUp();
        redeemAll(ecosystem);
        claimAndRedeem();
        unstakeAndRedeem();
        // What rounding kept back is all that is left.
        vm.assertEq(circulating(), 0, "nobody holds alpha any more");
        assertAboutBudgets();
    }

    /// @dev [EP-4] Money that reaches a pot after its subnet's last epoch is not lost: it goes to the burn auction, for nobody.
    function test_money_that_comes_too_late_for_a_pruned_subnet_is_burned() public {
        prune();
        endEpoch();
        usdc.mint(address(this), LATE);
        usdc.approve(address(distributor), LATE);
        distributor.contribute(TEXT, LATE);
        uint256 accrued = auction.accruedOf(Netuid.wrap(0));
        vm.assertEq(distributor.sweepPruned(TEXT), LATE);
        vm.assertEq(auction.accruedOf(Netuid.wrap(0)) - accrued, LATE);
        vm.assertEq(distributor.sweepPruned(TEXT), 0, "once");
    }

    /// @dev [SN-1] Buying between the decision and the boundary, to redeem, loses money.
    function test_nobody_profits_from_knowing_who_will_be_pruned() public {
        prune();
        address trader = makeActor("trader");
        vm.prank(ecosystem);
        assert(tndm.transfer(trader, 300e18));
        vm.startPrank(trader);
        tndm.approve(address(pools), 300e18);
        pools.buy(TEXT, 300e18, 0, block.timestamp);
        IERC20(alpha()).approve(address(pools), type(uint256).max);
        vm.stopPrank();
        endEpoch();
        windUp();
        redeemAll(trader);
        vm.assertLt(tndm.balanceOf(trader), 300e18);
    }

    /// @dev Fills the network up, then registers one more.
    function prune() private {
        endEpoch();
        lastEpoch = endEpoch() + 1;
        vm.startPrank(ecosystem);
        registry.registerSubnet("third", type(uint256).max);
        vm.assertTrue(registry.nextVictim() == TEXT);
        Netuid successor = Netuid.wrap(4);
        vm.expectEmit(address(registry));
        emit ISubnetRegistry.SubnetPruned(TEXT, lastEpoch + 1, successor);
        vm.assertTrue(registry.registerSubnet("fourth", type(uint256).max) == successor);
        vm.stopPrank();
    }

    function windUp() private {
        IAlphaPools.Pool memory pool = pools.poolOf(TEXT);
        tndmInPool = pool.tndm;
        uint256 others = pools.circulatingAlpha(TEXT) + unclaimed();
        uint256 supply = tndm.totalSupply();
        uint256 burned = pools.windUp(TEXT);
        vm.assertEq(supply - tndm.totalSupply(), burned);
        IAlphaPools.Redemption memory r = pools.redemptionOf(TEXT);
        vm.assertEq(r.tndm, tndmInPool);
        vm.assertEq(r.supply, pool.alpha + others, "the pool's alpha, what circulates, and budgets");
        vm.assertEq(uint256(pools.poolOf(TEXT).tndm), tndmInPool * others / r.supply);
    }

    /// @dev Granted alpha that nobody has claimed.
    function unclaimed() private view returns (uint256 sum) {
        (sum,) = distributor.grantsOf(TEXT);
        for (uint8 kind = 0; kind <= uint8(RewardKind.ContributorAlpha); ++kind) {
            sum -= distributor.budgetOf(TEXT, RewardKind(kind)).claimed;
        }
    }

    function redeemAll(
        address holder
    ) private returns (uint256 paid) {
        uint256 held = IERC20(alpha()).balanceOf(holder);
        IAlphaPools.Redemption memory r = pools.redemptionOf(TEXT);
        vm.startPrank(holder);
        IERC20(alpha()).approve(address(pools), held);
        paid = pools.redeem(TEXT, held, holder);
        vm.stopPrank();
        vm.assertEq(paid, held * r.tndm / r.supply);
    }

    /// @dev The last epochs' rewards, claimed long after the pool is gone.
    function claimAndRedeem() private {
        for (uint64 epoch = lastEpoch - 1; epoch <= lastEpoch; ++epoch) {
            addRewardsOf(epoch, TEXT);
        }
        publish(lastEpoch);
        claimAll();
        vm.assertGt(IERC20(alpha()).balanceOf(first), 0);
        redeemAll(first);
        redeemAll(second);
        redeemAll(subnetOwner);
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address owner,) = validator(n);
            redeemAll(owner);
        }
    }

    function unstakeAndRedeem() private {
        vm.prank(ecosystem);
        uint256 id = staking.unstake(TEXT, hotkey, type(uint256).max);
        vm.warp(block.timestamp + UNBONDING);
        staking.withdraw(id);
        vm.assertEq(IERC20(alpha()).balanceOf(ecosystem), STAKED);
        redeemAll(ecosystem);
    }

    /// @dev What the reports did not promise to anybody stays redeemable for whoever they will name; no more than that stays.
    function assertAboutBudgets() private view {
        IAlphaPools.Redemption memory r = pools.redemptionOf(TEXT);
        uint256 left = pools.poolOf(TEXT).tndm;
        uint256 owed = unclaimed() * r.tndm / r.supply;
        vm.assertGe(left, owed);
        vm.assertLe(left - owed, 16, "a unit for each redemption at most");
    }

    function circulating() private view returns (uint256) {
        return pools.circulatingAlpha(TEXT);
    }

    function alpha() private view returns (address) {
        return pools.alphaOf(TEXT);
    }
}
