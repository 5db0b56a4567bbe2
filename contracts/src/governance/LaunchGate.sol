// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ICreditDesk } from "../compute/ICreditDesk.sol";
import { IEpochOracle } from "../epoch/IEpochOracle.sol";
import { IRewardDistributor } from "../epoch/IRewardDistributor.sol";
import { IAlphaPools } from "../market/IAlphaPools.sol";
import { ISubnetRegistry } from "../subnet/ISubnetRegistry.sol";
import { IComputeCredit } from "../token/IComputeCredit.sol";
import { Netuid, Phase, WAD } from "../types/Types.sol";
import { IGovernorStack } from "./IGovernorStack.sol";
import { ILaunchGate } from "./ILaunchGate.sol";
import { IVestingVotes } from "./IVestingVotes.sol";
import { TimelockController } from "@openzeppelin/contracts/governance/TimelockController.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title LaunchGate
/// @notice Promises, units and errors are documented on ILaunchGate.
contract LaunchGate is ILaunchGate {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    IERC20 public immutable TNDM;
    IERC20 public immutable USDC;
    IComputeCredit public immutable CREDIT;
    ICreditDesk public immutable DESK;
    IRewardDistributor public immutable DISTRIBUTOR;
    IEpochOracle public immutable ORACLE;
    ISubnetRegistry public immutable REGISTRY;
    IAlphaPools public immutable POOLS;
    TimelockController public immutable TIMELOCK;
    address public immutable COUNCIL;
    IGovernorStack public immutable SUCCESSOR;
    IVestingVotes public immutable ALLOCATION;
    IVestingVotes public immutable AIRDROP;
    uint64 public immutable NOTICE;
    uint64 public immutable PUBLIC_AFTER;
    uint64 public immutable TOKEN_PERIOD;
    uint256 public immutable CLAIMABLE;
    uint256 public immutable POOL_SEED;
    uint256 public immutable INITIAL_PRICE;

    /// @dev Genesis votes that must be delegated, in quorum floors: a quorum must be within reach without everybody voting.
    uint256 private constant FLOORS = 2;

    /// @dev Set once, in the constructor.
    Thresholds private _thresholds;
    uint32 private _verifiedContributors;
    /// @inheritdoc ILaunchGate
    uint64 public metAt;
    /// @inheritdoc ILaunchGate
    uint64 public announcedAt;
    /// @inheritdoc ILaunchGate
    uint64 public tokenOpenedAt;
    /// @inheritdoc ILaunchGate
    uint64 public marketsOpenedAt;
    /// @inheritdoc ILaunchGate
    mapping(address account => bool) public isQualified;

    constructor(
        Config memory config
    ) {
        if (config.successor == address(0) || config.council == address(0)) revert LaunchGate_BadConfig();
        TNDM = IERC20(config.tndm);
        USDC = IERC20(config.usdc);
        CREDIT = IComputeCredit(config.credit);
        DESK = ICreditDesk(config.desk);
        DISTRIBUTOR = IRewardDistributor(config.distributor);
        ORACLE = IEpochOracle(config.oracle);
        REGISTRY = ISubnetRegistry(config.registry);
        POOLS = IAlphaPools(config.pools);
        TIMELOCK = TimelockController(payable(config.timelock));
        COUNCIL = config.council;
        SUCCESSOR = IGovernorStack(config.successor);
        ALLOCATION = IVestingVotes(config.allocation);
        AIRDROP = IVestingVotes(config.airdrop);
        NOTICE = config.notice;
        PUBLIC_AFTER = config.publicAfter;
        TOKEN_PERIOD = config.tokenPeriod;
        CLAIMABLE = config.claimable;
        POOL_SEED = config.poolSeed;
        INITIAL_PRICE = config.initialPrice;
        _thresholds = config.thresholds;
    }

    /// @inheritdoc ILaunchGate
    function qualify(
        address account
    ) external {
        if (isQualified[account]) revert LaunchGate_AlreadyQualified(account);
        uint256 margin = CREDIT.lifetimeOf(account).marginRecognised;
        uint256 epochs = DISTRIBUTOR.verifiedEpochs(account);
        if (margin == 0 || epochs < _thresholds.verifiedEpochsEach) {
            revert LaunchGate_NotQualified(account, margin, epochs);
        }
        isQualified[account] = true;
        uint32 count = ++_verifiedContributors;
        emit ContributorQualified(account, count);
    }

    /// @inheritdoc ILaunchGate
    function recordMet() external {
        if (metAt != 0) revert LaunchGate_AlreadyMet(metAt);
        _checkThresholds();
        _recordMet();
    }

    /// @inheritdoc ILaunchGate
    function announce() external {
        if (announcedAt != 0) revert LaunchGate_AlreadyAnnounced(announcedAt);
        uint256 publicFrom = metAt == 0 ? 0 : uint256(metAt) + PUBLIC_AFTER;
        if (msg.sender != COUNCIL && (publicFrom == 0 || block.timestamp < publicFrom)) {
            revert LaunchGate_NotCouncil(msg.sender, publicFrom);
        }
        _checkThresholds();
        _checkVotes();
        if (metAt == 0) _recordMet();
        announcedAt = block.timestamp.toUint64();
        CREDIT.takeSnapshot();
        emit Announced(announcedAt + NOTICE, msg.sender);
    }

    /// @inheritdoc ILaunchGate
    function openToken() external {
        if (phase() != Phase.Mesh) revert LaunchGate_WrongPhase(phase());
        if (announcedAt == 0) revert LaunchGate_NotAnnounced();
        uint256 opensAt = uint256(announcedAt) + NOTICE;
        if (block.timestamp < opensAt) revert LaunchGate_TooEarly(opensAt);
        _checkThresholds();
        _checkVotes();
        tokenOpenedAt = block.timestamp.toUint64();

        bytes32 proposer = TIMELOCK.PROPOSER_ROLE();
        bytes32 canceller = TIMELOCK.CANCELLER_ROLE();
        bytes32 admin = TIMELOCK.DEFAULT_ADMIN_ROLE();
        TIMELOCK.revokeRole(proposer, COUNCIL);
        TIMELOCK.revokeRole(canceller, COUNCIL);
        TIMELOCK.grantRole(proposer, address(SUCCESSOR));
        TIMELOCK.grantRole(canceller, address(SUCCESSOR));
        TIMELOCK.grantRole(admin, address(TIMELOCK));
        TIMELOCK.renounceRole(admin, address(this));
        emit TokenOpened(tokenOpenedAt);
    }

    /// @inheritdoc ILaunchGate
    function openMarkets() external {
        if (phase() != Phase.Token) revert LaunchGate_WrongPhase(phase());
        uint256 opensAt = uint256(tokenOpenedAt) + TOKEN_PERIOD;
        if (block.timestamp < opensAt) revert LaunchGate_TooEarly(opensAt);
        uint256 free = claimable();
        if (free < CLAIMABLE) revert LaunchGate_TooLittleClaimable(free, CLAIMABLE);
        marketsOpenedAt = block.timestamp.toUint64();

        // Before markets the registry takes no new subnets: all there are are genesis subnets.
        uint16 count = REGISTRY.subnetCount();
        TNDM.forceApprove(address(POOLS), POOL_SEED * count);
        for (uint16 n = 1; n <= count; ++n) {
            POOLS.create(Netuid.wrap(n), POOL_SEED, INITIAL_PRICE);
        }
        emit MarketsOpened(marketsOpenedAt);
    }

    /// @inheritdoc ILaunchGate
    function phase() public view returns (Phase) {
        if (marketsOpenedAt != 0) return Phase.Markets;
        return tokenOpenedAt != 0 ? Phase.Token : Phase.Mesh;
    }

    /// @inheritdoc ILaunchGate
    function thresholds() external view returns (Thresholds memory) {
        return _thresholds;
    }

    /// @inheritdoc ILaunchGate
    function progress() public view returns (uint256 buybackMargin, uint32 verifiedContributors, uint64 cleanFor) {
        buybackMargin = Math.mulDiv(CREDIT.lifetimeTotal().marginRecognised, DESK.buybackShare(), WAD);
        verifiedContributors = _verifiedContributors;
        uint64 since = ORACLE.cleanSince();
        cleanFor = since == 0 ? 0 : (block.timestamp - since).toUint64();
    }

    /// @inheritdoc ILaunchGate
    function genesisVotes() public view returns (uint256 delegated, uint256 needed) {
        return (ALLOCATION.delegatedVotes(), FLOORS * SUCCESSOR.quorumFloor());
    }

    /// @inheritdoc ILaunchGate
    function claimable() public view returns (uint256) {
        return ALLOCATION.immediatelyClaimable() + AIRDROP.immediatelyClaimable();
    }

    function _recordMet() private {
        metAt = block.timestamp.toUint64();
        emit ThresholdsMet(metAt);
    }

    function _checkThresholds() private view {
        (uint256 margin, uint32 contributors, uint64 cleanFor) = progress();
        Thresholds memory needed = _thresholds;
        if (
            margin < needed.buybackMargin || contributors < needed.verifiedContributors || cleanFor < needed.cleanPeriod
        ) revert LaunchGate_ThresholdsNotMet(margin, contributors, cleanFor);
    }

    function _checkVotes() private view {
        (uint256 delegated, uint256 needed) = genesisVotes();
        if (delegated < needed) revert LaunchGate_TooFewVotes(delegated, needed);
    }
}
