// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IDelegation } from "../subnet/IDelegation.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { IEpochOracle } from "./IEpochOracle.sol";
import { IKeeperSet } from "./IKeeperSet.sol";
import { ISlashing } from "./ISlashing.sol";
import { IWeightCommits } from "./IWeightCommits.sol";
import { KeeperTable } from "./KeeperTable.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { MessageHashUtils } from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title Slashing
/// @notice Promises, units and errors are documented on ISlashing.
contract Slashing is ISlashing, EpochClock, AccessManaged {
    /// @dev What holds until `fromEpoch`, and from there on.
    struct Schedule {
        Amounts before;
        Amounts next;
        uint64 fromEpoch;
    }

    bytes32 private constant COMMIT_TYPEHASH =
        keccak256("WeightsCommit(uint16 netuid,uint64 epoch,address validator,uint32 seq,bytes32 commitHash)");

    IEpochOracle public immutable ORACLE;
    IKeeperSet public immutable KEEPER_SET;
    IDelegation public immutable STAKING;
    IWeightCommits public immutable WEIGHT_COMMITS;
    uint64 private immutable _LEAST_COMMIT;
    uint64 private immutable _MOST_COMMIT;
    uint64 private immutable _LEAST_REPORT;
    uint64 private immutable _MOST_REPORT;
    uint64 private immutable _EVIDENCE_PERIOD;

    Schedule private _amounts;
    /// @dev By a hash of what was signed twice and by whom.
    mapping(bytes32 fault => bool) private _slashed;

    constructor(
        Config memory config
    ) EpochClock(config.genesis, config.epochLength) AccessManaged(config.authority) {
        if (config.least.commitShare == 0 || config.least.reportShare == 0) revert Slashing_BadConfig();
        if (config.most.commitShare > WAD || config.most.reportShare > WAD) revert Slashing_BadConfig();
        ORACLE = IEpochOracle(config.oracle);
        KEEPER_SET = IKeeperSet(config.keeperSet);
        STAKING = IDelegation(config.staking);
        WEIGHT_COMMITS = IWeightCommits(config.weightCommits);
        _LEAST_COMMIT = config.least.commitShare;
        _MOST_COMMIT = config.most.commitShare;
        _LEAST_REPORT = config.least.reportShare;
        _MOST_REPORT = config.most.reportShare;
        _EVIDENCE_PERIOD = config.evidencePeriod;
        _requireWithin(config.amounts.commitShare, config.least.commitShare, config.most.commitShare);
        _requireWithin(config.amounts.reportShare, config.least.reportShare, config.most.reportShare);
        _amounts.next = config.amounts;
        emit AmountsChanged(config.amounts.commitShare, config.amounts.reportShare, 0);
    }

    /// @inheritdoc ISlashing
    function proveDoubleCommit(
        WeightsCommit calldata first,
        bytes calldata firstSignature,
        WeightsCommit calldata second,
        bytes calldata secondSignature
    ) external {
        if (
            first.netuid != second.netuid || first.epoch != second.epoch || first.validator != second.validator
                || first.seq != second.seq
        ) revert Slashing_Unrelated();
        _requireSigned(second, secondSignature);
        _slashValidator(first, firstSignature, second.commitHash);
    }

    /// @inheritdoc ISlashing
    function proveCommitAgainstChain(
        WeightsCommit calldata signed,
        bytes calldata signature
    ) external {
        bytes32 committed = WEIGHT_COMMITS.commitOf(signed.netuid, signed.epoch, signed.validator, signed.seq);
        if (committed == 0) revert Slashing_Unrelated();
        _slashValidator(signed, signature, committed);
    }

    /// @inheritdoc ISlashing
    function proveDoubleReport(
        IEpochOracle.EpochReport calldata first,
        bytes[] calldata firstSignatures,
        IEpochOracle.EpochReport calldata second,
        bytes[] calldata secondSignatures
    ) external returns (uint256 slashed) {
        if (first.epoch != second.epoch || first.attempt != second.attempt) revert Slashing_Unrelated();
        bytes32 firstDigest = ORACLE.hashReport(first);
        bytes32 secondDigest = ORACLE.hashReport(second);
        if (firstDigest == secondDigest) revert Slashing_NoContradiction();
        if (firstSignatures.length != secondSignatures.length) {
            revert Slashing_LengthMismatch(firstSignatures.length, secondSignatures.length);
        }
        _requireRecent(first.epoch);

        address[] memory keepers = KeeperTable.read(KEEPER_SET.tableAt(first.epoch)).keepers;
        address previous = address(0);
        uint256 k = 0;
        for (uint256 i = 0; i < firstSignatures.length; ++i) {
            address keeper = ECDSA.recoverCalldata(firstDigest, firstSignatures[i]);
            if (ECDSA.recoverCalldata(secondDigest, secondSignatures[i]) != keeper) revert Slashing_SignersDiffer(i);
            if (keeper <= previous) revert Slashing_SignersNotAscending(i);
            previous = keeper;
            while (k < keepers.length && keepers[k] < keeper) ++k;
            if (k == keepers.length || keepers[k] != keeper) revert Slashing_NotKeeper(keeper);
            if (_slashKeeper(first.epoch, first.attempt, keeper)) ++slashed;
        }
        if (slashed == 0) revert Slashing_AlreadySlashed();
    }

    /// @inheritdoc ISlashing
    function setAmounts(
        Amounts calldata amounts
    ) external restricted {
        _requireWithin(amounts.commitShare, _LEAST_COMMIT, _MOST_COMMIT);
        _requireWithin(amounts.reportShare, _LEAST_REPORT, _MOST_REPORT);
        uint64 fromEpoch = currentEpoch() + 1;
        _amounts = Schedule({ before: amountsNow(), next: amounts, fromEpoch: fromEpoch });
        emit AmountsChanged(amounts.commitShare, amounts.reportShare, fromEpoch);
    }

    /// @inheritdoc ISlashing
    function amountsNow() public view returns (Amounts memory) {
        return currentEpoch() < _amounts.fromEpoch ? _amounts.before : _amounts.next;
    }

    /// @inheritdoc ISlashing
    function bounds() external view returns (Amounts memory least, Amounts memory most) {
        least = Amounts({ commitShare: _LEAST_COMMIT, reportShare: _LEAST_REPORT });
        most = Amounts({ commitShare: _MOST_COMMIT, reportShare: _MOST_REPORT });
    }

    /// @inheritdoc ISlashing
    function evidencePeriod() external view returns (uint64) {
        return _EVIDENCE_PERIOD;
    }

    /// @inheritdoc ISlashing
    function isCommitSlashed(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq
    ) external view returns (bool) {
        return _slashed[_commitFault(netuid, epoch, validator, seq)];
    }

    /// @inheritdoc ISlashing
    function isReportSlashed(
        uint64 epoch,
        uint32 attempt,
        address keeper
    ) external view returns (bool) {
        return _slashed[_reportFault(epoch, attempt, keeper)];
    }

    /// @inheritdoc ISlashing
    function hashCommit(
        WeightsCommit calldata c
    ) public view returns (bytes32 digest) {
        return MessageHashUtils.toTypedDataHash(ORACLE.domainSeparator(), keccak256(abi.encode(COMMIT_TYPEHASH, c)));
    }

    function _slashValidator(
        WeightsCommit calldata c,
        bytes calldata signature,
        bytes32 other
    ) private {
        if (c.commitHash == other) revert Slashing_NoContradiction();
        _requireRecent(c.epoch);
        _requireSigned(c, signature);
        bytes32 fault = _commitFault(c.netuid, c.epoch, c.validator, c.seq);
        if (_slashed[fault]) revert Slashing_AlreadySlashed();
        _slashed[fault] = true;
        emit DoubleCommitProved(c.netuid, c.epoch, c.validator, c.seq, msg.sender);
        STAKING.slash(c.netuid, c.validator, amountsNow().commitShare, msg.sender);
    }

    /// @return whether it was slashed now.
    function _slashKeeper(
        uint64 epoch,
        uint32 attempt,
        address keeper
    ) private returns (bool) {
        bytes32 fault = _reportFault(epoch, attempt, keeper);
        if (_slashed[fault]) return false;
        _slashed[fault] = true;
        emit DoubleReportProved(epoch, attempt, keeper, msg.sender);
        KEEPER_SET.slash(keeper, amountsNow().reportShare, msg.sender);
        return true;
    }

    function _requireSigned(
        WeightsCommit calldata c,
        bytes calldata signature
    ) private view {
        address signer = ECDSA.recoverCalldata(hashCommit(c), signature);
        if (signer != c.validator) revert Slashing_WrongSigner(signer, c.validator);
    }

    function _requireRecent(
        uint64 epoch
    ) private view {
        uint256 until = endOf(epoch) + _EVIDENCE_PERIOD;
        if (block.timestamp >= until) revert Slashing_TooOld(epoch, until);
    }

    function _requireWithin(
        uint64 share,
        uint64 least,
        uint64 most
    ) private pure {
        if (share < least || share > most) revert Slashing_OutOfBounds(share, least, most);
    }

    function _commitFault(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq
    ) private pure returns (bytes32) {
        return keccak256(abi.encode("commit", netuid, epoch, validator, seq));
    }

    function _reportFault(
        uint64 epoch,
        uint32 attempt,
        address keeper
    ) private pure returns (bytes32) {
        return keccak256(abi.encode("report", epoch, attempt, keeper));
    }
}
