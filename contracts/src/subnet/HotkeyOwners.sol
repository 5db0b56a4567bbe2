// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISubnetRegistry } from "./ISubnetRegistry.sol";

/// @title Whose a hotkey is: one owner in all subnets, for good, or its bond and its name would be anybody's to use.
abstract contract HotkeyOwners is ISubnetRegistry {
    mapping(address hotkey => address) private _owner;

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
        return _owner[hotkey];
    }

    /// @dev Does nothing if the hotkey is the owner's already.
    function _bind(
        address hotkey,
        address owner
    ) internal {
        if (hotkey == address(0) || owner == address(0)) revert SubnetRegistry_ZeroAddress();
        address bound = _owner[hotkey];
        if (bound == owner) return;
        if (bound != address(0)) revert SubnetRegistry_HotkeyOwnedBy(hotkey, bound);
        _owner[hotkey] = owner;
        emit HotkeyBound(hotkey, owner);
    }
}
