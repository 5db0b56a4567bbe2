// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISubnetGovernor } from "../../src/governance/ISubnetGovernor.sol";
import { ISubnetVotes } from "../../src/governance/ISubnetVotes.sol";
import { SubnetGovernor } from "../../src/governance/SubnetGovernor.sol";
import { SubnetVotes } from "../../src/governance/SubnetVotes.sol";
import { TandemTimelock } from "../../src/governance/TandemTimelock.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Netuid } from "../../src/types/Types.sol";
import { SuiteTest } from "../support/Suite.sol";
import { IVotes } from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice A subnet goes from its owner to those who hold and stake its alpha, in the suite as it is deployed.
contract SubnetGovernanceTest is SuiteTest {
    uint256 private constant FLOOR = 1000e18;

    address private immutable HOLDER = makeActor("holder");
    address private immutable STAKER = makeActor("staker");

    IERC20 private alpha;
    TandemTimelock private executor;
    SubnetVotes private alphaVotes;
    SubnetGovernor private subnetGovernor;

    function setUp() public override {
        super.setUp();
        runEpoch(500e18);
        runEpoch(500e18);
        runEpoch(0);
        openMarkets();
        alpha = IERC20(pools.alphaOf(TEXT));
        vm.startPrank(ecosystem);
        tndm.approve(address(pools), 500e18);
        uint256 bought = pools.buy(TEXT, 500e18, 0, block.timestamp);
        alpha.transfer(HOLDER, bought / 2);
        alpha.transfer(STAKER, bought / 2);
        vm.stopPrank();
        vm.prank(HOLDER);
        IVotes(address(alpha)).delegate(HOLDER);
        stakeAll();
        found();
        vm.warp(block.timestamp + 1);
    }

    /// @dev STAKER delegates its alpha and stakes it: its votes follow it, not the validator.
    function stakeAll() private {
        (, address hotkey) = validator(0);
        uint256 amount = alpha.balanceOf(STAKER);
        vm.startPrank(STAKER);
        IVotes(address(alpha)).delegate(STAKER);
        alpha.approve(address(staking), amount);
        staking.stake(TEXT, hotkey, amount);
        vm.stopPrank();
    }

    /// @dev Anybody deploys the three contracts.
    function found() private {
        alphaVotes = new SubnetVotes(TEXT, address(pools), address(staking));
        address[] memory proposers = new address[](1);
        proposers[0] = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        executor = new TandemTimelock(TIMELOCK_DELAY, proposers, new address[](1), address(0), address(0));
        subnetGovernor = new SubnetGovernor(
            ISubnetGovernor.Config({
                votes: address(alphaVotes), timelock: address(executor), guardian: guardian, rules: rules(FLOOR)
            })
        );
    }

    function propose(
        address by,
        bytes[] memory calls
    ) private returns (uint256 id) {
        address[] memory targets = new address[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            targets[i] = address(registry);
        }
        vm.prank(by);
        id = subnetGovernor.propose(targets, new uint256[](calls.length), calls, "");
    }

    function pass(
        uint256 id,
        address voter
    ) private {
        vm.warp(subnetGovernor.proposalSnapshot(id) + 1);
        vm.prank(voter);
        subnetGovernor.castVote(id, 1);
        vm.warp(subnetGovernor.proposalDeadline(id) + 1);
        subnetGovernor.queue(id);
        vm.warp(block.timestamp + TIMELOCK_DELAY);
        subnetGovernor.execute(id);
    }

    function test_a_subnet_is_handed_over_governed_and_handed_on() public {
        vm.prank(subnetOwner);
        registry.transferSubnet(TEXT, address(executor));
        ISubnetRegistry.Hyperparameters memory changed = hyperparameters();
        changed.kappa = 30_000;
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(ISubnetRegistry.acceptSubnet, (TEXT));
        calls[1] = abi.encodeCall(ISubnetRegistry.setHyperparameters, (TEXT, changed));
        pass(propose(HOLDER, calls), HOLDER);
        vm.assertEq(registry.ownerOfSubnet(TEXT), address(executor));
        vm.assertEq(registry.hyperparametersAt(TEXT, registry.currentEpoch() + 1).kappa, 30_000);

        bytes memory notOwner =
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NotSubnetOwner.selector, TEXT, subnetOwner);
        vm.expectRevert(notOwner);
        vm.prank(subnetOwner);
        registry.setHyperparameters(TEXT, changed);

        calls = new bytes[](1);
        calls[0] = abi.encodeCall(ISubnetRegistry.transferSubnet, (TEXT, HOLDER));
        pass(propose(HOLDER, calls), HOLDER);
        vm.prank(HOLDER);
        registry.acceptSubnet(TEXT);
        vm.assertEq(registry.ownerOfSubnet(TEXT), HOLDER);
    }

    function test_staked_alpha_proposes_and_decides() public {
        vm.assertEq(IVotes(address(alpha)).getVotes(STAKER), 0);
        uint256 staked = alphaVotes.getVotes(STAKER);
        vm.assertGe(staked, PROPOSAL_THRESHOLD);
        vm.prank(subnetOwner);
        registry.transferSubnet(TEXT, address(executor));
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(ISubnetRegistry.acceptSubnet, (TEXT));
        pass(propose(STAKER, calls), STAKER);
        vm.assertEq(registry.ownerOfSubnet(TEXT), address(executor));
    }

    function test_a_proposal_samples_the_alpha_outside_the_vault_for_its_quorum() public {
        uint256 circulating = pools.circulatingAlpha(TEXT);
        vm.assertEq(alphaVotes.getPastTotalSupply(block.timestamp - 1), circulating);
        vm.prank(ecosystem);
        tndm.approve(address(pools), 50_000e18);
        vm.prank(ecosystem);
        pools.buy(TEXT, 50_000e18, 0, block.timestamp);
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(ISubnetRegistry.acceptSubnet, (TEXT));
        uint256 id = propose(HOLDER, calls);
        vm.warp(subnetGovernor.proposalSnapshot(id) + 1);
        uint256 now_ = pools.circulatingAlpha(TEXT);
        vm.assertGt(now_, 5 * circulating);
        vm.assertEq(subnetGovernor.quorum(subnetGovernor.proposalSnapshot(id)), now_ * 4 / 100);
        vm.assertGt(now_ * 4 / 100, FLOOR);
    }

    function test_the_quorum_never_falls_below_the_floor() public view {
        vm.assertLt(pools.circulatingAlpha(TEXT) * 4 / 100, FLOOR);
        vm.assertEq(subnetGovernor.quorum(block.timestamp - 1), FLOOR);
    }

    function test_it_says_whose_governor_it_is() public {
        vm.assertTrue(subnetGovernor.netuid() == TEXT);
        vm.assertTrue(alphaVotes.netuid() == TEXT);
        vm.assertEq(alphaVotes.name(), "Tandem Alpha 1 Votes");
        vm.assertEq(alphaVotes.symbol(), "va1");
        vm.assertEq(subnetGovernor.guardianUntil(), subnetGovernor.DEPLOYED_AT() + GUARDIAN_PERIOD);
        vm.warp(subnetGovernor.guardianUntil());
        vm.assertEq(subnetGovernor.proposalGuardian(), address(0));
        Netuid unknown = Netuid.wrap(99);
        vm.expectRevert(abi.encodeWithSelector(ISubnetVotes.SubnetVotes_NoAlpha.selector, unknown));
        new SubnetVotes(unknown, address(pools), address(staking));
    }
}
