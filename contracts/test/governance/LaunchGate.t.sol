// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { GenesisAllocation } from "../../src/governance/GenesisAllocation.sol";
import { IGenesisAllocation } from "../../src/governance/IGenesisAllocation.sol";
import { ILaunchGate } from "../../src/governance/ILaunchGate.sol";
import { LaunchGate } from "../../src/governance/LaunchGate.sol";
import { TandemTimelock } from "../../src/governance/TandemTimelock.sol";
import { IComputeCredit } from "../../src/token/IComputeCredit.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid, Phase } from "../../src/types/Types.sol";
import { SnapshotStand } from "../support/GovernanceStands.sol";
import { DistributorStand, PoolsStand } from "../support/Neighbours.sol";
import { Test } from "../support/Test.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Credit, desk, oracle and registry in one, as far as the gate reads them; the test sets what they say.
contract MeshStand is SnapshotStand {
    uint256 public constant buybackShare = 0.5e18;
    uint16 public constant subnetCount = 2;
    uint128 private _total;
    mapping(address account => uint128) private _margin;
    uint64 public cleanSince;
    uint256 public snapshots;

    function takeSnapshot() external {
        ++snapshots;
    }

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

/// @notice A governor as far as the gate asks it.
contract FloorStand {
    uint256 public quorumFloor;

    function set(
        uint256 floor
    ) external {
        quorumFloor = floor;
    }
}

/// @notice An airdrop as far as the gate asks it.
contract AirdropStand {
    uint256 public immediatelyClaimable;

    function set(
        uint256 claimable
    ) external {
        immediatelyClaimable = claimable;
    }
}

contract LaunchGateTest is Test {
    uint64 private constant START = 1_000_000;
    uint64 private constant NOTICE = 70;
    uint64 private constant PUBLIC_AFTER = 1000;
    uint64 private constant TOKEN_PERIOD = 300;
    uint256 private constant SEED = 5000e18;
    uint64 private constant YEAR = 10_000;
    uint256 private constant FLOOR = 400_000e18;

    address private immutable COUNCIL = makeActor("council");
    address private immutable TEAM = makeActor("team");
    address private immutable MINER = makeActor("miner");

    FloorStand private governor;
    AirdropStand private airdrop;
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
        governor = new FloorStand();
        governor.set(FLOOR);
        airdrop = new AirdropStand();
        build(300_000e18);
        vm.prank(TEAM);
        allocation.delegate(TEAM);
    }

    /// @dev Gate and allocation name each other, as do gate and timelock: the gate's address is known before it exists.
    function build(
        uint256 claimable
    ) private {
        address gateAddress = nextAddress(2);
        address[] memory council = new address[](1);
        council[0] = COUNCIL;
        timelock = new TandemTimelock(10, council, council, gateAddress, address(0));
        IGenesisAllocation.Allocation[] memory list = new IGenesisAllocation.Allocation[](2);
        list[0] = IGenesisAllocation.Allocation({
            beneficiary: TEAM, amount: 1_000_000e18, duration: YEAR, immediateShare: 0.25e18, label: "team"
        });
        list[1] = IGenesisAllocation.Allocation({
            beneficiary: MINER, amount: 50_000e18, duration: 0, immediateShare: 0, label: "airdrop"
        });
        allocation = new GenesisAllocation(address(tndm), gateAddress, list);
        gate = new LaunchGate(config(address(governor), claimable));
        vm.assertEq(address(gate), gateAddress);
        tndm.transfer(address(allocation), 1_050_000e18);
        tndm.transfer(address(gate), 2 * SEED);
    }

    function config(
        address successor,
        uint256 claimable
    ) private view returns (ILaunchGate.Config memory) {
        return ILaunchGate.Config({
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
            airdrop: address(airdrop),
            thresholds: ILaunchGate.Thresholds({
                buybackMargin: 100e6, verifiedContributors: 1, verifiedEpochsEach: 2, cleanPeriod: 50
            }),
            notice: NOTICE,
            publicAfter: PUBLIC_AFTER,
            tokenPeriod: TOKEN_PERIOD,
            claimable: claimable,
            poolSeed: SEED,
            initialPrice: 0.05e18
        });
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
        vm.assertTrue(timelock.hasRole(proposer, address(governor)) && timelock.hasRole(canceller, address(governor)));
        vm.assertFalse(timelock.hasRole(admin, address(gate)));
        vm.assertTrue(timelock.hasRole(admin, address(timelock)));
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_WrongPhase.selector, Phase.Token));
        gate.openToken();
    }

    function test_a_gate_without_council_or_governor_is_refused() public {
        vm.expectRevert(ILaunchGate.LaunchGate_BadConfig.selector);
        new LaunchGate(config(address(0), 0));
        ILaunchGate.Config memory bad = config(address(governor), 0);
        bad.council = address(0);
        vm.expectRevert(ILaunchGate.LaunchGate_BadConfig.selector);
        new LaunchGate(bad);
    }

    /// @dev [GV-1] Votes must be there at the announcement and again when the token opens.
    function test_the_token_needs_twice_the_quorum_floor_of_delegated_genesis_votes() public {
        governor.set(525_000e18 + 1);
        bytes4 tooFew = ILaunchGate.LaunchGate_TooFewVotes.selector;
        meetThresholds();
        gate.recordMet();
        vm.startPrank(COUNCIL);
        vm.expectRevert(abi.encodeWithSelector(tooFew, 1_000_000e18, 1_050_000e18 + 2));
        gate.announce();
        vm.stopPrank();
        vm.prank(MINER);
        allocation.delegate(MINER);
        governor.set(525_000e18);
        (uint256 delegated, uint256 needed) = gate.genesisVotes();
        vm.assertEq(delegated, needed);
        vm.prank(COUNCIL);
        gate.announce();
        vm.assertEq(mesh.snapshots(), 1, "the announcement fixes the airdrop's snapshot");
        vm.prank(TEAM);
        allocation.delegate(address(0));
        vm.warp(block.timestamp + NOTICE);
        vm.expectRevert(abi.encodeWithSelector(tooFew, 50_000e18, 1_050_000e18));
        gate.openToken();
        vm.prank(TEAM);
        allocation.delegate(MINER);
        gate.openToken();
    }

    /// @dev [GV-1]
    function test_the_opening_waits_while_the_network_is_not_clean() public {
        meetThresholds();
        vm.prank(COUNCIL);
        gate.announce();
        vm.warp(block.timestamp + NOTICE);
        mesh.setCleanSince(uint64(block.timestamp) - 49);
        vm.expectRevert(abi.encodeWithSelector(ILaunchGate.LaunchGate_ThresholdsNotMet.selector, 100e6, 1, 49));
        gate.openToken();
        vm.warp(block.timestamp + 1);
        gate.openToken();
        vm.assertTrue(gate.phase() == Phase.Token);
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

    function test_markets_wait_until_enough_is_claimable_from_allocations_and_airdrop() public {
        build(300_000e18 + 1);
        vm.prank(TEAM);
        allocation.delegate(TEAM);
        openToken();
        vm.warp(block.timestamp + TOKEN_PERIOD);
        vm.expectRevert(
            abi.encodeWithSelector(ILaunchGate.LaunchGate_TooLittleClaimable.selector, 300_000e18, 300_000e18 + 1)
        );
        gate.openMarkets();
        airdrop.set(1);
        vm.assertEq(gate.claimable(), 300_000e18 + 1);
        gate.openMarkets();
    }
}
