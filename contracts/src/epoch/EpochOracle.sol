// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { IEpochOracle } from "./IEpochOracle.sol";
import { IKeeperSet } from "./IKeeperSet.sol";
import { IRewardDistributor } from "./IRewardDistributor.sol";
import { KeeperTable } from "./KeeperTable.sol";
import { ReportChain } from "./ReportChain.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { Arrays } from "@openzeppelin/contracts/utils/Arrays.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title EpochOracle
/// @notice Promises, units and errors are documented on IEpochOracle.
contract EpochOracle is IEpochOracle, EpochClock, EIP712, AccessManaged {
    using Arrays for address[];
    using ReportChain for ReportChain.Entry;
    using ReportChain for ReportChain.Head;
    using ReportChain for uint256;
    using SafeCast for uint256;

    /// @dev Of the ring. `word` is a packed ReportChain.Entry; zero: nothing was ever here.
    struct Place {
        bytes32 reportHash;
        uint256 word;
    }

    /// @dev The newest set, as the keeper set last told, so that a report asks one contract less. No table: not told yet, and the first
    /// report asks.
    struct Newest {
        address table;
        uint64 fromEpoch;
    }

    bytes32 private constant REPORT_TYPEHASH = keccak256(
        "EpochReport(uint64 epoch,uint32 attempt,bytes32 configDigest,bytes32 inputsBlock,bytes32 previousReport,bytes32 subnetsRoot,bytes32 rewardsRoot,bytes32 bundleHash,uint32 rulesVersion)"
    );
    uint256 private constant SIGNATURE_BYTES = 64;
    uint256 private constant WORD = 32;
    /// @dev Selector, nine words of the report, and offset and length of the signatures.
    uint256 private constant FIXED_CALLDATA = 4 + 9 * WORD + 2 * WORD;
    /// @dev Places of the ring; ten times what the default delay and epoch length need is never pending at once.
    uint256 private constant RING = 256;
    uint256 private constant MAX_VETOES_IN_A_ROW = 3;
    /// @dev Ended epochs beyond the last posted one that are not yet late: the newest may still be aggregated.
    uint256 private constant UNREPORTED_ALLOWED = 1;

    IKeeperSet public immutable KEEPER_SET;
    IEmissionController public immutable CONTROLLER;
    IRewardDistributor public immutable DISTRIBUTOR;
    uint64 private immutable _ACTIVATION_DELAY;

    Newest private _newest;
    /// @dev A packed ReportChain.Head.
    uint256 private _head;
    Place[RING] private _ring;
    mapping(uint64 epoch => uint32) private _attempts;
    /// @dev Of the last active report, which the ring may have lost when it is asked for.
    bytes32 private _activeHash;
    bytes32 private _activeSubnetsRoot;

    constructor(
        address authority,
        address keeperSet,
        address controller,
        address distributor,
        uint64 genesis,
        uint64 epochLength,
        uint64 activationDelay_
    ) EpochClock(genesis, epochLength) EIP712("Tandem EpochOracle", "1") AccessManaged(authority) {
        KEEPER_SET = IKeeperSet(keeperSet);
        CONTROLLER = IEmissionController(controller);
        DISTRIBUTOR = IRewardDistributor(distributor);
        _ACTIVATION_DELAY = activationDelay_;
    }

    /// @inheritdoc IEpochOracle
    function post(
        EpochReport calldata report,
        Signature[] calldata signatures
    ) external {
        ReportChain.Head memory head = _head.unpackHead();
        uint64 epoch = report.epoch;
        bytes32 reportHash = structHash(report);
        _checkChain(head, report, reportHash);
        // An epoch that has ended is a number below the present second: both fit their 40 bits.
        if (block.timestamp < endOf(epoch)) revert EpochOracle_NotEnded(epoch, endOf(epoch));
        uint64 settledThrough = CONTROLLER.settledThrough();
        if (settledThrough <= epoch) revert EpochOracle_NotSettled(epoch, settledThrough);
        _checkQuorum(report, _hashTypedDataV4(reportHash), signatures);

        Place storage place = _ring[epoch % RING];
        place.reportHash = reportHash;
        place.word = ReportChain.Entry({
            epoch: epoch, parent: head.posted, postedAt: block.timestamp, attempt: report.attempt, isVoid: false
        }).pack();
        // Epochs before this one that no report covers end the run of clean ones at once: at its activation they would count as
        // clean for as long as it is pending.
        if (head.posted == 0 || head.posted != epoch) head.cleanSince = Math.max(startOf(epoch), head.lastVoidAt);
        if (head.posted == head.active) head.oldest = epoch;
        head.posted = uint256(epoch) + 1;
        _head = head.pack();
        emit ReportPosted(epoch, report.attempt, reportHash, report.rewardsRoot, report.subnetsRoot, report.bundleHash);
    }

    /// @inheritdoc IEpochOracle
    function activate(
        EpochReport calldata report
    ) external {
        ReportChain.Head memory head = _head.unpackHead();
        ReportChain.Entry memory entry = _pending(head, report.epoch);
        bytes32 reportHash = structHash(report);
        bytes32 posted = _ring[report.epoch % RING].reportHash;
        if (reportHash != posted) revert EpochOracle_WrongReport(reportHash, posted);
        if (entry.parent != head.active) {
            uint64[] memory pending = pendingEpochs();
            revert EpochOracle_NotNext(report.epoch, pending[0]);
        }
        uint256 activeFrom = entry.postedAt + _ACTIVATION_DELAY;
        if (block.timestamp < activeFrom) revert EpochOracle_TooEarly(report.epoch, activeFrom);

        head.active = uint256(report.epoch) + 1;
        head.oldest = head.active;
        head.vetoesInARow = 0;
        _head = head.pack();
        _activeHash = reportHash;
        _activeSubnetsRoot = report.subnetsRoot;
        emit ReportActivated(report.epoch, reportHash);
        DISTRIBUTOR.activateRoot(report.epoch, report.rewardsRoot);
    }

    /// @inheritdoc IEpochOracle
    function veto(
        uint64 epoch,
        bytes32 reason
    ) external restricted {
        ReportChain.Head memory head = _head.unpackHead();
        _pending(head, epoch);
        if (head.vetoesInARow >= MAX_VETOES_IN_A_ROW) revert EpochOracle_VetoLimit(MAX_VETOES_IN_A_ROW);
        ++head.vetoesInARow;
        head.lastVoidAt = block.timestamp;
        head.cleanSince = head.lastVoidAt;
        head.voided = Math.max(head.voided, head.posted);
        uint64 voided;
        do {
            voided = (head.posted - 1).toUint64();
            Place storage place = _ring[voided % RING];
            ReportChain.Entry memory entry = place.word.unpackEntry();
            entry.isVoid = true;
            place.word = entry.pack();
            head.posted = entry.parent;
            ++_attempts[voided];
            emit ReportVoided(voided, place.reportHash, reason);
        } while (voided != epoch);
        _head = head.pack();
    }

    /// @inheritdoc IEpochOracle
    function syncKeepers() external {
        _sync();
    }

    /// @inheritdoc IEpochOracle
    function hashReport(
        EpochReport calldata report
    ) external view returns (bytes32 digest) {
        return _hashTypedDataV4(structHash(report));
    }

    /// @inheritdoc IEpochOracle
    function structHash(
        EpochReport calldata report
    ) public pure returns (bytes32) {
        return keccak256(abi.encode(REPORT_TYPEHASH, report));
    }

    /// @inheritdoc IEpochOracle
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IEpochOracle
    function reportOf(
        uint64 epoch
    ) external view returns (Stored memory stored) {
        ReportChain.Entry memory entry = _ring[epoch % RING].word.unpackEntry();
        Status status = _statusOf(_head.unpackHead(), entry, epoch);
        if (status == Status.None) return stored;
        return Stored({
            reportHash: _ring[epoch % RING].reportHash,
            epoch: epoch,
            attempt: entry.attempt.toUint32(),
            postedAt: entry.postedAt.toUint64(),
            status: status
        });
    }

    /// @inheritdoc IEpochOracle
    function attemptOf(
        uint64 epoch
    ) external view returns (uint32) {
        return _attempts[epoch];
    }

    /// @inheritdoc IEpochOracle
    function lastPosted() external view returns (bool any, uint64 epoch, bytes32 reportHash) {
        ReportChain.Head memory head = _head.unpackHead();
        if (head.posted == 0) return (false, 0, 0);
        return (true, (head.posted - 1).toUint64(), _lastHash(head));
    }

    /// @inheritdoc IEpochOracle
    function lastActive() external view returns (bool any, uint64 epoch, bytes32 reportHash) {
        uint256 active = _head.unpackHead().active;
        if (active == 0) return (false, 0, 0);
        return (true, (active - 1).toUint64(), _activeHash);
    }

    /// @inheritdoc IEpochOracle
    function activeSubnetsRoot() external view returns (bytes32 root, uint64 epoch) {
        uint256 active = _head.unpackHead().active;
        if (active == 0) return (0, 0);
        return (_activeSubnetsRoot, (active - 1).toUint64());
    }

    /// @inheritdoc IEpochOracle
    function pendingEpochs() public view returns (uint64[] memory epochs) {
        ReportChain.Head memory head = _head.unpackHead();
        uint256 count = 0;
        for (uint256 next = head.posted; next != head.active; next = _parentOf(next)) {
            ++count;
        }
        epochs = new uint64[](count);
        for (uint256 next = head.posted; next != head.active; next = _parentOf(next)) {
            epochs[--count] = (next - 1).toUint64();
        }
    }

    /// @inheritdoc IEpochOracle
    function activationDelay() external view returns (uint64) {
        return _ACTIVATION_DELAY;
    }

    /// @inheritdoc IEpochOracle
    function cleanSince() external view returns (uint64) {
        ReportChain.Head memory head = _head.unpackHead();
        if (head.active == 0) return 0;
        bool late = currentEpoch() > head.posted + UNREPORTED_ALLOWED;
        return (late ? block.timestamp : head.cleanSince).toUint64();
    }

    /// @dev The report comes after the last one, carries its hash, is the attempt that is due, and its place in the ring holds nothing
    /// that is pending.
    function _checkChain(
        ReportChain.Head memory head,
        EpochReport calldata report,
        bytes32 reportHash
    ) private view {
        uint64 epoch = report.epoch;
        if (epoch < head.posted) {
            Place storage place = _ring[epoch % RING];
            if (place.reportHash == reportHash && !place.word.unpackEntry().isVoid) {
                revert EpochOracle_AlreadyPosted(epoch, reportHash);
            }
            revert EpochOracle_NotAfterLast(epoch, (head.posted - 1).toUint64());
        }
        // Above the highest epoch with a void report nobody needs to look.
        uint32 attempt = epoch < head.voided ? _attempts[epoch] : 0;
        if (report.attempt != attempt) revert EpochOracle_WrongAttempt(report.attempt, attempt);
        bytes32 previous = _lastHash(head);
        if (report.previousReport != previous) revert EpochOracle_WrongPrevious(report.previousReport, previous);
        if (head.posted != head.active && epoch >= head.oldest + RING) revert EpochOracle_TooManyPending(RING);
    }

    /// @dev Exactly the threshold of keepers has signed. Keepers and signers both ascend, so that one walk over the set suffices.
    function _checkQuorum(
        EpochReport calldata report,
        bytes32 digest,
        Signature[] calldata signatures
    ) private {
        KeeperTable.Members memory set = KeeperTable.read(_tableAt(report.epoch));
        if (report.configDigest != set.configDigest) {
            revert EpochOracle_WrongConfig(report.configDigest, set.configDigest);
        }
        uint256 threshold = set.threshold;
        if (signatures.length != threshold) revert EpochOracle_WrongLength(signatures.length, threshold);
        uint256 calldataLength = FIXED_CALLDATA + threshold * SIGNATURE_BYTES;
        if (msg.data.length != calldataLength) revert EpochOracle_WrongLength(msg.data.length, calldataLength);

        address[] memory keepers = set.keepers;
        uint256 k = 0;
        uint256 i = 0;
        while (i < threshold) {
            Signature calldata signature = signatures[i];
            (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecover(digest, signature.r, signature.vs);
            if (err != ECDSA.RecoverError.NoError) revert EpochOracle_BadSignature(i);
            // Never beyond the keepers, whose number bounds k in both places.
            while (k < keepers.length && keepers.unsafeMemoryAccess(k) != signer) {
                unchecked {
                    ++k;
                }
            }
            if (k == keepers.length) _refuse(keepers, signer, i);
            // Nor beyond the signatures.
            unchecked {
                ++k;
                ++i;
            }
        }
    }

    /// @dev The table of the set that holds for `epoch`. A later set than the newest one that was told cannot be: the keeper set tells each as
    /// it is scheduled, but for the first, which is older than this contract may be.
    function _tableAt(
        uint64 epoch
    ) private returns (address) {
        Newest memory newest = _newest;
        if (newest.table == address(0)) newest = _sync();
        return epoch >= newest.fromEpoch ? newest.table : KEEPER_SET.tableAt(epoch);
    }

    function _sync() private returns (Newest memory newest) {
        (newest.table, newest.fromEpoch) = KEEPER_SET.newest();
        _newest = newest;
    }

    /// @dev A walk over the keepers came to its end: the signer is none of them, or comes too late.
    function _refuse(
        address[] memory keepers,
        address signer,
        uint256 position
    ) private pure {
        for (uint256 i = 0; i < keepers.length; ++i) {
            if (keepers[i] == signer) revert EpochOracle_SignersNotAscending(position);
        }
        revert EpochOracle_NotKeeper(signer);
    }

    function _pending(
        ReportChain.Head memory head,
        uint64 epoch
    ) private view returns (ReportChain.Entry memory entry) {
        entry = _ring[epoch % RING].word.unpackEntry();
        if (_statusOf(head, entry, epoch) != Status.Pending) revert EpochOracle_NotPending(epoch);
    }

    /// @dev Struct hash of the last report that is not void. A pending one is in the ring; what is active may have been written over.
    function _lastHash(
        ReportChain.Head memory head
    ) private view returns (bytes32) {
        return head.posted == head.active ? _activeHash : _ring[(head.posted - 1) % RING].reportHash;
    }

    /// @dev Of a report that is or was posted; both epochs plus one.
    function _parentOf(
        uint256 posted
    ) private view returns (uint256) {
        return _ring[(posted - 1) % RING].word.unpackEntry().parent;
    }

    function _statusOf(
        ReportChain.Head memory head,
        ReportChain.Entry memory entry,
        uint64 epoch
    ) private pure returns (Status) {
        if (entry.postedAt == 0 || entry.epoch != epoch) return Status.None;
        if (entry.isVoid) return Status.Void;
        return epoch < head.active ? Status.Active : Status.Pending;
    }
}
