// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { IKeeperSet } from "../../src/epoch/IKeeperSet.sol";
import { ISlashing } from "../../src/epoch/ISlashing.sol";
import { IWeightCommits } from "../../src/epoch/IWeightCommits.sol";
import { Netuid, WAD } from "../../src/types/Types.sol";
import { SuiteTest } from "../support/Suite.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Double signing, shown to the real Slashing, costs real stake, real bonds and what is on its way out.
contract FaultsTest is SuiteTest {
    uint256 private constant SPENT = 500e18;
    /// @dev Of stake, for two commits; of a keeper's bond, for two reports.
    uint256 private constant COMMIT_SHARE = 0.05e18;
    uint256 private constant STAKED = 1000e18;
    uint256 private constant LEAVING = 400e18;
    uint256 private constant BOND = 1000e6;
    uint32 private constant SEQ = 7;

    address private prover = makeActor("prover");
    address private hotkey;
    uint256 private hotkeySecret;

    function setUp() public override {
        super.setUp();
        (hotkey, hotkeySecret) = makeActorAndKey("hotkey 0");
    }

    /// @dev [SN-2] A validator's two commits cost its delegators a twentieth of alpha and bond, staked or unbonding: half is the prover's,
    /// the rest is burned. Other validators, other subnets and the past lose nothing.
    function test_two_signed_commits_cost_stake_and_bond_also_while_they_unbond() public {
        IERC20 alpha = delegate();
        uint64 epoch = oracle.currentEpoch();
        uint256 tndmSupply = tndm.totalSupply();
        uint256 alphaSupply = alpha.totalSupply();
        uint256 before = staking.weightAt(TEXT, hotkey, epoch);
        (, address other) = validator(1);
        uint256 others = staking.totalStakeAt(TEXT, other, epoch + 1);

        proveTwoCommits(epoch);
        uint256 taken = STAKED * COMMIT_SHARE / WAD;
        vm.assertEq(alpha.balanceOf(prover), taken / 2, "half of the alpha");
        vm.assertEq(tndm.balanceOf(prover), taken / 2, "half of the bond");
        vm.assertEq(alphaSupply - alpha.totalSupply(), taken - taken / 2, "the rest is burned");
        vm.assertEq(tndmSupply - tndm.totalSupply(), taken - taken / 2);
        vm.assertEq(staking.totalStakeAt(TEXT, hotkey, epoch + 1), afterSlash(STAKED - LEAVING));
        vm.assertEq(staking.totalBondAt(hotkey, epoch + 1), afterSlash(STAKED - LEAVING));
        vm.assertEq(staking.unbondingOf(1).amount, afterSlash(LEAVING));
        vm.assertEq(staking.unbondingOf(2).amount, afterSlash(LEAVING));
        vm.assertEq(staking.weightAt(TEXT, hotkey, epoch), before, "the running epoch reads what stood at its start");
        vm.assertEq(staking.totalStakeAt(TEXT, other, epoch + 1), others);

        // What is left is its owner's, in time.
        vm.warp(block.timestamp + UNBONDING);
        uint256 held = alpha.balanceOf(ecosystem);
        staking.withdraw(1);
        vm.assertEq(alpha.balanceOf(ecosystem) - held, afterSlash(LEAVING));
    }

    /// @dev A fault is slashed once, whoever shows it and whatever else was signed under its number.
    function test_a_fault_is_slashed_once() public {
        delegate();
        uint64 epoch = oracle.currentEpoch();
        proveTwoCommits(epoch);
        (ISlashing.WeightsCommit memory a, bytes memory first_) = signedCommit(epoch, "a");
        (ISlashing.WeightsCommit memory b, bytes memory second_) = signedCommit(epoch, "c");
        vm.expectRevert(ISlashing.Slashing_AlreadySlashed.selector);
        slashing.proveDoubleCommit(a, first_, b, second_);
    }

    /// @dev The fallback that no keeper can censor: committed and shown on chain; and a commit signed for the keepers that says something
    /// else is a fault.
    function test_a_row_is_committed_and_shown_on_chain_and_another_signed_one_is_a_fault() public {
        IERC20 alpha = delegate();
        uint64 epoch = endEpoch() + 1;
        bytes memory row = abi.encodePacked(uint16(4), uint16(65_535), uint16(5), uint16(30_000));
        bytes32 committed = weightCommits.commitHashOf(TEXT, epoch, hotkey, SEQ, "salt", row);
        vm.prank(hotkey);
        weightCommits.commit(TEXT, epoch, SEQ, committed);

        uint256 deadline = weightCommits.commitDeadline(epoch);
        vm.expectPartialRevert(IWeightCommits.WeightCommits_NotRevealTime.selector);
        weightCommits.reveal(TEXT, epoch, hotkey, SEQ, "salt", row);
        vm.warp(deadline);
        vm.prank(hotkey);
        vm.expectRevert(abi.encodeWithSelector(IWeightCommits.WeightCommits_TooLate.selector, epoch, deadline));
        weightCommits.commit(TEXT, epoch, SEQ + 1, committed);
        vm.expectEmit(address(weightCommits));
        emit IWeightCommits.Revealed(TEXT, epoch, hotkey, SEQ, "salt", row);
        weightCommits.reveal(TEXT, epoch, hotkey, SEQ, "salt", row);

        (ISlashing.WeightsCommit memory other, bytes memory signature) = signedCommit(epoch, "another row");
        vm.prank(prover);
        slashing.proveCommitAgainstChain(other, signature);
        vm.assertEq(alpha.balanceOf(prover), STAKED * COMMIT_SHARE / WAD / 2);
    }

    /// @dev Two reports for one attempt: each keeper that signed both loses half of its bond, a half of that to the prover, the rest to the
    /// burn auction, unattributed; the one that signed one of them loses nothing.
    function test_two_reports_cost_the_keepers_that_signed_both() public {
        bondKeepers();
        uint64 epoch = endEpoch();
        uint256 accrued = auction.accruedOf(Netuid.wrap(0));
        proveTwoReports(epoch);
        uint256 taken = BOND / 2;
        vm.assertEq(keeperSet.bondOf(keepers()[0]), BOND - taken);
        vm.assertEq(keeperSet.bondOf(keepers()[1]), BOND - taken);
        vm.assertEq(keeperSet.bondOf(keepers()[2]), BOND);
        vm.assertEq(usdc.balanceOf(prover), taken);
        vm.assertEq(auction.accruedOf(Netuid.wrap(0)) - accrued, taken);
    }

    /// @dev [GV-2] A keeper that has left answers with its bond for what it signed, until that is free; nobody can keep the rest from it.
    function test_a_keeper_that_left_is_slashed_while_its_bond_waits_and_gets_the_rest() public {
        bondKeepers();
        uint64 epoch = endEpoch();
        address leaver = keepers()[0];
        address[] memory stay = new address[](2);
        (stay[0], stay[1]) = (keepers()[1], keepers()[2]);
        councilCalls(address(keeperSet), abi.encodeCall(IKeeperSet.schedule, (stay, uint16(2))));
        endEpoch();
        vm.assertFalse(keeperSet.isKeeperAt(oracle.currentEpoch(), leaver));
        vm.prank(leaver);
        vm.expectPartialRevert(IKeeperSet.KeeperSet_StillBound.selector);
        keeperSet.withdrawBond(leaver);

        proveTwoReports(epoch);
        vm.assertEq(keeperSet.bondOf(leaver), BOND / 2);
        vm.warp(block.timestamp + UNBONDING);
        vm.prank(leaver);
        keeperSet.withdrawBond(leaver);
        vm.assertEq(usdc.balanceOf(leaver), BOND / 2);
    }

    /// @dev Markets are open; the ecosystem fund has alpha and TNDM behind the hotkey, and parts of both on their way out.
    function delegate() private returns (IERC20 alpha) {
        runEpoch(SPENT);
        runEpoch(SPENT);
        runEpoch(0);
        openMarkets();
        alpha = IERC20(pools.alphaOf(TEXT));
        vm.startPrank(ecosystem);
        tndm.approve(address(pools), 1000e18);
        pools.buy(TEXT, 1000e18, STAKED, block.timestamp);
        alpha.approve(address(staking), STAKED);
        staking.stake(TEXT, hotkey, STAKED);
        tndm.approve(address(staking), STAKED);
        staking.bond(hotkey, STAKED);
        staking.unstake(TEXT, hotkey, LEAVING);
        staking.unbond(hotkey, LEAVING);
        vm.stopPrank();
    }

    function proveTwoCommits(
        uint64 epoch
    ) private {
        (ISlashing.WeightsCommit memory a, bytes memory first_) = signedCommit(epoch, "a");
        (ISlashing.WeightsCommit memory b, bytes memory second_) = signedCommit(epoch, "b");
        vm.prank(prover);
        slashing.proveDoubleCommit(a, first_, b, second_);
    }

    function signedCommit(
        uint64 epoch,
        bytes32 what
    ) private view returns (ISlashing.WeightsCommit memory commit, bytes memory signature) {
        commit = ISlashing.WeightsCommit({ netuid: TEXT, epoch: epoch, validator: hotkey, seq: SEQ, commitHash: what });
        signature = signed(hotkeySecret, slashing.hashCommit(commit));
    }

    function bondKeepers() private {
        for (uint256 i = 0; i < keepers().length; ++i) {
            usdc.mint(address(this), BOND);
            usdc.approve(address(keeperSet), BOND);
            keeperSet.bond(keepers()[i], BOND);
        }
    }

    /// @dev The first two keepers signed two reports on the epoch.
    function proveTwoReports(
        uint64 epoch
    ) private {
        IEpochOracle.EpochReport memory one = reportFor(epoch);
        IEpochOracle.EpochReport memory two = reportFor(epoch);
        two.rewardsRoot = keccak256("to myself");
        bytes[] memory ones = new bytes[](2);
        bytes[] memory twos = new bytes[](2);
        for (uint256 i = 0; i < 2; ++i) {
            ones[i] = signed(keeperSecrets[i], oracle.hashReport(one));
            twos[i] = signed(keeperSecrets[i], oracle.hashReport(two));
        }
        vm.prank(prover);
        vm.assertEq(slashing.proveDoubleReport(one, ones, two, twos), 2);
    }

    function afterSlash(
        uint256 amount
    ) private pure returns (uint256) {
        return amount - amount * COMMIT_SHARE / WAD;
    }
}
