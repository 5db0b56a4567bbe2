// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEpochOracle } from "../../../src/epoch/IEpochOracle.sol";
import { IRewardDistributor } from "../../../src/epoch/IRewardDistributor.sol";
import { ISubnetRegistry } from "../../../src/subnet/ISubnetRegistry.sol";
import { Netuid, Phase, RewardKind } from "../../../src/types/Types.sol";
import { RewardTree } from "../../support/RewardTree.sol";
import { World } from "../World.sol";

/// @notice Time, and what keepers, the guardian and claimants do with it. Reports are signed by a quorum and promise whatever chance
/// says: more than there is, to whomever, in any subnet.
abstract contract EpochActs is World {
    using RewardTree for IRewardDistributor.Claim[];

    uint256 private constant LEAVES = 8;

    /// @dev The tree under a root that was posted is a function of this; zero for roots of others.
    mapping(bytes32 root => uint256) private _seeds;
    mapping(uint64 epoch => IEpochOracle.EpochReport) private _reports;
    /// @dev Roots of reports that became active.
    mapping(bytes32 root => bool) internal activated;
    uint256 private _vetoes;
    /// @dev Whose neurons the trace under a root lists for eviction.
    mapping(bytes32 root => Netuid) internal listed;

    // -------------------------------------------------------------------------------------------------- time

    function waitSeconds(
        uint256 duration
    ) external acts {
        vm.warp(block.timestamp + bound(duration, 1, 40));
        did();
    }

    /// @dev To the last second of the running epoch, the first of the next, or the one after.
    function goToABoundary(
        uint256 offset
    ) external acts {
        uint256 end = oracle.endOf(oracle.currentEpoch());
        uint256 to = end - 1 + offset % 3;
        if (to > block.timestamp) vm.warp(to);
        did();
    }

    function skipEpochs(
        uint256 count
    ) external acts {
        vm.warp(block.timestamp + bound(count, 1, 4) * LENGTH);
        did();
    }

    // -------------------------------------------------------------------------------------------------- settlement

    function settleSome(
        uint256 batch
    ) external acts {
        bool due = controller.settledThrough() < oracle.currentEpoch();
        controller.settle(bound(batch, 1, 9));
        if (due) did();
    }

    function settleEverything() external acts {
        if (controller.settledThrough() < oracle.currentEpoch()) did();
        settleAll();
    }

    /// @dev [EM-2] All at once and untouched, or visit by visit with trades, burns and pours between: the grants are the same.
    function settleInTwoWays(
        uint256 seed
    ) external acts {
        uint64 from = controller.settledThrough();
        uint64 to = oracle.currentEpoch();
        if (from == to) return;
        uint256 state = vm.snapshotState();
        settleAll();
        bytes32 atOnce = _granted(from, to);
        vm.revertToState(state);
        while (controller.settledThrough() < to) {
            seed = uint256(keccak256(abi.encode(seed)));
            controller.settle(1 + seed % 3);
            if (seed & 4 == 0 && gate.phase() == Phase.Markets) _meddle(seed >> 8);
        }
        expect(_granted(from, to) == atOnce, "grants depend on who settles how");
        did();
    }

    function _meddle(
        uint256 seed
    ) private {
        Netuid netuid = liveNetuid(seed);
        if (seed & 1 == 0) {
            if (!give(attacker, 500e18)) return;
            sellAlpha(attacker, netuid, buyAlpha(attacker, netuid, 500e18));
        } else if (seed & 2 == 0) {
            if (registry.prunedFromOf(netuid) != 0 || !give(attacker, 1e18)) return;
            approve(attacker, tndm, address(controller), 1e18);
            vm.prank(attacker);
            controller.sponsor(netuid, 1e18);
        } else {
            pools.pour(netuid);
            staking.sampleCirculation(netuid);
        }
    }

    function _granted(
        uint64 from,
        uint64 to
    ) private view returns (bytes32 digest) {
        for (uint64 e = from; e < to; ++e) {
            for (uint16 n = 1; n <= netuids(); ++n) {
                digest = keccak256(abi.encode(digest, controller.grantOf(e, Netuid.wrap(n))));
            }
        }
        for (uint16 n = 1; n <= netuids(); ++n) {
            digest = keccak256(abi.encode(digest, pools.emaOf(Netuid.wrap(n))));
        }
    }

    // -------------------------------------------------------------------------------------------------- reports

    /// @dev Of the last epoch that is settled; those before it that nobody reported are skipped.
    function postAReport(
        uint256 seed
    ) external acts {
        uint64 settled = controller.settledThrough();
        (bool any, uint64 last, bytes32 previous) = oracle.lastPosted();
        if (settled == 0 || (any && last >= settled - 1)) return;
        uint64 epoch = settled - 1;
        bytes32 root = treeOf(seed | 1).rootOf();
        Netuid full = _fullSubnet(seed);
        listed[pruneLeaf(full)] = full;
        IEpochOracle.EpochReport memory report = IEpochOracle.EpochReport({
            epoch: epoch,
            attempt: oracle.attemptOf(epoch),
            configDigest: keeperSet.configDigestAt(epoch),
            inputsBlock: keccak256(abi.encode(epoch)),
            previousReport: previous,
            subnetsRoot: pruneLeaf(full),
            rewardsRoot: root,
            bundleHash: keccak256(abi.encode(seed)),
            rulesVersion: 1
        });
        IEpochOracle.Signature[] memory signatures = signedBy(report, keeperSet.thresholdAt(epoch));
        oracle.post(report, signatures);
        try oracle.post(report, signatures) {
            wrong("a report was posted twice");
        } catch { }
        _seeds[root] = seed | 1;
        _reports[epoch] = report;
        did();
    }

    function activateAReport(
        uint256 wait
    ) external acts {
        uint64[] memory pending = oracle.pendingEpochs();
        if (pending.length == 0) return;
        IEpochOracle.EpochReport memory report = _reports[pending[0]];
        uint256 from = oracle.reportOf(pending[0]).postedAt + ACTIVATION_DELAY;
        if (block.timestamp < from) {
            try oracle.activate(report) {
                wrong("a report became active before its delay");
            } catch { }
            if (wait % 2 == 0) return;
            vm.warp(from);
        }
        oracle.activate(report);
        _vetoes = 0;
        activated[report.rewardsRoot] = true;
        IRewardDistributor.Claim[] memory claims = treeOf(_seeds[report.rewardsRoot]);
        for (uint256 i = 0; i < claims.length; ++i) {
            notePromise(claims[i]);
        }
        did();
    }

    function veto(
        uint256 seed
    ) external acts {
        uint64[] memory pending = oracle.pendingEpochs();
        if (pending.length == 0) return;
        vm.prank(guardian);
        try oracle.veto(pending[seed % pending.length], "chance") {
            expect(_vetoes < 3, "a fourth veto in a row");
            ++_vetoes;
            did();
        } catch {
            expect(_vetoes == 3, "a veto was refused");
        }
    }

    /// @dev Another threshold, for reports of the next epoch on.
    function changeKeepers(
        uint256 threshold
    ) external acts {
        vm.prank(address(timelock));
        keeperSet.schedule(keepers(), uint16(bound(threshold, 2, 3)));
        did();
    }

    // -------------------------------------------------------------------------------------------------- claims

    function claimOne(
        uint256 index,
        uint256 earlier
    ) external acts {
        IRewardDistributor.Claim[] memory claims = _claimable(earlier % 2 == 1);
        if (claims.length == 0) return;
        index %= claims.length;
        IRewardDistributor.Claim memory c = claims[index];
        bytes32[] memory proof = claims.proofOf(index);
        uint256 before = distributor.paidTo(c.netuid, c.kind, c.account);
        if (distributor.payoutOf(c.account) == outcast) {
            try distributor.claim(c, proof) returns (uint256 got) {
                expect(got == 0 || c.kind <= RewardKind.ContributorAlpha, "frozen USDC was paid");
            } catch {
                expect(distributor.paidTo(c.netuid, c.kind, c.account) == before, "a failed claim was booked");
            }
            return;
        }
        uint256 amount = distributor.claim(c, proof);
        expect(distributor.paidTo(c.netuid, c.kind, c.account) == before + amount, "paid is not what was booked");
        if (amount != 0) did();
    }

    /// @dev All of a tree, for everybody; among them some that were forged, and some that cannot be paid.
    function claimAllOfATree(
        uint256 seed,
        uint256 earlier
    ) external acts {
        IRewardDistributor.Claim[] memory claims = _claimable(earlier % 2 == 1);
        if (claims.length == 0) return;
        bytes32[][] memory proofs = new bytes32[][](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            proofs[i] = claims.proofOf(i);
        }
        uint256 forged = seed % (2 * LEAVES);
        if (forged < claims.length) claims[forged].cumulative /= 2;
        if (distributor.claimBatch(claims, proofs) != 0) did();
    }

    /// @dev [EP-3] A leaf that is not in the tree pays nothing.
    function claimWhatWasNotPromised(
        uint256 index,
        uint256 way
    ) external acts {
        IRewardDistributor.Claim[] memory claims = _claimable(false);
        if (claims.length == 0) return;
        index %= claims.length;
        bytes32[] memory proof = claims.proofOf(index);
        IRewardDistributor.Claim memory c = claims[index];
        way %= 5;
        if (way == 0) c.account = attacker == c.account ? lender : attacker;
        else if (way == 1) c.cumulative = c.cumulative == type(uint256).max ? 1 : c.cumulative + 1;
        else if (way == 2) c.index ^= 1;
        else if (way == 3) c.kind = RewardKind((uint256(c.kind) + 1) % KINDS);
        else proof[way % proof.length] ^= bytes32(uint256(1));
        try distributor.claim(c, proof) {
            wrong("a forged leaf was accepted");
        } catch { }
        did();
    }

    function setPayout(
        uint256 actor,
        uint256 to
    ) external acts {
        address[4] memory choices = [address(0), outcast, userOf(to), gateway];
        vm.prank(payees[actor % payees.length]);
        distributor.setPayout(choices[to % 4]);
        did();
    }

    /// @dev A gift to a subnet's pot, for this epoch or one that is over.
    function contribute(
        uint256 subnet,
        uint256 amount,
        uint256 ago
    ) external acts {
        uint64 epoch = oracle.currentEpoch();
        Netuid netuid = anyNetuid(subnet);
        amount = bound(amount, 1, 100e6);
        giveUsdc(users[0], amount, address(distributor));
        vm.prank(users[0]);
        distributor.contributeFor(netuid, epoch - uint64(ago % (epoch < 3 ? epoch + 1 : 3)), amount);
        otherToPots += amount;
        did();
    }

    function sweepAPrunedPot(
        uint256 subnet
    ) external acts {
        for (uint16 i = 0; i < netuids(); ++i) {
            Netuid netuid = nthNetuid(subnet % netuids() + i);
            uint64 from = registry.prunedFromOf(netuid);
            if (from == 0 || controller.settledThrough() < from) continue;
            uint256 usdcSwept = distributor.sweepPruned(netuid);
            swept += usdcSwept;
            otherToAuction += usdcSwept;
            did();
        }
    }

    // -------------------------------------------------------------------------------------------------- parts

    /// @dev Rewards by chance: dust, plausible sums, and more than can ever be.
    function treeOf(
        uint256 seed
    ) internal view returns (IRewardDistributor.Claim[] memory claims) {
        claims = new IRewardDistributor.Claim[](LEAVES);
        for (uint256 i = 0; i < LEAVES; ++i) {
            uint256 chance = uint256(keccak256(abi.encode(seed, i)));
            RewardKind kind = RewardKind(chance % KINDS);
            uint256 unit = kind <= RewardKind.ContributorAlpha ? 1e18 : 1e6;
            uint256 cumulative = (chance >> 128) % (1000 * unit) + 1;
            if ((chance >> 32) % 4 == 0) cumulative = type(uint256).max - i;
            claims[i] = IRewardDistributor.Claim({
                index: i,
                kind: kind,
                netuid: Netuid.wrap(uint16(1 + (chance >> 16) % 4)),
                account: payees[(chance >> 24) % payees.length],
                cumulative: cumulative
            });
        }
    }

    /// @dev The one leaf of a report's trace: which neurons of `netuid` may be evicted, all uids in order.
    function pruneLeaf(
        Netuid netuid
    ) internal pure returns (bytes32) {
        bytes32 listHash = keccak256(abi.encode(pruneList()));
        return keccak256(bytes.concat(keccak256(abi.encode(netuid, bytes32(uint256(1)), listHash))));
    }

    function pruneList() internal pure returns (uint16[] memory list) {
        list = new uint16[](UIDS);
        for (uint16 i = 0; i < UIDS; ++i) {
            // Contributors first: validators that leave end emission.
            list[i] = UIDS - 1 - i;
        }
    }

    function _fullSubnet(
        uint256 seed
    ) private view returns (Netuid netuid) {
        uint256 count = netuids();
        for (uint256 i = 0; i < count; ++i) {
            netuid = nthNetuid(seed % count + i);
            if (registry.prunedFromOf(netuid) == 0 && registry.neuronCount(netuid) == UIDS) return netuid;
        }
    }

    /// @dev The tree of a valid root, empty if it is not of our making.
    function _claimable(
        bool earlier
    ) private view returns (IRewardDistributor.Claim[] memory claims) {
        (bytes32 current, bytes32 previous,) = distributor.roots();
        uint256 seed = _seeds[earlier ? previous : current];
        if (seed != 0) claims = treeOf(seed);
    }

    function epochActs() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](16);
        list[0] = this.waitSeconds.selector;
        list[1] = this.goToABoundary.selector;
        list[2] = this.skipEpochs.selector;
        list[3] = this.settleSome.selector;
        list[4] = this.settleEverything.selector;
        list[5] = this.settleInTwoWays.selector;
        list[6] = this.postAReport.selector;
        list[7] = this.activateAReport.selector;
        list[8] = this.veto.selector;
        list[9] = this.changeKeepers.selector;
        list[10] = this.claimOne.selector;
        list[11] = this.claimAllOfATree.selector;
        list[12] = this.claimWhatWasNotPromised.selector;
        list[13] = this.setPayout.selector;
        list[14] = this.contribute.selector;
        list[15] = this.sweepAPrunedPot.selector;
    }
}
