// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { MAX_SUPPLY, halvedPerEpochDown } from "../../src/emission/Halving.sol";
import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { Netuid, WAD } from "../../src/types/Types.sol";
import { EconomyWorld } from "../support/EconomyWorld.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice [EM-1] Σ emitted <= φ · Σ burned, in every state of any history, and each closing against a computation that knows
/// nothing of passes, words and batches.
contract EmissionLawTest is EconomyWorld {
    uint256 private constant COUNT = 6;
    uint256 private constant CEILING = 150e18;

    /// @dev What the naive computation knows of a subnet.
    struct Naive {
        uint256 allowance;
        uint256 price;
        uint256 wanted;
        uint256 given;
        uint256 alphaOut;
    }

    Netuid[] private _netuids;
    /// @dev Burned for a subnet in an epoch.
    mapping(Netuid => mapping(uint64 epoch => uint256)) private _burns;

    function setUp() public override {
        super.setUp();
        gate.open();
        for (uint256 i = 0; i < COUNT; ++i) {
            Netuid netuid = registry.add(0);
            staking.setEligibleFrom(netuid, 0);
            _netuids.push(netuid);
            // From 0.01 to 0.36 TNDM.
            _createPool(netuid, SEED, 0.01e18 * (i + 1) ** 2);
        }
    }

    /// @dev Any order of burns of all three sources, revenue, lots, trades, pours, prunings and settlements.
    function testFuzz_theLawHoldsInEveryState(
        uint256[24] memory moves
    ) public {
        vm.warp(block.timestamp + 7 days);
        for (uint256 i = 0; i < moves.length; ++i) {
            uint256 size = moves[i] >> 16;
            Netuid netuid = _netuids[(moves[i] >> 8) % COUNT];
            uint256 kind = moves[i] % 9;
            if (kind == 0) _sponsorAlive(netuid, bound(size, 1, 50_000e18));
            else if (kind == 1) _buy(netuid, bound(size, 1, 1000e18));
            else if (kind == 2) pools.pour(netuid);
            else if (kind == 3) controller.settle(bound(size, 0, 40));
            else if (kind == 4) _fund(netuid, bound(size, 1, 20_000e6));
            else if (kind == 5) _sellALot();
            else if (kind == 6) _lock(netuid, bound(size, 1, 4000e18));
            else if (kind == 7 && size % 4 == 0) registry.prune(netuid, pools.currentEpoch() + 1);
            else vm.warp(block.timestamp + bound(size, 1, 2 * L));
            _assertLaw();
        }
        _settleAll();
        _assertLaw();
    }

    /// @dev Two passes over the ceiling, alpha budgets and fading, epoch by epoch.
    function testFuzz_everyClosingEqualsTheNaiveComputation(
        uint256[8][6] memory dice
    ) public {
        for (uint64 e = 0; e < dice[0].length; ++e) {
            _toEpoch(e);
            for (uint256 i = 0; i < COUNT; ++i) {
                uint256 die = dice[i][e];
                if (die % 3 == 0) _burn(_netuids[i], e, bound(die >> 8, 1, die % 2 == 0 ? 20_000e18 : 200e18));
                if (die % 5 == 0) _buy(_netuids[i], bound(die >> 8, 1e6, 2000e18));
                if (die % 11 == 0) staking.setEligibleFrom(_netuids[i], e + 3);
            }
            _toEpoch(e + 1);
            _assertClosing(e);
        }
    }

    function _assertClosing(
        uint64 epoch
    ) private {
        Naive[COUNT] memory naive;
        uint256 prices;
        for (uint256 i = 0; i < COUNT; ++i) {
            Naive memory n = naive[i];
            n.allowance = controller.ledgerOf(_netuids[i]).allowance;
            if (epoch > 0) n.allowance += Math.mulDiv(PHI, _burns[_netuids[i]][epoch - 1], WAD);
            n.allowance -= n.allowance * L / 180 days;
            if (epoch > 0 && n.allowance > 0 && staking.eligibleAt(_netuids[i], epoch)) {
                n.price = pools.emaOf(_netuids[i]);
            }
            n.wanted = n.price > 0 ? n.allowance / SMOOTHING : 0;
            prices += n.price;
        }
        _assertShares(naive, prices);
        uint256[COUNT] memory issued;
        for (uint256 i = 0; i < COUNT; ++i) {
            issued[i] = pools.poolOf(_netuids[i]).issued;
        }
        _settleAll();
        for (uint256 i = 0; i < COUNT; ++i) {
            Naive memory n = naive[i];
            IEmissionController.Grant memory grant = controller.grantOf(epoch, _netuids[i]);
            vm.assertEq(grant.emitted, n.given);
            vm.assertEq(controller.ledgerOf(_netuids[i]).allowance, n.allowance - n.given);
            if (n.given == 0) continue;
            uint256 worth = n.given * WAD / Math.max(n.price, pools.lastTwapOf(_netuids[i]));
            // 21 M are far away: the schedule is the first one.
            vm.assertEq(grant.alphaOut, Math.min(worth, 150e18));
            vm.assertEq(pools.poolOf(_netuids[i]).issued, issued[i] + grant.alphaOut);
        }
    }

    /// @dev The law of shares, straight from the design.
    function _assertShares(
        Naive[COUNT] memory naive,
        uint256 prices
    ) private view {
        uint256 ceiling = controller.ceiling();
        vm.assertEq(ceiling, CEILING);
        uint256 unmet;
        uint256 used;
        for (uint256 i = 0; i < COUNT; ++i) {
            Naive memory n = naive[i];
            if (n.price > 0) n.given = Math.min(Math.mulDiv(ceiling, n.price, prices), n.wanted);
            used += n.given;
            unmet += n.wanted - n.given;
        }
        uint256 sum;
        for (uint256 i = 0; i < COUNT; ++i) {
            Naive memory n = naive[i];
            if (unmet > ceiling - used) n.given += Math.mulDiv(ceiling - used, n.wanted - n.given, unmet);
            else n.given = n.wanted;
            sum += n.given;
        }
        vm.assertLe(sum, ceiling);
    }

    function _burn(
        Netuid netuid,
        uint64 epoch,
        uint256 amount
    ) private {
        _burns[netuid][epoch] += amount;
        _sponsor(netuid, amount);
    }

    function _sponsorAlive(
        Netuid netuid,
        uint256 amount
    ) private {
        if (registry.prunedFromOf(netuid) == 0) _sponsor(netuid, amount);
    }

    function _lock(
        Netuid netuid,
        uint256 amount
    ) private {
        vm.prank(treasury);
        tndm.burn(amount);
        vm.prank(address(registry));
        controller.creditBurn(netuid, amount);
    }

    function _sellALot() private {
        bool waits;
        for (uint256 i = 0; i < COUNT; ++i) {
            waits = waits || auction.accruedOf(_netuids[i]) > 0;
        }
        if (!waits || block.timestamp < auction.nextStartAt()) return;
        uint256 id = auction.startLot();
        vm.warp(block.timestamp + 1 hours);
        uint256 cost = auction.costOf(id);
        if (cost > tndm.balanceOf(treasury)) return;
        vm.prank(treasury);
        auction.take(id, cost, block.timestamp);
    }

    function _assertLaw() private view {
        uint256 emitted;
        uint256 allowances;
        uint256 burned;
        for (uint256 i = 0; i < COUNT; ++i) {
            IEmissionController.Ledger memory ledger = controller.ledgerOf(_netuids[i]);
            // Of each subnet by itself.
            vm.assertLe((uint256(ledger.emitted) + ledger.allowance) * WAD, PHI * ledger.burned, "EM-1");
            emitted += ledger.emitted;
            allowances += ledger.allowance;
            burned += ledger.burned;
            vm.assertLe(pools.poolOf(_netuids[i]).issued, MAX_SUPPLY, "EM-3");
        }
        vm.assertEq(emitted, controller.totalEmitted());
        vm.assertEq(burned, controller.totalBurned());
        vm.assertEq(tndm.balanceOf(address(controller)), VAULT - emitted, "emission leaves the vault one way only");
        vm.assertLe((emitted + allowances) * WAD, PHI * burned, "EM-1");
        vm.assertLe(burned, MAX_SUPPLY - tndm.totalSupply());
    }
}

/// @notice A network that emits a million TNDM an epoch, so that the halvings come within a day.
contract EmissionHalvingTest is EconomyWorld {
    uint256 private constant ALPHA_PER_DAY = 28_000_000e18;

    Netuid internal one;

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        _openMarkets();
    }

    function _controllerConfig(
        address auction_,
        address tndm_
    ) internal view override returns (IEmissionController.Config memory config) {
        config = super._controllerConfig(auction_, tndm_);
        config.emissionPerDay = 24_000_000e18;
        config.smoothing = 1;
        config.fadePeriod = type(uint64).max;
        config.alphaPerDay = ALPHA_PER_DAY;
    }

    function _poolsConfig(
        address controller_,
        address tndm_
    ) internal view override returns (IAlphaPools.Config memory config) {
        config = super._poolsConfig(controller_, tndm_);
        config.alphaPerDay = ALPHA_PER_DAY;
    }

    /// @dev The ceiling halves when 5.25 M, 7.875 M … of 10.5 M have been emitted, as of the epoch's beginning.
    function test_theCeilingHalvesWithWhatWasEmitted() public {
        uint256[10] memory expected = [uint256(1e6), 1e6, 1e6, 1e6, 1e6, 1e6, 5e5, 5e5, 5e5, 5e5];
        _sponsor(one, 9_400_000e18);
        _toEpoch(1);
        _settleAll();
        uint256 emitted;
        for (uint64 e = 1; e <= expected.length; ++e) {
            vm.assertEq(controller.ceiling(), expected[e - 1] * 1e18);
            _toEpoch(e + 1);
            _settleAll();
            emitted += expected[e - 1] * 1e18;
            vm.assertEq(controller.totalEmitted(), emitted);
        }
        vm.assertEq(emitted, 8_000_000e18);
        vm.assertEq(controller.ceiling(), 250_000e18, "beyond 7.875 M");
    }

    /// @dev [EM-3] Budgets halve with what has left the vault, injection counted as of the epoch's end, and stop at the supply.
    function test_budgetsHalveWithWhatWasIssued() public {
        _sponsor(one, 9_400_000e18);
        uint256 halvings;
        uint256 last = type(uint256).max;
        for (uint64 e = 0; e < 12; ++e) {
            _toEpoch(e + 1);
            uint256 issued = pools.issuedAt(one, e);
            // Poured after the epoch, before it is settled: of no consequence.
            pools.pour(one);
            _settleAll();
            uint256 alphaOut = controller.grantOf(e, one).alphaOut;
            if (e == 0) continue;
            vm.assertEq(alphaOut, halvedPerEpochDown(ALPHA_PER_DAY, L, MAX_SUPPLY, issued));
            if (alphaOut < last) ++halvings;
            last = alphaOut;
            vm.assertLe(pools.poolOf(one).issued, MAX_SUPPLY);
        }
        vm.assertGt(halvings, 1);
    }
}
