// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { OracleWorld } from "../support/OracleWorld.sol";
import { IAccessManaged } from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

contract EpochOracleTest is OracleWorld {
    bytes32 private constant REASON = "wrong";
    bytes4 private constant WRONG_LENGTH = IEpochOracle.EpochOracle_WrongLength.selector;

    function setUp() public {
        buildOracle(4, 3);
    }

    function refuses(
        IEpochOracle.EpochReport memory r,
        bytes memory reason
    ) private {
        IEpochOracle.Signature[] memory list = quorum(r);
        vm.expectRevert(reason);
        oracle.post(r, list);
    }

    function refusesToActivate(
        IEpochOracle.EpochReport memory r,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        oracle.activate(r);
    }

    function notPending(
        uint64 epoch
    ) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEpochOracle.EpochOracle_NotPending.selector, epoch);
    }

    /// @dev [EP-1] The set is asked for once; from then on it tells what changes.
    function test_the_first_report_remembers_the_first_set() public {
        endEpoch(0);
        activate(post(0));
        endEpoch(1);
        IEpochOracle.EpochReport memory r = reportFor(1);
        IEpochOracle.Signature[] memory list = quorum(r);
        vm.etch(address(keeperSet), hex"5f5ffd"); // reverts, whatever it is asked
        oracle.post(r, list);
        vm.assertEq(uint8(oracle.reportOf(1).status), uint8(IEpochOracle.Status.Pending));
    }

    function test_a_quorums_report_is_posted_and_becomes_active_after_the_delay() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory r = post(0);
        (bool any, uint64 epoch, bytes32 hash) = oracle.lastPosted();
        vm.assertTrue(any);
        vm.assertEq(epoch, 0);
        vm.assertEq(hash, oracle.structHash(r));
        (any,,) = oracle.lastActive();
        vm.assertFalse(any);
        uint256 activeFrom = block.timestamp + DELAY;
        vm.warp(activeFrom - 1);
        refusesToActivate(r, abi.encodeWithSelector(IEpochOracle.EpochOracle_TooEarly.selector, uint64(0), activeFrom));
        (bytes32 root,) = oracle.activeSubnetsRoot();
        vm.assertEq(root, bytes32(0));
        vm.warp(activeFrom);
        vm.prank(makeActor("anyone"));
        oracle.activate(r);
        (root, epoch) = oracle.activeSubnetsRoot();
        vm.assertEq(root, r.subnetsRoot);
        vm.assertEq(epoch, 0);
        vm.assertEq(distributor.lastRoot(), r.rewardsRoot);
        (any, epoch, hash) = oracle.lastActive();
        vm.assertTrue(any && epoch == 0 && hash == oracle.structHash(r));
        vm.assertTrue(oracle.reportOf(0).status == IEpochOracle.Status.Active);
    }

    /// @dev Written out here once more, so that a slip in the contract's type string shows.
    function test_the_digest_is_that_of_eip_712() public view {
        IEpochOracle.EpochReport memory r = reportFor(5);
        bytes32 typeHash = keccak256(
            "EpochReport(uint64 epoch,uint32 attempt,bytes32 configDigest,bytes32 inputsBlock,bytes32 previousReport,bytes32 subnetsRoot,bytes32 rewardsRoot,bytes32 bundleHash,uint32 rulesVersion)"
        );
        bytes memory head = abi.encode(typeHash, r.epoch, r.attempt, r.configDigest, r.inputsBlock);
        bytes memory tail = abi.encode(r.previousReport, r.subnetsRoot, r.rewardsRoot, r.bundleHash, r.rulesVersion);
        bytes32 structHash = keccak256(bytes.concat(head, tail));
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Tandem EpochOracle"),
                keccak256("1"),
                block.chainid,
                address(oracle)
            )
        );
        vm.assertEq(oracle.structHash(r), structHash);
        vm.assertEq(oracle.hashReport(r), keccak256(abi.encodePacked(hex"1901", domain, structHash)));
    }

    /// @dev [EP-2]
    function test_posting_twice_reverts_and_changes_nothing() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory r = reportFor(0);
        IEpochOracle.Signature[] memory list = quorum(r);
        oracle.post(r, list);
        uint64 postedAt = oracle.reportOf(0).postedAt;
        vm.warp(block.timestamp + 5);
        vm.expectRevert(
            abi.encodeWithSelector(IEpochOracle.EpochOracle_AlreadyPosted.selector, uint64(0), oracle.structHash(r))
        );
        oracle.post(r, list);
        vm.assertEq(oracle.reportOf(0).postedAt, postedAt);
        r.bundleHash = keccak256("another");
        refuses(r, abi.encodeWithSelector(IEpochOracle.EpochOracle_NotAfterLast.selector, uint64(0), uint64(0)));
    }

    function test_a_report_waits_for_the_epochs_end_and_settlement() public {
        vm.warp(GENESIS + LENGTH - 1);
        refuses(
            reportFor(0),
            abi.encodeWithSelector(IEpochOracle.EpochOracle_NotEnded.selector, uint64(0), GENESIS + LENGTH)
        );
        vm.warp(GENESIS + 3 * LENGTH);
        controller.setSettledThrough(2);
        refuses(
            reportFor(2), abi.encodeWithSelector(IEpochOracle.EpochOracle_NotSettled.selector, uint64(2), uint64(2))
        );
        post(1);
    }

    function test_attempt_config_and_previous_report_must_match() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory r = reportFor(0);
        r.attempt = 1;
        refuses(r, abi.encodeWithSelector(IEpochOracle.EpochOracle_WrongAttempt.selector, uint32(1), uint32(0)));
        r = reportFor(0);
        bytes32 digest = r.configDigest;
        r.configDigest = bytes32(uint256(1));
        refuses(r, abi.encodeWithSelector(IEpochOracle.EpochOracle_WrongConfig.selector, bytes32(uint256(1)), digest));
        r = reportFor(0);
        r.previousReport = bytes32(uint256(1));
        refuses(
            r, abi.encodeWithSelector(IEpochOracle.EpochOracle_WrongPrevious.selector, bytes32(uint256(1)), bytes32(0))
        );
    }

    function signatures(
        IEpochOracle.EpochReport memory r,
        uint256 a,
        uint256 b,
        uint256 c
    ) private view returns (IEpochOracle.Signature[] memory list) {
        list = new IEpochOracle.Signature[](3);
        (list[0], list[1], list[2]) = (sign(r, a), sign(r, b), sign(r, c));
    }

    /// @dev [EP-1]
    function test_signatures_are_exactly_the_threshold_ascending_and_by_keepers() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory r = reportFor(0);
        IEpochOracle.EpochReport memory other = reportFor(0);
        other.rewardsRoot = bytes32(0);
        refusesSigned(r, signedBy(r, 2), abi.encodeWithSelector(WRONG_LENGTH, 2, 3));
        refusesSigned(r, signedBy(r, 4), abi.encodeWithSelector(WRONG_LENGTH, 4, 3));
        refusesSigned(r, signatures(r, keys[0], keys[1], keys[1]), notAscending(2));
        refusesSigned(r, signatures(r, keys[0], keys[0], keys[0]), notAscending(1));
        refusesSigned(r, signatures(r, keys[1], keys[0], keys[2]), notAscending(1));
        refusesSigned(r, signatures(r, keys[3], keys[1], keys[2]), notAscending(1));
        // Signatures of another report recover to strangers, in whatever order.
        (bool ok,) = address(oracle).call(abi.encodeCall(IEpochOracle.post, (r, quorum(other))));
        vm.assertFalse(ok);
        oracle.post(r, signatures(r, keys[0], keys[1], keys[3]));
    }

    /// @dev [EP-2] The other signature of the same key would pass a contract that looks at signers only; zero recovers to nobody.
    function test_malleable_and_empty_signatures_are_refused() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory r = reportFor(0);
        IEpochOracle.Signature[] memory list = quorum(r);
        bytes memory bad = abi.encodeWithSelector(IEpochOracle.EpochOracle_BadSignature.selector, 2);
        list[2] = IEpochOracle.Signature({ r: 0, vs: 0 });
        refusesSigned(r, list, bad);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        (uint8 v, bytes32 rr, bytes32 s) = vm.sign(keys[2], oracle.hashReport(r));
        // A high s has its highest bit free as well.
        bytes32 high = bytes32(order - uint256(s));
        if (uint256(high) >> 255 == 0) {
            list[2] = IEpochOracle.Signature({ r: rr, vs: v == 27 ? high | bytes32(uint256(1) << 255) : high });
            refusesSigned(r, list, bad);
        }
        list[2] = IEpochOracle.Signature({ r: rr, vs: bytes32(order / 2 + 1) });
        refusesSigned(r, list, bad);
    }

    function refusesSigned(
        IEpochOracle.EpochReport memory r,
        IEpochOracle.Signature[] memory list,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        oracle.post(r, list);
    }

    function notAscending(
        uint256 position
    ) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IEpochOracle.EpochOracle_SignersNotAscending.selector, position);
    }

    function testFuzz_a_stranger_among_the_signers_is_refused(
        uint256 seed,
        uint256 place
    ) public {
        uint256 key = bound(seed, 1, type(uint128).max);
        address stranger = vm.addr(key);
        vm.assume(!keeperSet.isKeeperAt(0, stranger));
        endEpoch(0);
        IEpochOracle.EpochReport memory r = reportFor(0);
        IEpochOracle.Signature[] memory list = quorum(r);
        list[place % 3] = sign(r, key);
        refusesSigned(r, list, abi.encodeWithSelector(IEpochOracle.EpochOracle_NotKeeper.selector, stranger));
    }

    /// @dev [EP-1] Bytes beyond the signatures would cost every reader of the chain.
    function test_calldata_has_exactly_the_length_that_the_threshold_needs() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory r = reportFor(0);
        bytes memory data = abi.encodeCall(IEpochOracle.post, (r, quorum(r)));
        (bool ok, bytes memory reason) = address(oracle).call(bytes.concat(data, hex"00"));
        vm.assertFalse(ok);
        vm.assertEq(reason, abi.encodeWithSelector(WRONG_LENGTH, data.length + 1, data.length));
        // Bytes between the report and the signatures, which the offset jumps over.
        bytes memory jumps = new bytes(data.length + 32);
        for (uint256 i = 0; i < data.length; ++i) {
            jumps[i < 4 + 10 * 32 ? i : i + 32] = data[i];
        }
        jumps[4 + 10 * 32 - 1] = bytes1(uint8(jumps[4 + 10 * 32 - 1]) + 32);
        (ok, reason) = address(oracle).call(jumps);
        vm.assertFalse(ok);
        vm.assertEq(reason, abi.encodeWithSelector(WRONG_LENGTH, data.length + 32, data.length));
        (ok,) = address(oracle).call(data);
        vm.assertTrue(ok);
    }

    function test_reports_activate_in_order() public {
        endEpoch(3);
        IEpochOracle.EpochReport memory first = post(0);
        IEpochOracle.EpochReport memory second = post(2);
        vm.warp(block.timestamp + DELAY);
        refusesToActivate(
            second, abi.encodeWithSelector(IEpochOracle.EpochOracle_NotNext.selector, uint64(2), uint64(0))
        );
        uint64[] memory pending = oracle.pendingEpochs();
        vm.assertEq(pending.length, 2);
        vm.assertEq(pending[0], 0);
        vm.assertEq(pending[1], 2);
        oracle.activate(first);
        oracle.activate(second);
        vm.assertEq(oracle.pendingEpochs().length, 0);
        vm.assertEq(distributor.lastEpoch(), 2);
        (, uint64 epoch) = oracle.activeSubnetsRoot();
        vm.assertEq(epoch, 2);
        refusesToActivate(second, notPending(2));
        refusesToActivate(reportFor(3), notPending(3));
    }

    function test_only_the_posted_report_itself_becomes_active() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory r = post(0);
        bytes32 posted = oracle.structHash(r);
        r.rewardsRoot = keccak256("all to me");
        vm.warp(block.timestamp + DELAY);
        refusesToActivate(
            r, abi.encodeWithSelector(IEpochOracle.EpochOracle_WrongReport.selector, oracle.structHash(r), posted)
        );
    }

    function test_a_veto_voids_the_report_and_its_descendants_and_raises_their_attempts() public {
        endEpoch(2);
        IEpochOracle.EpochReport memory first = post(0);
        IEpochOracle.EpochReport memory second = post(1);
        IEpochOracle.EpochReport memory third = post(2);
        oracle.veto(1, REASON);
        (, uint64 epoch, bytes32 hash) = oracle.lastPosted();
        vm.assertEq(epoch, 0);
        vm.assertEq(hash, oracle.structHash(first));
        vm.assertTrue(oracle.reportOf(1).status == IEpochOracle.Status.Void);
        vm.assertTrue(oracle.reportOf(2).status == IEpochOracle.Status.Void);
        vm.assertEq(oracle.attemptOf(0), 0);
        vm.assertEq(oracle.attemptOf(1), 1);
        vm.assertEq(oracle.attemptOf(2), 1);
        refusesToActivate(second, notPending(1));
        refusesToActivate(third, notPending(2));
        refuses(second, abi.encodeWithSelector(IEpochOracle.EpochOracle_WrongAttempt.selector, uint32(0), uint32(1)));
        IEpochOracle.EpochReport memory again = post(1);
        vm.assertEq(again.attempt, 1);
        vm.assertEq(again.previousReport, oracle.structHash(first));
        third = post(2);
        activate(first);
        activate(again);
        activate(third);
        vm.assertEq(distributor.activations(), 3);
    }

    /// @dev [EP-2] The void report of a skipped epoch cannot come back, whatever is posted after it.
    function test_an_epoch_whose_report_was_void_may_be_skipped() public {
        endEpoch(2);
        IEpochOracle.EpochReport memory void = post(0);
        oracle.veto(0, REASON);
        IEpochOracle.EpochReport memory r = post(1);
        vm.assertEq(r.attempt, 0);
        vm.assertEq(r.previousReport, bytes32(0));
        vm.assertTrue(oracle.reportOf(0).status == IEpochOracle.Status.Void);
        refuses(void, abi.encodeWithSelector(IEpochOracle.EpochOracle_NotAfterLast.selector, uint64(0), uint64(1)));
        vm.assertEq(oracle.pendingEpochs().length, 1);
        activate(r);
        vm.assertTrue(oracle.reportOf(0).status == IEpochOracle.Status.Void);
        refusesToActivate(void, notPending(0));
    }

    /// @dev A ring of 256 places is written over many times; what is pending or the parent of it never is.
    function test_the_ring_wraps_around_and_forgets_old_reports_only() public {
        IEpochOracle.EpochReport memory last;
        for (uint64 e = 0; e < 600; e += 7) {
            endEpoch(e);
            last = post(e);
            activate(last);
        }
        vm.assertTrue(oracle.reportOf(last.epoch).status == IEpochOracle.Status.Active);
        vm.assertTrue(oracle.reportOf(last.epoch - 252).status == IEpochOracle.Status.Active);
        vm.assertTrue(oracle.reportOf(7).status == IEpochOracle.Status.Active, "its place was not needed again");
        endEpoch(7 + 512 + 256);
        post(7 + 512 + 256);
        vm.assertTrue(oracle.reportOf(7).status == IEpochOracle.Status.None);
        vm.assertEq(oracle.reportOf(7).postedAt, 0);
    }

    function test_a_report_a_whole_ring_later_waits_until_the_pending_ones_are_active() public {
        endEpoch(260);
        IEpochOracle.EpochReport memory first = post(3);
        IEpochOracle.EpochReport memory second = post(258);
        refuses(reportFor(259), abi.encodeWithSelector(IEpochOracle.EpochOracle_TooManyPending.selector, 256));
        vm.warp(block.timestamp + DELAY);
        oracle.activate(first);
        post(259);
        vm.assertEq(oracle.pendingEpochs().length, 2);
        oracle.activate(second);
        vm.assertTrue(oracle.reportOf(3).status == IEpochOracle.Status.None);
    }

    /// @dev The active report's place may be lost to the next one; a veto of that one must not break the chain.
    function test_a_veto_of_the_report_that_took_the_active_ones_place_leads_back_to_the_active_one() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory first = post(0);
        activate(first);
        endEpoch(256);
        post(256);
        oracle.veto(256, REASON);
        (bool any, uint64 epoch, bytes32 hash) = oracle.lastPosted();
        vm.assertTrue(any && epoch == 0 && hash == oracle.structHash(first));
        (any, epoch, hash) = oracle.lastActive();
        vm.assertTrue(any && epoch == 0 && hash == oracle.structHash(first));
        IEpochOracle.EpochReport memory again = post(256);
        vm.assertEq(again.previousReport, hash);
        vm.assertEq(again.attempt, 1);
        activate(again);
    }

    /// @dev [EP-2] Whatever is posted, vetoed and activated in whatever order: the chain is one chain, in order.
    function testFuzz_reports_form_one_ascending_chain(
        uint256 seed
    ) public {
        uint64 epoch = 0;
        IEpochOracle.EpochReport[] memory reports = new IEpochOracle.EpochReport[](2000);
        for (uint256 i = 0; i < 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            (bool any, uint64 last,) = oracle.lastPosted();
            if (seed % 3 != 0) {
                epoch = any ? last + 1 : 0;
                epoch += uint64((seed >> 8) % 3);
                if (block.timestamp < oracle.endOf(epoch)) endEpoch(epoch);
                reports[epoch] = post(epoch);
            } else {
                uint64[] memory pending = oracle.pendingEpochs();
                if (pending.length == 0) continue;
                if ((seed >> 8) % 3 == 0) {
                    (bool ok,) = address(oracle)
                        .call(abi.encodeCall(IEpochOracle.veto, (pending[(seed >> 16) % pending.length], REASON)));
                    ok;
                } else {
                    activate(reports[pending[0]]);
                }
            }
            _checkOneChain(reports);
        }
    }

    function _checkOneChain(
        IEpochOracle.EpochReport[] memory reports
    ) private view {
        (bool any, uint64 epoch, bytes32 hash) = oracle.lastActive();
        uint64[] memory pending = oracle.pendingEpochs();
        for (uint256 i = 0; i < pending.length; ++i) {
            IEpochOracle.EpochReport memory r = reports[pending[i]];
            vm.assertTrue(!any || r.epoch > epoch, "ascending");
            vm.assertEq(r.previousReport, hash, "chained");
            vm.assertTrue(oracle.reportOf(r.epoch).status == IEpochOracle.Status.Pending);
            (any, epoch, hash) = (true, r.epoch, oracle.structHash(r));
        }
        (bool anyPosted, uint64 last, bytes32 lastHash) = oracle.lastPosted();
        vm.assertTrue(any == anyPosted && epoch == last && hash == lastHash);
    }

    function test_only_the_guardian_vetoes_pending_reports_and_at_most_three_in_a_row() public {
        endEpoch(0);
        IEpochOracle.EpochReport memory r = post(0);
        address stranger = makeActor("stranger");
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, stranger));
        vm.prank(stranger);
        oracle.veto(0, REASON);
        for (uint256 i = 0; i < 3; ++i) {
            oracle.veto(0, REASON);
            r = post(0);
        }
        vm.expectRevert(abi.encodeWithSelector(IEpochOracle.EpochOracle_VetoLimit.selector, 3));
        oracle.veto(0, REASON);
        activate(r);
        vm.expectRevert(abi.encodeWithSelector(IEpochOracle.EpochOracle_NotPending.selector, uint64(0)));
        oracle.veto(0, REASON);
        endEpoch(1);
        post(1);
        oracle.veto(1, REASON);
    }

    function test_a_changed_keeper_set_signs_from_its_first_epoch_on() public {
        address[] memory four = new address[](4);
        uint256[] memory newKeys = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            newKeys[i] = keys[i];
            four[i] = vm.addr(keys[i]);
        }
        four[2] = address(uint160(vm.addr(keys[3])) - 1);
        vm.assume(four[2] > four[1]);
        keeperSet.schedule(four, 3);
        endEpoch(1);
        IEpochOracle.EpochReport memory r = reportFor(0);
        oracle.post(r, signatures(r, keys[0], keys[1], keys[2]));
        r = reportFor(1);
        refusesSigned(
            r,
            signatures(r, keys[0], keys[1], keys[2]),
            abi.encodeWithSelector(IEpochOracle.EpochOracle_NotKeeper.selector, vm.addr(keys[2]))
        );
        oracle.post(r, signatures(r, keys[0], keys[1], keys[3]));
    }

    /// @dev [GV-1]
    function test_clean_days_start_with_the_first_active_epoch_and_again_after_a_gap() public {
        vm.assertEq(oracle.cleanSince(), 0);
        endEpoch(2);
        activate(post(2));
        vm.assertEq(oracle.cleanSince(), GENESIS + 2 * LENGTH);
        endEpoch(3);
        activate(post(3));
        vm.assertEq(oracle.cleanSince(), GENESIS + 2 * LENGTH);
        endEpoch(5);
        vm.assertEq(oracle.cleanSince(), block.timestamp, "epoch 4 is late");
        IEpochOracle.EpochReport memory r = post(5);
        vm.assertEq(oracle.cleanSince(), GENESIS + 5 * LENGTH, "epoch 4 was skipped");
        activate(r);
        vm.assertEq(oracle.cleanSince(), GENESIS + 5 * LENGTH, "epoch 4 was skipped");
    }

    /// @dev [GV-1]
    function test_no_activation_brings_back_clean_days_that_a_later_gap_ended() public {
        endEpoch(0);
        activate(post(0));
        endEpoch(2);
        IEpochOracle.EpochReport memory first = post(2);
        endEpoch(4);
        IEpochOracle.EpochReport memory second = post(4);
        uint256 clean = GENESIS + 4 * LENGTH;
        vm.assertEq(oracle.cleanSince(), clean);
        oracle.activate(first);
        vm.assertEq(oracle.cleanSince(), clean);
        activate(second);
        vm.assertEq(oracle.cleanSince(), clean);
    }

    /// @dev [GV-1]
    function test_a_void_report_ends_the_run_of_clean_days() public {
        endEpoch(0);
        activate(post(0));
        endEpoch(1);
        post(1);
        oracle.veto(1, REASON);
        uint256 voidAt = block.timestamp;
        vm.assertEq(oracle.cleanSince(), voidAt);
        activate(post(1));
        vm.assertEq(oracle.cleanSince(), voidAt);
    }
}
