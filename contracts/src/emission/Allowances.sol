// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { MAX_SUPPLY } from "./Halving.sol";
import { IEmissionController } from "./IEmissionController.sol";
import { LedgerWord } from "./LedgerWord.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title From burns to allowances
/// @notice The left side of the law: what was burned for a subnet in an epoch becomes ⌊φ · burned⌋ of allowance when the next
/// epoch is closed.
abstract contract Allowances is IEmissionController, EpochClock {
    using SafeCast for uint256;

    /// @dev Where a burn came from, as in BurnCredited.
    enum Source {
        Auction,
        Lock,
        Sponsor
    }

    /// @dev The visits that closing an epoch pays to each subnet, in this order.
    enum Pass {
        Weigh, // allowances, prices, who takes part
        Share, // first pass over the ceiling; skipped if nobody takes part
        Pay // second pass, budgets and pots
    }

    /// @dev What every call reads and writes, in one slot.
    struct Head {
        uint40 epoch; // first that is not settled
        uint16 next; // position of the subnet to visit next, in the order of `liveAt(epoch)`
        Pass pass;
        uint88 emitted; // ever
        uint88 burned; // ever
    }

    /// @dev Burns of the two latest epochs that had any. Read only while LedgerWord.waits; burns of earlier epochs are then
    /// folded, or kept in `_late`.
    struct Waiting {
        uint88 newest;
        uint88 older;
        uint40 newestEpoch;
        uint40 olderEpoch;
    }

    uint256 private constant MAX_PHI = 0.95e18;

    IERC20 public immutable TNDM;
    uint256 public immutable PHI;
    uint64 public immutable FADE_PERIOD;

    Head internal _head;
    mapping(Netuid netuid => LedgerWord) internal _ledgers;
    mapping(Netuid netuid => Waiting) private _waiting;
    /// @dev Burns that had to make room before they were folded: settlement lagged by more than an epoch.
    mapping(Netuid netuid => mapping(uint256 epoch => uint256)) private _late;

    constructor(
        address tndm,
        uint256 phi_,
        uint64 fadePeriod
    ) {
        if (phi_ > MAX_PHI || fadePeriod < LENGTH) revert EmissionController_BadConfig();
        TNDM = IERC20(tndm);
        PHI = phi_;
        FADE_PERIOD = fadePeriod;
    }

    /// @dev Counts TNDM that the caller has just destroyed. The sum of all such never exceeds what the supply has lost, so no TNDM
    /// counts twice and none that is still there.
    function _countDestroyed(
        uint256 burned
    ) internal {
        uint256 credited = _head.burned + burned;
        uint256 destroyed = MAX_SUPPLY - TNDM.totalSupply();
        if (credited > destroyed) revert EmissionController_NotDestroyed(credited, destroyed);
        _head.burned = credited.toUint88();
    }

    /// @dev Credits a part of what `_countDestroyed` has counted to a subnet.
    function _credit(
        Netuid netuid,
        uint256 burned,
        Source source
    ) internal {
        if (burned == 0) return;
        if (netuid.isZero()) revert EmissionController_UnknownSubnet(netuid);
        uint64 epoch = currentEpoch();
        LedgerWord ledger = _ledgers[netuid];
        _waiting[netuid] = _queued(netuid, ledger, epoch, burned);
        _ledgers[netuid] = ledger.burnedMore(burned);
        emit BurnCredited(netuid, epoch, burned, uint8(source));
    }

    /// @dev What waits after a burn in `epoch`. Only the older of two amounts ever has to make room, and by then it is folded
    /// unless settlement lags.
    function _queued(
        Netuid netuid,
        LedgerWord ledger,
        uint64 epoch,
        uint256 burned
    ) private returns (Waiting memory w) {
        if (ledger.waits()) {
            w = _waiting[netuid];
            if (w.newestEpoch == epoch) {
                w.newest += burned.toUint88();
                return w;
            }
            if (w.older > 0 && _head.epoch <= uint256(w.olderEpoch) + 1) _late[netuid][w.olderEpoch] = w.older;
            (w.older, w.olderEpoch) = (w.newest, w.newestEpoch);
        }
        (w.newest, w.newestEpoch) = (burned.toUint88(), uint256(epoch).toUint40());
    }

    /// @dev The subnet's allowance as of the end of `epoch`, which is the next to be closed for it: with the burns of the epoch before,
    /// and faded if it `fades`. The same whenever it is asked before `_closeLedger`: later burns belong to later epochs.
    function _allowanceAt(
        Netuid netuid,
        LedgerWord ledger,
        uint64 epoch,
        bool fades
    ) internal view returns (uint256 allowance) {
        allowance = ledger.allowance();
        if (ledger.waits() && epoch > 0) allowance += PHI * _burnedIn(netuid, epoch - 1) / WAD;
        // Below 2^86 times 2^64, and a fade takes all at most.
        unchecked {
            if (fades) allowance -= allowance * LENGTH / FADE_PERIOD;
        }
    }

    /// @dev Leaves `left` of the subnet's allowance as of the end of `epoch`, after `emitted`.
    /// @return changed There was something to write.
    function _closeLedger(
        Netuid netuid,
        LedgerWord ledger,
        uint64 epoch,
        uint256 left,
        uint256 emitted
    ) internal returns (bool changed) {
        bool waits = ledger.waits() && _waiting[netuid].newestEpoch >= epoch;
        LedgerWord closed = ledger.paid(left, emitted, waits);
        changed = closed.differs(ledger);
        if (changed) _ledgers[netuid] = closed;
    }

    function _burnedIn(
        Netuid netuid,
        uint64 epoch
    ) private view returns (uint256) {
        Waiting memory w = _waiting[netuid];
        if (w.newestEpoch == epoch) return w.newest;
        if (w.olderEpoch == epoch) return w.older;
        return epoch < w.olderEpoch ? _late[netuid][epoch] : 0;
    }
}
