// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEpochOracle } from "../epoch/IEpochOracle.sol";
import { PositionalMerkle } from "../epoch/PositionalMerkle.sol";
import { Netuid } from "../types/Types.sol";
import { IStaking } from "./IStaking.sol";
import { Neurons } from "./Neurons.sol";

/// @title Who leaves a full subnet: the lowest of the last active report that is neither immune nor gone since
abstract contract Evictions is Neurons {
    IEpochOracle public immutable ORACLE;
    IStaking public immutable STAKING;
    /// @notice Seconds after its registration in which a neuron cannot be evicted.
    uint64 public immutable NEURON_IMMUNITY;

    constructor(
        Config memory config
    ) {
        ORACLE = IEpochOracle(config.oracle);
        STAKING = IStaking(config.staking);
        NEURON_IMMUNITY = config.neuronImmunity;
    }

    /// @dev Frees the uid of the first neuron of the proven list that may be evicted. The caller gives it away in the same transaction.
    function _evict(
        Netuid netuid,
        State storage state,
        PruneProof calldata proof
    ) internal returns (uint16 uid) {
        address hotkey;
        (uid, hotkey) = _evictable(netuid, state, proof);
        _leave(netuid, uid, hotkey);
        _tellStaking(netuid, hotkey);
    }

    /// @dev The zero hotkey stands for all of a subnet.
    function _tellStaking(
        Netuid netuid,
        address hotkey
    ) internal {
        STAKING.onSeatsChanged(netuid, hotkey);
    }

    function _evictable(
        Netuid netuid,
        State storage state,
        PruneProof calldata proof
    ) private view returns (uint16 uid, address hotkey) {
        (bytes32 root, uint64 epoch) = ORACLE.activeSubnetsRoot();
        if (root == 0) revert SubnetRegistry_NoActiveReport();
        if (PositionalMerkle.rootOf(_leafOf(netuid, proof), proof.index, proof.proof) != root) {
            revert SubnetRegistry_BadPruneProof(netuid, epoch);
        }
        uint256 start = startOf(epoch);
        uint256 count = state.neuronCount;
        for (uint256 i = 0; i < proof.pruneList.length; ++i) {
            uid = proof.pruneList[i];
            if (uid >= count) continue;
            Registration storage r = _holderOf(netuid, uid);
            uint256 registeredAt = r.registeredAt;
            // Whoever came since the report's epoch began was not scored by it.
            if (registeredAt < start && block.timestamp >= registeredAt + NEURON_IMMUNITY) return (uid, r.hotkey);
        }
        revert SubnetRegistry_NobodyEvictable(netuid, epoch);
    }

    /// @dev Hashed twice, so that no inner node can pass for a leaf.
    function _leafOf(
        Netuid netuid,
        PruneProof calldata proof
    ) private pure returns (bytes32) {
        bytes32 pruneHash = keccak256(abi.encode(proof.pruneList));
        return keccak256(bytes.concat(keccak256(abi.encode(netuid, proof.traceRoot, pruneHash))));
    }
}
