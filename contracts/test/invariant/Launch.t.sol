// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ILaunchGate } from "../../src/governance/ILaunchGate.sol";
import { Phase } from "../../src/types/Types.sol";
import { Everybody } from "./Everybody.sol";

/// @notice The suite from its first second: a mesh without any TNDM in circulation, which chance takes to the token and to markets, while
/// everybody does what the phase allows, or tries what it does not.
contract LaunchInvariantTest is Everybody {
    uint256 private constant STEPS = 500;

    function begin() internal override {
        vm.prank(team);
        allocation.delegate(team);
        vm.prank(ecosystem);
        allocation.delegate(ecosystem);
    }

    function thresholds() internal pure override returns (ILaunchGate.Thresholds memory t) {
        t.buybackMargin = 1e6;
    }

    /// @dev [GV-1] One step on the one way there is, if it is time.
    function launch() external acts {
        Phase phase = gate.phase();
        if (phase == Phase.Mesh && gate.announcedAt() == 0) {
            vm.prank(council);
            try gate.announce() {
                did();
            } catch { }
        } else if (phase == Phase.Mesh) {
            try gate.openToken() {
                did();
            } catch { }
        } else if (phase == Phase.Token) {
            try gate.openMarkets() {
                endow();
                did();
            } catch { }
        }
        expect(gate.phase() >= phase, "the launch went back");
    }

    /// @dev [GV-1] [EM-1]
    function law_theMeshKnowsNoTndm() private view {
        if (gate.phase() != Phase.Mesh) return;
        vm.assertEq(tndm.circulatingSupply(), 0, "TNDM circulates in the mesh");
        vm.assertEq(controller.totalBurned() + controller.totalEmitted(), 0, "emission in the mesh");
    }

    function invariant_theNetworkKeepsItsPromisesFromTheFirstSecond() public view {
        lookAtSome();
        law_theMeshKnowsNoTndm();
    }

    function test_whatTheMeshAllowsWorksAndTheWayLeadsToMarkets() public {
        walk(meshActs(), STEPS, 1);
        vm.assertTrue(gate.phase() == Phase.Mesh);
        law_theMeshKnowsNoTndm();
        checkThatAllWereDone(creditActs());
        for (uint256 i = 0; gate.phase() != Phase.Markets; ++i) {
            vm.assertLt(i, 20);
            this.launch();
            this.skipEpochs(1);
        }
        walk(super.selectors(), STEPS, 2);
        checkThatAllWereDone(marketsNeed());
    }

    /// @dev What nobody could do before.
    function marketsNeed() private pure returns (bytes4[] memory list) {
        list = new bytes4[](3);
        (list[0], list[1], list[2]) = (this.buyAlphaOf.selector, this.sponsor.selector, this.bond.selector);
    }

    function meshActs() private pure returns (bytes4[] memory) {
        return joined(joined(creditActs(), epochActs()), joined(subnetActs(), hostileActs()));
    }

    /// @dev Few of what markets need: before them it is nothing, after them it is done in the other world.
    function selectors() internal pure override returns (bytes4[] memory list) {
        list = joined(meshActs(), new bytes4[](1));
        list[list.length - 1] = this.launch.selector;
    }
}
