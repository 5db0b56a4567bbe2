// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IGovernorStack } from "../../src/governance/IGovernorStack.sol";
import { ITandemGovernor } from "../../src/governance/ITandemGovernor.sol";
import { IVotesView } from "../../src/governance/IVotesView.sol";
import { TandemGovernor } from "../../src/governance/TandemGovernor.sol";
import { TandemTimelock } from "../../src/governance/TandemTimelock.sol";
import { TandemVotes } from "../../src/governance/TandemVotes.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { CirculationStand, GateTimes, StakedVotesStand } from "../support/GovernanceStands.sol";
import { Test } from "../support/Test.sol";
import { IGovernor } from "@openzeppelin/contracts/governance/IGovernor.sol";
import { TimelockController } from "@openzeppelin/contracts/governance/TimelockController.sol";
import { IERC1271 } from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Borrows votes for one transaction and tries to use them.
contract FlashVoter {
    TandemToken private immutable TNDM;
    TandemGovernor private immutable GOVERNOR;
    address private immutable LENDER;

    constructor(
        TandemToken tndm,
        TandemGovernor governor,
        address lender
    ) {
        (TNDM, GOVERNOR, LENDER) = (tndm, governor, lender);
        TNDM.delegate(address(this));
    }

    function vote(
        uint256 amount,
        uint256 proposalId
    ) external returns (uint256 weight) {
        TNDM.transferFrom(LENDER, address(this), amount);
        weight = GOVERNOR.castVote(proposalId, 1);
        TNDM.transfer(LENDER, amount);
    }

    function propose(
        uint256 amount,
        address[] memory targets,
        bytes[] memory calls
    ) external {
        TNDM.transferFrom(LENDER, address(this), amount);
        GOVERNOR.propose(targets, new uint256[](1), calls, "with borrowed votes");
    }
}

/// @notice A wallet that signs whatever its owner has approved.
contract Wallet is IERC1271 {
    mapping(bytes32 digest => bool) public approved;

    function approve(
        bytes32 digest
    ) external {
        approved[digest] = true;
    }

    function isValidSignature(
        bytes32 digest,
        bytes memory
    ) external view returns (bytes4) {
        return approved[digest] ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

contract TandemGovernorTest is Test {
    uint64 private constant START = 1_000_000;
    uint48 private constant VOTING_DELAY = 2 days;
    uint32 private constant VOTING_PERIOD = 5 days;
    uint48 private constant EXTENSION = 2 days;
    uint256 private constant DELAY = 2 days;
    uint256 private constant FLOOR = 400_000e18;
    uint256 private constant THRESHOLD = 10_000e18;
    uint8 private constant AGAINST = 0;
    uint8 private constant FOR = 1;
    string private constant WHY = "pay the grant";

    address private immutable HOLDER = makeActor("holder");
    address private immutable WHALE = makeActor("whale");
    address private immutable GUARDIAN = makeActor("guardian");
    address private immutable GRANTEE = makeActor("grantee");

    TandemToken private tndm;
    GateTimes private gate;
    StakedVotesStand private staking;
    CirculationStand private controller;
    TandemVotes private votes;
    TandemTimelock private timelock;
    TandemGovernor private governor;

    address[] private targets;
    uint256[] private values = [uint256(0)];
    bytes[] private calls;

    function setUp() public {
        vm.warp(START);
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](1);
        mints[0] = ITandemToken.Mint({ to: address(this), amount: 21_000_000e18 });
        tndm = new TandemToken(mints, new address[](0));
        gate = new GateTimes();
        staking = new StakedVotesStand();
        controller = new CirculationStand();
        votes = new TandemVotes(address(tndm), address(staking), address(controller), new address[](0));
        address[] memory proposers = new address[](1);
        proposers[0] = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        timelock = new TandemTimelock(DELAY, proposers, new address[](1), address(0), address(0));
        governor = new TandemGovernor(
            ITandemGovernor.Config({
                votes: address(votes),
                timelock: address(timelock),
                gate: address(gate),
                guardian: GUARDIAN,
                rules: IGovernorStack.Rules({
                    votingDelay: VOTING_DELAY,
                    votingPeriod: VOTING_PERIOD,
                    voteExtension: EXTENSION,
                    guardianPeriod: 365 days,
                    proposalThreshold: THRESHOLD,
                    quorumPercent: 4,
                    quorumFloor: FLOOR
                })
            })
        );
        gate.openToken();
        give(HOLDER, 500_000e18);
        give(WHALE, 2_000_000e18);
        tndm.transfer(address(timelock), 100e18);
        targets.push(address(tndm));
        calls.push(abi.encodeCall(IERC20.transfer, (GRANTEE, 100e18)));
        vm.warp(START + 1);
    }

    function give(
        address account,
        uint256 amount
    ) private {
        tndm.transfer(account, amount);
        vm.prank(account);
        tndm.delegate(account);
    }

    function propose() private returns (uint256 id) {
        vm.prank(HOLDER);
        return governor.propose(targets, values, calls, WHY);
    }

    function toVoting(
        uint256 id
    ) private {
        vm.warp(governor.proposalSnapshot(id) + 1);
    }

    function pastVoting(
        uint256 id
    ) private {
        vm.warp(governor.proposalDeadline(id) + 1);
    }

    function vote(
        address voter,
        uint256 id,
        uint8 support
    ) private {
        vm.prank(voter);
        governor.castVote(id, support);
    }

    function assertState(
        uint256 id,
        IGovernor.ProposalState state
    ) private view {
        vm.assertEq(uint256(governor.state(id)), uint256(state));
    }

    /// @dev Proposed, voted for by HOLDER, queued.
    function queued() private returns (uint256 id) {
        id = propose();
        toVoting(id);
        vote(HOLDER, id, FOR);
        pastVoting(id);
        governor.queue(id);
        assertState(id, IGovernor.ProposalState.Queued);
    }

    /// @dev [GV-1] The whole way, with the ids alone (Storage).
    function test_a_vote_moves_what_the_timelock_holds() public {
        uint256 id = queued();
        vm.expectRevert();
        governor.execute(id);
        vm.warp(block.timestamp + DELAY);
        governor.execute(id);
        assertState(id, IGovernor.ProposalState.Executed);
        vm.assertEq(tndm.balanceOf(GRANTEE), 100e18);
        vm.assertEq(governor.proposalCount(), 1);
        (address[] memory stored,,, bytes32 hash) = governor.proposalDetails(id);
        vm.assertEq(stored[0], address(tndm));
        vm.assertEq(hash, keccak256(bytes(WHY)));
    }

    function test_its_modes_are_the_standard_ones() public view {
        vm.assertEq(governor.clock(), block.timestamp);
        vm.assertEq(governor.CLOCK_MODE(), "mode=timestamp");
        vm.assertEq(governor.COUNTING_MODE(), "support=bravo&quorum=for,abstain");
        vm.assertEq(governor.name(), "Tandem Governor");
        vm.assertEq(address(governor.token()), address(votes));
        vm.assertEq(governor.timelock(), address(timelock));
        vm.assertTrue(governor.supportsInterface(type(IGovernor).interfaceId));
        vm.assertEq(governor.proposalThreshold(), THRESHOLD);
        vm.assertEq(governor.votingDelay(), VOTING_DELAY);
        vm.assertEq(governor.votingPeriod(), VOTING_PERIOD);
        vm.assertEq(governor.lateQuorumVoteExtension(), EXTENSION);
    }

    /// @dev [GV-1]
    function test_nothing_is_proposed_before_the_token_opens() public {
        gate.closeToken();
        vm.expectRevert(ITandemGovernor.TandemGovernor_TokenNotOpen.selector);
        vm.prank(HOLDER);
        governor.propose(targets, values, calls, WHY);
        vm.assertEq(governor.guardianUntil(), type(uint256).max, "its time has not begun to run");
    }

    function test_the_quorum_is_a_share_of_what_circulates_and_never_below_the_floor() public {
        vm.assertEq(governor.quorumFloor(), FLOOR);
        vm.assertEq(governor.quorum(START), FLOOR, "nothing circulates");
        controller.set(10_000_000e18);
        vm.assertEq(governor.quorum(START), FLOOR);
        controller.set(10_000_025e18);
        vm.assertEq(governor.quorum(START), 400_001e18);
    }

    function test_votes_below_the_floor_decide_nothing() public {
        uint256 id = propose();
        vm.prank(HOLDER);
        tndm.transfer(WHALE, 100_000e18 + 1);
        toVoting(id);
        vote(HOLDER, id, FOR);
        pastVoting(id);
        assertState(id, IGovernor.ProposalState.Defeated);
    }

    function test_staked_votes_of_a_delegate_propose_and_decide() public {
        address delegate = makeActor("delegate");
        staking.set(Netuid.wrap(0), delegate, THRESHOLD - 1);
        vm.expectPartialRevert(IGovernor.GovernorInsufficientProposerVotes.selector);
        vm.prank(delegate);
        governor.propose(targets, values, calls, WHY);
        staking.set(Netuid.wrap(0), delegate, FLOOR);
        vm.prank(delegate);
        uint256 id = governor.propose(targets, values, calls, WHY);
        toVoting(id);
        vote(delegate, id, FOR);
        pastVoting(id);
        assertState(id, IGovernor.ProposalState.Succeeded);
    }

    /// @dev [GV-1] Votes count as of the snapshot, and a proposer's as of the second before.
    function test_borrowed_votes_neither_propose_nor_count() public {
        FlashVoter flash = new FlashVoter(tndm, governor, WHALE);
        vm.prank(WHALE);
        tndm.approve(address(flash), type(uint256).max);
        vm.expectPartialRevert(IGovernor.GovernorInsufficientProposerVotes.selector);
        flash.propose(2_000_000e18, targets, calls);
        uint256 id = propose();
        toVoting(id);
        vm.assertEq(flash.vote(2_000_000e18, id), 0);
        (, uint256 forVotes,) = governor.proposalVotes(id);
        vm.assertEq(forVotes, 0);
    }

    /// @dev A quorum in the last second leaves time for an answer.
    function test_a_late_quorum_extends_the_voting() public {
        uint256 id = propose();
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline);
        vote(HOLDER, id, FOR);
        vm.assertEq(governor.proposalDeadline(id), deadline + EXTENSION);
        vm.warp(deadline + EXTENSION);
        vote(WHALE, id, AGAINST);
        pastVoting(id);
        assertState(id, IGovernor.ProposalState.Defeated);
    }

    function test_an_early_quorum_extends_nothing() public {
        uint256 id = propose();
        uint256 deadline = governor.proposalDeadline(id);
        toVoting(id);
        vote(HOLDER, id, FOR);
        vm.assertEq(governor.proposalDeadline(id), deadline);
    }

    function test_the_guardian_vetoes_even_what_is_queued() public {
        uint256 id = queued();
        vm.expectPartialRevert(IGovernor.GovernorUnableToCancel.selector);
        vm.prank(HOLDER);
        governor.cancel(id);
        vm.prank(GUARDIAN);
        governor.cancel(id);
        assertState(id, IGovernor.ProposalState.Canceled);
        vm.warp(block.timestamp + DELAY);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        governor.execute(id);
    }

    /// @dev The veto stays for the first twelve months of the token, to the second.
    function test_the_guardians_veto_expires() public {
        uint256 last = START + 365 days - 1;
        vm.assertEq(governor.guardianUntil(), last + 1);
        vm.warp(last - VOTING_DELAY - VOTING_PERIOD - 2);
        uint256 id = queued();
        vm.warp(last);
        vm.assertEq(governor.proposalGuardian(), GUARDIAN);
        uint256 before = vm.snapshotState();
        vm.prank(GUARDIAN);
        governor.cancel(id);
        vm.revertToState(before);
        vm.warp(last + 1);
        vm.assertEq(governor.proposalGuardian(), address(0));
        vm.expectPartialRevert(IGovernor.GovernorUnableToCancel.selector);
        vm.prank(GUARDIAN);
        governor.cancel(id);
        vm.prank(HOLDER);
        governor.cancel(id);
        assertState(id, IGovernor.ProposalState.Canceled);
    }

    function test_rules_change_by_vote_alone() public {
        vm.expectPartialRevert(IGovernor.GovernorOnlyExecutor.selector);
        vm.prank(GUARDIAN);
        governor.updateQuorumNumerator(10);
        targets[0] = address(governor);
        calls[0] = abi.encodeCall(governor.updateQuorumNumerator, (10));
        uint256 id = queued();
        vm.warp(block.timestamp + DELAY);
        governor.execute(id);
        vm.assertEq(governor.quorumNumerator(), 10);
    }

    function test_a_wallet_contract_votes_by_its_own_signature() public {
        Wallet wallet = new Wallet();
        staking.set(Netuid.wrap(0), address(wallet), FLOOR);
        uint256 id = propose();
        toVoting(id);
        vm.expectPartialRevert(IGovernor.GovernorInvalidSignature.selector);
        governor.castVoteBySig(id, FOR, address(wallet), "");
        (, string memory name, string memory version, uint256 chain, address verifier,,) = governor.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chain,
                verifier
            )
        );
        bytes32 ballot = keccak256(abi.encode(governor.BALLOT_TYPEHASH(), id, FOR, address(wallet), 0));
        wallet.approve(keccak256(abi.encodePacked(hex"1901", domain, ballot)));
        governor.castVoteBySig(id, FOR, address(wallet), "");
        vm.assertTrue(governor.hasVoted(id, address(wallet)));
    }

    /// @dev Anybody may execute at the timelock itself; the governor notices.
    function test_what_is_executed_at_the_timelock_counts_as_executed() public {
        uint256 id = queued();
        vm.warp(block.timestamp + DELAY);
        bytes32 salt = bytes20(address(governor)) ^ keccak256(bytes(WHY));
        TimelockController(timelock).executeBatch(targets, values, calls, 0, salt);
        assertState(id, IGovernor.ProposalState.Executed);
    }

    function test_the_view_adds_up_all_sources_and_delegates_nothing() public {
        staking.set(Netuid.wrap(0), HOLDER, 7);
        staking.set(Netuid.wrap(3), HOLDER, 1000);
        vm.assertEq(votes.getVotes(HOLDER), 500_000e18 + 7);
        vm.assertEq(votes.getPastVotes(HOLDER, START), 500_000e18 + 7);
        vm.assertEq(votes.delegates(HOLDER), HOLDER);
        vm.assertEq(votes.clock(), block.timestamp);
        vm.assertEq(votes.CLOCK_MODE(), "mode=timestamp");
        vm.assertEq(votes.decimals(), 18);
        vm.assertEq(votes.symbol(), "vTNDM");
        vm.assertEq(votes.name(), "Tandem Votes");
        vm.assertEq(votes.sources().length, 2);
        bytes memory elsewhere = abi.encodeWithSelector(IVotesView.VotesView_DelegateAtSource.selector, address(tndm));
        vm.expectRevert(elsewhere);
        votes.delegate(HOLDER);
        vm.expectRevert(elsewhere);
        votes.delegateBySig(HOLDER, 0, 0, 0, 0, 0);
        uint48 present = uint48(block.timestamp);
        bytes memory future = abi.encodeWithSelector(IVotesView.ERC5805FutureLookup.selector, present, present);
        vm.expectRevert(future);
        votes.getPastVotes(HOLDER, present);
        vm.expectRevert(future);
        votes.getPastTotalSupply(present);
    }
}
