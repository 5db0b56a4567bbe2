// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GenesisAllocation } from "../../src/governance/GenesisAllocation.sol";
import { IGenesisAllocation, ILaunchGate } from "../../src/governance/ILaunchGate.sol";
import { LaunchGate } from "../../src/governance/LaunchGate.sol";
import { TandemTimelock } from "../../src/governance/TandemTimelock.sol";
import { IComputeCredit } from "../../src/token/IComputeCredit.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid, Phase } from "../../src/types/Types.sol";
import { DistributorStand, PoolsStand } from "../support/Neighbours.sol";
import { Test } from "../support/Test.sol";
import { IAccessControl } from "@openzeppelin/contracts/access/IAccessControl.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Credit, desk, oracle and registry in one, as far as the gate reads them; the test sets what they say.
contract MeshStand {
    uint256 public constant buybackShare = 0.5e18;
    uint16 public constant subnetCount = 2;
    uint128 private _total;
    mapping(address account => uint128) private _margin;
    uint64 public cleanSince;

    function setMargin(
        address account,
        uint128 margin
    ) external {
        _total += margin;
        _margin[account] = margin;
    }

    function setCleanSince(
        uint64 since
    ) external {
        cleanSince = since;
    }

    function lifetimeOf(
        address account
    ) external view returns (IComputeCredit.Lifetime memory l) {
        l.marginRecognised = _margin[account];
    }

    function lifetimeTotal() external view returns (IComputeCredit.Lifetime memory l) {
        l.marginRecognised = _total;
    }
}

contract LaunchTest is Test {
    uint64 private constant START = 1_000_000;
    uint64 private constant NOTICE = 70;
    uint64 private constant PUBLIC_AFTER = 1000;
    uint64 private constant TOKEN_PERIOD = 300;
    uint256 private constant SEED = 5000e18;
    uint64 private constant YEAR = 10_000;
    bytes32 private constant NOTHING = bytes32(0);

    address private immutable COUNCIL = makeActor("council");
    address private immutable GOVERNOR = makeActor("governor");
    address private immutable TEAM = makeActor("team");
    address private immutable MINER = makeActor("miner");

    TandemToken private tndm;
    MeshStand private mesh;
    DistributorStand private distributor;
    PoolsStand private pools;
    TandemTimelock private timelock;
    GenesisAllocation private allocation;
    LaunchGate private gate;

    function setUp() public {
        vm.warp(START);
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](1);
        mints[0] = ITandemToken.Mint({ to: address(this), amount: 21_000_000e18 });
        tndm = new TandemToken(mints, new address[](0));
        mesh = new MeshStand();
        distributor = new DistributorStand();
        pools = new PoolsStand(IERC20(address(tndm)));
        build(GOVERNOR, 300_000e18);
    }

    /// @dev Gate and allocation name each other, as do gate and timelock: the gate's address is known before it exists.
    function build(
        address successor,
        uint256 claimable
    ) private {
        address gateAddress = nextAddress(2);
        address[] memory council = new address[](1);
        council[0] = COUNCIL;
        timelock = new TandemTimelock(10, council, council, gateAddress);
        IGenesisAllocation.Allocation[] memory list = new IGenesisAllocation.Allocation[](2);
        list[0] = IGenesisAllocation.Allocation({
            beneficiary: TEAM, amount: 1_000_000e18, duration: YEAR, immediateShare: 0.25e18, label: "team"
        });
        list[1] = IGenesisAllocation.Allocation({
            beneficiary: MINER, amount: 50_000e18, duration: 0, immediateShare: 0, label: "airdrop"
        });
        allocation = new GenesisAllocation(address(tndm), gateAddress, list);
        gate = new LaunchGate(
            ILaunchGate.Config({
                tndm: address(tndm),
                usdc: address(0),
                credit: address(mesh),
                desk: address(mesh),
                distributor: address(distributor),
                oracle: address(mesh),
                registry: address(mesh),
                pools: address(pools),
                timelock: address(timelock),
                council: COUNCIL,
                successor: successor,
                allocation: address(allocation),
                thresholds: ILaunchGate.Thresholds({
                    buybackMargin: 100e6, verifiedContributors: 1, verifiedEpochsEach: 2, cleanPeriod: 50
                }),
                notice: NOTICE,
                publicAfter: PUBLIC_AFTER,
                tokenPeriod: TOKEN_PERIOD,
                claimable: claimable,
                poolSeed: SEED,
                initialPrice: 0.05e18
            })
        );
        vm.assertEq(address(gate), gateAddress);
        tndm.transfer(address(allocation), 1_050_000e18);
        tndm.transfer(address(gate), 2 * SEED);
    }

    /// @dev Where this contract's `skip`-th next deployment will lie (nonces below 128: one byte of RLP).
    function nextAddress(
        uint256 skip
    ) private view returns (address) {
        uint256 nonce = vm.getNonce(address(this)) + skip;
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), bytes1(uint8(nonce)))))));
    }

    function meetThresholds() private {
        mesh.setMargin(MINER, 200e6);
        distributor.setVerifiedEpochs(MINER, 2);
        gate.qualify(MINER);
        mesh.setCleanSince(uint64(block.timestamp) - 50);
    }

    function openToken() private {
        meetThresholds();
        vm.prank(COUNCIL);
        gate.announce();
        vm.warp(block.timestamp + NOTICE);
        gate.openToken();
    }

    function openMarkets() private {
        openToken();
        vm.warp(block.timestamp + TOKEN_PERIOD);
        gate.openMarkets();
    }

    /// @dev [GV-1]
    function test_a_contributor_qualifies_once_with_margin_and_verified_epochs() public {
        mesh.setMargin(MINER, 1);
        distributor.setVerifiedEpochs(MINER, 1);
        bytes4 notQualified = ILaunchGate.LaunchGate_NotQualified.selector;
        vm.expectRevert(abi.encodeWithSelector(notQualified, MINER, 1, 1));
        gate.qualify(MINER);
        distributor.setVerifiedEpochs(TEAM, 9);
        vm.expectRevert(abi.encodeWithSelector(notQualified, TEAM, 0, 9));
        gate.qualify(TEAM);
        distributor.setVerifiedEpochs(MINER, 2);
        gate.qualify(MINER);
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_AlreadyQualified.selector, MINER));
        gate.qualify(MINER);
        (, uint32 contributors,) = gate.progress();
        vm.assertEq(contributors, 1);
    }

    /// @dev [GV-1]
    function test_nothing_is_announced_before_every_threshold_is_met() public {
        vm.startPrank(COUNCIL);
        bytes4 notMet = ILaunchGate.LaunchGate_ThresholdsNotMet.selector;
        vm.expectRevert(abi.encodeWithSelector(notMet, 0, 0, 0));
        gate.announce();
        mesh.setMargin(MINER, 199_999_998);
        distributor.setVerifiedEpochs(MINER, 2);
        gate.qualify(MINER);
        mesh.setCleanSince(START - 50);
        vm.expectRevert(abi.encodeWithSelector(notMet, 99_999_999, 1, 50));
        gate.announce();
        mesh.setMargin(TEAM, 2);
        mesh.setCleanSince(START - 49);
        vm.expectRevert(abi.encodeWithSelector(notMet, 100e6, 1, 49));
        gate.announce();
        mesh.setCleanSince(START - 50);
        gate.announce();
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_AlreadyAnnounced.selector, START));
        gate.announce();
        vm.stopPrank();
    }

    /// @dev [GV-1]
    function test_anyone_announces_once_the_council_has_waited_too_long() public {
        bytes4 notCouncil = ILaunchGate.LaunchGate_NotCouncil.selector;
        vm.expectRevert(abi.encodeWithSelector(notCouncil, address(this), 0));
        gate.announce();
        vm.expectPartialRevert(ILaunchGate.LaunchGate_ThresholdsNotMet.selector);
        gate.recordMet();
        meetThresholds();
        gate.recordMet();
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_AlreadyMet.selector, START));
        gate.recordMet();
        vm.warp(START + PUBLIC_AFTER - 1);
        vm.expectRevert(abi.encodeWithSelector(notCouncil, address(this), START + PUBLIC_AFTER));
        gate.announce();
        vm.warp(START + PUBLIC_AFTER);
        gate.announce();
        vm.assertEq(gate.announcedAt(), START + PUBLIC_AFTER);
    }

    /// @dev [GV-1] The council loses every role in the transaction that opens the token phase.
    function test_opening_the_token_hands_the_timelock_from_council_to_successor() public {
        bytes32 proposer = timelock.PROPOSER_ROLE();
        bytes32 canceller = timelock.CANCELLER_ROLE();
        bytes32 admin = timelock.DEFAULT_ADMIN_ROLE();
        vm.assertTrue(timelock.hasRole(proposer, COUNCIL) && timelock.hasRole(canceller, COUNCIL));
        vm.assertTrue(timelock.hasRole(admin, address(gate)));
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_NotAnnounced.selector));
        gate.openToken();
        meetThresholds();
        vm.prank(COUNCIL);
        gate.announce();
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_TooEarly.selector, START + NOTICE));
        gate.openToken();
        vm.warp(START + NOTICE);
        gate.openToken();
        vm.assertTrue(gate.phase() == Phase.Token);
        vm.assertFalse(timelock.hasRole(proposer, COUNCIL) || timelock.hasRole(canceller, COUNCIL));
        vm.assertTrue(timelock.hasRole(proposer, GOVERNOR) && timelock.hasRole(canceller, GOVERNOR));
        vm.assertFalse(timelock.hasRole(admin, address(gate)));
        vm.assertTrue(timelock.hasRole(admin, address(timelock)));
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_WrongPhase.selector, Phase.Token));
        gate.openToken();
    }

    function test_without_a_successor_nobody_proposes_after_the_mesh() public {
        build(address(0), 0);
        openToken();
        vm.assertFalse(timelock.hasRole(timelock.PROPOSER_ROLE(), COUNCIL));
        vm.assertFalse(timelock.hasRole(timelock.PROPOSER_ROLE(), address(0)));
    }

    /// @dev [GV-1] Neither at once nor through the queue does the council hand its roles on.
    function test_in_the_mesh_phase_the_timelock_takes_no_calls_to_itself() public {
        bytes memory data = abi.encodeCall(IAccessControl.grantRole, (timelock.PROPOSER_ROLE(), TEAM));
        address[] memory targets = new address[](2);
        (targets[0], targets[1]) = (TEAM, address(timelock));
        bytes[] memory payloads = new bytes[](2);
        payloads[1] = data;
        vm.startPrank(COUNCIL);
        vm.expectRevert(abi.encodeWithSelector(TandemTimelock.TandemTimelock_NotSelfAdministered.selector));
        timelock.schedule(address(timelock), 0, data, NOTHING, NOTHING, 10);
        vm.expectRevert(abi.encodeWithSelector(TandemTimelock.TandemTimelock_NotSelfAdministered.selector));
        timelock.scheduleBatch(targets, new uint256[](2), payloads, NOTHING, NOTHING, 10);
        timelock.schedule(TEAM, 0, "", NOTHING, NOTHING, 10);
        vm.stopPrank();
        openToken();
        vm.prank(GOVERNOR);
        timelock.schedule(address(timelock), 0, data, NOTHING, NOTHING, 10);
        vm.warp(block.timestamp + 10);
        vm.prank(COUNCIL);
        timelock.execute(address(timelock), 0, data, NOTHING, NOTHING);
        vm.assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), TEAM));
    }

    function test_markets_open_after_the_token_period_and_seed_every_genesis_pool() public {
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_WrongPhase.selector, Phase.Mesh));
        gate.openMarkets();
        openToken();
        uint256 opensAt = block.timestamp + TOKEN_PERIOD;
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_TooEarly.selector, opensAt));
        gate.openMarkets();
        vm.warp(opensAt);
        gate.openMarkets();
        vm.assertTrue(gate.phase() == Phase.Markets);
        vm.assertEq(gate.marketsOpenedAt(), opensAt);
        for (uint16 n = 1; n <= 2; ++n) {
            vm.assertEq(pools.seededWith(Netuid.wrap(n)), SEED);
            vm.assertEq(pools.seededAt(Netuid.wrap(n)), 0.05e18);
        }
        vm.assertEq(tndm.balanceOf(address(gate)), 0);
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_WrongPhase.selector, Phase.Markets));
        gate.openMarkets();
    }

    function test_markets_wait_until_enough_is_claimable() public {
        build(GOVERNOR, 300_000e18 + 1);
        openToken();
        vm.warp(block.timestamp + TOKEN_PERIOD);
        vm.expectRevert(
            abi.encodeWithSelector(ILaunchGate.LaunchGate_TooLittleClaimable.selector, 300_000e18, 300_000e18 + 1)
        );
        gate.openMarkets();
    }

    function test_an_allocation_vests_from_the_opening_of_markets_in_a_straight_line() public {
        vm.assertEq(allocation.allocationCount(), 2);
        vm.assertEq(allocation.immediatelyClaimable(), 300_000e18);
        vm.assertEq(allocation.releasable(0), 0);
        vm.expectRevert(abi.encodeWithSelector(IGenesisAllocation.GenesisAllocation_NothingReleasable.selector, 0));
        allocation.release(0);
        openMarkets();
        uint256 opened = block.timestamp;
        vm.assertEq(allocation.releasable(0), 250_000e18);
        vm.prank(MINER);
        allocation.release(0);
        vm.assertEq(tndm.balanceOf(TEAM), 250_000e18, "to the beneficiary, whoever calls");
        allocation.release(1);
        vm.assertEq(tndm.balanceOf(MINER), 50_000e18);
        vm.warp(opened + YEAR / 2);
        vm.assertEq(allocation.releasable(0), 375_000e18);
        allocation.release(0);
        vm.warp(opened + 3 * YEAR);
        allocation.release(0);
        vm.assertEq(tndm.balanceOf(TEAM), 1_000_000e18);
        vm.assertEq(allocation.releasedOf(0), 1_000_000e18);
        vm.expectRevert(abi.encodeWithSelector(IGenesisAllocation.GenesisAllocation_Unknown.selector, 2));
        allocation.releasable(2);
    }

    function testFuzz_however_often_it_is_released_an_allocation_pays_what_has_vested(
        uint32 first,
        uint32 second
    ) public {
        openMarkets();
        uint256 opened = block.timestamp;
        uint256 a = bound(first, 0, 2 * YEAR);
        uint256 b = bound(second, a, 2 * YEAR + a);
        vm.warp(opened + a);
        allocation.release(0);
        vm.warp(opened + b);
        if (allocation.releasable(0) != 0) allocation.release(0);
        uint256 vested = b >= YEAR ? 1_000_000e18 : 250_000e18 + 750_000e18 * b / YEAR;
        vm.assertEq(tndm.balanceOf(TEAM), vested);
    }

    function test_allocations_that_cannot_be_paid_are_refused_at_birth() public {
        IGenesisAllocation.Allocation[] memory list = new IGenesisAllocation.Allocation[](1);
        list[0] = IGenesisAllocation.Allocation({
            beneficiary: TEAM, amount: 1, duration: 1, immediateShare: 1e18 + 1, label: ""
        });
        vm.expectRevert(abi.encodeWithSelector(IGenesisAllocation.GenesisAllocation_BadAllocation.selector, 0));
        new GenesisAllocation(address(tndm), address(gate), list);
    }
}
