// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { IKeeperSet } from "../../src/epoch/IKeeperSet.sol";
import { IBurnAuction } from "../../src/market/IBurnAuction.sol";
import { Netuid, Phase, RewardKind, WAD } from "../../src/types/Types.sol";
import { SuiteTest } from "../support/Suite.sol";
import { IAccessControl } from "@openzeppelin/contracts/access/IAccessControl.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

contract EndToEndTest is SuiteTest {
    /// @dev 1,000 credits carry 150 USDC of margin: half to the auction, half to the subnet's pot.
    uint256 private constant SPENT = 500e18;
    uint256 private constant POT = 75e6;

    /// @dev [CR-2] [CR-3] [EP-3] From purchase to payout without any token in circulation.
    function test_a_mesh_epoch_pays_everybody_in_usdc() public {
        spend(TEXT, firstUid(), SPENT);
        spend(TEXT, secondUid(), SPENT);
        vm.assertEq(credit.holdingOf(first).earned, SPENT);
        vm.assertEq(distributor.potOf(0, TEXT), POT);
        uint64 epoch = endEpoch();
        vm.assertEq(epoch, 0);
        IEmissionController.Grant memory grant = controller.grantOf(0, TEXT);
        vm.assertTrue(grant.eligible);
        vm.assertEq(grant.usdc, POT);
        vm.assertEq(grant.alphaOut, 0);

        addRewardsOf(0, TEXT);
        publish(0);
        uint256 ownerBefore = usdc.balanceOf(subnetOwner);
        vm.assertEq(claimAll(), rewards.length);
        vm.assertEq(usdc.balanceOf(subnetOwner) - ownerBefore, POT * 18 / 100);
        vm.assertEq(usdc.balanceOf(first), POT * 23 / 100);
        vm.assertEq(usdc.balanceOf(keepers()[0]), POT / 100);
        (address owner,) = validator(0);
        vm.assertEq(usdc.balanceOf(owner), POT * 9 / 100);
        vm.assertEq(distributor.verifiedEpochs(first), 1);
        vm.assertEq(claimAll(), 0, "nothing is paid twice");
        assertReserved();
    }

    /// @dev [EM-1] [GV-1] [EP-3] The whole way: mesh, token, markets, buyback, the first emission that was earned, the first alpha claim.
    function test_from_the_first_purchase_to_the_first_claim_of_alpha() public {
        runEpoch(SPENT);
        runEpoch(SPENT);
        runEpoch(0);
        vm.assertTrue(gate.phase() == Phase.Mesh);
        vm.assertEq(tndm.circulatingSupply(), 0, "no TNDM circulates in the mesh phase");
        openToken();
        governByAirdrop();
        openMarkets();
        vm.assertTrue(gate.phase() == Phase.Markets);
        vm.assertEq(pools.spotPrice(TEXT), INITIAL_PRICE);
        vm.assertEq(tndm.balanceOf(ecosystem), 1_500_000e18);
        claimAirdrop();

        // Revenue of the mesh phase is sold unattributed: burned, but nobody's allowance.
        vm.warp(block.timestamp + AUCTION_DELAY);
        uint256 supply = tndm.totalSupply();
        uint256 meshPaid = takeLot(auction.startLot());
        vm.assertEq(supply - tndm.totalSupply(), meshPaid);
        vm.assertGt(meshPaid, 0);
        vm.assertEq(controller.totalBurned(), 0);

        // Revenue of now is the subnet's: its buyback earns allowance from the next epoch on.
        endEpoch();
        spend(TEXT, firstUid(), SPENT);
        vm.warp(block.timestamp + LOT_INTERVAL);
        uint256 lotId = auction.startLot();
        IBurnAuction.Lot memory lot = auction.lotOf(lotId);
        vm.assertTrue(lot.attributed && lot.netuids.length == 1 && lot.netuids[0] == TEXT);
        uint256 paid = takeLot(lotId);
        vm.assertGt(paid, 0);
        vm.assertEq(controller.ledgerOf(TEXT).burned, paid);

        // The meme subnet's price rises; nobody burns for it.
        buyAlpha(MEME, 5000e18);
        vm.assertGt(pools.spotPrice(MEME), 2 * pools.spotPrice(TEXT));
        uint64 burnEpoch = endEpoch();
        vm.assertEq(controller.grantOf(burnEpoch, TEXT).emitted, 0, "burns count from the next epoch on");
        uint64 epoch = endEpoch();
        IEmissionController.Grant memory grant = controller.grantOf(epoch, TEXT);
        vm.assertGt(grant.emitted, 0);
        vm.assertGt(grant.alphaOut, 0);
        vm.assertEq(controller.grantOf(epoch, MEME).emitted, 0, "price alone emits nothing");
        assertLaw();

        claimFirstAlpha(epoch, grant.alphaOut);
        assertReserved();
    }

    /// @dev [CR-4] Income in credits is worth the same before and after TNDM loses most of its price.
    function test_a_contributors_pay_does_not_depend_on_the_price_of_any_token() public {
        runEpoch(SPENT);
        runEpoch(SPENT);
        runEpoch(0);
        openMarkets();
        uint256 bought = buyAlpha(TEXT, 10_000e18);
        uint256 before = cashOut(first, 100e18);
        uint256 price = pools.spotPrice(TEXT);
        vm.startPrank(ecosystem);
        IERC20(pools.alphaOf(TEXT)).approve(address(pools), bought);
        pools.sell(TEXT, bought, 0, block.timestamp);
        vm.stopPrank();
        vm.assertLt(pools.spotPrice(TEXT), price * 30 / 100);
        vm.assertEq(cashOut(first, 100e18), before);
        vm.assertEq(before, 85e6);
    }

    /// @dev [AC-1] [GV-1]
    function test_after_deployment_the_timelock_alone_administers() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(this)));
        desk.setPrice(PRICE);
        (bool admin,) = manager.hasRole(manager.ADMIN_ROLE(), address(this));
        vm.assertFalse(admin);
        (admin,) = manager.hasRole(manager.ADMIN_ROLE(), address(timelock));
        vm.assertTrue(admin);

        address[] memory one = new address[](1);
        one[0] = keepers()[0];
        councilCalls(address(keeperSet), abi.encodeCall(IKeeperSet.schedule, (one, uint16(1))));
        vm.assertEq(keeperSet.thresholdAt(0), 2);
        vm.assertEq(keeperSet.thresholdAt(1), 1);
        vm.prank(guardian);
        desk.pauseBuying(uint64(block.timestamp) + 1 hours);
    }

    /// @dev [GV-1] The council cannot keep a key to the suite once the token is open.
    function test_after_the_mesh_phase_the_council_proposes_nothing() public {
        runEpoch(SPENT);
        runEpoch(SPENT);
        runEpoch(0);
        openMarkets();
        bytes memory unauthorized = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, council, timelock.PROPOSER_ROLE()
        );
        vm.expectRevert(unauthorized);
        vm.prank(council);
        timelock.schedule(address(desk), 0, "", 0, 0, TIMELOCK_DELAY);
    }

    /// @dev [EP-4] A vetoed report delays payment by an attempt and loses nothing.
    function test_a_vetoed_epoch_is_reported_again_and_paid_in_full() public {
        spend(TEXT, firstUid(), SPENT);
        uint64 epoch = endEpoch();
        addRewardsOf(epoch, TEXT);
        IEpochOracle.EpochReport memory report = reportFor(epoch);
        oracle.post(report, signReport(report));
        vm.prank(guardian);
        oracle.veto(epoch, "suspicious");
        publish(epoch);
        vm.assertEq(oracle.reportOf(epoch).attempt, 1);
        vm.assertEq(claimAll(), rewards.length);
        vm.assertEq(usdc.balanceOf(first), POT / 2 * 23 / 100);
    }

    /// @dev [EP-4] Epochs without a report keep their budgets; the next report pays for them.
    function test_skipped_epochs_are_paid_by_the_next_report() public {
        spend(TEXT, firstUid(), SPENT);
        addRewardsOf(endEpoch(), TEXT);
        spend(TEXT, firstUid(), SPENT);
        uint64 epoch = endEpoch();
        addRewardsOf(epoch, TEXT);
        publish(epoch);
        claimAll();
        vm.assertEq(usdc.balanceOf(subnetOwner), POT * 18 / 100);
    }

    /// @dev [SN-1] The public creates subnets once markets are open; half of the lock is allowance.
    function test_a_new_subnet_starts_with_a_pool_and_the_allowance_of_its_lock() public {
        runEpoch(SPENT);
        runEpoch(SPENT);
        runEpoch(0);
        openMarkets();
        uint256 lock = registry.lockPrice();
        controller.settle(type(uint256).max);
        vm.startPrank(ecosystem);
        tndm.approve(address(registry), lock);
        Netuid netuid = registry.registerSubnet("new", lock);
        vm.stopPrank();
        vm.assertTrue(pools.exists(netuid));
        vm.assertEq(pools.poolOf(netuid).tndm, lock - lock / 2);
        vm.assertEq(controller.ledgerOf(netuid).burned, lock / 2);
        assertLaw();

        uint256 price = registry.neuronPrice(netuid);
        uint256 supply = IERC20(pools.alphaOf(netuid)).totalSupply();
        vm.startPrank(ecosystem);
        tndm.approve(address(registry), price);
        registry.registerNeuron(netuid, makeActor("newcomer"), "", price);
        vm.stopPrank();
        vm.assertLt(IERC20(pools.alphaOf(netuid)).totalSupply(), supply, "half of the price bought alpha and burned it");
    }

    /// @dev [GV-1] Those who served the mesh propose what those who hold the genesis votes decide, before any TNDM can be moved.
    function governByAirdrop() private {
        vm.assertTrue(gate.phase() == Phase.Token);
        uint256 earned = credit.lifetimeOf(first).earnedFromPurchased;
        vm.assertEq(airdrop.register(first), earned * MAX_PER_CREDIT / WAD);
        vm.assertGe(airdrop.getVotes(first), PROPOSAL_THRESHOLD);
        vm.warp(block.timestamp + 1);
        uint256 dearer = PRICE * 11 / 10;
        decide(first, team, address(desk), abi.encodeCall(desk.setPrice, (dearer)));
        endEpoch();
        vm.assertEq(desk.quote(1e18), dearer);
        decide(first, team, address(desk), abi.encodeCall(desk.setPrice, (PRICE)));
        endEpoch();
        vm.assertEq(desk.quote(1e18), PRICE);
        vm.assertEq(tndm.circulatingSupply(), 0);
    }

    /// @dev A quarter is liquid; it votes where its owner delegates it, no longer in the airdrop.
    function claimAirdrop() private {
        uint256 promised = airdrop.entitlementOf(first);
        vm.assertEq(airdrop.release(first), promised / 4);
        vm.assertEq(tndm.balanceOf(first), promised / 4);
        vm.assertEq(votes.getVotes(first), promised - promised / 4);
        vm.prank(first);
        tndm.delegate(first);
        vm.assertEq(votes.getVotes(first), promised);
        airdrop.payLeftover();
        vm.assertEq(tndm.balanceOf(address(timelock)), AIRDROPPED - airdrop.promised());
    }

    function claimFirstAlpha(
        uint64 epoch,
        uint256 alphaOut
    ) private {
        IERC20 alpha = IERC20(pools.alphaOf(TEXT));
        for (uint64 e = 3; e <= epoch; ++e) {
            addRewardsOf(e, TEXT);
        }
        publish(epoch);
        claimAll();
        vm.assertEq(alpha.balanceOf(first), alphaOut * 24 / 100);
        vm.assertEq(alpha.balanceOf(subnetOwner), alphaOut * 18 / 100);
        vm.assertEq(distributor.budgetOf(TEXT, RewardKind.OwnerAlpha).claimed, alphaOut * 18 / 100);
        // What was claimed can be staked behind a validator and weighs from the next epoch on.
        (, address hotkey) = validator(0);
        uint64 next = oracle.currentEpoch() + 1;
        uint256 before = staking.weightAt(TEXT, hotkey, next);
        uint256 amount = alpha.balanceOf(first);
        vm.startPrank(first);
        alpha.approve(address(staking), amount);
        staking.stake(TEXT, hotkey, amount);
        vm.stopPrank();
        vm.assertEq(staking.weightAt(TEXT, hotkey, next) - before, amount);
        vm.assertTrue(staking.eligibleAt(TEXT, next));
    }

    function buyAlpha(
        Netuid netuid,
        uint256 amount
    ) private returns (uint256 bought) {
        vm.startPrank(ecosystem);
        tndm.approve(address(pools), amount);
        bought = pools.buy(netuid, amount, 0, block.timestamp);
        vm.stopPrank();
    }

    function cashOut(
        address account,
        uint256 credits
    ) private returns (uint256) {
        vm.prank(account);
        return desk.cashOut(credits, account);
    }

    /// @dev [EM-1] What left the vault was earned by burning, and what was burned is gone.
    function assertLaw() private view {
        vm.assertLe(controller.totalEmitted() * WAD, controller.phi() * controller.totalBurned());
        vm.assertLe(controller.totalBurned(), 21_000_000e18 - tndm.totalSupply());
        vm.assertEq(EMISSION_VAULT - tndm.balanceOf(address(controller)), controller.totalEmitted());
    }

    /// @dev [CR-2]
    function assertReserved() private view {
        vm.assertGe(desk.reserve() * 1e18, PAYOUT * credit.totalSupply());
        vm.assertGe(usdc.balanceOf(address(desk)), desk.reserve() + desk.deferredMargin());
    }
}
