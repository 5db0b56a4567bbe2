// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { IEpochOracle } from "./IEpochOracle.sol";
import { IKeeperSet } from "./IKeeperSet.sol";
import { IRewardDistributor } from "./IRewardDistributor.sol";
import { KeeperTable } from "./KeeperTable.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title EpochOracle
/// @notice Promises, units and errors are documented on IEpochOracle.
contract EpochOracle is IEpochOracle, EpochClock, EIP712, AccessManaged {
    using SafeCast for uint256;

    /// @dev A place of the ring, two slots. `parent` is the epoch of the report before, plus one; zero for the first.
    struct Entry {
        bytes32 reportHash;
        uint64 epoch;
        uint64 parent;
        uint40 postedAt;
        uint32 attempt;
        bool isVoid;
    }

    /// @dev Where the chain of reports stands, one slot; epochs plus one, so that zero is none.
    struct Head {
        uint40 posted; // the last report that is not void
        uint40 active;
        uint40 oldest; // no pending report is of an earlier epoch; not plus one
        uint40 cleanSince; // of the reports posted so far, active or not
        uint40 lastVoidAt;
        uint40 voided; // the highest epoch that ever had a report voided
        uint8 vetoesInARow;
    }

    bytes32 private constant REPORT_TYPEHASH = keccak256(
        "EpochReport(uint64 epoch,uint32 attempt,bytes32 configDigest,bytes32 inputsBlock,bytes32 previousReport,bytes32 subnetsRoot,bytes32 rewardsRoot,bytes32 bundleHash,uint32 rulesVersion)"
    );
    uint256 private constant SIGNATURE_BYTES = 65;
    uint256 private constant WORD = 32;
    /// @dev Selector, nine words of the report, and offset and length of the signatures.
    uint256 private constant FIXED_CALLDATA = 4 + 9 * WORD + 2 * WORD;
    /// @dev Places of the ring; ten times what the default delay and epoch length need is never pending at once.
    uint64 private constant RING = 256;
    uint256 private constant MAX_VETOES_IN_A_ROW = 3;
    /// @dev Ended epochs beyond the last posted one that are not yet late: the newest may still be aggregated.
    uint64 private constant UNREPORTED_ALLOWED = 1;

    IKeeperSet public immutable KEEPER_SET;
    IEmissionController public immutable CONTROLLER;
    IRewardDistributor public immutable DISTRIBUTOR;
    uint64 private immutable _ACTIVATION_DELAY;

    Head private _head;
    mapping(uint256 place => Entry) private _ring;
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
        bytes calldata signatures
    ) external {
        Head memory head = _head;
        bytes32 reportHash = structHash(report);
        _checkChain(head, report, reportHash);
        if (block.timestamp < endOf(report.epoch)) {
            revert EpochOracle_NotEnded(report.epoch, endOf(report.epoch));
        }
        uint64 settledThrough = CONTROLLER.settledThrough();
        if (settledThrough <= report.epoch) revert EpochOracle_NotSettled(report.epoch, settledThrough);
        _checkQuorum(report, _hashTypedDataV4(reportHash), signatures);

        Entry storage entry = _ring[report.epoch % RING];
        entry.reportHash = reportHash;
        entry.epoch = report.epoch;
        entry.parent = head.posted;
        entry.postedAt = block.timestamp.toUint40();
        entry.attempt = report.attempt;
        entry.isVoid = false;
        // Epochs before this one that no report covers end the run of clean ones at once: at its activation they would count as
        // clean for as long as it is pending.
        if (head.posted == 0 || head.posted != report.epoch) {
            head.cleanSince = Math.max(startOf(report.epoch), head.lastVoidAt).toUint40();
        }
        if (head.posted == head.active) head.oldest = uint256(report.epoch).toUint40();
        head.posted = (uint256(report.epoch) + 1).toUint40();
        _head = head;
        emit ReportPosted(
            report.epoch,
            report.attempt,
            reportHash,
            report.rewardsRoot,
            report.subnetsRoot,
            report.bundleHash,
            msg.sender
        );
    }

    /// @inheritdoc IEpochOracle
    function activate(
        EpochReport calldata report
    ) external {
        Head memory head = _head;
        Entry memory entry = _pending(head, report.epoch);
        bytes32 reportHash = structHash(report);
        if (reportHash != entry.reportHash) revert EpochOracle_WrongReport(reportHash, entry.reportHash);
        if (entry.parent != head.active) {
            uint64[] memory pending = pendingEpochs();
            revert EpochOracle_NotNext(report.epoch, pending[0]);
        }
        uint256 activeFrom = uint256(entry.postedAt) + _ACTIVATION_DELAY;
        if (block.timestamp < activeFrom) revert EpochOracle_TooEarly(report.epoch, activeFrom);

        head.active = (uint256(report.epoch) + 1).toUint40();
        head.oldest = head.active;
        head.vetoesInARow = 0;
        _head = head;
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
        Head memory head = _head;
        _pending(head, epoch);
        if (head.vetoesInARow >= MAX_VETOES_IN_A_ROW) revert EpochOracle_VetoLimit(MAX_VETOES_IN_A_ROW);
        ++head.vetoesInARow;
        head.lastVoidAt = block.timestamp.toUint40();
        head.cleanSince = head.lastVoidAt;
        if (head.posted > head.voided) head.voided = head.posted;
        uint64 voided;
        do {
            voided = head.posted - 1;
            Entry storage entry = _ring[voided % RING];
            entry.isVoid = true;
            head.posted = uint256(entry.parent).toUint40();
            ++_attempts[voided];
            emit ReportVoided(voided, entry.reportHash, reason);
        } while (voided != epoch);
        _head = head;
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
        Entry memory entry = _ring[epoch % RING];
        Status status = _statusOf(_head, entry, epoch);
        if (status == Status.None) return stored;
        return Stored({
            reportHash: entry.reportHash,
            epoch: epoch,
            attempt: entry.attempt,
            postedAt: entry.postedAt,
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
        Head memory head = _head;
        if (head.posted == 0) return (false, 0, 0);
        return (true, head.posted - 1, _lastHash(head));
    }

    /// @inheritdoc IEpochOracle
    function lastActive() external view returns (bool any, uint64 epoch, bytes32 reportHash) {
        uint64 active = _head.active;
        if (active == 0) return (false, 0, 0);
        return (true, active - 1, _activeHash);
    }

    /// @inheritdoc IEpochOracle
    function activeSubnetsRoot() external view returns (bytes32 root, uint64 epoch) {
        uint64 active = _head.active;
        if (active == 0) return (0, 0);
        return (_activeSubnetsRoot, active - 1);
    }

    /// @inheritdoc IEpochOracle
    function pendingEpochs() public view returns (uint64[] memory epochs) {
        Head memory head = _head;
        uint256 count = 0;
        for (uint64 next = head.posted; next != head.active; next = _ring[(next - 1) % RING].parent) {
            ++count;
        }
        epochs = new uint64[](count);
        for (uint64 next = head.posted; next != head.active; next = _ring[(next - 1) % RING].parent) {
            epochs[--count] = next - 1;
        }
    }

    /// @inheritdoc IEpochOracle
    function activationDelay() external view returns (uint64) {
        return _ACTIVATION_DELAY;
    }

    /// @inheritdoc IEpochOracle
    function cleanSince() external view returns (uint64) {
        Head memory head = _head;
        if (head.active == 0) return 0;
        bool late = currentEpoch() > uint256(head.posted) + UNREPORTED_ALLOWED;
        return late ? block.timestamp.toUint64() : head.cleanSince;
    }

    /// @dev The report comes after the last one, carries its hash, is the attempt that is due, and its place in the ring holds nothing
    /// that is pending.
    function _checkChain(
        Head memory head,
        EpochReport calldata report,
        bytes32 reportHash
    ) private view {
        if (report.epoch < head.posted) {
            Entry storage posted = _ring[report.epoch % RING];
            if (posted.reportHash == reportHash && !posted.isVoid) {
                revert EpochOracle_AlreadyPosted(report.epoch, reportHash);
            }
            revert EpochOracle_NotAfterLast(report.epoch, head.posted - 1);
        }
        // Above the highest epoch with a void report nobody needs to look.
        uint32 attempt = report.epoch < head.voided ? _attempts[report.epoch] : 0;
        if (report.attempt != attempt) revert EpochOracle_WrongAttempt(report.attempt, attempt);
        bytes32 previous = _lastHash(head);
        if (report.previousReport != previous) revert EpochOracle_WrongPrevious(report.previousReport, previous);
        if (head.posted != head.active && report.epoch >= head.oldest + RING) revert EpochOracle_TooManyPending(RING);
    }

    /// @dev Exactly the threshold of keepers has signed. Keepers and signers both ascend, so that one walk over the set suffices.
    function _checkQuorum(
        EpochReport calldata report,
        bytes32 digest,
        bytes calldata signatures
    ) private view {
        KeeperTable.Members memory set = KeeperTable.read(KEEPER_SET.tableAt(report.epoch));
        if (report.configDigest != set.configDigest) {
            revert EpochOracle_WrongConfig(report.configDigest, set.configDigest);
        }
        address[] memory keepers = set.keepers;
        uint256 length = SIGNATURE_BYTES * set.threshold;
        uint256 calldataLength = FIXED_CALLDATA + Math.ceilDiv(length, WORD) * WORD;
        if (signatures.length != length) revert EpochOracle_WrongLength(signatures.length, length);
        if (msg.data.length != calldataLength) revert EpochOracle_WrongLength(msg.data.length, calldataLength);

        address previous = address(0);
        uint256 k = 0;
        for (uint256 i = 0; i < set.threshold; ++i) {
            bytes calldata signature = signatures[i * SIGNATURE_BYTES:(i + 1) * SIGNATURE_BYTES];
            (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecoverCalldata(digest, signature);
            if (err != ECDSA.RecoverError.NoError) revert EpochOracle_BadSignature(i);
            if (signer <= previous) revert EpochOracle_SignersNotAscending(i);
            previous = signer;
            while (k < keepers.length && keepers[k] < signer) ++k;
            if (k == keepers.length || keepers[k] != signer) revert EpochOracle_NotKeeper(signer);
        }
    }

    function _pending(
        Head memory head,
        uint64 epoch
    ) private view returns (Entry memory entry) {
        entry = _ring[epoch % RING];
        if (_statusOf(head, entry, epoch) != Status.Pending) revert EpochOracle_NotPending(epoch);
    }

    /// @dev Struct hash of the last report that is not void. A pending one is in the ring; what is active may have been written over.
    function _lastHash(
        Head memory head
    ) private view returns (bytes32) {
        return head.posted == head.active ? _activeHash : _ring[(head.posted - 1) % RING].reportHash;
    }

    function _statusOf(
        Head memory head,
        Entry memory entry,
        uint64 epoch
    ) private pure returns (Status) {
        if (entry.postedAt == 0 || entry.epoch != epoch) return Status.None;
        if (entry.isVoid) return Status.Void;
        return epoch < head.active ? Status.Active : Status.Pending;
    }
}
