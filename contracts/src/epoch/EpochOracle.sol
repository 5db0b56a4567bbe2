// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../emission/IEmissionController.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { IEpochOracle } from "./IEpochOracle.sol";
import { IKeeperSet } from "./IKeeperSet.sol";
import { IRewardDistributor } from "./IRewardDistributor.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title EpochOracle
/// @notice Promises, units and errors are documented on IEpochOracle.
contract EpochOracle is IEpochOracle, EpochClock, EIP712, AccessManaged {
    using SafeCast for uint256;

    bytes32 private constant REPORT_TYPEHASH = keccak256(
        "EpochReport(uint64 epoch,uint32 attempt,bytes32 configDigest,bytes32 inputsBlock,bytes32 previousReport,bytes32 subnetsRoot,bytes32 rewardsRoot,bytes32 bundleHash,uint32 rulesVersion)"
    );
    uint256 private constant SIGNATURE_BYTES = 65;
    uint256 private constant WORD = 32;
    /// @dev Selector, nine words of the report, and offset and length of the signatures.
    uint256 private constant FIXED_CALLDATA = 4 + 9 * WORD + 2 * WORD;
    /// @dev Bounds the walk of a veto; ten times what the default delay and epoch length need is never pending at once.
    uint256 private constant MAX_PENDING = 256;
    uint256 private constant MAX_VETOES_IN_A_ROW = 3;
    /// @dev Ended epochs beyond the last posted one that are not yet late: the newest may still be aggregated.
    uint64 private constant UNREPORTED_ALLOWED = 1;

    IKeeperSet public immutable KEEPER_SET;
    IEmissionController public immutable CONTROLLER;
    IRewardDistributor public immutable DISTRIBUTOR;
    uint64 private immutable _ACTIVATION_DELAY;

    mapping(uint64 epoch => Stored) private _reports;
    mapping(uint64 epoch => uint32) private _attempts;
    /// @dev Epochs of all reports that are not void, in order; the first `_activeCount` are active, the others pending.
    uint64[] private _chain;
    uint256 private _activeCount;
    uint256 private _vetoesInARow;
    /// @dev Of the reports posted so far, active or not.
    uint64 private _cleanSince;
    uint64 private _lastVoidAt;

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
        bytes32 reportHash = structHash(report);
        _checkChain(report, reportHash);
        if (block.timestamp < endOf(report.epoch)) {
            revert EpochOracle_NotEnded(report.epoch, endOf(report.epoch));
        }
        uint64 settledThrough = CONTROLLER.settledThrough();
        if (settledThrough <= report.epoch) revert EpochOracle_NotSettled(report.epoch, settledThrough);
        if (_chain.length - _activeCount >= MAX_PENDING) revert EpochOracle_TooManyPending(MAX_PENDING);
        _checkQuorum(report, _hashTypedDataV4(reportHash), signatures);

        _noteGap(report.epoch);
        _reports[report.epoch] = Stored({
            reportHash: reportHash,
            rewardsRoot: report.rewardsRoot,
            epoch: report.epoch,
            attempt: report.attempt,
            postedAt: block.timestamp.toUint64(),
            status: Status.Pending
        });
        _chain.push(report.epoch);
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
        uint64 epoch
    ) external {
        Stored storage report = _pending(epoch);
        uint64 next = _chain[_activeCount];
        if (epoch != next) revert EpochOracle_NotNext(epoch, next);
        uint256 activeFrom = uint256(report.postedAt) + _ACTIVATION_DELAY;
        if (block.timestamp < activeFrom) revert EpochOracle_TooEarly(epoch, activeFrom);

        report.status = Status.Active;
        ++_activeCount;
        _vetoesInARow = 0;
        DISTRIBUTOR.activateRoot(epoch, report.rewardsRoot);
        emit ReportActivated(epoch, report.reportHash);
    }

    /// @inheritdoc IEpochOracle
    function veto(
        uint64 epoch,
        bytes32 reason
    ) external restricted {
        _pending(epoch);
        if (_vetoesInARow >= MAX_VETOES_IN_A_ROW) revert EpochOracle_VetoLimit(MAX_VETOES_IN_A_ROW);
        ++_vetoesInARow;
        _lastVoidAt = block.timestamp.toUint64();
        _cleanSince = _lastVoidAt;
        uint64 voided;
        do {
            voided = _chain[_chain.length - 1];
            _chain.pop();
            ++_attempts[voided];
            Stored storage report = _reports[voided];
            report.status = Status.Void;
            emit ReportVoided(voided, report.reportHash, reason);
        } while (voided != epoch);
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
    function reportOf(
        uint64 epoch
    ) external view returns (Stored memory) {
        return _reports[epoch];
    }

    /// @inheritdoc IEpochOracle
    function attemptOf(
        uint64 epoch
    ) external view returns (uint32) {
        return _attempts[epoch];
    }

    /// @inheritdoc IEpochOracle
    function lastPosted() public view returns (bool any, uint64 epoch, bytes32 reportHash) {
        return _entry(_chain.length);
    }

    /// @inheritdoc IEpochOracle
    function lastActive() external view returns (bool any, uint64 epoch, bytes32 reportHash) {
        return _entry(_activeCount);
    }

    /// @inheritdoc IEpochOracle
    function pendingEpochs() external view returns (uint64[] memory epochs) {
        epochs = new uint64[](_chain.length - _activeCount);
        for (uint256 i = 0; i < epochs.length; ++i) {
            epochs[i] = _chain[_activeCount + i];
        }
    }

    /// @inheritdoc IEpochOracle
    function activationDelay() external view returns (uint64) {
        return _ACTIVATION_DELAY;
    }

    /// @inheritdoc IEpochOracle
    function cleanSince() external view returns (uint64) {
        if (_activeCount == 0) return 0;
        uint64 last = _chain[_chain.length - 1];
        bool late = currentEpoch() > last + 1 + UNREPORTED_ALLOWED;
        return late ? block.timestamp.toUint64() : _cleanSince;
    }

    /// @dev Epochs before `epoch` that no report covers end the run of clean ones at once: at its activation they would count as
    /// clean for as long as it is pending.
    function _noteGap(
        uint64 epoch
    ) private {
        (bool any, uint64 last,) = lastPosted();
        if (!any || last + 1 != epoch) _cleanSince = Math.max(startOf(epoch), _lastVoidAt).toUint64();
    }

    /// @dev The report comes after the last one, carries its hash, and is the attempt that is due.
    function _checkChain(
        EpochReport calldata report,
        bytes32 reportHash
    ) private view {
        (bool any, uint64 last, bytes32 previous) = lastPosted();
        if (any && report.epoch <= last) {
            if (_reports[report.epoch].reportHash == reportHash) {
                revert EpochOracle_AlreadyPosted(report.epoch, reportHash);
            }
            revert EpochOracle_NotAfterLast(report.epoch, last);
        }
        uint32 attempt = _attempts[report.epoch];
        if (report.attempt != attempt) revert EpochOracle_WrongAttempt(report.attempt, attempt);
        if (report.previousReport != previous) revert EpochOracle_WrongPrevious(report.previousReport, previous);
    }

    /// @dev Exactly the threshold of keepers has signed. Keepers and signers both ascend, so that one walk over the set suffices.
    function _checkQuorum(
        EpochReport calldata report,
        bytes32 digest,
        bytes calldata signatures
    ) private view {
        (address[] memory keepers, uint16 threshold, bytes32 configDigest) = KEEPER_SET.membersAt(report.epoch);
        if (report.configDigest != configDigest) {
            revert EpochOracle_WrongConfig(report.configDigest, configDigest);
        }
        uint256 length = SIGNATURE_BYTES * threshold;
        uint256 calldataLength = FIXED_CALLDATA + Math.ceilDiv(length, WORD) * WORD;
        if (signatures.length != length) revert EpochOracle_WrongLength(signatures.length, length);
        if (msg.data.length != calldataLength) revert EpochOracle_WrongLength(msg.data.length, calldataLength);

        address previous = address(0);
        uint256 k = 0;
        for (uint256 i = 0; i < threshold; ++i) {
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
        uint64 epoch
    ) private view returns (Stored storage report) {
        report = _reports[epoch];
        if (report.status != Status.Pending) revert EpochOracle_NotPending(epoch);
    }

    /// @dev The `position`-th report of the chain, counted from 1.
    function _entry(
        uint256 position
    ) private view returns (bool any, uint64 epoch, bytes32 reportHash) {
        if (position == 0) return (false, 0, 0);
        epoch = _chain[position - 1];
        return (true, epoch, _reports[epoch].reportHash);
    }
}
