// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid, WAD } from "../types/Types.sol";
import { DelegationPools } from "./DelegationPools.sol";
import { IDelegation } from "./IDelegation.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What waits to be withdrawn, still within reach of a slash
/// @dev The queue of a pool remembers one number, `kept`: what slashes have left of each wei that has waited since its era began.
/// An entry holds `amount / kept` shares when it joins and is worth `shares · kept` ever after, so that one write slashes all
/// entries. Unlike in a pool the price of a share is no quotient of sums that somebody could push.
/// `Σ shares · kept <= unbonding` holds through joining (shares round down), slashing (`kept` rounds down, what is taken too) and
/// withdrawing (rounds down).
abstract contract UnbondingQueue is DelegationPools {
    using SafeCast for uint256;

    /// @dev Two words.
    struct Entry {
        address account;
        uint40 releaseAt;
        Netuid netuid;
        uint32 era;
        address hotkey;
        uint96 shares;
    }

    /// @dev When slashes have left less than this of an era's wei, the rest is taken too and a new era begins: it keeps shares
    /// within 96 bits, so that leaving a validator that is slashed again and again always works.
    uint256 private constant LEAST_KEPT = WAD / 1024;

    uint64 public immutable UNBONDING_PERIOD;

    mapping(uint256 unbondingId => Entry) private _entries;
    uint256 private _count;

    constructor(
        Config memory config
    ) {
        if (config.unbondingPeriod < config.epochLength) revert Staking_BadConfig();
        UNBONDING_PERIOD = config.unbondingPeriod;
    }

    /// @inheritdoc IDelegation
    function unbondingCount() external view returns (uint256) {
        return _count;
    }

    /// @inheritdoc IDelegation
    function unbondingOf(
        uint256 unbondingId
    ) external view returns (Unbonding memory unbonding) {
        Entry memory entry = _entries[unbondingId];
        if (entry.account == address(0)) return unbonding;
        return Unbonding({
            account: entry.account,
            asset: address(_tokenOf(entry.netuid)),
            amount: _worth(entry, _ledgerOf(entry.netuid, entry.hotkey)).toUint128(),
            releaseAt: entry.releaseAt,
            netuid: entry.netuid,
            hotkey: entry.hotkey
        });
    }

    function _join(
        Netuid netuid,
        address hotkey,
        Ledger storage ledger,
        uint256 amount
    ) internal returns (uint256 unbondingId, uint40 releaseAt) {
        releaseAt = (block.timestamp + UNBONDING_PERIOD).toUint40();
        unbondingId = ++_count;
        Entry storage entry = _entries[unbondingId];
        (entry.account, entry.releaseAt, entry.netuid, entry.era) = (msg.sender, releaseAt, netuid, ledger.era);
        (entry.hotkey, entry.shares) = (hotkey, (amount * WAD / (WAD - ledger.lost)).toUint96());
        ledger.unbonding = (ledger.unbonding + amount).toUint96();
    }

    /// @dev Removes a released entry.
    function _leave(
        uint256 unbondingId
    ) internal returns (Netuid netuid, address account, uint256 amount) {
        Entry memory entry = _entries[unbondingId];
        (netuid, account) = (entry.netuid, entry.account);
        if (account == address(0)) revert Staking_UnknownUnbonding(unbondingId);
        if (block.timestamp < entry.releaseAt) revert Staking_StillBound(unbondingId, entry.releaseAt);
        delete _entries[unbondingId];
        Ledger storage ledger = _ledgerOf(netuid, entry.hotkey);
        amount = _worth(entry, ledger);
        ledger.unbonding -= amount.toUint96();
    }

    /// @dev Takes `share` (WAD) of all that waits.
    function _cutQueue(
        Ledger storage ledger,
        uint256 share
    ) internal returns (uint256 taken) {
        // Nothing waits that is worth a wei.
        if (ledger.unbonding == 0) return 0;
        uint256 kept = (WAD - ledger.lost) * (WAD - share) / WAD;
        if (kept < LEAST_KEPT) {
            taken = ledger.unbonding;
            ledger.lost = 0;
            ++ledger.era;
        } else {
            taken = ledger.unbonding * share / WAD;
            // What takes nothing changes nothing: no event would tell of it.
            if (taken == 0) return 0;
            ledger.lost = (WAD - kept).toUint64();
        }
        ledger.unbonding -= taken.toUint96();
    }

    function _worth(
        Entry memory entry,
        Ledger memory ledger
    ) private pure returns (uint256) {
        return entry.era == ledger.era ? entry.shares * (WAD - ledger.lost) / WAD : 0;
    }
}
