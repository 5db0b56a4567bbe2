// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { CreditDesk } from "../../src/compute/CreditDesk.sol";
import { ICreditDesk } from "../../src/compute/ICreditDesk.sol";
import { ISettlement } from "../../src/compute/ISettlement.sol";
import { RateCard } from "../../src/compute/RateCard.sol";
import { Settlement } from "../../src/compute/Settlement.sol";
import { SuiteFactory } from "../../src/deploy/SuiteFactory.sol";
import { EmissionController } from "../../src/emission/EmissionController.sol";
import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { EpochOracle } from "../../src/epoch/EpochOracle.sol";
import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { IKeeperSet } from "../../src/epoch/IKeeperSet.sol";
import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { ISlashing } from "../../src/epoch/ISlashing.sol";
import { KeeperSet } from "../../src/epoch/KeeperSet.sol";
import { Outages } from "../../src/epoch/Outages.sol";
import { RewardDistributor } from "../../src/epoch/RewardDistributor.sol";
import { Slashing } from "../../src/epoch/Slashing.sol";
import { WeightCommits } from "../../src/epoch/WeightCommits.sol";
import { Airdrop } from "../../src/governance/Airdrop.sol";
import { GenesisAllocation } from "../../src/governance/GenesisAllocation.sol";
import { IAirdrop } from "../../src/governance/IAirdrop.sol";
import { IGenesisAllocation } from "../../src/governance/IGenesisAllocation.sol";
import { IGovernorStack } from "../../src/governance/IGovernorStack.sol";
import { ILaunchGate } from "../../src/governance/ILaunchGate.sol";
import { ITandemGovernor } from "../../src/governance/ITandemGovernor.sol";
import { LaunchGate } from "../../src/governance/LaunchGate.sol";
import { TandemAccess } from "../../src/governance/TandemAccess.sol";
import { TandemGovernor } from "../../src/governance/TandemGovernor.sol";
import { TandemTimelock } from "../../src/governance/TandemTimelock.sol";
import { TandemVotes } from "../../src/governance/TandemVotes.sol";
import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { AlphaPools } from "../../src/market/AlphaPools.sol";
import { AlphaRouter } from "../../src/market/AlphaRouter.sol";
import { BurnAuction } from "../../src/market/BurnAuction.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { IBurnAuction } from "../../src/market/IBurnAuction.sol";
import { IStaking } from "../../src/subnet/IStaking.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Staking } from "../../src/subnet/Staking.sol";
import { SubnetRegistry } from "../../src/subnet/SubnetRegistry.sol";
import { AlphaFactory } from "../../src/token/AlphaFactory.sol";
import { ComputeCredit } from "../../src/token/ComputeCredit.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid, Phase, RewardKind } from "../../src/types/Types.sol";
import { RewardTree } from "./RewardTree.sol";
import { Test } from "./Test.sol";

/// @notice The whole suite as it is deployed: every contract by CREATE3, wired by immutables, administered by the timelock alone. Two
/// genesis subnets (1 works, 2 is a meme), four mesh validators of distinct owners and two contributors in the first, three
/// keepers of whom two sign. Durations are a devnet's: an epoch takes 100 seconds. Tests begin one second into epoch 0.
abstract contract SuiteTest is Test {
    using RewardTree for IRewardDistributor.Claim[];

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
    string internal constant MODEL_ID = "tandem/tiny-llama";
    bytes32 internal constant MODEL = keccak256(bytes(MODEL_ID));
    uint64 internal constant MILLION = 1_000_000;
    /// @dev Credits per million tokens.
    uint128 internal constant PROMPT_RATE = 1e18;
    uint128 internal constant COMPLETION_RATE = 2e18;

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
    /// @dev What the next report pays, cumulative.
    IRewardDistributor.Claim[] internal rewards;

    function setUp() public virtual {
        vm.warp(GENESIS - 1000);
        (session, sessionSecret) = makeActorAndKey("session");
        keeperSecrets = [uint256(101), 102, 103];
        _sortKeepers();
        factory = new SuiteFactory();
        _nameContracts();
        _deployCompute();
        _deployMarket();
        _deployEpochs();
        _deployLaunch();
        _handOver();
        _populate();
        vm.warp(GENESIS + 1);
    }

    // -------------------------------------------------------------------------------------------------- actors

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

    /// @dev `owner` takes the next uid; it gets whatever USDC that costs.
    function register(
        Netuid netuid,
        address owner,
        address hotkey
    ) internal returns (uint16 uid) {
        uint256 price = registry.neuronPrice(netuid);
        usdc.mint(owner, price);
        vm.startPrank(owner);
        usdc.approve(address(registry), price);
        uid = registry.registerNeuron(netuid, hotkey, "http://127.0.0.1", price);
        vm.stopPrank();
    }

    // -------------------------------------------------------------------------------------------------- credits

    /// @dev Gives `account` the USDC that `credits` cost, and buys them with it.
    function buyCredits(
        address account,
        uint256 credits
    ) internal returns (uint256 cost) {
        cost = desk.quote(credits);
        usdc.mint(account, cost);
        vm.startPrank(account);
        usdc.approve(address(desk), cost);
        desk.buy(credits, cost);
        vm.stopPrank();
    }

    function openChannel(
        address payer,
        Netuid netuid,
        uint16 uid,
        uint256 amount
    ) internal returns (uint256 channelId) {
        vm.prank(payer);
        channelId = settlement.open(netuid, uid, uint128(amount), uint64(block.timestamp) + 60, session);
    }

    /// @dev Signs and settles a voucher for `amount` cumulative credits, all of it completion tokens at the card's price.
    function settleUpTo(
        uint256 channelId,
        uint256 amount
    ) internal returns (uint256 paid) {
        ISettlement.Voucher memory voucher = ISettlement.Voucher({
            channelId: channelId,
            amount: uint128(amount),
            model: MODEL,
            rateCardVersion: 1,
            promptTokens: 0,
            completionTokens: uint64((amount * MILLION + COMPLETION_RATE - 1) / COMPLETION_RATE)
        });
        return settlement.settle(voucher, _sign(sessionSecret, settlement.hashVoucher(voucher)));
    }

    /// @dev `user` buys credits and spends all of them on one neuron; the margin goes on at once.
    function spend(
        Netuid netuid,
        uint16 uid,
        uint256 amount
    ) internal {
        buyCredits(user, amount);
        settleUpTo(openChannel(user, netuid, uid, amount), amount);
        desk.forwardMargin(netuid);
    }

    // -------------------------------------------------------------------------------------------------- epochs

    /// @dev Goes to the end of the present epoch and closes all that have ended.
    function endEpoch() internal returns (uint64 epoch) {
        epoch = oracle.currentEpoch();
        vm.warp(oracle.endOf(epoch));
        while (controller.settledThrough() <= epoch) {
            controller.settle(ALL);
        }
    }

    function addReward(
        RewardKind kind,
        Netuid netuid,
        address account,
        uint256 amount
    ) internal {
        for (uint256 i = 0; i < rewards.length; ++i) {
            IRewardDistributor.Claim storage c = rewards[i];
            if (c.kind != kind || c.netuid != netuid || c.account != account) continue;
            c.cumulative += amount;
            return;
        }
        rewards.push(
            IRewardDistributor.Claim({
                index: rewards.length, kind: kind, netuid: netuid, account: account, cumulative: amount
            })
        );
    }

    /// @dev Splits what an epoch granted to a subnet: validators equally, contributors 60 to 40, keepers equally.
    function addRewardsOf(
        uint64 epoch,
        Netuid netuid
    ) internal {
        IEmissionController.Grant memory grant = controller.grantOf(epoch, netuid);
        address owner = registry.ownerOfSubnetAt(netuid, epoch);
        _addRole(RewardKind.OwnerAlpha, RewardKind.OwnerUsdc, netuid, owner, grant, 18, 18);
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address account,) = validator(n);
            _addRole(RewardKind.ValidatorAlpha, RewardKind.ValidatorUsdc, netuid, account, grant, 10, 9);
        }
        _addRole(RewardKind.ContributorAlpha, RewardKind.ContributorUsdc, netuid, first, grant, 24, 23);
        _addRole(RewardKind.ContributorAlpha, RewardKind.ContributorUsdc, netuid, second, grant, 16, 15);
        address[] memory list = keepers();
        for (uint256 n = 0; n < list.length; ++n) {
            if (grant.usdc != 0) addReward(RewardKind.KeeperUsdc, netuid, list[n], uint256(grant.usdc) / 100);
        }
    }

    /// @dev The report that is due for `epoch`, paying `rewards`.
    function reportFor(
        uint64 epoch
    ) internal view returns (IEpochOracle.EpochReport memory) {
        (,, bytes32 previous) = oracle.lastPosted();
        IRewardDistributor.Claim[] memory claims = rewards;
        return IEpochOracle.EpochReport({
            epoch: epoch,
            attempt: oracle.attemptOf(epoch),
            configDigest: keeperSet.configDigestAt(epoch),
            inputsBlock: keccak256(abi.encode("block", epoch)),
            previousReport: previous,
            subnetsRoot: keccak256(abi.encode("subnets", epoch)),
            rewardsRoot: claims.rootOf(),
            bundleHash: keccak256(abi.encode("bundle", epoch)),
            rulesVersion: 1
        });
    }

    /// @dev Signatures of the first keepers, exactly as many as the threshold asks for.
    function signReport(
        IEpochOracle.EpochReport memory report
    ) internal view returns (IEpochOracle.Signature[] memory signatures) {
        bytes32 digest = oracle.hashReport(report);
        signatures = new IEpochOracle.Signature[](SIGNERS);
        for (uint256 i = 0; i < SIGNERS; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(keeperSecrets[i], digest);
            signatures[i] = IEpochOracle.Signature({ r: r, vs: v == 28 ? s | bytes32(uint256(1) << 255) : s });
        }
    }

    /// @dev Posts the report of an ended epoch and waits until it is active.
    function publish(
        uint64 epoch
    ) internal {
        IEpochOracle.EpochReport memory report = reportFor(epoch);
        oracle.post(report, signReport(report));
        vm.warp(block.timestamp + ACTIVATION_DELAY);
        oracle.activate(report);
    }

    /// @dev Claims everything that the active root pays.
    function claimAll() internal returns (uint256 paidCount) {
        IRewardDistributor.Claim[] memory claims = rewards;
        bytes32[][] memory proofs = new bytes32[][](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            proofs[i] = claims.proofOf(i);
        }
        return distributor.claimBatch(claims, proofs);
    }

    /// @dev One whole mesh epoch: `credits` spent on each contributor, closed, reported, active and claimed.
    function runEpoch(
        uint256 credits
    ) internal returns (uint64 epoch) {
        if (credits != 0) {
            spend(TEXT, firstUid(), credits);
            spend(TEXT, secondUid(), credits);
        }
        epoch = endEpoch();
        addRewardsOf(epoch, TEXT);
        publish(epoch);
        claimAll();
    }

    function firstUid() internal view returns (uint16) {
        return uint16(registry.uidOf(TEXT, first) - 1);
    }

    function secondUid() internal view returns (uint16) {
        return uint16(registry.uidOf(TEXT, second) - 1);
    }

    // -------------------------------------------------------------------------------------------------- launch

    /// @dev Walks from a mesh whose thresholds are met to the token. The genesis beneficiaries vote themselves.
    function openToken() internal {
        gate.qualify(first);
        gate.qualify(second);
        vm.prank(team);
        allocation.delegate(team);
        vm.prank(ecosystem);
        allocation.delegate(ecosystem);
        vm.prank(council);
        gate.announce();
        vm.warp(block.timestamp + NOTICE);
        gate.openToken();
    }

    /// @dev On to open markets, by way of the token if need be; releases what the ecosystem fund has at once.
    function openMarkets() internal {
        if (gate.phase() == Phase.Mesh) openToken();
        uint256 opensAt = uint256(gate.tokenOpenedAt()) + TOKEN_PERIOD;
        if (block.timestamp < opensAt) vm.warp(opensAt);
        gate.openMarkets();
        allocation.release(1);
    }

    /// @dev The ecosystem fund takes a lot at its present price.
    function takeLot(
        uint256 lotId
    ) internal returns (uint256 paid) {
        uint256 cost = auction.costOf(lotId);
        vm.startPrank(ecosystem);
        tndm.approve(address(auction), cost);
        paid = auction.take(lotId, cost, block.timestamp);
        vm.stopPrank();
    }

    /// @dev A call by the timelock, put through by the council.
    function councilCalls(
        address target,
        bytes memory data
    ) internal {
        vm.prank(council);
        timelock.schedule(target, 0, data, 0, 0, TIMELOCK_DELAY);
        vm.warp(block.timestamp + TIMELOCK_DELAY);
        vm.prank(council);
        timelock.execute(target, 0, data, 0, 0);
    }

    /// @dev A proposal by `proposer` that one `voter` decides, through the governor and the timelock.
    function decide(
        address proposer,
        address voter,
        address target,
        bytes memory data
    ) internal {
        address[] memory targets = new address[](1);
        targets[0] = target;
        bytes[] memory calls = new bytes[](1);
        calls[0] = data;
        vm.prank(proposer);
        uint256 id = governor.propose(targets, new uint256[](1), calls, "");
        vm.warp(governor.proposalSnapshot(id) + 1);
        vm.prank(voter);
        governor.castVote(id, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
        governor.queue(id);
        vm.warp(block.timestamp + TIMELOCK_DELAY);
        governor.execute(id);
    }

    // -------------------------------------------------------------------------------------------------- deployment

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

    function _nameContracts() private {
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

    function _deployCompute() private {
        _put("manager", type(TandemAccess).creationCode, abi.encode(address(this), address(gate)));
        _put("usdc", type(TestUSDC).creationCode, "");
        _put("credit", type(ComputeCredit).creationCode, abi.encode(address(desk), address(settlement), address(gate)));
        _put("card", type(RateCard).creationCode, abi.encode(address(manager), GENESIS, LENGTH));
        ICreditDesk.Config memory deskConfig = ICreditDesk.Config({
            authority: address(manager),
            usdc: address(usdc),
            credit: address(credit),
            settlement: address(settlement),
            auction: address(auction),
            distributor: address(distributor),
            gate: address(gate),
            price: PRICE,
            payoutRate: PAYOUT,
            buybackShare: 0.5e18,
            genesis: GENESIS,
            epochLength: LENGTH
        });
        _put("desk", type(CreditDesk).creationCode, abi.encode(deskConfig));
        _put(
            "settlement",
            type(Settlement).creationCode,
            abi.encode(address(credit), address(desk), address(card), address(registry), address(outages), uint64(40))
        );
    }

    function _deployMarket() private {
        _put("alphaFactory", type(AlphaFactory).creationCode, abi.encode(address(pools)));
        IAlphaPools.Config memory poolsConfig = IAlphaPools.Config({
            tndm: address(tndm),
            factory: address(alphaFactory),
            registry: address(registry),
            gate: address(gate),
            controller: address(controller),
            distributor: address(distributor),
            genesis: GENESIS,
            epochLength: LENGTH,
            feeRate: 0.003e18,
            emaRate: 0.086e18,
            emaHalfAge: 1000,
            pourCap: 0.01e18,
            alphaPerDay: 864_000e18
        });
        _put("pools", type(AlphaPools).creationCode, abi.encode(poolsConfig));
        _put("router", type(AlphaRouter).creationCode, abi.encode(address(tndm), address(pools)));
        IBurnAuction.Config memory auctionConfig = IBurnAuction.Config({
            authority: address(manager),
            tndm: address(tndm),
            usdc: address(usdc),
            desk: address(desk),
            controller: address(controller),
            gate: address(gate),
            openDelay: AUCTION_DELAY,
            lotInterval: LOT_INTERVAL,
            lotDuration: 60,
            halfLife: 20,
            revenueHalfLife: 1000,
            maxLot: 10_000e6,
            pricingLot: 1e6,
            genesisPrice: 40e18,
            genesisFloor: 5e18
        });
        _put("auction", type(BurnAuction).creationCode, abi.encode(auctionConfig));
        IEmissionController.Config memory emissionConfig = IEmissionController.Config({
            tndm: address(tndm),
            pools: address(pools),
            distributor: address(distributor),
            registry: address(registry),
            staking: address(staking),
            gate: address(gate),
            auction: address(auction),
            genesis: GENESIS,
            epochLength: LENGTH,
            phi: 0.9e18,
            smoothing: 4,
            fadePeriod: 180 days,
            emissionPerDay: 86_400e18,
            alphaPerDay: 864_000e18
        });
        _put("controller", type(EmissionController).creationCode, abi.encode(emissionConfig));
    }

    function _deployEpochs() private {
        IRewardDistributor.Config memory distributorConfig = IRewardDistributor.Config({
            usdc: address(usdc),
            pools: address(pools),
            controller: address(controller),
            oracle: address(oracle),
            registry: address(registry),
            auction: address(auction),
            genesis: GENESIS,
            epochLength: LENGTH
        });
        _put("distributor", type(RewardDistributor).creationCode, abi.encode(distributorConfig));
        IKeeperSet.Config memory keeperConfig = IKeeperSet.Config({
            authority: address(manager),
            usdc: address(usdc),
            auction: address(auction),
            oracle: address(oracle),
            slashing: address(slashing),
            devnet: true,
            unbondingPeriod: UNBONDING,
            genesis: GENESIS,
            epochLength: LENGTH
        });
        _put("keeperSet", type(KeeperSet).creationCode, abi.encode(keeperConfig, keepers(), uint16(SIGNERS)));
        _put(
            "oracle",
            type(EpochOracle).creationCode,
            abi.encode(
                address(manager),
                address(keeperSet),
                address(controller),
                address(distributor),
                GENESIS,
                LENGTH,
                ACTIVATION_DELAY
            )
        );
        _deploySlashing();
        ISubnetRegistry.GenesisSubnet[] memory subnets = new ISubnetRegistry.GenesisSubnet[](2);
        subnets[0] = ISubnetRegistry.GenesisSubnet({ owner: subnetOwner, name: "text" });
        subnets[1] = ISubnetRegistry.GenesisSubnet({ owner: memeOwner, name: "meme" });
        ISubnetRegistry.Config memory registryConfig = ISubnetRegistry.Config({
            authority: address(manager),
            tndm: address(tndm),
            usdc: address(usdc),
            pools: address(pools),
            controller: address(controller),
            auction: address(auction),
            gate: address(gate),
            staking: address(staking),
            oracle: address(oracle),
            genesis: GENESIS,
            epochLength: LENGTH,
            firstLock: 4000e18,
            floorLock: 1000e18,
            lockHalfLife: 1000,
            neuronFeeUsdc: 10e6,
            neuronPriceTndm: 5e18,
            neuronHalfLife: 100,
            neuronImmunity: NEURON_IMMUNITY,
            maxSubnets: maxSubnets(),
            subnetImmunity: SUBNET_IMMUNITY,
            hyperparameterPeriod: 0,
            defaults: hyperparameters()
        });
        _put("registry", type(SubnetRegistry).creationCode, abi.encode(registryConfig, subnets, _bindings()));
        _deployStaking();
    }

    function _deploySlashing() private {
        _put("outages", type(Outages).creationCode, abi.encode(uint64(5)));
        _put(
            "weightCommits",
            type(WeightCommits).creationCode,
            abi.encode(address(oracle), address(outages), GENESIS, LENGTH)
        );
        ISlashing.Config memory config = ISlashing.Config({
            authority: address(manager),
            oracle: address(oracle),
            keeperSet: address(keeperSet),
            staking: address(staking),
            weightCommits: address(weightCommits),
            least: ISlashing.Amounts({ commitShare: 0.01e18, reportShare: 0.1e18 }),
            most: ISlashing.Amounts({ commitShare: 0.2e18, reportShare: 1e18 }),
            amounts: ISlashing.Amounts({ commitShare: 0.05e18, reportShare: 0.5e18 }),
            evidencePeriod: UNBONDING,
            genesis: GENESIS,
            epochLength: LENGTH
        });
        _put("slashing", type(Slashing).creationCode, abi.encode(config));
    }

    function _bindings() private returns (ISubnetRegistry.HotkeyBinding[] memory bindings) {
        bindings = new ISubnetRegistry.HotkeyBinding[](VALIDATORS);
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address owner, address hotkey) = validator(n);
            bindings[n] = ISubnetRegistry.HotkeyBinding({ hotkey: hotkey, owner: owner });
        }
    }

    function _deployStaking() private {
        IStaking.Virtual[] memory mesh = new IStaking.Virtual[](VALIDATORS);
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (, address hotkey) = validator(n);
            mesh[n] = IStaking.Virtual({ netuid: TEXT, hotkey: hotkey, weight: uint128(1000e18) });
        }
        IStaking.Config memory stakingConfig = IStaking.Config({
            tndm: address(tndm),
            pools: address(pools),
            registry: address(registry),
            gate: address(gate),
            slashing: address(slashing),
            genesis: GENESIS,
            epochLength: LENGTH,
            unbondingPeriod: UNBONDING,
            virtualFade: 10_000,
            minimumStakeShare: 0.005e18,
            minimumDelegation: 1,
            rootWeightStart: 0.5e18,
            rootWeightFloor: 0.1e18,
            rootWeightGlide: 10_000,
            takeDefault: 11_796,
            takeBound: 11_796,
            takeStep: 655,
            takePeriod: 1000
        });
        _put("staking", type(Staking).creationCode, abi.encode(stakingConfig, mesh));
    }

    function _deployLaunch() private {
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](4);
        mints[0] = ITandemToken.Mint({ to: address(controller), amount: EMISSION_VAULT });
        mints[1] = ITandemToken.Mint({ to: address(gate), amount: LIQUIDITY });
        mints[2] = ITandemToken.Mint({ to: address(allocation), amount: ALLOCATED });
        mints[3] = ITandemToken.Mint({ to: address(airdrop), amount: AIRDROPPED });
        address[] memory vaults = new address[](4);
        (vaults[0], vaults[1]) = (address(controller), address(gate));
        (vaults[2], vaults[3]) = (address(allocation), address(airdrop));
        _put("tndm", type(TandemToken).creationCode, abi.encode(mints, vaults));
        _deployGovernance();
        _put(
            "allocation", type(GenesisAllocation).creationCode, abi.encode(address(tndm), address(gate), allocations())
        );
        ILaunchGate.Config memory gateConfig = ILaunchGate.Config({
            tndm: address(tndm),
            usdc: address(usdc),
            credit: address(credit),
            desk: address(desk),
            distributor: address(distributor),
            oracle: address(oracle),
            registry: address(registry),
            pools: address(pools),
            timelock: address(timelock),
            council: council,
            successor: address(governor),
            allocation: address(allocation),
            airdrop: address(airdrop),
            thresholds: thresholds(),
            notice: NOTICE,
            publicAfter: 10_000,
            tokenPeriod: TOKEN_PERIOD,
            claimable: 300_000e18,
            poolSeed: POOL_SEED,
            initialPrice: INITIAL_PRICE
        });
        _put("gate", type(LaunchGate).creationCode, abi.encode(gateConfig));
    }

    function _deployGovernance() private {
        address[] memory proposers = new address[](1);
        proposers[0] = council;
        // Anybody executes.
        address[] memory executors = new address[](1);
        _put(
            "timelock",
            type(TandemTimelock).creationCode,
            abi.encode(uint256(TIMELOCK_DELAY), proposers, executors, address(gate), address(manager))
        );
        address[] memory vesting = new address[](2);
        (vesting[0], vesting[1]) = (address(allocation), address(airdrop));
        _put(
            "votes",
            type(TandemVotes).creationCode,
            abi.encode(address(tndm), address(staking), address(controller), vesting)
        );
        ITandemGovernor.Config memory governorConfig = ITandemGovernor.Config({
            votes: address(votes),
            timelock: address(timelock),
            gate: address(gate),
            guardian: guardian,
            rules: rules(QUORUM_FLOOR)
        });
        _put("governor", type(TandemGovernor).creationCode, abi.encode(governorConfig));
        IAirdrop.Config memory airdropConfig = IAirdrop.Config({
            tndm: address(tndm),
            gate: address(gate),
            credit: address(credit),
            treasury: address(timelock),
            amount: uint128(AIRDROPPED),
            maxPerCredit: MAX_PER_CREDIT,
            immediateShare: 0.25e18,
            duration: AIRDROP_DURATION
        });
        _put("airdrop", type(Airdrop).creationCode, abi.encode(airdropConfig));
    }

    /// @dev The guardian may only pause and veto; all else is the timelock's [AC-1].
    function _handOver() private {
        card.publish(MODEL_ID, PROMPT_RATE, COMPLETION_RATE);
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = desk.pauseBuying.selector;
        manager.setTargetFunctionRole(address(desk), selectors, GUARDIAN_ROLE);
        selectors[0] = auction.stop.selector;
        manager.setTargetFunctionRole(address(auction), selectors, GUARDIAN_ROLE);
        selectors[0] = oracle.veto.selector;
        manager.setTargetFunctionRole(address(oracle), selectors, GUARDIAN_ROLE);
        manager.grantRole(GUARDIAN_ROLE, guardian, 0);
        manager.grantRole(manager.ADMIN_ROLE(), address(timelock), 0);
        manager.renounceRole(manager.ADMIN_ROLE(), address(this));
    }

    function _populate() private {
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address owner, address hotkey) = validator(n);
            register(TEXT, owner, hotkey);
        }
        register(TEXT, first, first);
        register(TEXT, second, second);
    }

    function _at(
        bytes32 salt
    ) private view returns (address) {
        return factory.addressOf(address(this), salt);
    }

    function _put(
        bytes32 salt,
        bytes memory creationCode,
        bytes memory arguments
    ) private {
        address deployed = factory.deploy(salt, bytes.concat(creationCode, arguments));
        vm.assertEq(deployed, _at(salt));
    }

    function _sortKeepers() private {
        uint256[] storage s = keeperSecrets;
        for (uint256 i = 0; i < s.length; ++i) {
            for (uint256 j = i + 1; j < s.length; ++j) {
                if (vm.addr(s[j]) < vm.addr(s[i])) (s[i], s[j]) = (s[j], s[i]);
            }
        }
    }

    function _sign(
        uint256 secret,
        bytes32 digest
    ) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev `percent` of what was granted in alpha and in USDC, rounded down.
    function _addRole(
        RewardKind alphaKind,
        RewardKind usdcKind,
        Netuid netuid,
        address account,
        IEmissionController.Grant memory grant,
        uint256 alphaPercent,
        uint256 usdcPercent
    ) private {
        if (grant.alphaOut != 0) addReward(alphaKind, netuid, account, grant.alphaOut * alphaPercent / 100);
        if (grant.usdc != 0) addReward(usdcKind, netuid, account, grant.usdc * usdcPercent / 100);
    }
}
