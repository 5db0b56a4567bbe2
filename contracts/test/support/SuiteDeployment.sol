// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { CreditDesk } from "../../src/compute/CreditDesk.sol";
import { ICreditDesk } from "../../src/compute/ICreditDesk.sol";
import { RateCard } from "../../src/compute/RateCard.sol";
import { Settlement } from "../../src/compute/Settlement.sol";
import { SuiteFactory } from "../../src/deploy/SuiteFactory.sol";
import { EmissionController } from "../../src/emission/EmissionController.sol";
import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { EpochOracle } from "../../src/epoch/EpochOracle.sol";
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
import { SuiteParts } from "./SuiteParts.sol";

/// @notice Deploys the suite as deployments do: by CREATE3, wired by immutables.
abstract contract SuiteDeployment is SuiteParts {
    /// @dev Every contract at its address, and the roles where they belong.
    function _deploySuite() internal {
        _sortKeepers();
        factory = new SuiteFactory();
        _nameContracts();
        _deployCompute();
        _deployMarket();
        _deployEpochs();
        _deployLaunch();
        _handOver();
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
        _put("alphaFactory", type(AlphaFactory).creationCode, abi.encode(address(pools), address(distributor)));
        IAlphaPools.Config memory poolsConfig = IAlphaPools.Config({
            tndm: address(tndm),
            factory: address(alphaFactory),
            registry: address(registry),
            gate: address(gate),
            controller: address(controller),
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
            factory: address(alphaFactory),
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
}
