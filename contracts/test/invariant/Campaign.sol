// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../../src/types/Types.sol";
import { Vm } from "../support/Test.sol";
import { Watch } from "./Watch.sol";
import { AttackLaws } from "./laws/AttackLaws.sol";
import { CreditLaws } from "./laws/CreditLaws.sol";
import { MoneyLaws } from "./laws/MoneyLaws.sol";
import { StakeLaws } from "./laws/StakeLaws.sol";

/// @notice Acts against laws: by forge's fuzzer, and by a walk of our own whose length makes sure that every act does what it is there for.
/// Laws are many, so after each act one group of them is looked at, and all at the end: what they would find does not go away.
abstract contract Campaign is Watch, CreditLaws, MoneyLaws, StakeLaws, AttackLaws {
    uint256 private constant GROUPS = 5;
    /// @dev Words that are enough for any act.
    uint256 private constant ARGUMENTS = 5;
    /// @dev Acts of a run of the quick profile.
    uint256 private constant WHOLE_RUN = 64;
    uint256 private constant WALKED_BETWEEN_LOOKS = 25;

    function selectors() internal pure virtual returns (bytes4[] memory);

    /// @dev Acts whose gain counts.
    function attacks() internal pure virtual returns (bytes4[] memory);

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(this);
    }

    function targetSelectors() public view returns (Vm.FuzzSelector[] memory targets) {
        targets = new Vm.FuzzSelector[](1);
        targets[0] = Vm.FuzzSelector({ addr: address(this), selectors: selectors() });
    }

    /// @dev One group of the laws after each act; of those on tokens and stake, for one of the tokens.
    function lookAtSome() internal view {
        law_nothingWentWrongWithinAnAct();
        law_noAttackEverPaid(attacks());
        uint256 group = acted % GROUPS;
        Netuid netuid = Netuid.wrap(uint16(acted / GROUPS % (uint256(netuids()) + 1)));
        if (group == 0) creditLaws();
        else if (group == 1 && hasToken(netuid)) tokenLaws(netuid);
        else if (group == 2) poolLaws();
        else if (group == 3) rewardLaws();
        else if (group == 4 && hasToken(netuid)) stakeLaws(netuid);
    }

    function lookAtAll() internal view {
        law_nothingWentWrongWithinAnAct();
        law_noAttackEverPaid(attacks());
        creditLaws();
        poolLaws();
        rewardLaws();
        for (uint16 n = 0; n <= netuids(); ++n) {
            if (!hasToken(Netuid.wrap(n))) continue;
            tokenLaws(Netuid.wrap(n));
            stakeLaws(Netuid.wrap(n));
        }
        law_noTndmVotesTwice();
    }

    /// @dev At the end of each of the fuzzer's runs. Most acts must have been able to do something, or the run has shown little.
    function afterInvariant() public view {
        lookAtAll();
        // Not of the fragments that the fuzzer cuts a failing run down to.
        if (acted >= WHOLE_RUN) vm.assertGe(5 * succeeded, acted, "most acts found nothing to do");
    }

    /// @dev Plays acts by chance, and fails if a law is broken on the way.
    function walk(
        bytes4[] memory list,
        uint256 steps,
        uint256 seed
    ) internal {
        // A walk of that length is more than a block's worth.
        vm.pauseGasMetering();
        for (uint256 step = 0; step < steps; ++step) {
            seed = uint256(keccak256(abi.encode(seed)));
            bytes memory call = abi.encodePacked(list[seed % list.length]);
            for (uint256 i = 0; i < ARGUMENTS; ++i) {
                call = abi.encodePacked(call, keccak256(abi.encode(seed, i)));
            }
            (bool ok, bytes memory reason) = address(this).call(call);
            if (!ok) {
                string memory act = vm.toString(seed % list.length);
                revert(string.concat("act ", act, " at step ", vm.toString(step), " reverted: ", vm.toString(reason)));
            }
            if (step % WALKED_BETWEEN_LOOKS == 0) this.lookAround();
        }
        this.lookAround();
    }

    /// @dev Fails if one of the acts never did what it is there for: then nothing is known of what it would do.
    function checkThatAllWereDone(
        bytes4[] memory list
    ) internal view {
        string memory idle = "";
        for (uint256 i = 0; i < list.length; ++i) {
            if (done[list[i]] == 0) idle = string.concat(idle, " ", vm.toString(abi.encodePacked(list[i])));
        }
        vm.assertEq(bytes(idle).length, 0, string.concat("acts that were never done:", idle));
    }

    /// @dev A call of its own, so that its memory is given back.
    function lookAround() external view {
        lookAtAll();
    }

    function joined(
        bytes4[] memory a,
        bytes4[] memory b
    ) internal pure returns (bytes4[] memory list) {
        list = new bytes4[](a.length + b.length);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = i < a.length ? a[i] : b[i - a.length];
        }
    }
}
