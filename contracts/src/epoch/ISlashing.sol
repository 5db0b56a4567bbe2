// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";
import { IEpochOracle } from "./IEpochOracle.sol";

/// @title Proofs of double signing
/// @notice Whoever signs two statements of which only one can be honest is slashed by whoever shows both: a validator for two
/// commits of weights with one sequence number, a keeper for two reports for one (epoch, attempt). No role is needed, nobody judges:
/// the signatures are the proof. Half of what is taken goes to the prover, which is the caller; the rest is burned (USDC goes to the burn
/// auction). A fault is slashed once, and can be shown until `evidencePeriod` after the end of its epoch, while the guilty party's stake
/// unbonds too: then nobody who joined it long after pays for it. A party that shows its own fault gets half of it back like anybody
/// else: the other half is what a fault costs at least.
///
/// How much is taken is a parameter within immutable bounds; what is set counts from the next epoch's start on, for whatever is shown then.
interface ISlashing {
    /// @notice EIP-712 WeightsCommit(uint16 netuid,uint64 epoch,address validator,uint32 seq,bytes32 commitHash), in the domain of the
    /// oracle. `validator` is the hotkey that signs.
    struct WeightsCommit {
        Netuid netuid;
        uint64 epoch;
        address validator;
        uint32 seq;
        bytes32 commitHash;
    }

    /// @notice Shares of the stake or bond, WAD: `commitShare` of a validator's stake in the subnet and of its bond, `reportShare` of a
    /// keeper's bond.
    struct Amounts {
        uint64 commitShare;
        uint64 reportShare;
    }

    /// @notice `least` and `most` bound what amounts can be, for ever; `evidencePeriod` in seconds.
    struct Config {
        address authority;
        address oracle;
        address keeperSet;
        address staking;
        address weightCommits;
        Amounts least;
        Amounts most;
        Amounts amounts;
        uint64 evidencePeriod;
        uint64 genesis;
        uint64 epochLength;
    }

    event DoubleCommitProved(
        Netuid indexed netuid, uint64 indexed epoch, address indexed validator, uint32 seq, address prover
    );
    event DoubleReportProved(uint64 indexed epoch, uint32 attempt, address indexed keeper, address prover);
    event AmountsChanged(uint64 commitShare, uint64 reportShare, uint64 fromEpoch);

    /// @notice A share is zero or above one, or the bounds exclude each other.
    error Slashing_BadConfig();
    error Slashing_OutOfBounds(uint256 share, uint256 least, uint256 most);
    /// @notice The two statements are about different things: both may be honest.
    error Slashing_Unrelated();
    /// @notice The two statements are one.
    error Slashing_NoContradiction();
    /// @notice Not signed by the accused.
    error Slashing_WrongSigner(address signer, address accused);
    /// @notice Of the pair at this position, the second signature is somebody else's.
    error Slashing_SignersDiffer(uint256 position);
    error Slashing_SignersNotAscending(uint256 position);
    error Slashing_NotKeeper(address signer);
    error Slashing_LengthMismatch(uint256 first, uint256 second);
    /// @notice The fault has been slashed; of reports: of all signers shown.
    error Slashing_AlreadySlashed();
    error Slashing_TooOld(uint64 epoch, uint256 until);

    /// @notice Two signed commits of one validator for one (netuid, epoch, seq), of different rows.
    function proveDoubleCommit(
        WeightsCommit calldata first,
        bytes calldata firstSignature,
        WeightsCommit calldata second,
        bytes calldata secondSignature
    ) external;

    /// @notice A signed commit and one on chain (WeightCommits) of one validator for one (netuid, epoch, seq), of different rows.
    function proveCommitAgainstChain(
        WeightsCommit calldata signed,
        bytes calldata signature
    ) external;

    /// @notice Two different reports for one (epoch, attempt), each signed by the same keepers of that epoch's set: signature i of the one
    /// and of the other are of one keeper, keepers strictly ascending. Those that were slashed for it before are passed over.
    /// @return slashed how many were slashed now; zero reverts.
    function proveDoubleReport(
        IEpochOracle.EpochReport calldata first,
        bytes[] calldata firstSignatures,
        IEpochOracle.EpochReport calldata second,
        bytes[] calldata secondSignatures
    ) external returns (uint256 slashed);

    /// @notice restricted: from the next epoch's start on, within the bounds.
    function setAmounts(
        Amounts calldata amounts
    ) external;

    /// @notice What is taken of whatever is shown in this block.
    function amountsNow() external view returns (Amounts memory);
    function bounds() external view returns (Amounts memory least, Amounts memory most);
    function evidencePeriod() external view returns (uint64);
    function isCommitSlashed(
        Netuid netuid,
        uint64 epoch,
        address validator,
        uint32 seq
    ) external view returns (bool);
    function isReportSlashed(
        uint64 epoch,
        uint32 attempt,
        address keeper
    ) external view returns (bool);

    /// @notice EIP-712 digest that a validator signs.
    function hashCommit(
        WeightsCommit calldata c
    ) external view returns (bytes32 digest);

    // constructor(Config config)
}
