// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { IDelegation } from "../../src/subnet/IDelegation.sol";
import { Netuid, WAD } from "../../src/types/Types.sol";
import { World } from "./World.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Looks at the suite after every act, and compares it with how it was after the one before: what may only move one way, and what
/// may not move at all.
abstract contract Watch is World {
    /// @dev An EMA moves by at most this part of itself in an epoch, WAD: emaRate, towards its double at most.
    uint256 private constant EMA_STEP = 0.086e18;

    /// @dev Acts between two looks at what the running epoch reads.
    uint256 private constant PATIENCE = 8;

    struct Seen {
        uint256 product;
        uint256 ema;
        uint64 nextEpoch;
        uint256 alphaSupply;
    }

    mapping(Netuid => Seen) private _seen;
    uint256 private _tndmSupply = WHOLE;
    uint256 private _burned;
    uint256 private _emitted;
    uint64 private _settled;
    /// @dev What the youngest epoch that was seen to run reads, and of how many subnets it was noted.
    uint64 private _frozenEpoch;
    uint16 private _frozenSubnets;
    bytes32 private _frozen;

    function _observe() internal override {
        _watchPools();
        _watchSupply();
        _watchEpoch();
    }

    /// @dev [AM-2] [AM-3] [AC-2]
    function _watchPools() private {
        for (uint16 n = 1; n <= netuids(); ++n) {
            Netuid netuid = Netuid.wrap(n);
            Seen storage seen = _seen[netuid];
            IAlphaPools.Pool memory pool = pools.poolOf(netuid);
            if (pool.token == address(0)) continue;
            uint256 product = uint256(pool.tndm) * pool.alpha;
            if (pools.redemptionOf(netuid).supply == 0) expect(product >= seen.product, "k fell");
            uint256 supply = IERC20(pool.token).totalSupply();
            expect(seen.alphaSupply == 0 || supply <= seen.alphaSupply, "alpha was minted");
            uint64 next = pools.nextEpochOf(netuid);
            uint256 ema = pools.emaOf(netuid);
            uint256 most = seen.ema;
            for (uint64 e = seen.nextEpoch; e < next; ++e) {
                most += most * EMA_STEP / WAD + 1;
            }
            expect(seen.ema == 0 || ema <= most, "an EMA rose faster than its cap");
            _seen[netuid] = Seen({ product: product, ema: ema, nextEpoch: next, alphaSupply: supply });
        }
    }

    /// @dev [AC-2] [EM-1] Supply only falls; what was burned and emitted only rises, and as fast as the ceiling allows.
    function _watchSupply() private {
        uint256 supply = tndm.totalSupply();
        expect(supply <= _tndmSupply, "TNDM was minted");
        uint256 burned = controller.totalBurned();
        uint256 emitted = controller.totalEmitted();
        uint64 settled = controller.settledThrough();
        expect(burned >= _burned && emitted >= _emitted && settled >= _settled, "a counter of emission fell");
        expect(burned - _burned <= _tndmSupply - supply, "more was credited than an act burned");
        // An epoch that is half closed may have been paid for, and one may have been begun before.
        expect(
            emitted - _emitted <= (uint256(settled) + 1 - _settled) * _mostPerEpoch(), "emitted faster than the ceiling"
        );
        (_tndmSupply, _burned, _emitted, _settled) = (supply, burned, emitted, settled);
    }

    /// @dev At genesis; later it only falls.
    function _mostPerEpoch() private pure returns (uint256) {
        return 86_400e18 * uint256(LENGTH) / 1 days;
    }

    /// @dev [SN-2]
    function _watchEpoch() private {
        uint64 epoch = oracle.currentEpoch();
        // It takes long, and what has changed stays changed.
        if (epoch == _frozenEpoch && acted % PATIENCE != 0) return;
        if (_frozenSubnets != 0) {
            expect(readBy(_frozenEpoch, _frozenSubnets) == _frozen, "what an epoch reads has changed since it began");
        }
        if (epoch == _frozenEpoch) return;
        (_frozenEpoch, _frozenSubnets) = (epoch, netuids());
        _frozen = readBy(epoch, _frozenSubnets);
    }

    /// @dev Everything about stake, uids, owners and keepers that scoring an epoch reads.
    function readBy(
        uint64 epoch,
        uint16 subnets
    ) internal view returns (bytes32 digest) {
        digest = keeperSet.configDigestAt(epoch);
        for (uint16 n = 1; n <= subnets; ++n) {
            Netuid netuid = Netuid.wrap(n);
            digest = keccak256(
                abi.encode(
                    digest,
                    staking.weightsAt(netuid, epoch),
                    staking.minimumStakeAt(netuid, epoch),
                    staking.eligibleAt(netuid, epoch),
                    registry.hyperparametersAt(netuid, epoch),
                    registry.ownerOfSubnetAt(netuid, epoch),
                    registry.neuronCountAt(netuid, epoch)
                )
            );
            for (uint256 h = 0; h < hotkeys.length; ++h) {
                digest = keccak256(abi.encode(digest, _ofValidator(netuid, hotkeys[h], epoch)));
            }
        }
    }

    /// @dev Who came later has no shares as of the epoch and stands in the list all the same.
    function _ofValidator(
        Netuid netuid,
        address hotkey,
        uint64 epoch
    ) private view returns (bytes32 digest) {
        digest = keccak256(abi.encode(registry.uidAt(netuid, hotkey, epoch), staking.takeAt(hotkey, epoch)));
        IDelegation.Delegation[] memory all = staking.delegationsAt(netuid, hotkey, epoch, 0, type(uint256).max);
        for (uint256 i = 0; i < all.length; ++i) {
            if (all[i].shares != 0) digest = keccak256(abi.encode(digest, all[i]));
        }
    }
}
