// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { CreditDesk } from "../../src/compute/CreditDesk.sol";
import { RateCard } from "../../src/compute/RateCard.sol";
import { Settlement } from "../../src/compute/Settlement.sol";
import { SuiteFactory } from "../../src/deploy/SuiteFactory.sol";
import { EmissionController } from "../../src/emission/EmissionController.sol";
import { EpochOracle } from "../../src/epoch/EpochOracle.sol";
import { KeeperSet } from "../../src/epoch/KeeperSet.sol";
import { Outages } from "../../src/epoch/Outages.sol";
import { RewardDistributor } from "../../src/epoch/RewardDistributor.sol";
import { Slashing } from "../../src/epoch/Slashing.sol";
import { WeightCommits } from "../../src/epoch/WeightCommits.sol";
import { Airdrop } from "../../src/governance/Airdrop.sol";
import { GenesisAllocation } from "../../src/governance/GenesisAllocation.sol";
import { IGenesisAllocation } from "../../src/governance/IGenesisAllocation.sol";
import { IGovernorStack } from "../../src/governance/IGovernorStack.sol";
import { ILaunchGate } from "../../src/governance/ILaunchGate.sol";
import { LaunchGate } from "../../src/governance/LaunchGate.sol";
import { TandemAccess } from "../../src/governance/TandemAccess.sol";
import { TandemGovernor } from "../../src/governance/TandemGovernor.sol";
import { TandemTimelock } from "../../src/governance/TandemTimelock.sol";
import { TandemVotes } from "../../src/governance/TandemVotes.sol";
import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { AlphaPools } from "../../src/market/AlphaPools.sol";
import { AlphaRouter } from "../../src/market/AlphaRouter.sol";
import { BurnAuction } from "../../src/market/BurnAuction.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Staking } from "../../src/subnet/Staking.sol";
import { SubnetRegistry } from "../../src/subnet/SubnetRegistry.sol";
import { AlphaFactory } from "../../src/token/AlphaFactory.sol";
import { ComputeCredit } from "../../src/token/ComputeCredit.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { Vouchers } from "./Vouchers.sol";

/// @notice The suite's contracts, the devnet's numbers they are deployed with, and who acts in it.
abstract contract SuiteParts is Vouchers {
    uint64 internal constant GENESIS = 1_800_000_000;
    uint64 internal constant LENGTH = 100;
    uint64 internal constant ACTIVATION_DELAY = 20;
    uint64 internal constant UNBONDING = 200;
    uint64 internal constant NOTICE = 50;
    uint64 internal constant TOKEN_PERIOD = 100;
    uint64 internal constant AUCTION_DELAY = 100;
    uint64 internal constant LOT_INTERVAL = 50;
    uint64 internal constant TIMELOCK_DELAY = 10;
    uint64 internal constant NEURON_IMMUNITY = 50;
    uint64 internal constant SUBNET_IMMUNITY = 200;
    uint16 internal constant MAX_SUBNETS = 8;
    uint256 internal constant PRICE = 1_000_000;
    uint256 internal constant PAYOUT = 850_000;
    uint256 internal constant EMISSION_VAULT = 10_500_000e18;
    uint256 internal constant LIQUIDITY = 420_000e18;
    uint256 internal constant ALLOCATED = 9_030_000e18;
    uint256 internal constant AIRDROPPED = 1_050_000e18;
    /// @dev TNDM per credit that the airdrop gives at most.
    uint256 internal constant MAX_PER_CREDIT = 5e18;
    uint64 internal constant AIRDROP_DURATION = 10_000;
    uint256 internal constant QUORUM_FLOOR = 400_000e18;
    uint48 internal constant VOTING_DELAY = 20;
    uint32 internal constant VOTING_PERIOD = 100;
    uint48 internal constant VOTE_EXTENSION = 40;
    uint64 internal constant GUARDIAN_PERIOD = 365 days;
    uint256 internal constant PROPOSAL_THRESHOLD = 1000e18;
    uint256 internal constant POOL_SEED = 5000e18;
    uint256 internal constant INITIAL_PRICE = 0.05e18;
    uint256 internal constant VALIDATORS = 4;
    uint64 internal constant GUARDIAN_ROLE = 1;
    uint256 internal constant ALL = 1000;
    uint256 internal constant SIGNERS = 2;

    Netuid internal constant TEXT = Netuid.wrap(1);
    Netuid internal constant MEME = Netuid.wrap(2);

    SuiteFactory internal factory;
    TandemAccess internal manager;
    TestUSDC internal usdc;
    TandemToken internal tndm;
    ComputeCredit internal credit;
    CreditDesk internal desk;
    Settlement internal settlement;
    RateCard internal card;
    AlphaFactory internal alphaFactory;
    AlphaPools internal pools;
    AlphaRouter internal router;
    BurnAuction internal auction;
    SubnetRegistry internal registry;
    Staking internal staking;
    Slashing internal slashing;
    Outages internal outages;
    WeightCommits internal weightCommits;
    EmissionController internal controller;
    KeeperSet internal keeperSet;
    EpochOracle internal oracle;
    RewardDistributor internal distributor;
    TandemTimelock internal timelock;
    LaunchGate internal gate;
    GenesisAllocation internal allocation;
    Airdrop internal airdrop;
    TandemVotes internal votes;
    TandemGovernor internal governor;

    address internal council = makeActor("council");
    address internal guardian = makeActor("guardian");
    address internal subnetOwner = makeActor("subnet owner");
    address internal memeOwner = makeActor("meme owner");
    address internal user = makeActor("user");
    address internal team = makeActor("team");
    address internal ecosystem = makeActor("ecosystem");
    address internal first = makeActor("first contributor");
    address internal second = makeActor("second contributor");
    address internal session;
    uint256 internal sessionSecret;
    /// @dev Secrets of the keepers, by ascending address.
    uint256[] internal keeperSecrets;

    function validator(
        uint256 n
    ) internal returns (address owner, address hotkey) {
        string memory number = vm.toString(n);
        return (makeActor(string.concat("validator ", number)), makeActor(string.concat("hotkey ", number)));
    }

    function keepers() internal view returns (address[] memory list) {
        list = new address[](keeperSecrets.length);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = vm.addr(keeperSecrets[i]);
        }
    }

    function hyperparameters() internal pure virtual returns (ISubnetRegistry.Hyperparameters memory) {
        return ISubnetRegistry.Hyperparameters({
            kappa: 32_767,
            bondsMovingAverage: 900_000,
            bondsPenalty: 65_535,
            maxValidators: 64,
            maxUids: 256,
            activityCutoff: 24
        });
    }

    function maxSubnets() internal pure virtual returns (uint16) {
        return MAX_SUBNETS;
    }

    function thresholds() internal pure virtual returns (ILaunchGate.Thresholds memory) {
        return ILaunchGate.Thresholds({
            buybackMargin: 50e6, verifiedContributors: 2, verifiedEpochsEach: 2, cleanPeriod: 200
        });
    }

    function allocations() internal view virtual returns (IGenesisAllocation.Allocation[] memory list) {
        list = new IGenesisAllocation.Allocation[](2);
        list[0] = IGenesisAllocation.Allocation({
            beneficiary: team, amount: 3_030_000e18, duration: 10_000, immediateShare: 0, label: "team"
        });
        list[1] = IGenesisAllocation.Allocation({
            beneficiary: ecosystem, amount: 6_000_000e18, duration: 10_000, immediateShare: 0.25e18, label: "ecosystem"
        });
    }

    function rules(
        uint256 quorumFloor
    ) internal pure returns (IGovernorStack.Rules memory) {
        return IGovernorStack.Rules({
            votingDelay: VOTING_DELAY,
            votingPeriod: VOTING_PERIOD,
            voteExtension: VOTE_EXTENSION,
            guardianPeriod: GUARDIAN_PERIOD,
            proposalThreshold: PROPOSAL_THRESHOLD,
            quorumPercent: 4,
            quorumFloor: quorumFloor
        });
    }

    function _nameContracts() internal {
        manager = TandemAccess(_at("manager"));
        usdc = TestUSDC(_at("usdc"));
        tndm = TandemToken(_at("tndm"));
        credit = ComputeCredit(_at("credit"));
        desk = CreditDesk(_at("desk"));
        settlement = Settlement(_at("settlement"));
        card = RateCard(_at("card"));
        alphaFactory = AlphaFactory(_at("alphaFactory"));
        pools = AlphaPools(_at("pools"));
        router = AlphaRouter(_at("router"));
        auction = BurnAuction(_at("auction"));
        registry = SubnetRegistry(_at("registry"));
        staking = Staking(_at("staking"));
        controller = EmissionController(_at("controller"));
        keeperSet = KeeperSet(_at("keeperSet"));
        slashing = Slashing(_at("slashing"));
        outages = Outages(_at("outages"));
        weightCommits = WeightCommits(_at("weightCommits"));
        oracle = EpochOracle(_at("oracle"));
        distributor = RewardDistributor(_at("distributor"));
        timelock = TandemTimelock(payable(_at("timelock")));
        gate = LaunchGate(_at("gate"));
        allocation = GenesisAllocation(_at("allocation"));
        airdrop = Airdrop(_at("airdrop"));
        votes = TandemVotes(_at("votes"));
        governor = TandemGovernor(payable(_at("governor")));
    }

    function _at(
        bytes32 salt
    ) internal view returns (address) {
        return factory.addressOf(address(this), salt);
    }

    function _put(
        bytes32 salt,
        bytes memory creationCode,
        bytes memory arguments
    ) internal {
        address deployed = factory.deploy(salt, bytes.concat(creationCode, arguments));
        vm.assertEq(deployed, _at(salt));
    }

    function _sortKeepers() internal {
        uint256[] storage s = keeperSecrets;
        for (uint256 i = 0; i < s.length; ++i) {
            for (uint256 j = i + 1; j < s.length; ++j) {
                if (vm.addr(s[j]) < vm.addr(s[i])) (s[i], s[j]) = (s[j], s[i]);
            }
        }
    }
}
