// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { World } from "../World.sol";

/// @notice What acts and attacks themselves have found.
abstract contract AttackLaws is World {
    /// @dev Whatever an act checks while it runs: quotes against execution, what must revert, what must not change [AM-1] [SN-2] [EM-2].
    function law_nothingWentWrongWithinAnAct() internal view {
        vm.assertEq(flaw, "");
    }

    /// @dev [AM-2] [AM-3] [CR-3] Not a wei.
    function law_noAttackEverPaid(
        bytes4[] memory attacks
    ) internal view {
        for (uint256 i = 0; i < attacks.length; ++i) {
            vm.assertEq(gained[attacks[i]], 0, string.concat("an attack paid: ", vm.toString(i)));
        }
    }
}
