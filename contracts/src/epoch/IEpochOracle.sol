// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title Quorum-signed epoch reports: posted, then active after a delay, or void. EIP-712 domain: name "Tandem EpochOracle", version "1".
interface IEpochOracle {
    /// @notice Typehash: EpochReport(uint64 epoch,uint32 attempt,bytes32 configDigest,bytes32 inputsBlock,bytes32 previousReport,bytes32 subnetsRoot,bytes32 rewardsRoot,bytes32 bundleHash,uint32 rulesVersion)
    /// inputsBlock is the hash of the last block before the epoch's end; previousReport the EIP-712 struct hash of the last posted, not void report (zero for the first).
    struct EpochReport { uint64 epoch; uint32 attempt; bytes32 configDigest; bytes32 inputsBlock; bytes32 previousReport; bytes32 subnetsRoot; bytes32 rewardsRoot; bytes32 bundleHash; uint32 rulesVersion; }
    enum Status { None, Pending, Active, Void }
    struct Stored { bytes32 reportHash; bytes32 rewardsRoot; uint64 epoch; uint32 attempt; uint64 postedAt; Status status; }

    event ReportPosted(uint64 indexed epoch, uint32 attempt, bytes32 indexed reportHash, bytes32 rewardsRoot, bytes32 subnetsRoot, bytes32 bundleHash, address poster);
    event ReportActivated(uint64 indexed epoch, bytes32 indexed reportHash);
    event ReportVoided(uint64 indexed epoch, bytes32 indexed reportHash, bytes32 reason);

    /// @notice By anyone. epoch > last posted; epoch ended; settled(epoch); attempt, configDigest, previousReport match; exactly threshold signatures (65 bytes each, concatenated), signers strictly ascending, all in the set of the epoch's start; exact calldata length [EP-1][EP-2].
    function post(EpochReport calldata report, bytes calldata signatures) external;
    /// @notice By anyone, in order, activationDelay after posting.
    function activate(uint64 epoch) external;
    /// @notice restricted (guardian): voids a pending report and its descendants; at most three in a row without an activation between.
    function veto(uint64 epoch, bytes32 reason) external;

    function hashReport(EpochReport calldata report) external view returns (bytes32 digest);   // EIP-712 digest that keepers sign
    function structHash(EpochReport calldata report) external pure returns (bytes32);
    function reportOf(uint64 epoch) external view returns (Stored memory);
    function attemptOf(uint64 epoch) external view returns (uint32);
    /// @notice (any posted, epoch of the last posted not void report, its struct hash).
    function lastPosted() external view returns (bool any, uint64 epoch, bytes32 reportHash);
    function lastActive() external view returns (bool any, uint64 epoch, bytes32 reportHash);
    function activationDelay() external view returns (uint64);
    /// @notice Since when every ended epoch was reported and none was void (seconds; 0 before the first activation): what the launch calls clean.
    function cleanSince() external view returns (uint64);
    // constructor(address authority, address keeperSet, address controller, address distributor, uint64 genesis, uint64 epochLength, uint64 activationDelay)
}
