// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EmissionController } from "../../src/emission/EmissionController.sol";
import { EMISSION_CAP, MAX_SUPPLY, halvedPerEpochDown } from "../../src/emission/Halving.sol";
import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { Netuid, RewardKind, WAD } from "../../src/types/Types.sol";
import { EconomyWorld, RegistryStandIn } from "../support/EconomyWorld.sol";

contract EmissionControllerTest is EconomyWorld {
    uint256 internal constant CEILING = 150e18; // 3,600 a day, epochs of an hour
    /// @dev What a 180 days' fade leaves of an allowance in an hour.
    uint256 internal constant FADE_STEPS = 180 * 24;

    Netuid internal one;
    Netuid internal two;
    Netuid internal three;

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        two = _addSubnet();
        three = _addSubnet();
    }

    function test_halvingsFollowWhatWasMoved() public pure {
        vm.assertEq(halvedPerEpochDown(3600e18, 1 hours, EMISSION_CAP, 0), 150e18);
        vm.assertEq(halvedPerEpochDown(3600e18, 1 hours, EMISSION_CAP, 5_250_000e18 - 1), 150e18);
        vm.assertEq(halvedPerEpochDown(3600e18, 1 hours, EMISSION_CAP, 5_250_000e18), 75e18);
        vm.assertEq(halvedPerEpochDown(3600e18, 1 hours, EMISSION_CAP, 7_875_000e18), 37.5e18);
        vm.assertEq(halvedPerEpochDown(3600e18, 1 hours, EMISSION_CAP, EMISSION_CAP), 0);
        vm.assertEq(halvedPerEpochDown(3600e18, 1 hours, EMISSION_CAP, EMISSION_CAP - 1), 0);
    }

    function testFuzz_halvingNeverPassesTheCap(
        uint256 moved,
        uint256 perDay,
        uint256 length
    ) public pure {
        moved = bound(moved, 0, 2 * MAX_SUPPLY);
        uint256 amount = halvedPerEpochDown(bound(perDay, 0, MAX_SUPPLY), bound(length, 1, 30 days), MAX_SUPPLY, moved);
        vm.assertLe(amount, moved >= MAX_SUPPLY ? 0 : MAX_SUPPLY - moved);
    }

    function test_burnsCountFromTheNextEpochOn() public {
        _openMarkets();
        _toEpoch(1);
        _sponsor(one, 1000e18);
        vm.assertEq(controller.ledgerOf(one).burned, 1000e18);
        _toEpoch(2);
        _settleAll();
        vm.assertEq(controller.ledgerOf(one).allowance, 0, "burned in 1: not before the closing of 2");
        vm.assertEq(controller.totalEmitted(), 0);
        _toEpoch(3);
        _settleAll();
        uint256 allowance = 900e18 - uint256(900e18) / FADE_STEPS;
        vm.assertEq(controller.grantOf(2, one).emitted, allowance / SMOOTHING);
        vm.assertEq(controller.ledgerOf(one).allowance, allowance - allowance / SMOOTHING);
        vm.assertEq(pools.poolOf(one).pending, allowance / SMOOTHING);
        vm.assertEq(tndm.balanceOf(address(controller)), VAULT - allowance / SMOOTHING);
    }

    /// @dev share_i·E or a_i/s, then what is unused to what is unmet.
    function test_theCeilingIsSharedByPriceAndItsRestByNeed() public {
        gate.open();
        _createPool(one, SEED, 0.06e18);
        _createPool(two, SEED, 0.03e18);
        _createPool(three, SEED, 0.01e18);
        _toEpoch(1);
        _sponsor(one, 100e18); // 9 TNDM an epoch: far less than its 90
        _sponsor(two, 100_000e18);
        _sponsor(three, 50_000e18);
        _toEpoch(3);
        _settleAll();
        uint256 first = _smoothed(100e18);
        uint256 unused = CEILING - first - CEILING * 3 / 10 - CEILING / 10;
        uint256 unmetTwo = _smoothed(100_000e18) - CEILING * 3 / 10;
        uint256 unmetThree = _smoothed(50_000e18) - CEILING / 10;
        uint256 topUp = unused * unmetTwo / (unmetTwo + unmetThree);
        vm.assertEq(controller.grantOf(2, one).emitted, first);
        vm.assertEq(controller.grantOf(2, two).emitted, CEILING * 3 / 10 + topUp);
        vm.assertEq(controller.grantOf(2, three).emitted, CEILING / 10 + unused * unmetThree / (unmetTwo + unmetThree));
        vm.assertLe(controller.totalEmitted(), CEILING);
        vm.assertApproxEqAbs(controller.totalEmitted(), CEILING, 2);
    }

    /// @dev [EM-3]: alpha worth what was earned, never more, and never above the schedule.
    function test_alphaBudgetsAreWorthWhatWasEmitted() public {
        gate.open();
        _createPool(one, SEED, 0.05e18);
        _createPool(two, SEED, 2e18);
        _createPool(three, SEED, PRICE);
        _toEpoch(1);
        _sponsor(one, 100_000e18);
        _sponsor(two, 100e18);
        _toEpoch(3);
        _settleAll();
        IEmissionController.Grant memory grant = controller.grantOf(2, two);
        vm.assertEq(grant.alphaOut, uint256(grant.emitted) / 2);
        vm.assertEq(controller.grantOf(2, one).alphaOut, 150e18, "141 TNDM would be worth 2,820 alpha");
        vm.assertEq(distributor.budgetOf(one, RewardKind.OwnerAlpha).granted, 27e18);
        vm.assertEq(distributor.budgetOf(one, RewardKind.ValidatorAlpha).granted, 61.5e18);
        vm.assertEq(distributor.budgetOf(one, RewardKind.ContributorAlpha).granted, 61.5e18);
        vm.assertEq(pools.poolOf(one).issued, 100_000e18 + 150e18);
    }

    /// @dev A pump in the epoch itself makes alpha dearer, a dump does not make it cheaper [AM-3].
    function test_theDearerOfEmaAndTwapPricesABudget() public {
        gate.open();
        _createPool(one, SEED, 1e18);
        _createPool(two, SEED, PRICE);
        _createPool(three, SEED, PRICE);
        _toEpoch(1);
        _sponsor(one, 500e18);
        _toEpoch(2);
        _buy(one, 5000e18);
        _toEpoch(3);
        _settleAll();
        IEmissionController.Grant memory grant = controller.grantOf(2, one);
        uint256 twap = pools.lastTwapOf(one);
        vm.assertGt(twap, 3e18);
        vm.assertEq(grant.alphaOut, uint256(grant.emitted) * WAD / twap);
    }

    function test_beforeMarketsNothingIsEmittedAndBurnsWait() public {
        _sponsor(one, 1000e18);
        _contribute(one, 100e6);
        _toEpoch(4);
        _settleAll();
        vm.assertEq(controller.totalEmitted(), 0);
        vm.assertEq(controller.ledgerOf(one).allowance, 900e18, "waits, does not fade");
        vm.assertEq(
            distributor.budgetOf(one, RewardKind.ContributorUsdc).granted, 39e6, "pots are closed in every phase"
        );
        vm.warp(block.timestamp + 1);
        _openMarkets();
        _toEpoch(5);
        _settleAll();
        vm.assertEq(controller.totalEmitted(), 0, "markets opened within epoch 4");
        _toEpoch(6);
        _settleAll();
        vm.assertEq(controller.grantOf(5, one).emitted, (900e18 - uint256(900e18) / FADE_STEPS) / SMOOTHING);
    }

    function test_whoIsNotEligibleWaitsAndLosesNothing() public {
        staking.setEligibleFrom(one, 4);
        _openMarkets();
        _sponsor(one, 1000e18);
        _contribute(one, 100e6);
        _toEpoch(4);
        _settleAll();
        vm.assertEq(controller.ledgerOf(one).emitted, 0);
        vm.assertGt(controller.ledgerOf(one).allowance, 899e18);
        vm.assertEq(distributor.potOf(3, one), 100e6);
        _toEpoch(5);
        _settleAll();
        vm.assertGt(controller.ledgerOf(one).emitted, 0);
        vm.assertEq(controller.grantOf(4, one).usdc, 100e6);
    }

    function test_subnetsOfTheEpochItselfTakeNoPart() public {
        _openMarkets();
        _toEpoch(5);
        Netuid late = _addSubnet();
        _sponsor(late, 1000e18);
        staking.setEligibleFrom(late, 0);
        _toEpoch(6);
        _settleAll();
        vm.assertEq(controller.grantOf(5, late).emitted, 0);
        vm.assertEq(pools.nextEpochOf(late), 6, "its first, partial epoch is averaged");
        _toEpoch(7);
        _settleAll();
        vm.assertGt(controller.grantOf(6, late).emitted, 0);
    }

    function test_aSubnetRegisteredWhileSettlementLagsIsNotSeenByEarlierEpochs() public {
        _openMarkets();
        _toEpoch(8);
        Netuid late = _addSubnet();
        controller.settle(3 * 2);
        vm.assertEq(controller.settledThrough(), 1);
        _settleAll();
        vm.assertEq(pools.nextEpochOf(late), 8);
        _toEpoch(9);
        _settleAll();
        vm.assertEq(pools.nextEpochOf(late), 9);
    }

    function test_aLongGapIsClosedByManySmallCalls() public {
        _openMarkets();
        _sponsor(one, 1000e18);
        _toEpoch(400);
        uint256 calls = 0;
        while (controller.settledThrough() < 400) {
            uint256 gas = gasleft();
            controller.settle(10);
            vm.assertLt(gas - gasleft(), 8_000_000, "bounded by its budget");
            ++calls;
        }
        vm.assertGt(calls, 200);
    }

    /// @dev An allowance that nothing is emitted from shrinks by L of 180 days an epoch.
    function test_unspentAllowanceFades() public {
        staking.setEligibleFrom(one, 1000);
        _openMarkets();
        _sponsor(one, 1000e18);
        uint256 expected = 900e18;
        for (uint64 e = 1; e < 30; ++e) {
            _toEpoch(e + 1);
            _settleAll();
            expected -= expected / FADE_STEPS;
            vm.assertEq(controller.ledgerOf(one).allowance, expected);
        }
        vm.assertEq(controller.totalEmitted(), 0);
    }

    /// @dev Half of a lock counts in its own subnet, like any burn, and the registry is the only one to say so.
    function test_aLocksBurnBecomesAllowanceOnce() public {
        _openMarkets();
        vm.prank(trader);
        tndm.burn(1000e18);
        vm.prank(address(registry));
        controller.creditBurn(one, 1000e18);
        vm.assertEq(controller.ledgerOf(one).burned, 1000e18);
        _toEpoch(3);
        _settleAll();
        uint256 emitted = controller.ledgerOf(one).emitted;
        vm.assertEq(controller.ledgerOf(one).allowance + emitted, 900e18 - _fadedOver(900e18, emitted));
        vm.expectRevert(
            abi.encodeWithSelector(IEmissionController.EmissionController_NotDestroyed.selector, 1000e18 + 1, 1000e18)
        );
        vm.prank(address(registry));
        controller.creditBurn(one, 1);
    }

    /// @dev [SN-1] A pruned subnet's last epoch is granted; after it its allowance is no more.
    function test_aPrunedSubnetsAllowanceIsDropped() public {
        _openMarkets();
        _sponsor(one, 1000e18);
        _sponsor(two, 1000e18);
        _toEpoch(2);
        registry.prune(one, 3);
        _settleAll();
        vm.expectRevert(abi.encodeWithSelector(IEmissionController.EmissionController_PrunedSubnet.selector, one));
        _sponsor(one, 1e18);
        _toEpoch(3);
        vm.assertGt(controller.ledgerOf(one).allowance, 0, "alive in epoch 2, which is not settled");
        _settleAll();
        vm.assertGt(controller.grantOf(2, one).emitted, 0);
        vm.assertEq(controller.ledgerOf(one).allowance, 0);
        uint256 emitted = controller.ledgerOf(one).emitted;
        // Its part of a lot still sells: burned, never emitted.
        vm.prank(trader);
        tndm.burn(10e18);
        Netuid[] memory netuids = new Netuid[](1);
        uint256[] memory burned = new uint256[](1);
        (netuids[0], burned[0]) = (one, 10e18);
        vm.prank(address(auction));
        controller.creditBurns(netuids, burned);
        _toEpoch(8);
        _settleAll();
        vm.assertEq(controller.ledgerOf(one).emitted, emitted);
        vm.assertEq(controller.ledgerOf(one).allowance, 0);
        vm.assertEq(controller.grantOf(3, one).emitted, 0);
        vm.assertGt(controller.ledgerOf(two).emitted, emitted);
    }

    function test_grantsAreRememberedFor256Epochs() public {
        _openMarkets();
        _sponsor(one, 1000e18);
        _toEpoch(2);
        _settleAll();
        uint256 emitted = controller.grantOf(1, one).emitted;
        vm.assertGt(emitted, 0);
        // From here on nobody is eligible, so nothing overwrites what is remembered.
        staking.setEligibleFrom(one, 100_000);
        _toEpoch(257);
        _settleAll();
        vm.assertEq(controller.grantOf(1, one).emitted, emitted);
        vm.assertEq(controller.grantOf(256, one).emitted, 0);
        _toEpoch(258);
        _settleAll();
        vm.expectRevert(
            abi.encodeWithSelector(IEmissionController.EmissionController_NoGrant.selector, uint64(1), 2, 258)
        );
        controller.grantOf(1, one);
        vm.assertEq(controller.grantOf(257, one).emitted, 0, "not that of epoch 1, which has the same place");
        vm.expectRevert(
            abi.encodeWithSelector(IEmissionController.EmissionController_NoGrant.selector, uint64(258), 2, 258)
        );
        controller.grantOf(258, one);
    }

    /// @dev What quorums are measured against: the supply as it was when an epoch was finished.
    function test_finishingAnEpochNotesTheCirculatingSupply() public {
        vm.assertEq(controller.circulatingAt(block.timestamp), 0);
        _toEpoch(1);
        _settleAll();
        uint256 first = tndm.circulatingSupply();
        uint256 moment = block.timestamp;
        vm.assertEq(controller.circulatingAt(moment), first);
        vm.assertEq(controller.circulatingAt(moment - 1), 0);
        _sponsor(one, 1000e18);
        controller.settle(100);
        vm.assertEq(controller.circulatingAt(block.timestamp), first, "no epoch was finished");
        _toEpoch(3);
        _settleAll();
        vm.assertEq(controller.circulatingAt(block.timestamp), first - 1000e18);
        vm.assertEq(controller.circulatingAt(block.timestamp + 100 days), first - 1000e18);
        vm.assertEq(controller.circulatingAt(moment + 1), first);
    }

    /// @dev Epochs count in the week in which they ended, whenever they are settled.
    function test_emissionOfAYearRolls() public {
        _openMarkets();
        _sponsor(one, 1000e18);
        _toEpoch(4);
        uint256 snapshot = vm.snapshotState();
        _settleAll();
        uint256 early = controller.emittedInYear();
        vm.assertEq(early, controller.totalEmitted());
        vm.assertTrue(vm.revertToState(snapshot));
        staking.setEligibleFrom(one, 4);
        staking.setEligibleFrom(one, 0);
        vm.warp(block.timestamp + 3 weeks);
        controller.settle(9 * 3 + 3);
        uint256 ends = pools.endOf(3);
        _settleAll();
        uint256 total = controller.emittedInYear();
        vm.assertEq(total, controller.totalEmitted());
        vm.warp((ends / 1 weeks + 53) * 1 weeks);
        vm.assertLt(controller.emittedInYear(), total, "the first week has left");
        vm.warp(block.timestamp + 4 weeks);
        vm.assertEq(controller.emittedInYear(), 0);
    }

    function test_anEpochWithoutSubnetsIsOneStep() public {
        registry = new RegistryStandIn();
        EmissionController empty = new EmissionController(_controllerConfig(address(auction), address(tndm)));
        _toEpoch(3);
        vm.assertEq(empty.settle(1), 1);
        vm.assertEq(empty.settle(10), 3);
        vm.assertEq(empty.settle(10), 3, "the running epoch is not over");
    }

    function test_sponsoringBurnsTheCallersTndmForAnExistingSubnet() public {
        uint256 supply = tndm.totalSupply();
        vm.expectEmit(address(controller));
        emit IEmissionController.BurnCredited(one, 0, 10e18, 2);
        _sponsor(one, 10e18);
        vm.assertEq(tndm.totalSupply(), supply - 10e18);
        vm.assertEq(controller.totalBurned(), 10e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissionController.EmissionController_UnknownSubnet.selector, 77));
        _sponsor(Netuid.wrap(77), 10e18);
    }

    /// @dev [EM-1]: only what the token's supply has lost can be credited.
    function test_onlyBurnersCreditAndOnlyWhatWasDestroyed() public {
        Netuid[] memory netuids = new Netuid[](2);
        uint256[] memory burned = new uint256[](2);
        (netuids[0], netuids[1], burned[0], burned[1]) = (one, two, 1e18, 0.5e18);
        vm.expectRevert(abi.encodeWithSelector(IEmissionController.EmissionController_OnlyBurners.selector, trader));
        vm.prank(trader);
        controller.creditBurn(one, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IEmissionController.EmissionController_OnlyBurners.selector, address(registry))
        );
        vm.prank(address(registry));
        controller.creditBurns(netuids, burned);
        vm.expectRevert(abi.encodeWithSelector(IEmissionController.EmissionController_NotDestroyed.selector, 1.5e18, 0));
        vm.prank(address(auction));
        controller.creditBurns(netuids, burned);
        vm.prank(trader);
        tndm.burn(2.5e18);
        vm.expectEmit(address(controller));
        emit IEmissionController.BurnCredited(one, 0, 1e18, 0);
        vm.expectEmit(address(controller));
        emit IEmissionController.BurnCredited(two, 0, 0.5e18, 0);
        vm.prank(address(auction));
        controller.creditBurns(netuids, burned);
        vm.startPrank(address(registry));
        vm.expectRevert(
            abi.encodeWithSelector(IEmissionController.EmissionController_NotDestroyed.selector, 2.6e18, 2.5e18)
        );
        controller.creditBurn(two, 1.1e18);
        vm.expectEmit(address(controller));
        emit IEmissionController.BurnCredited(two, 0, 1e18, 1);
        controller.creditBurn(two, 1e18);
        controller.creditBurn(two, 0);
        controller.creditBurn(Netuid.wrap(0), 0);
        vm.stopPrank();
        vm.assertEq(controller.totalBurned(), 2.5e18);
        vm.assertEq(controller.ledgerOf(two).burned, 1.5e18);
    }

    function test_configurationsThatBreakTheLawAreRefused() public {
        IEmissionController.Config memory config = _controllerConfig(address(auction), address(tndm));
        config.phi = 0.95e18 + 1;
        vm.expectRevert(IEmissionController.EmissionController_BadConfig.selector);
        new EmissionController(config);
        config.phi = 0.95e18;
        config.smoothing = 0;
        vm.expectRevert(IEmissionController.EmissionController_BadConfig.selector);
        new EmissionController(config);
        config.smoothing = 1;
        config.fadePeriod = L - 1;
        vm.expectRevert(IEmissionController.EmissionController_BadConfig.selector);
        new EmissionController(config);
        config.fadePeriod = L;
        new EmissionController(config);
    }

    function _smoothed(
        uint256 burned
    ) private pure returns (uint256) {
        uint256 allowance = burned * PHI / WAD;
        // Folded with the closing of epoch 2, faded once.
        return (allowance - allowance / FADE_STEPS) / SMOOTHING;
    }

    /// @dev What the closings of epochs 1 and 2 took off an allowance by fading.
    function _fadedOver(
        uint256 allowance,
        uint256 emitted
    ) private pure returns (uint256) {
        uint256 first = allowance / FADE_STEPS;
        uint256 emittedFirst = (allowance - first) / SMOOTHING;
        vm.assertGt(emitted, emittedFirst);
        return first + (allowance - first - emittedFirst) / FADE_STEPS;
    }
}
