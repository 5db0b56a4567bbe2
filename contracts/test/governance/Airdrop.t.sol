// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Airdrop } from "../../src/governance/Airdrop.sol";
import { IAirdrop } from "../../src/governance/IAirdrop.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { GateTimes, SnapshotStand } from "../support/GovernanceStands.sol";
import { Test } from "../support/Test.sol";

contract AirdropTest is Test {
    uint64 private constant START = 1_000_000;
    uint64 private constant YEAR = 365 days;
    uint256 private constant AMOUNT = 1_000_000e18;
    /// @dev 10 TNDM per credit at most: 100,000 credits exhaust the amount.
    uint256 private constant MAX = 10e18;

    address private immutable MINER = makeActor("miner");
    address private immutable OTHER = makeActor("other");
    address private immutable TREASURY = makeActor("treasury");

    TandemToken private tndm;
    GateTimes private gate;
    SnapshotStand private credit;
    Airdrop private airdrop;

    function setUp() public {
        vm.warp(START);
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](1);
        mints[0] = ITandemToken.Mint({ to: address(this), amount: 21_000_000e18 });
        tndm = new TandemToken(mints, new address[](0));
        gate = new GateTimes();
        credit = new SnapshotStand();
        airdrop = create(AMOUNT);
    }

    function config(
        uint256 amount
    ) private view returns (IAirdrop.Config memory) {
        return IAirdrop.Config({
            tndm: address(tndm),
            gate: address(gate),
            credit: address(credit),
            treasury: TREASURY,
            amount: uint128(amount),
            maxPerCredit: MAX,
            immediateShare: 0.25e18,
            duration: YEAR
        });
    }

    function create(
        uint256 amount
    ) private returns (Airdrop created) {
        created = new Airdrop(config(amount));
        tndm.transfer(address(created), amount);
    }

    function openToken() private {
        gate.announce();
        gate.openToken();
    }

    function openMarkets() private {
        openToken();
        gate.openMarkets();
    }

    function test_few_credits_are_paid_at_the_maximum_per_credit() public {
        credit.set(MINER, 100e18);
        credit.set(OTHER, 300e18);
        vm.assertEq(airdrop.entitlementOf(MINER), 0, "nothing is known before the announcement");
        vm.assertEq(airdrop.immediatelyClaimable(), 0);
        gate.announce();
        vm.assertEq(airdrop.entitlementOf(MINER), 1000e18);
        vm.assertEq(airdrop.entitlementOf(OTHER), 3000e18);
        vm.assertEq(airdrop.promised(), 4000e18);
        vm.assertEq(airdrop.immediatelyClaimable(), 1000e18);
    }

    function test_many_credits_share_the_amount() public {
        credit.set(MINER, 100_000e18);
        credit.set(OTHER, 300_000e18);
        gate.announce();
        vm.assertEq(airdrop.promised(), AMOUNT);
        vm.assertEq(airdrop.entitlementOf(MINER), AMOUNT / 4);
        vm.assertEq(airdrop.entitlementOf(OTHER), 3 * AMOUNT / 4);
    }

    function test_whoever_registers_an_account_the_account_votes_from_that_moment() public {
        credit.set(MINER, 100e18);
        gate.announce();
        vm.expectRevert(IAirdrop.Airdrop_NotOpen.selector);
        airdrop.register(MINER);
        gate.openToken();
        vm.prank(OTHER);
        vm.assertEq(airdrop.register(MINER), 1000e18);
        vm.assertTrue(airdrop.isRegistered(MINER));
        vm.assertEq(airdrop.getVotes(MINER), 1000e18);
        vm.assertEq(airdrop.delegates(MINER), MINER);
        vm.assertEq(airdrop.delegatedVotes(), 1000e18);
        vm.assertEq(airdrop.unreleasedOf(MINER), 1000e18);
        vm.warp(START + 1);
        vm.assertEq(airdrop.getPastVotes(MINER, START), 1000e18);
        vm.expectRevert(abi.encodeWithSelector(IAirdrop.Airdrop_AlreadyRegistered.selector, MINER));
        airdrop.register(MINER);
        vm.expectRevert(abi.encodeWithSelector(IAirdrop.Airdrop_NothingEarned.selector, OTHER));
        airdrop.register(OTHER);
        vm.expectRevert(abi.encodeWithSelector(IAirdrop.Airdrop_NothingEarned.selector, OTHER));
        airdrop.release(OTHER);
    }

    function test_a_delegate_chosen_before_registration_votes() public {
        credit.set(MINER, 100e18);
        vm.prank(MINER);
        airdrop.delegate(OTHER);
        openToken();
        airdrop.register(MINER);
        vm.assertEq(airdrop.getVotes(OTHER), 1000e18);
        vm.assertEq(airdrop.getVotes(MINER), 0);
        vm.prank(MINER);
        airdrop.delegate(address(0));
        vm.assertEq(airdrop.getVotes(OTHER), 0);
        vm.assertEq(airdrop.delegatedVotes(), 0);
    }

    function test_a_quarter_is_liquid_at_markets_and_the_rest_within_the_year() public {
        credit.set(MINER, 100e18);
        openToken();
        airdrop.register(MINER);
        vm.expectRevert(abi.encodeWithSelector(IAirdrop.Airdrop_NothingReleasable.selector, MINER));
        airdrop.release(MINER);
        gate.openMarkets();
        vm.assertEq(airdrop.release(MINER), 250e18);
        vm.assertEq(tndm.balanceOf(MINER), 250e18);
        vm.assertEq(airdrop.getVotes(MINER), 750e18, "what is paid votes at the token, if at all");
        vm.expectRevert(abi.encodeWithSelector(IAirdrop.Airdrop_NothingReleasable.selector, MINER));
        airdrop.release(MINER);
        vm.warp(START + YEAR / 2);
        vm.assertEq(airdrop.releasable(MINER), 375e18);
        airdrop.release(MINER);
        vm.warp(START + 2 * YEAR);
        airdrop.release(MINER);
        vm.assertEq(tndm.balanceOf(MINER), 1000e18);
        vm.assertEq(airdrop.releasedOf(MINER), 1000e18);
        vm.assertEq(airdrop.getVotes(MINER), 0);
        vm.assertEq(airdrop.delegatedVotes(), 0);
    }

    function test_releasing_registers_who_was_never_registered() public {
        credit.set(MINER, 100e18);
        openMarkets();
        vm.assertEq(airdrop.releasable(MINER), 250e18);
        vm.assertEq(airdrop.release(MINER), 250e18);
        vm.assertEq(airdrop.getVotes(MINER), 750e18);
    }

    function test_what_the_maximum_leaves_over_goes_to_the_treasury_once() public {
        credit.set(MINER, 100e18);
        openToken();
        vm.expectRevert(IAirdrop.Airdrop_NothingLeftOver.selector);
        airdrop.payLeftover();
        gate.openMarkets();
        vm.assertEq(airdrop.payLeftover(), AMOUNT - 1000e18);
        vm.assertEq(tndm.balanceOf(TREASURY), AMOUNT - 1000e18);
        vm.expectRevert(IAirdrop.Airdrop_NothingLeftOver.selector);
        airdrop.payLeftover();
        vm.warp(START + YEAR);
        airdrop.release(MINER);
        vm.assertEq(tndm.balanceOf(address(airdrop)), 0);
    }

    function test_without_any_credits_the_treasury_gets_all() public {
        openMarkets();
        vm.assertEq(airdrop.entitlementOf(MINER), 0);
        vm.assertEq(airdrop.payLeftover(), AMOUNT);
    }

    function test_nothing_is_left_over_when_the_amount_is_the_limit() public {
        credit.set(MINER, 100_000e18);
        openMarkets();
        vm.expectRevert(IAirdrop.Airdrop_NothingLeftOver.selector);
        airdrop.payLeftover();
    }

    function test_an_airdrop_of_nothing_or_of_more_than_the_whole_is_refused() public {
        vm.expectRevert(IAirdrop.Airdrop_BadConfig.selector);
        new Airdrop(config(0));
        IAirdrop.Config memory bad = config(1);
        bad.immediateShare = 1e18 + 1;
        vm.expectRevert(IAirdrop.Airdrop_BadConfig.selector);
        new Airdrop(bad);
    }

    /// @dev Linear: one account with all the credits gets at least what two get that share them, and at most a wei more.
    function testFuzz_neither_splitting_nor_merging_accounts_pays(
        uint128 mine,
        uint128 split,
        uint128 others
    ) public {
        uint256 credits = bound(mine, 1, 1e30);
        uint256 part = bound(split, 0, credits);
        credit.set(makeActor("the rest"), bound(others, 0, 1e30));
        credit.set(MINER, credits);
        gate.announce();
        uint256 whole = airdrop.entitlementOf(MINER);
        vm.assertLe(whole, AMOUNT);
        credit.set(MINER, part);
        credit.set(OTHER, credits - part);
        uint256 parts = airdrop.entitlementOf(MINER) + airdrop.entitlementOf(OTHER);
        vm.assertLe(parts, whole);
        vm.assertLe(whole - parts, 1);
    }

    /// @dev However often and whenever it is released, an account is paid what has vested, and votes with the rest.
    function testFuzz_what_is_paid_is_what_has_vested(
        uint128 credits,
        uint32[6] memory steps
    ) public {
        credit.set(MINER, bound(credits, 1, 1e24));
        openToken();
        uint256 promised = airdrop.register(MINER);
        gate.openMarkets();
        uint256 elapsed = 0;
        for (uint256 i = 0; i < steps.length; ++i) {
            elapsed += bound(steps[i], 0, YEAR / 4);
            vm.warp(START + elapsed);
            if (airdrop.releasable(MINER) != 0) airdrop.release(MINER);
            uint256 liquid = promised / 4;
            uint256 vested = elapsed >= YEAR ? promised : liquid + (promised - liquid) * elapsed / YEAR;
            vm.assertEq(tndm.balanceOf(MINER), vested);
            vm.assertEq(airdrop.getVotes(MINER), promised - vested);
        }
    }

    /// @dev All accounts together are paid out of the amount, whatever the credits.
    function testFuzz_everybody_can_be_paid(
        uint128[5] memory credits
    ) public {
        address[5] memory accounts;
        for (uint256 i = 0; i < credits.length; ++i) {
            accounts[i] = makeActor(vm.toString(i));
            credit.set(accounts[i], bound(credits[i], 0, 1e26));
        }
        openMarkets();
        if (airdrop.promised() < AMOUNT) airdrop.payLeftover();
        vm.warp(START + YEAR);
        for (uint256 i = 0; i < credits.length; ++i) {
            if (airdrop.entitlementOf(accounts[i]) != 0) airdrop.release(accounts[i]);
        }
        vm.assertLe(tndm.balanceOf(address(airdrop)), credits.length, "only what was rounded down stays");
    }
}
