// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EpochCheckpoints } from "./EpochCheckpoints.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title Whose a hotkey is, and in how many subnets it has a uid
/// @dev One owner in all subnets, for good: or its bond and its name would be anybody's to use. The count divides its bond.
abstract contract Hotkeys is ISubnetRegistry {
    using Checkpoints for Checkpoints.Trace208;
    using EpochCheckpoints for Checkpoints.Trace208;

    /// @dev One word: most hotkeys join one subnet and leave it once, and need no other slot for that. `subnets` holds from epoch `from`
    /// on, `subnetsBefore` from `fromBefore` to there; what was before is in `_older`.
    struct Hotkey {
        address owner;
        uint32 from;
        uint16 subnets;
        uint32 fromBefore;
        uint16 subnetsBefore;
    }

    mapping(address hotkey => Hotkey) private _hotkeys;
    mapping(address hotkey => Checkpoints.Trace208) private _older;

    constructor(
        HotkeyBinding[] memory bindings
    ) {
        for (uint256 i = 0; i < bindings.length; ++i) {
            _bind(bindings[i].hotkey, bindings[i].owner);
        }
    }

    /// @inheritdoc ISubnetRegistry
    function bindHotkey(
        address owner
    ) external {
        _bind(msg.sender, owner);
    }

    /// @inheritdoc ISubnetRegistry
    function ownerOfHotkey(
        address hotkey
    ) external view returns (address) {
        return _hotkeys[hotkey].owner;
    }

    /// @inheritdoc ISubnetRegistry
    function subnetsOfAt(
        address hotkey,
        uint64 epoch
    ) external view returns (uint256) {
        Hotkey memory h = _hotkeys[hotkey];
        if (epoch >= h.from) return h.subnets;
        if (epoch >= h.fromBefore) return h.subnetsBefore;
        return _older[hotkey].lookupAt(epoch);
    }

    /// @dev Does nothing if the hotkey is the owner's already.
    function _bind(
        address hotkey,
        address owner
    ) internal {
        if (hotkey == address(0) || owner == address(0)) revert SubnetRegistry_ZeroAddress();
        address bound = _hotkeys[hotkey].owner;
        if (bound == owner) return;
        if (bound != address(0)) revert SubnetRegistry_HotkeyOwnedBy(hotkey, bound);
        _hotkeys[hotkey].owner = owner;
        emit HotkeyBound(hotkey, owner);
    }

    function _joined(
        address hotkey,
        uint32 from
    ) internal returns (uint16 subnets) {
        subnets = _hotkeys[hotkey].subnets + 1;
        _count(hotkey, from, subnets);
    }

    function _left(
        address hotkey,
        uint32 from
    ) internal {
        _count(hotkey, from, _hotkeys[hotkey].subnets - 1);
    }

    /// @dev `from` never falls from one call to the next: it is the epoch that begins next.
    function _count(
        address hotkey,
        uint32 from,
        uint16 subnets
    ) private {
        Hotkey storage h = _hotkeys[hotkey];
        if (h.from != from) {
            if (h.subnetsBefore != 0 || h.fromBefore != 0) _older[hotkey].push(h.fromBefore, h.subnetsBefore);
            (h.fromBefore, h.subnetsBefore, h.from) = (h.from, h.subnets, from);
        }
        h.subnets = subnets;
    }
}
