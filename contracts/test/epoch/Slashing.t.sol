// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { ISlashing } from "../../src/epoch/ISlashing.sol";
import { Slashing } from "../../src/epoch/Slashing.sol";
import { Netuid } from "../../src/types/Types.sol";
import { OracleWorld } from "../support/OracleWorld.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

/// @dev Remembers the last slash.
contract StakeStand {
    Netuid public netuid;
    address public hotkey;
    uint256 public share;
    address public prover;
    uint256 public count;

    function slash(
        Netuid netuid_,
        address hotkey_,
        uint256 share_,
        address prover_
    ) external returns (uint256, uint256) {
        (netuid, hotkey, share, prover) = (netuid_, hotkey_, share_, prover_);
        ++count;
        return (1, 2);
    }
}

/// @dev One commit on chain.
contract CommitsStand {
    bytes32 public commit;

    function set(
        bytes32 commit_
    ) external {
        commit = commit_;
    }

    function commitOf(
        Netuid,
        uint64,
        address,
        uint32
    ) external view returns (bytes32) {
        return commit;
    }
}

contract SlashingTest is OracleWorld {
    Netuid private constant TEXT = Netuid.wrap(1);
    uint64 private constant EVIDENCE = 1000;
    uint256 private constant BOND = 1000e6;

    StakeStand private staking;
    CommitsStand private commits;
    Slashing private slasher;
    address private hotkey;
    uint256 private key;
    address private prover = makeActor("prover");

    function setUp() public {
        (hotkey, key) = makeActorAndKey("hotkey");
        slashing = vm.computeCreateAddress(address(this), uint256(vm.getNonce(address(this))) + 9);
        staking = new StakeStand();
        commits = new CommitsStand();
        buildOracle(4, 3);
        slasher = new Slashing(config());
        vm.assertEq(address(slasher), slashing, "known before it exists");
        address[] memory keepers = addressesOf(keys);
        usdc.mint(address(this), 4 * BOND);
        usdc.approve(address(keeperSet), 4 * BOND);
        for (uint256 i = 0; i < 4; ++i) {
            keeperSet.bond(keepers[i], BOND);
        }
    }

    function config() private view returns (ISlashing.Config memory) {
        return ISlashing.Config({
            authority: address(manager),
            oracle: address(oracle),
            keeperSet: address(keeperSet),
            staking: address(staking),
            weightCommits: address(commits),
            least: ISlashing.Amounts({ commitShare: 0.01e18, reportShare: 0.1e18 }),
            most: ISlashing.Amounts({ commitShare: 0.2e18, reportShare: 1e18 }),
            amounts: ISlashing.Amounts({ commitShare: 0.05e18, reportShare: 0.5e18 }),
            evidencePeriod: EVIDENCE,
            genesis: GENESIS,
            epochLength: LENGTH
        });
    }

    function commitOf(
        uint32 seq,
        string memory row
    ) private view returns (ISlashing.WeightsCommit memory) {
        return ISlashing.WeightsCommit({
            netuid: TEXT, epoch: 3, validator: hotkey, seq: seq, commitHash: keccak256(bytes(row))
        });
    }

    function signCommit(
        ISlashing.WeightsCommit memory c
    ) private view returns (bytes memory) {
        return signed(key, slasher.hashCommit(c));
    }

    function prove(
        ISlashing.WeightsCommit memory a,
        ISlashing.WeightsCommit memory b
    ) private {
        bytes memory first = signCommit(a);
        bytes memory second = signCommit(b);
        vm.prank(prover);
        slasher.proveDoubleCommit(a, first, b, second);
    }

    function refuses(
        ISlashing.WeightsCommit memory a,
        ISlashing.WeightsCommit memory b,
        bytes memory reason
    ) private {
        bytes memory first = signCommit(a);
        bytes memory second = signCommit(b);
        vm.expectRevert(reason);
        slasher.proveDoubleCommit(a, first, b, second);
    }

    /// @dev Written out here once more: the type and the domain that validators' services sign.
    function test_the_digest_of_a_commit_is_that_of_eip_712() public view {
        ISlashing.WeightsCommit memory c = commitOf(1, "row");
        bytes32 typeHash =
            keccak256("WeightsCommit(uint16 netuid,uint64 epoch,address validator,uint32 seq,bytes32 commitHash)");
        bytes32 structHash = keccak256(abi.encode(typeHash, c.netuid, c.epoch, c.validator, c.seq, c.commitHash));
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Tandem EpochOracle"),
                keccak256("1"),
                block.chainid,
                address(oracle)
            )
        );
        vm.assertEq(oracle.domainSeparator(), domain);
        vm.assertEq(slasher.hashCommit(c), keccak256(abi.encodePacked(hex"1901", domain, structHash)));
    }

    function test_two_commits_with_one_number_slash_the_validator_once() public {
        vm.expectEmit(address(slasher));
        emit ISlashing.DoubleCommitProved(TEXT, 3, hotkey, 1, prover);
        prove(commitOf(1, "a"), commitOf(1, "b"));
        vm.assertTrue(staking.netuid() == TEXT);
        vm.assertEq(staking.hotkey(), hotkey);
        vm.assertEq(staking.share(), 0.05e18);
        vm.assertEq(staking.prover(), prover);
        vm.assertTrue(slasher.isCommitSlashed(TEXT, 3, hotkey, 1));
        vm.assertFalse(slasher.isCommitSlashed(TEXT, 3, hotkey, 2));
        bytes memory again = abi.encodeWithSelector(ISlashing.Slashing_AlreadySlashed.selector);
        refuses(commitOf(1, "a"), commitOf(1, "b"), again);
        refuses(commitOf(1, "b"), commitOf(1, "a"), again);
        refuses(commitOf(1, "c"), commitOf(1, "a"), again);
        prove(commitOf(2, "a"), commitOf(2, "b"));
        vm.assertEq(staking.count(), 2);
    }

    function test_commits_that_may_both_be_honest_prove_nothing() public {
        bytes memory unrelated = abi.encodeWithSelector(ISlashing.Slashing_Unrelated.selector);
        ISlashing.WeightsCommit memory a = commitOf(1, "a");
        ISlashing.WeightsCommit memory b = commitOf(2, "b");
        refuses(a, b, unrelated);
        b = commitOf(1, "b");
        b.epoch = 4;
        refuses(a, b, unrelated);
        b = commitOf(1, "b");
        b.netuid = Netuid.wrap(2);
        refuses(a, b, unrelated);
        b = commitOf(1, "b");
        b.validator = prover;
        refuses(a, b, unrelated);
        refuses(a, a, abi.encodeWithSelector(ISlashing.Slashing_NoContradiction.selector));
    }

    function testFuzz_only_the_validators_own_signatures_count(
        uint256 seed,
        bool second
    ) public {
        uint256 forger = bound(seed, 1, type(uint128).max);
        vm.assume(forger != key);
        ISlashing.WeightsCommit memory a = commitOf(1, "a");
        ISlashing.WeightsCommit memory b = commitOf(1, "b");
        bytes memory good = signCommit(second ? a : b);
        bytes memory forged = signed(forger, slasher.hashCommit(second ? b : a));
        vm.expectRevert(abi.encodeWithSelector(ISlashing.Slashing_WrongSigner.selector, vm.addr(forger), hotkey));
        if (second) slasher.proveDoubleCommit(a, good, b, forged);
        else slasher.proveDoubleCommit(a, forged, b, good);
    }

    function test_a_signed_commit_against_the_one_on_chain_slashes_too_and_only_once() public {
        ISlashing.WeightsCommit memory a = commitOf(1, "a");
        bytes memory signature = signCommit(a);
        vm.expectRevert(ISlashing.Slashing_Unrelated.selector);
        slasher.proveCommitAgainstChain(a, signature);
        commits.set(a.commitHash);
        vm.expectRevert(ISlashing.Slashing_NoContradiction.selector);
        slasher.proveCommitAgainstChain(a, signature);
        commits.set(keccak256("b"));
        slasher.proveCommitAgainstChain(a, signature);
        vm.assertEq(staking.count(), 1);
        vm.expectRevert(ISlashing.Slashing_AlreadySlashed.selector);
        slasher.proveCommitAgainstChain(a, signature);
        refuses(commitOf(1, "a"), commitOf(1, "b"), abi.encodeWithSelector(ISlashing.Slashing_AlreadySlashed.selector));
    }

    function test_faults_lapse_with_the_evidence_period() public {
        uint256 until = GENESIS + 4 * LENGTH + EVIDENCE;
        vm.warp(until);
        refuses(
            commitOf(1, "a"),
            commitOf(1, "b"),
            abi.encodeWithSelector(ISlashing.Slashing_TooOld.selector, uint64(3), until)
        );
        (IEpochOracle.EpochReport memory a, IEpochOracle.EpochReport memory b) = twoReports();
        refusesReports(a, b, 0, 1, abi.encodeWithSelector(ISlashing.Slashing_TooOld.selector, uint64(3), until));
        vm.warp(until - 1);
        prove(commitOf(1, "a"), commitOf(1, "b"));
        proveReports(a, b, 0, 1);
    }

    // -------------------------------------------------------------------------------------------------- reports

    function twoReports() private view returns (IEpochOracle.EpochReport memory a, IEpochOracle.EpochReport memory b) {
        a = reportFor(3);
        b = reportFor(3);
        b.rewardsRoot = keccak256("all to me");
    }

    /// @dev Signatures of `count` keepers from the `from`-th on.
    function signed(
        IEpochOracle.EpochReport memory r,
        uint256 from,
        uint256 count
    ) private view returns (bytes[] memory list) {
        bytes32 digest = oracle.hashReport(r);
        list = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = signed(keys[from + i], digest);
        }
    }

    function proveReports(
        IEpochOracle.EpochReport memory a,
        IEpochOracle.EpochReport memory b,
        uint256 from,
        uint256 count
    ) private returns (uint256) {
        bytes[] memory first = signed(a, from, count);
        bytes[] memory second = signed(b, from, count);
        vm.prank(prover);
        return slasher.proveDoubleReport(a, first, b, second);
    }

    function refusesReports(
        IEpochOracle.EpochReport memory a,
        IEpochOracle.EpochReport memory b,
        uint256 from,
        uint256 count,
        bytes memory reason
    ) private {
        bytes[] memory first = signed(a, from, count);
        bytes[] memory second = signed(b, from, count);
        vm.expectRevert(reason);
        slasher.proveDoubleReport(a, first, b, second);
    }

    function test_two_reports_for_one_attempt_slash_every_keeper_that_signed_both() public {
        (IEpochOracle.EpochReport memory a, IEpochOracle.EpochReport memory b) = twoReports();
        vm.assertEq(proveReports(a, b, 1, 2), 2);
        vm.assertEq(keeperSet.bondOf(vm.addr(keys[0])), BOND);
        vm.assertEq(keeperSet.bondOf(vm.addr(keys[1])), BOND / 2);
        vm.assertEq(keeperSet.bondOf(vm.addr(keys[2])), BOND / 2);
        vm.assertEq(usdc.balanceOf(prover), BOND / 2);
        vm.assertEq(auction.funded(Netuid.wrap(0)), BOND / 2);
        vm.assertTrue(slasher.isReportSlashed(3, 0, vm.addr(keys[1])));
        vm.assertFalse(slasher.isReportSlashed(3, 0, vm.addr(keys[0])));
        refusesReports(a, b, 1, 2, abi.encodeWithSelector(ISlashing.Slashing_AlreadySlashed.selector));
        vm.assertEq(proveReports(a, b, 0, 4), 2, "the others, not the same again");
        vm.assertEq(keeperSet.bondOf(vm.addr(keys[1])), BOND / 2);
        vm.assertEq(keeperSet.bondOf(vm.addr(keys[3])), BOND / 2);
    }

    /// @dev The next attempt is another statement, and a keeper may sign one for each.
    function test_reports_of_different_attempts_or_epochs_are_no_fault() public {
        bytes memory unrelated = abi.encodeWithSelector(ISlashing.Slashing_Unrelated.selector);
        (IEpochOracle.EpochReport memory a, IEpochOracle.EpochReport memory b) = twoReports();
        b.attempt = 1;
        refusesReports(a, b, 0, 2, unrelated);
        b.attempt = 0;
        b.epoch = 4;
        refusesReports(a, b, 0, 2, unrelated);
        refusesReports(a, a, 0, 2, abi.encodeWithSelector(ISlashing.Slashing_NoContradiction.selector));
    }

    function test_pairs_are_of_one_keeper_each_ascending_and_complete() public {
        (IEpochOracle.EpochReport memory a, IEpochOracle.EpochReport memory b) = twoReports();
        bytes[] memory first = signed(a, 0, 2);
        bytes[] memory second = signed(b, 1, 2);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.Slashing_SignersDiffer.selector, 0));
        slasher.proveDoubleReport(a, first, b, second);
        second = signed(b, 0, 3);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.Slashing_LengthMismatch.selector, 2, 3));
        slasher.proveDoubleReport(a, first, b, second);
        second = signed(b, 0, 2);
        (first[1], second[1]) = (first[0], second[0]);
        vm.expectRevert(abi.encodeWithSelector(ISlashing.Slashing_SignersNotAscending.selector, 1));
        slasher.proveDoubleReport(a, first, b, second);
        vm.expectRevert(ISlashing.Slashing_AlreadySlashed.selector);
        slasher.proveDoubleReport(a, new bytes[](0), b, new bytes[](0));
    }

    function testFuzz_strangers_signatures_slash_nobody(
        uint256 seed
    ) public {
        uint256 stranger = bound(seed, 1, type(uint128).max);
        vm.assume(!keeperSet.isKeeperAt(3, vm.addr(stranger)));
        (IEpochOracle.EpochReport memory a, IEpochOracle.EpochReport memory b) = twoReports();
        bytes[] memory first = new bytes[](1);
        bytes[] memory second = new bytes[](1);
        first[0] = signed(stranger, oracle.hashReport(a));
        second[0] = signed(stranger, oracle.hashReport(b));
        vm.expectRevert(abi.encodeWithSelector(ISlashing.Slashing_NotKeeper.selector, vm.addr(stranger)));
        slasher.proveDoubleReport(a, first, b, second);
    }

    /// @dev Out of the newest set and unbonding: the bond is still there to answer.
    function test_a_keeper_that_left_is_slashed_for_what_it_signed_in_its_time() public {
        vm.warp(GENESIS + 5 * LENGTH);
        address[] memory others = addressesOf(keys);
        others[3] = address(type(uint160).max);
        keeperSet.schedule(others, 3);
        vm.warp(GENESIS + 7 * LENGTH);
        (IEpochOracle.EpochReport memory a, IEpochOracle.EpochReport memory b) = twoReports();
        vm.assertEq(proveReports(a, b, 3, 1), 1);
        vm.assertEq(keeperSet.bondOf(vm.addr(keys[3])), BOND / 2);
        (a, b) = twoReports();
        a.epoch = 6;
        b.epoch = 6;
        refusesReports(a, b, 3, 1, abi.encodeWithSelector(ISlashing.Slashing_NotKeeper.selector, vm.addr(keys[3])));
    }

    // -------------------------------------------------------------------------------------------------- amounts

    /// @dev [AC-1]
    function test_amounts_change_within_bounds_at_the_next_epochs_start() public {
        ISlashing.Amounts memory amounts = ISlashing.Amounts({ commitShare: 0.2e18, reportShare: 0.1e18 });
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, prover));
        vm.prank(prover);
        slasher.setAmounts(amounts);
        slasher.setAmounts(amounts);
        vm.assertEq(slasher.amountsNow().commitShare, 0.05e18);
        vm.warp(GENESIS + LENGTH);
        vm.assertEq(slasher.amountsNow().commitShare, 0.2e18);
        vm.assertEq(slasher.amountsNow().reportShare, 0.1e18);
        amounts.commitShare = 0.2e18 + 1;
        vm.expectRevert(abi.encodeWithSelector(ISlashing.Slashing_OutOfBounds.selector, 0.2e18 + 1, 0.01e18, 0.2e18));
        slasher.setAmounts(amounts);
        amounts = ISlashing.Amounts({ commitShare: 0.2e18, reportShare: 0.1e18 - 1 });
        vm.expectRevert(abi.encodeWithSelector(ISlashing.Slashing_OutOfBounds.selector, 0.1e18 - 1, 0.1e18, 1e18));
        slasher.setAmounts(amounts);
        (ISlashing.Amounts memory least, ISlashing.Amounts memory most) = slasher.bounds();
        vm.assertEq(least.commitShare, 0.01e18);
        vm.assertEq(most.reportShare, 1e18);
        vm.assertEq(slasher.evidencePeriod(), EVIDENCE);
    }

    function test_bounds_that_take_nothing_or_more_than_everything_are_refused_at_birth() public {
        ISlashing.Config memory c = config();
        c.least.reportShare = 0;
        vm.expectRevert(ISlashing.Slashing_BadConfig.selector);
        new Slashing(c);
        c = config();
        c.most.commitShare = 1e18 + 1;
        vm.expectRevert(ISlashing.Slashing_BadConfig.selector);
        new Slashing(c);
    }
}
