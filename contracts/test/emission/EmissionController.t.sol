// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EmissionController } from "../../src/emission/EmissionController.sol";
import { EMISSION_CAP, MAX_SUPPLY, halvedPerEpochDown } from "../../src/emission/Halving.sol";
import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
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

    /// @dev [EM-1] under any order of burns, trades, pours and settlements.
    function testFuzz_emittedNeverExceedsPhiTimesBurned(
        uint256[20] memory moves
    ) public {
        _openMarkets();
        for (uint256 i = 0; i < moves.length; ++i) {
            Netuid netuid = Netuid.wrap(uint16(1 + (moves[i] >> 8) % 3));
            uint256 size = moves[i] >> 16;
            uint256 kind = moves[i] % 6;
            if (kind == 0) _sponsor(netuid, bound(size, 1, 50_000e18));
            else if (kind == 1) _buy(netuid, bound(size, 1, 1000e18));
            else if (kind == 2) pools.pour(netuid);
            else if (kind == 3) controller.settle(bound(size, 0, 20));
            else vm.warp(block.timestamp + bound(size, 1, 2 * L));
            _assertLaw();
        }
        _settleAll();
        _assertLaw();
    }

    /// @dev [EM-2]: whoever settles, in whatever batches, however late: the same grants.
    function testFuzz_settlingInAnyBatchesGrantsTheSame(
        uint256[12] memory moves,
        uint256 batch
    ) public {
        _openMarkets();
        _live(moves);
        uint64 epochs = pools.currentEpoch();
        uint256 snapshot = vm.snapshotState();

        controller.settle(type(uint256).max);
        bytes32 atOnce = _outcome(epochs);
        vm.assertTrue(vm.revertToState(snapshot));
        while (controller.settledThrough() < epochs) {
            controller.settle(1);
        }
        vm.assertEq(_outcome(epochs), atOnce, "one step at a time");
        vm.assertTrue(vm.revertToState(snapshot));
        // Much later, by somebody else, with trades and burns in between.
        while (controller.settledThrough() < epochs) {
            vm.prank(trader);
            controller.settle(1 + uint256(keccak256(abi.encode(batch, block.timestamp))) % 7);
            vm.warp(block.timestamp + bound(batch, 1, 3 * L));
            _sponsor(one, 1e18);
            _buy(two, 1e18);
        }
        vm.assertEq(_outcome(epochs), atOnce, "late");
    }

    /// @dev [EM-2]: promptly each epoch, or all at the end.
    function testFuzz_settlingPromptlyOrLateGrantsTheSame(
        uint256[6] memory burns
    ) public {
        _openMarkets();
        uint256 snapshot = vm.snapshotState();
        bytes32 prompt = _burnThrough(burns, true);
        vm.assertTrue(vm.revertToState(snapshot));
        vm.assertEq(_burnThrough(burns, false), prompt);
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
        _assertLaw();
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

    function _live(
        uint256[12] memory moves
    ) private {
        for (uint256 i = 0; i < moves.length; ++i) {
            Netuid netuid = Netuid.wrap(uint16(1 + (moves[i] >> 8) % 3));
            uint256 size = moves[i] >> 16;
            uint256 kind = moves[i] % 4;
            if (kind == 0) _sponsor(netuid, bound(size, 1, 50_000e18));
            else if (kind == 1) _buy(netuid, bound(size, 1e6, 1000e18));
            else if (kind == 2) _contribute(netuid, bound(size, 1, 1e9));
            else _addSubnet();
            vm.warp(block.timestamp + bound(size >> 8, 1, L));
        }
        vm.warp(pools.endOf(pools.currentEpoch() + 2));
    }

    function _burnThrough(
        uint256[6] memory burns,
        bool prompt
    ) private returns (bytes32) {
        for (uint64 e = 0; e < burns.length; ++e) {
            _toEpoch(e);
            if (prompt) _settleAll();
            _sponsor(Netuid.wrap(uint16(1 + burns[e] % 3)), bound(burns[e], 1, 20_000e18));
        }
        _toEpoch(12);
        _settleAll();
        return _outcome(12);
    }

    /// @dev Everything that was granted in epochs before `epochs`.
    function _outcome(
        uint64 epochs
    ) private view returns (bytes32 hash) {
        uint16 count = registry.subnetCount();
        for (uint64 e = 0; e < epochs; ++e) {
            for (uint16 n = 1; n <= count; ++n) {
                hash = keccak256(abi.encode(hash, controller.grantOf(e, Netuid.wrap(n))));
            }
        }
    }

    function _smoothed(
        uint256 burned
    ) private pure returns (uint256) {
        uint256 allowance = burned * PHI / WAD;
        // Folded with the closing of epoch 2, faded once.
        return (allowance - allowance / FADE_STEPS) / SMOOTHING;
    }

    function _assertLaw() private view {
        uint256 emitted;
        uint256 allowances;
        uint256 burned;
        for (uint16 n = 1; n <= 3; ++n) {
            IEmissionController.Ledger memory ledger = controller.ledgerOf(Netuid.wrap(n));
            emitted += ledger.emitted;
            allowances += ledger.allowance;
            burned += ledger.burned;
            IAlphaPools.Pool memory pool = pools.poolOf(Netuid.wrap(n));
            vm.assertLe(pool.issued, MAX_SUPPLY, "EM-3");
        }
        vm.assertEq(emitted, controller.totalEmitted());
        vm.assertEq(burned, controller.totalBurned());
        vm.assertEq(tndm.balanceOf(address(controller)), VAULT - emitted, "emission leaves the vault one way only");
        vm.assertLe((emitted + allowances) * WAD, PHI * burned, "EM-1");
        vm.assertLe(burned, MAX_SUPPLY - tndm.totalSupply());
    }
}
