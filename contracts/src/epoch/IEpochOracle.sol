// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title Quorum-signed epoch reports: posted, then active after a delay, or void.
/// @notice EIP-712 domain: name "Tandem EpochOracle", version "1". Reports form a chain: each names the struct hash of the last
/// posted one that is not void. Pending ones become active in order, by anyone, a fixed delay after posting; the guardian may void
/// one, and with it its descendants. Posting the same report twice, by two keepers or after a reorganisation, changes
/// nothing: the second call reverts [EP-2].
///
/// Of a report only the hash is kept, in a ring of 256 places, one for each epoch modulo 256, which later epochs write over: posting
/// costs the same for any number of subnets [EP-1] and fills no new storage. Whoever activates a report brings it along; the event of
/// its posting holds what is not in the chain's state.
interface IEpochOracle {
    /// @notice Typehash: EpochReport(uint64 epoch,uint32 attempt,bytes32 configDigest,bytes32 inputsBlock,bytes32 previousReport,bytes32 subnetsRoot,bytes32 rewardsRoot,bytes32 bundleHash,uint32 rulesVersion)
    /// inputsBlock is the hash of the last block before the epoch's end; previousReport the EIP-712 struct hash of the last
    /// posted, not void report (zero for the first).
    struct EpochReport {
        uint64 epoch;
        uint32 attempt;
        bytes32 configDigest;
        bytes32 inputsBlock;
        bytes32 previousReport;
        bytes32 subnetsRoot;
        bytes32 rewardsRoot;
        bytes32 bundleHash;
        uint32 rulesVersion;
    }

    /// @notice ERC-2098: `vs` is s with the parity of v in its highest bit.
    struct Signature {
        bytes32 r;
        bytes32 vs;
    }

    enum Status {
        None,
        Pending,
        Active,
        Void
    }

    /// @notice The last report posted for an epoch; `reportHash` is its EIP-712 struct hash, `postedAt` seconds since 1970.
    struct Stored {
        bytes32 reportHash;
        uint64 epoch;
        uint32 attempt;
        uint64 postedAt;
        Status status;
    }

    event ReportPosted(
        uint64 indexed epoch,
        uint32 attempt,
        bytes32 indexed reportHash,
        bytes32 rewardsRoot,
        bytes32 subnetsRoot,
        bytes32 bundleHash
    );
    event ReportActivated(uint64 indexed epoch, bytes32 indexed reportHash);
    event ReportVoided(uint64 indexed epoch, bytes32 indexed reportHash, bytes32 reason);

    /// @notice This very report has been posted and is not void.
    error EpochOracle_AlreadyPosted(uint64 epoch, bytes32 reportHash);
    /// @notice Reports go up in epochs; another one was posted for this or a later epoch.
    error EpochOracle_NotAfterLast(uint64 epoch, uint64 last);
    error EpochOracle_NotEnded(uint64 epoch, uint256 endsAt);
    /// @notice The controller has closed the epochs before `settledThrough` only.
    error EpochOracle_NotSettled(uint64 epoch, uint64 settledThrough);
    error EpochOracle_WrongAttempt(uint32 given, uint32 expected);
    error EpochOracle_WrongConfig(bytes32 given, bytes32 expected);
    error EpochOracle_WrongPrevious(bytes32 given, bytes32 expected);
    /// @notice Of the signatures (in number) or of the whole calldata (in bytes).
    error EpochOracle_WrongLength(uint256 given, uint256 expected);
    /// @notice The signature at this position recovers to nobody, or is malleable.
    error EpochOracle_BadSignature(uint256 position);
    error EpochOracle_SignersNotAscending(uint256 position);
    error EpochOracle_NotKeeper(address signer);
    /// @notice The oldest pending report is this many epochs back: activate it first.
    error EpochOracle_TooManyPending(uint256 limit);
    error EpochOracle_NotPending(uint64 epoch);
    /// @notice The report brought along is not the one that was posted.
    error EpochOracle_WrongReport(bytes32 given, bytes32 posted);
    error EpochOracle_NotNext(uint64 epoch, uint64 next);
    error EpochOracle_TooEarly(uint64 epoch, uint256 activeFrom);
    error EpochOracle_VetoLimit(uint256 limit);

    /// @notice By anyone, once per (epoch, attempt). The epoch is after the last posted one, has ended and is settled; attempt,
    /// configDigest and previousReport match. `signatures` are exactly threshold many, by keepers of the set of the epoch's start,
    /// signers strictly ascending. The calldata has exactly the length that
    /// this needs [EP-1][EP-2].
    function post(
        EpochReport calldata report,
        Signature[] calldata signatures
    ) external;

    /// @notice By anyone, in order, activationDelay after posting: the report's rewards become claimable and its roots those of the
    /// network.
    function activate(
        EpochReport calldata report
    ) external;

    /// @notice restricted (guardian): voids a pending report and its descendants and raises their attempts; at most three in a row
    /// without an activation between.
    function veto(
        uint64 epoch,
        bytes32 reason
    ) external;

    /// @notice By anyone: remember which set is the newest. The keeper set does it whenever it changes, the first report for the first set: nobody
    /// else has to.
    function syncKeepers() external;

    /// @notice EIP-712 digest that keepers sign.
    function hashReport(
        EpochReport calldata report
    ) external view returns (bytes32 digest);
    function structHash(
        EpochReport calldata report
    ) external pure returns (bytes32);

    /// @notice EIP-712 domain separator of everything that is signed about epochs: reports, commits of weights, receipts.
    function domainSeparator() external view returns (bytes32);

    /// @notice What the ring holds of an epoch: all zero once a report of an epoch 256 or a multiple of it later was posted.
    function reportOf(
        uint64 epoch
    ) external view returns (Stored memory);

    /// @notice How many reports of this epoch have been voided so far; the number that the next report must carry.
    function attemptOf(
        uint64 epoch
    ) external view returns (uint32);

    /// @notice (any posted, epoch of the last posted not void report, its struct hash).
    function lastPosted() external view returns (bool any, uint64 epoch, bytes32 reportHash);
    function lastActive() external view returns (bool any, uint64 epoch, bytes32 reportHash);

    /// @notice `subnetsRoot` of the last active report, and its epoch; zeros before the first.
    function activeSubnetsRoot() external view returns (bytes32 root, uint64 epoch);

    /// @notice Epochs whose reports are pending, oldest first: the order in which they become active.
    function pendingEpochs() external view returns (uint64[] memory);

    /// @notice Seconds between posting and activation.
    function activationDelay() external view returns (uint64);

    /// @notice Since when every ended epoch was reported and none was void (seconds since 1970; 0 before the first activation): what
    /// the launch calls clean. A skipped epoch moves it to the start of the next reported one as soon as that is posted, a void to the time of the
    /// void. While an ended epoch has gone unreported for a whole epoch, it is the time of this block.
    function cleanSince() external view returns (uint64);
    // constructor(address authority, address keeperSet, address controller, address distributor, uint64 genesis, uint64 epochLength, uint64 activationDelay)
}
