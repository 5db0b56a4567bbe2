// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISettlement } from "../../src/compute/ISettlement.sol";
import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { IBurnAuction } from "../../src/market/IBurnAuction.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Netuid } from "../../src/types/Types.sol";
import { SuiteTest } from "../support/Suite.sol";

/// @notice What happens when somebody is late: with margin, with an airdrop, with opening a channel.
contract LateMoneyTest is SuiteTest {
    uint256 private constant SPENT = 500e18;
    /// @dev 500 credits carry 75 USDC of margin.
    uint256 private constant MARGIN = 75e6;

    /// @dev Uids 0 to 5 are taken from the start: nobody joins without somebody leaving.
    function hyperparameters() internal pure override returns (ISubnetRegistry.Hyperparameters memory params) {
        params = super.hyperparameters();
        (params.maxUids, params.maxValidators) = (6, 6);
    }

    /// @dev [CR-3] [EP-4] Margin that nobody forwards in its epoch is held, whole; forwarded after its epoch was settled it counts in the next.
    function test_margin_that_leaves_late_counts_in_the_next_epoch() public {
        serve(SPENT);
        uint64 epoch = endEpoch();
        vm.assertEq(controller.grantOf(epoch, TEXT).usdc, 0, "nothing had reached the pot");
        (uint256 toBuyback, uint256 toPot, uint64 heldFor) = desk.heldMargin(TEXT);
        vm.assertEq(toBuyback + toPot, MARGIN);
        vm.assertEq(heldFor, epoch);

        uint256 accrued = auction.accruedOf(Netuid.wrap(0));
        desk.forwardMargin(TEXT);
        vm.assertEq(distributor.potOf(epoch + 1, TEXT), toPot);
        vm.assertEq(auction.accruedOf(Netuid.wrap(0)) - accrued, toBuyback);
        endEpoch();
        vm.assertEq(controller.grantOf(epoch + 1, TEXT).usdc, toPot);
    }

    /// @dev [EM-1] [CR-3] Margin of the mesh phase earns no allowance, however late it is forwarded: it is sold for nobody.
    function test_mesh_margin_that_leaves_after_markets_opened_is_nobodys() public {
        runEpoch(SPENT);
        runEpoch(SPENT);
        runEpoch(0);
        serve(SPENT);
        openMarkets();
        desk.forwardMargin(TEXT);
        vm.assertEq(auction.accruedOf(TEXT), 0);
        vm.assertEq(auction.revenueOf(TEXT), 0);
        vm.warp(block.timestamp + AUCTION_DELAY);
        IBurnAuction.Lot memory lot = auction.lotOf(auction.startLot());
        vm.assertFalse(lot.attributed);
        takeLot(1);
        vm.assertEq(controller.ledgerOf(TEXT).burned, 0);
    }

    /// @dev The airdrop is paid to whoever earned it, by anybody, a quarter at once and the rest in a year's line; what the limit leaves over is the
    /// treasury's, and nothing stays behind.
    function test_the_airdrop_is_released_in_time_and_to_the_last_unit() public {
        runEpoch(SPENT);
        runEpoch(SPENT);
        runEpoch(0);
        openMarkets();
        uint256 promised = airdrop.promised();
        uint256 firsts = airdrop.entitlementOf(first);
        vm.assertEq(airdrop.release(first), firsts / 4);
        vm.assertEq(airdrop.getVotes(first), firsts - firsts / 4, "what waits votes");
        vm.warp(gate.marketsOpenedAt() + AIRDROP_DURATION / 2);
        airdrop.release(first);
        vm.assertEq(tndm.balanceOf(first), firsts / 4 + (firsts - firsts / 4) / 2);
        vm.warp(gate.marketsOpenedAt() + AIRDROP_DURATION);
        airdrop.release(first);
        airdrop.release(second);
        vm.assertEq(tndm.balanceOf(first) + tndm.balanceOf(second), promised);
        vm.assertEq(airdrop.getVotes(first), 0);
        airdrop.payLeftover();
        vm.assertEq(tndm.balanceOf(address(airdrop)), 0);
    }

    /// @dev [CR-5] A uid may be another's by the time a channel is opened to it. A signed opening names its contributor and then fails; a plain one
    /// pays nobody without a voucher: the payer sees whom the channel names, signs nothing, and gets everything back.
    function test_a_channel_opened_to_an_evicted_uid_costs_its_payer_nothing() public {
        uint16 uid = firstUid();
        buyCredits(user, SPENT);
        list(uid);
        address newcomer = evict(uid);
        vm.assertEq(registry.neuronOf(TEXT, uid).owner, newcomer);

        (address payer, uint256 secret) = makeActorAndKey("payer");
        ISettlement.Opening memory opening = ISettlement.Opening({
            payer: payer,
            netuid: TEXT,
            uid: uid,
            contributor: first,
            amount: 1e18,
            expiry: uint64(block.timestamp) + 60,
            sessionKey: session,
            nonce: 0,
            deadline: block.timestamp
        });
        bytes memory signature = signed(secret, settlement.hashOpening(opening));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.Settlement_OtherContributor.selector, newcomer, first));
        settlement.openFor(opening, signature);

        uint256 id = openChannel(user, TEXT, uid, SPENT);
        vm.assertEq(settlement.channelOf(id).contributor, newcomer, "which the event tells too");
        vm.warp(settlement.channelOf(id).expiry + settlement.settleGrace() + 1);
        settlement.reclaim(id);
        vm.assertEq(credit.holdingOf(user).purchased, SPENT);
        vm.assertEq(credit.holdingOf(newcomer).earned, 0);
    }

    /// @dev Who is evicted keeps what it was promised: the channel's contributor is fixed when it opens.
    function test_an_evicted_neuron_is_paid_for_channels_that_were_opened_to_it() public {
        uint16 uid = firstUid();
        buyCredits(user, SPENT);
        list(uid);
        uint256 id = openChannel(user, TEXT, uid, SPENT);
        address newcomer = evict(uid);
        settleUpTo(id, SPENT);
        vm.assertEq(credit.holdingOf(first).earned, SPENT);
        vm.assertEq(credit.holdingOf(newcomer).earned, 0);
    }

    /// @dev Work that is paid for while nobody forwards the margin.
    function serve(
        uint256 amount
    ) private {
        buyCredits(user, amount);
        settleUpTo(openChannel(user, TEXT, firstUid(), amount), amount);
    }

    /// @dev A report becomes active that lists the uid for eviction.
    function list(
        uint16 uid
    ) private {
        bytes32 pruneHash = keccak256(abi.encode(proofOf(uid).pruneList));
        IEpochOracle.EpochReport memory report = reportFor(endEpoch());
        report.subnetsRoot = keccak256(bytes.concat(keccak256(abi.encode(TEXT, bytes32(0), pruneHash))));
        oracle.post(report, signReport(report));
        vm.warp(block.timestamp + ACTIVATION_DELAY);
        oracle.activate(report);
    }

    function proofOf(
        uint16 uid
    ) private pure returns (ISubnetRegistry.PruneProof memory proof) {
        proof.pruneList = new uint16[](1);
        proof.pruneList[0] = uid;
    }

    /// @dev A newcomer takes the listed uid.
    function evict(
        uint16 uid
    ) private returns (address newcomer) {
        newcomer = makeActor("newcomer");
        uint256 price = registry.neuronPrice(TEXT);
        usdc.mint(newcomer, price);
        vm.startPrank(newcomer);
        usdc.approve(address(registry), price);
        vm.assertEq(registry.registerNeuronEvicting(TEXT, makeActor("new hotkey"), "", price, proofOf(uid)), uid);
        vm.stopPrank();
    }
}
