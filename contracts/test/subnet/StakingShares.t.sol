// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IDelegation } from "../../src/subnet/IDelegation.sol";
import { Netuid } from "../../src/types/Types.sol";
import { StakingTest } from "../support/StakingTest.sol";

/// @notice Delegation by shares: who owns what of a pool, from when on, and what a slash takes.
contract StakingSharesTest is StakingTest {
    uint256 private constant WAD = 1e18;
    /// @dev A call rounds against its account by two wei at most: once where it buys or sells shares, once where they are valued.
    uint256 private constant DUST = 2;

    address private immutable D1 = makeActor("delegator 1");
    address private immutable D2 = makeActor("delegator 2");
    address private immutable THIEF = makeActor("thief");

    function setUp() public override {
        super.setUp();
        register(ONE, A, HB);
        register(ONE, B, HC);
        endow(D1, 1_000_000e18);
        endow(D2, 1_000_000e18);
        endow(THIEF, 1_000_000e18);
    }

    /// @dev [SN-2] A delegator owns shares of the epochs that began while it was in, and of no other: hopping in before an epoch's end
    /// and out after its start brings one epoch for one epoch's stake.
    function test_shares_count_from_the_next_epoch_and_hopping_earns_nothing_more() public {
        stakeAs(D1, HB, 100e18);
        vm.assertEq(staking.sharesAt(ONE, HB, D1, 0), 0);
        vm.assertEq(staking.sharesAt(ONE, HB, D1, 1), 100e24);
        vm.warp(GENESIS + 3 * LENGTH - 1);
        stakeAs(D2, HB, 300e18);
        vm.assertEq(staking.sharesAt(ONE, HB, D2, 2), 0, "not of the epoch that was running");
        vm.warp(GENESIS + 3 * LENGTH);
        unstakeAs(D2, HB, ALL);
        vm.assertEq(staking.sharesAt(ONE, HB, D2, 3), 300e24);
        vm.assertEq(staking.sharesAt(ONE, HB, D2, 4), 0);
        vm.assertEq(staking.totalSharesAt(ONE, HB, 2), 100e24);
        vm.assertEq(staking.totalSharesAt(ONE, HB, 3), 400e24);
        vm.assertEq(staking.totalSharesAt(ONE, HB, 4), 100e24);
        vm.assertEq(staking.totalStakeAt(ONE, HB, 4), 100e18);
    }

    function test_stake_put_in_and_taken_out_in_one_block_never_weighs() public {
        stakeAs(THIEF, HB, 1_000_000e18);
        unstakeAs(THIEF, HB, ALL);
        for (uint64 epoch = 0; epoch < 4; ++epoch) {
            vm.assertEq(staking.weightAt(ONE, HB, epoch), 0);
            vm.assertEq(staking.sharesAt(ONE, HB, THIEF, epoch), 0);
        }
    }

    function test_delegators_are_listed_once_in_order_and_page_by_page() public {
        stakeAs(D1, HB, 5e18);
        stakeAs(D2, HB, 7e18);
        stakeAs(D1, HB, 5e18);
        unstakeAs(D2, HB, ALL);
        stakeAs(D2, HB, 1e18);
        bondAs(D2, HB, 3e18);
        vm.assertEq(staking.delegatorCount(ONE, HB), 2);
        vm.assertEq(staking.delegatorCount(BOND, HB), 1);
        IDelegation.Delegation[] memory all = staking.delegationsAt(ONE, HB, 1, 0, 100);
        vm.assertEq(all.length, 2);
        vm.assertEq(all[0].account, D1);
        vm.assertEq(all[0].shares, 10e24);
        vm.assertEq(all[1].account, D2);
        vm.assertEq(all[1].shares, 1e24);
        IDelegation.Delegation[] memory page = staking.delegationsAt(ONE, HB, 1, 1, 1);
        vm.assertEq(page.length, 1);
        vm.assertEq(page[0].account, D2);
        vm.assertEq(staking.delegationsAt(ONE, HB, 1, 2, 1).length, 0);
        vm.assertEq(staking.delegationsAt(ONE, HB, 1, 9, type(uint256).max).length, 0);
        vm.assertEq(staking.delegationsAt(ONE, HB, 0, 0, 1)[0].shares, 0, "as of the epoch");
    }

    /// @dev The first depositor puts one wei in, gives the contract a fortune, and takes and adds wei to push the price of a share.
    function testFuzz_the_first_depositor_takes_no_more_than_dust_from_the_next(
        uint128 donated,
        uint128 put,
        uint8 rounds
    ) public {
        uint256 victims = bound(put, 1e6, 1_000_000e18);
        stakeAs(THIEF, HB, 1);
        vm.prank(THIEF);
        alpha.transfer(address(staking), bound(donated, 0, 900_000e18));
        uint256 spent = 1;
        for (uint256 n = 0; n < rounds % 8; ++n) {
            stakeAs(THIEF, HB, 3);
            unstakeAs(THIEF, HB, 1);
            spent += 2;
        }
        stakeAs(D1, HB, victims);
        vm.assertGe(staking.stakeOf(ONE, HB, D1) + DUST, victims);
        vm.assertLe(staking.stakeOf(ONE, HB, THIEF), spent);
    }

    function test_a_pool_of_one_wei_works() public {
        stakeAs(D1, HB, 1);
        vm.assertEq(staking.stakeOf(ONE, HB, D1), 1);
        stakeAs(D2, HB, 1);
        slash(ONE, HB, WAD / 2);
        vm.assertEq(staking.totalStakeAt(ONE, HB, 1), 1, "half of two");
        vm.assertEq(staking.stakeOf(ONE, HB, D1) + staking.stakeOf(ONE, HB, D2), 0, "half a wei each rounds down");
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_ZeroAmount.selector));
        unstakeAs(D1, HB, ALL);
        stakeAs(D2, HB, 9);
        unstakeAs(D2, HB, ALL);
        vm.assertGe(staking.unbondingOf(1).amount + DUST, 9);
    }

    function test_a_slash_takes_its_share_of_the_bond_of_one_subnets_alpha_and_of_what_leaves() public {
        stakeAs(D1, HB, 100e18);
        stakeAs(D2, HB, 300e18);
        bondAs(D1, HB, 40e18);
        stakeAs(D1, HC, 100e18);
        uint256 leaving = unstakeAs(D2, HB, 100e18);
        vm.prank(D1);
        uint256 unbonding = staking.unbond(HB, 20e18);
        warpToEpoch(1);
        (uint256 supply, uint256 bonds) = (alpha.totalSupply(), tndm.totalSupply());

        (uint256 tndmTaken, uint256 alphaTaken) = slash(ONE, HB, WAD / 4);

        vm.assertEq(alphaTaken, 100e18);
        vm.assertEq(tndmTaken, 10e18);
        vm.assertEq(alpha.balanceOf(PROVER), 50e18, "half to the prover");
        vm.assertEq(supply - alpha.totalSupply(), 50e18, "half burned");
        vm.assertEq(tndm.balanceOf(PROVER), 5e18);
        vm.assertEq(bonds - tndm.totalSupply(), 5e18);
        vm.assertEq(staking.stakeOf(ONE, HB, D1), 75e18);
        vm.assertEq(staking.stakeOf(ONE, HB, D2), 150e18);
        vm.assertEq(staking.bondOf(HB, D1), 15e18);
        vm.assertEq(staking.unbondingOf(leaving).amount, 75e18);
        vm.assertEq(staking.unbondingOf(unbonding).amount, 15e18);
        vm.assertEq(staking.stakeOf(ONE, HC, D1), 100e18, "another hotkey's money");
        vm.assertEq(staking.totalStakeAt(ONE, HB, 1), 300e18, "an epoch that has begun does not change");
        vm.assertEq(staking.totalStakeAt(ONE, HB, 2), 225e18);

        vm.warp(GENESIS + UNBONDING);
        uint256 held = alpha.balanceOf(D2);
        staking.withdraw(leaving);
        vm.assertEq(alpha.balanceOf(D2) - held, 75e18);
        held = tndm.balanceOf(D1);
        staking.withdraw(unbonding);
        vm.assertEq(tndm.balanceOf(D1) - held, 15e18);
    }

    function test_who_joins_after_a_slash_pays_nothing_for_it() public {
        stakeAs(D1, HB, 100e18);
        uint256 before = unstakeAs(D1, HB, 50e18);
        slash(ONE, HB, WAD / 5);
        stakeAs(D2, HB, 100e18);
        uint256 later = unstakeAs(D2, HB, 60e18);
        vm.assertEq(staking.unbondingOf(before).amount, 40e18);
        vm.assertApproxEqAbs(staking.unbondingOf(later).amount, 60e18, DUST);
        vm.assertApproxEqAbs(staking.stakeOf(ONE, HB, D2), 40e18, DUST);
        vm.assertApproxEqAbs(staking.stakeOf(ONE, HB, D1), 40e18, DUST);
    }

    function test_only_the_slashing_contract_slashes_and_at_most_all() public {
        stakeAs(D1, HB, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_OnlySlashing.selector, A));
        vm.prank(A);
        staking.slash(ONE, HB, 1, PROVER);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_BadShare.selector, WAD + 1));
        slash(ONE, HB, WAD + 1);
        slash(BOND, HB, WAD);
        vm.assertEq(staking.stakeOf(ONE, HB, D1), 1e18, "netuid 0: the bond alone");
        slash(ONE, HB, 0);
        vm.assertEq(staking.stakeOf(ONE, HB, D1), 1e18);
    }

    /// @dev [GV-2] However often a validator is slashed, its delegators can leave with what is left to them.
    function test_a_pool_slashed_away_takes_nothing_in_and_lets_everybody_out() public {
        stakeAs(D1, HB, 1000e18);
        unstakeAs(D1, HB, 100e18);
        for (uint256 n = 0; n < 12; ++n) {
            slash(ONE, HB, WAD * 9 / 10);
            // Each time somebody leaves into a queue that has been slashed as often.
            uint256 worth = staking.stakeOf(ONE, HB, D1);
            uint256 id = unstakeAs(D1, HB, worth / 2);
            vm.assertApproxEqAbs(staking.unbondingOf(id).amount, worth / 2, DUST);
        }
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_PoolRuined.selector, ONE, HB));
        stakeAs(D2, HB, 1000e18);
        unstakeAs(D1, HB, ALL);
        vm.warp(GENESIS + UNBONDING);
        uint256 out = alpha.balanceOf(D1);
        for (uint256 id = 1; id <= staking.unbondingCount(); ++id) {
            staking.withdraw(id);
        }
        vm.assertGt(alpha.balanceOf(D1), out);
    }

    function test_a_queue_cut_below_a_thousandth_is_taken_whole_and_begins_anew() public {
        stakeAs(D1, HB, 1000e18);
        uint256 old = unstakeAs(D1, HB, 500e18);
        slash(ONE, HB, WAD - WAD / 2000);
        vm.assertEq(staking.unbondingOf(old).amount, 0);
        uint256 young = unstakeAs(D1, HB, 0.1e18);
        vm.assertEq(staking.unbondingOf(young).amount, 0.1e18);
        slash(ONE, HB, WAD / 2);
        vm.assertEq(staking.unbondingOf(young).amount, 0.05e18);
        vm.warp(GENESIS + UNBONDING);
        staking.withdraw(old);
        staking.withdraw(young);
    }

    function test_permit_and_stake_fit_into_one_call() public {
        (address signer, uint256 key) = makeActorAndKey("signer");
        vm.prank(A);
        alpha.transfer(signer, 5e18);
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                signer,
                address(staking),
                5e18,
                0,
                GENESIS
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(key, keccak256(abi.encodePacked(hex"1901", alpha.DOMAIN_SEPARATOR(), structHash)));
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(staking.permit, (ONE, 5e18, GENESIS, v, r, s));
        // Used a second time it changes nothing.
        calls[1] = calls[0];
        calls[2] = abi.encodeCall(staking.stake, (ONE, HB, 5e18));
        vm.prank(signer);
        staking.multicall(calls);
        vm.assertEq(staking.stakeOf(ONE, HB, signer), 5e18);
    }

    function test_takes_fall_freely_and_rise_by_steps_with_a_pause_between() public {
        vm.assertEq(staking.takeAt(HB, 0), TAKE_BOUND);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_NotHotkeyOwner.selector, HB, B));
        vm.prank(B);
        staking.setTake(HB, 1);
        vm.startPrank(A);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_TakeAboveBound.selector, TAKE_BOUND + 1, TAKE_BOUND));
        staking.setTake(HB, TAKE_BOUND + 1);
        staking.setTake(HB, 100);
        vm.assertEq(staking.takeAt(HB, 0), TAKE_BOUND, "an epoch that has begun does not change");
        vm.assertEq(staking.takeAt(HB, 1), 100);
        staking.setTake(HB, 0);
        vm.assertEq(staking.takeAt(HB, 1), 0);
        vm.expectRevert(
            abi.encodeWithSelector(IDelegation.Staking_TakeStepTooLarge.selector, 0, TAKE_STEP + 1, TAKE_STEP)
        );
        staking.setTake(HB, TAKE_STEP + 1);
        staking.setTake(HB, TAKE_STEP);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_TakeTooSoon.selector, GENESIS + TAKE_PERIOD));
        staking.setTake(HB, TAKE_STEP + 1);
        vm.warp(GENESIS + TAKE_PERIOD - 1);
        staking.setTake(HB, 5);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_TakeTooSoon.selector, GENESIS + TAKE_PERIOD));
        staking.setTake(HB, 6);
        vm.warp(GENESIS + TAKE_PERIOD);
        staking.setTake(HB, 6);
        vm.stopPrank();
        vm.assertEq(staking.takeAt(HB, 1), TAKE_STEP);
        vm.assertEq(staking.takeAt(HB, 10), 5);
        vm.assertEq(staking.takeAt(HB, 11), 6);
    }
}

/// @notice With a minimum, dust cannot fill the list of delegators.
contract StakingMinimumTest is StakingTest {
    function minimumDelegation() internal pure override returns (uint256) {
        return 1e18;
    }

    function setUp() public override {
        super.setUp();
        register(ONE, A, HB);
    }

    function test_a_position_is_worth_the_minimum_or_nothing() public {
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_BelowMinimum.selector, 1e18 - 1, 1e18));
        stake(HB, 1e18 - 1);
        stake(HB, 1e18);
        stake(HB, 1);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_BelowMinimum.selector, 1e18 - 1, 1e18));
        unstakeAs(A, HB, 2);
        unstakeAs(A, HB, 1);
        unstakeAs(A, HB, 1e18);
        vm.assertEq(staking.sharesAt(ONE, HB, A, 1), 0);
    }

    /// @dev [GV-2]
    function test_what_a_slash_cut_below_the_minimum_leaves_whole() public {
        stake(HB, 1e18);
        slash(ONE, HB, 0.5e18);
        vm.expectRevert(abi.encodeWithSelector(IDelegation.Staking_BelowMinimum.selector, 0.4e18, 1e18));
        unstakeAs(A, HB, 0.1e18);
        unstakeAs(A, HB, ALL);
        vm.assertEq(staking.unbondingOf(1).amount, 0.5e18);
    }
}

/// @notice Random stakes, unstakes, slashes and withdrawals by three delegators of two hotkeys.
contract StakingLawsTest is StakingTest {
    uint256 private constant STEPS = 40;
    uint256 private constant WAD = 1e18;
    uint256 private constant DUST = 2;

    address[] private _accounts;
    address[] private _hotkeys;
    mapping(address account => mapping(address hotkey => uint256)) private _in;
    mapping(address account => mapping(address hotkey => uint256)) private _out;
    mapping(address account => mapping(address hotkey => uint256)) private _calls;
    mapping(address hotkey => bool) private _slashed;

    function setUp() public override {
        super.setUp();
        register(ONE, A, HB);
        register(ONE, B, HC);
        _hotkeys = [HB, HC];
        for (uint256 n = 0; n < 3; ++n) {
            address account = vm.addr(500 + n);
            _accounts.push(account);
            endow(account, 1_000_000e18);
        }
        vm.prank(_accounts[0]);
        alpha.delegate(_accounts[0]);
    }

    function testFuzz_pools_pay_what_was_put_in_less_what_was_slashed(
        uint256 seed
    ) public {
        for (uint256 step = 0; step < STEPS; ++step) {
            act(uint256(keccak256(abi.encode(seed, step))));
            checkLaws();
        }
        leaveAll();
        checkLaws();
        checkAccounts();
    }

    function act(
        uint256 random
    ) private {
        address account = _accounts[random % 3];
        address hotkey = _hotkeys[(random >> 8) % 2];
        // Wei and fortunes: exponents from 0 to 24.
        uint256 amount = (random >> 128) % 10 ** ((random >> 16) % 24) + 1;
        uint256 action = (random >> 32) % 8;
        if (action < 3) {
            stakeAs(account, hotkey, amount);
            _in[account][hotkey] += amount;
            ++_calls[account][hotkey];
        } else if (action < 6) {
            uint256 worth = staking.stakeOf(ONE, hotkey, account);
            if (worth == 0) return;
            unstakeAs(account, hotkey, action == 5 ? ALL : amount % worth + 1);
            ++_calls[account][hotkey];
        } else if (action == 6) {
            uint256 other = staking.stakeOf(ONE, hotkey == HB ? HC : HB, account);
            slash(ONE, hotkey, random >> 200 == 0 ? WAD : (random >> 128) % (WAD / 3));
            _slashed[hotkey] = true;
            vm.assertEq(staking.stakeOf(ONE, hotkey == HB ? HC : HB, account), other, "another hotkey's money");
        } else {
            vm.warp(block.timestamp + (random >> 64) % (2 * LENGTH));
            staking.syncVotes(ONE, hotkey, account);
        }
    }

    /// @dev The contract holds what it owes; shares sum up; votes are what positions were worth.
    function checkLaws() private view {
        uint64 next = staking.currentEpoch() + 1;
        uint256 owed = 0;
        for (uint256 h = 0; h < 2; ++h) {
            uint256 shares = 0;
            uint256 worth = 0;
            for (uint256 n = 0; n < 3; ++n) {
                shares += staking.sharesAt(ONE, _hotkeys[h], _accounts[n], next);
                worth += staking.stakeOf(ONE, _hotkeys[h], _accounts[n]);
            }
            uint256 total = staking.totalStakeAt(ONE, _hotkeys[h], next);
            vm.assertEq(shares, staking.totalSharesAt(ONE, _hotkeys[h], next));
            vm.assertLe(worth, total, "no pool owes more than it holds");
            owed += total;
        }
        for (uint256 id = 1; id <= staking.unbondingCount(); ++id) {
            owed += staking.unbondingOf(id).amount;
        }
        vm.assertLe(owed, alpha.balanceOf(address(staking)), "solvent");
        vm.assertEq(staking.getVotes(ONE, _accounts[0]), staking.votingUnitsOf(ONE, _accounts[0]), "votes follow");
    }

    function leaveAll() private {
        for (uint256 n = 0; n < 3; ++n) {
            for (uint256 h = 0; h < 2; ++h) {
                if (staking.stakeOf(ONE, _hotkeys[h], _accounts[n]) != 0) unstakeAs(_accounts[n], _hotkeys[h], ALL);
                vm.assertEq(staking.stakeOf(ONE, _hotkeys[h], _accounts[n]), 0);
                // A position that slashes made worthless has votes until it is synced.
                staking.syncVotes(ONE, _hotkeys[h], _accounts[n]);
            }
        }
        vm.warp(block.timestamp + UNBONDING);
        for (uint256 id = 1; id <= staking.unbondingCount(); ++id) {
            IDelegation.Unbonding memory unbonding = staking.unbondingOf(id);
            uint256 held = alpha.balanceOf(unbonding.account);
            staking.withdraw(id);
            uint256 got = alpha.balanceOf(unbonding.account) - held;
            vm.assertEq(got, unbonding.amount);
            _out[unbonding.account][unbonding.hotkey] += got;
        }
        vm.assertEq(staking.votingUnitsOf(ONE, _accounts[0]), 0);
    }

    function checkAccounts() private view {
        for (uint256 n = 0; n < 3; ++n) {
            for (uint256 h = 0; h < 2; ++h) {
                (address account, address hotkey) = (_accounts[n], _hotkeys[h]);
                // Dust that others left by rounding may fall to whoever stays: a wei for each of their calls.
                uint256 dust = (DUST + 1) * STEPS;
                vm.assertLe(_out[account][hotkey], _in[account][hotkey] + dust, "nobody gains");
                if (_slashed[hotkey]) continue;
                vm.assertGe(
                    _out[account][hotkey] + DUST * (_calls[account][hotkey] + 1),
                    _in[account][hotkey],
                    "nobody loses unless slashed"
                );
            }
        }
    }
}
