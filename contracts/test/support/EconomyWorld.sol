// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EmissionController } from "../../src/emission/EmissionController.sol";
import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { RewardDistributor } from "../../src/epoch/RewardDistributor.sol";
import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { AlphaPools } from "../../src/market/AlphaPools.sol";
import { BurnAuction } from "../../src/market/BurnAuction.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { IBurnAuction } from "../../src/market/IBurnAuction.sol";
import { AlphaFactory } from "../../src/token/AlphaFactory.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { Test } from "./Test.sol";
import { AccessManager } from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @dev What the economy asks of the launch gate.
contract GateStandIn {
    uint64 public marketsOpenedAt;

    function open() external {
        marketsOpenedAt = uint64(block.timestamp);
    }
}

/// @dev What the economy asks of the registry: ids ascend with the epoch of registration, none is given twice.
contract RegistryStandIn {
    uint16 public subnetCount;
    mapping(Netuid => uint64) public registeredEpochOf;
    mapping(Netuid => uint64) public prunedFromOf;

    function add(
        uint64 epoch
    ) external returns (Netuid netuid) {
        netuid = Netuid.wrap(++subnetCount);
        registeredEpochOf[netuid] = epoch;
    }

    function prune(
        Netuid netuid,
        uint64 from
    ) external {
        prunedFromOf[netuid] = from;
    }

    function exists(
        Netuid netuid
    ) external view returns (bool) {
        return !netuid.isZero() && Netuid.unwrap(netuid) <= subnetCount;
    }

    function liveAt(
        uint64 epoch
    ) external view returns (uint16[] memory netuids) {
        netuids = new uint16[](subnetCount);
        uint256 found = 0;
        for (uint16 id = 1; id <= subnetCount; ++id) {
            uint64 prunedFrom = prunedFromOf[Netuid.wrap(id)];
            if (registeredEpochOf[Netuid.wrap(id)] > epoch || (prunedFrom != 0 && prunedFrom <= epoch)) continue;
            netuids[found++] = id;
        }
        assembly ("memory-safe") {
            mstore(netuids, found)
        }
    }
}

/// @dev What the economy asks of staking: eligible from an epoch on.
contract StakingStandIn {
    mapping(Netuid => uint64) private _from;

    function setEligibleFrom(
        Netuid netuid,
        uint64 epoch
    ) external {
        _from[netuid] = epoch + 1;
    }

    function checkEligible(
        uint16[] calldata netuids,
        uint64 epoch
    ) external view returns (bool[] memory found) {
        found = new bool[](netuids.length);
        for (uint256 i = 0; i < netuids.length; ++i) {
            found[i] = eligibleAt(Netuid.wrap(netuids[i]), epoch);
        }
    }

    function eligibleAt(
        Netuid netuid,
        uint64 epoch
    ) public view returns (bool) {
        return _from[netuid] != 0 && epoch + 1 >= _from[netuid];
    }
}

/// @notice Real tokens, pools, auction, controller and distributor, wired to each other; registry, staking and gate are
/// stand-ins that a test steers. Epochs are hours; time starts with epoch 0.
abstract contract EconomyWorld is Test {
    uint64 internal constant GENESIS = 1_800_000_000;
    uint64 internal constant L = 1 hours;
    uint256 internal constant VAULT = 10_500_000e18;
    uint256 internal constant TREASURY = 10_500_000e18;
    uint256 internal constant SEED = 5000e18;
    uint256 internal constant PRICE = 0.05e18;
    uint256 internal constant PHI = 0.9e18;
    uint256 internal constant SMOOTHING = 10;

    GateStandIn internal gate;
    RegistryStandIn internal registry;
    StakingStandIn internal staking;
    AccessManager internal manager;
    TestUSDC internal usdc;
    TandemToken internal tndm;
    AlphaFactory internal factory;
    AlphaPools internal pools;
    RewardDistributor internal distributor;
    EmissionController internal controller;
    BurnAuction internal auction;

    address internal treasury = makeActor("treasury");
    address internal trader = makeActor("trader");
    address internal desk = makeActor("desk");
    address internal oracle = makeActor("oracle");
    address internal guardian = makeActor("guardian");

    function setUp() public virtual {
        vm.warp(GENESIS);
        gate = new GateStandIn();
        registry = new RegistryStandIn();
        staking = new StakingStandIn();
        manager = new AccessManager(guardian);
        usdc = new TestUSDC();
        // The rest know each other before they exist.
        factory = new AlphaFactory(_ahead(1), _ahead(2));
        pools = new AlphaPools(_poolsConfig(_ahead(2), _ahead(4)));
        distributor = new RewardDistributor(_distributorConfig(_ahead(1), _ahead(2)));
        controller = new EmissionController(_controllerConfig(_ahead(1), _ahead(2)));
        auction = new BurnAuction(_auctionConfig(_ahead(1)));
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](2);
        mints[0] = ITandemToken.Mint({ to: address(controller), amount: VAULT });
        mints[1] = ITandemToken.Mint({ to: treasury, amount: TREASURY });
        tndm = new TandemToken(mints, new address[](0));

        _give(trader, 1_000_000e18);
        vm.startPrank(treasury);
        tndm.approve(address(controller), type(uint256).max);
        tndm.approve(address(auction), type(uint256).max);
        vm.stopPrank();
        vm.prank(trader);
        tndm.approve(address(pools), type(uint256).max);
        vm.prank(desk);
        usdc.approve(address(auction), type(uint256).max);
    }

    function _poolsConfig(
        address controller_,
        address tndm_
    ) internal view virtual returns (IAlphaPools.Config memory) {
        return IAlphaPools.Config({
            tndm: tndm_,
            factory: address(factory),
            registry: address(registry),
            gate: address(gate),
            controller: controller_,
            genesis: GENESIS,
            epochLength: L,
            feeRate: 0.003e18,
            emaRate: 0.086e18,
            emaHalfAge: 28 days,
            pourCap: 0.01e18,
            alphaPerDay: 3600e18
        });
    }

    function _distributorConfig(
        address controller_,
        address auction_
    ) internal view virtual returns (IRewardDistributor.Config memory) {
        return IRewardDistributor.Config({
            usdc: address(usdc),
            factory: address(factory),
            controller: controller_,
            oracle: oracle,
            registry: address(registry),
            auction: auction_,
            genesis: GENESIS,
            epochLength: L
        });
    }

    function _controllerConfig(
        address auction_,
        address tndm_
    ) internal view virtual returns (IEmissionController.Config memory) {
        return IEmissionController.Config({
            tndm: tndm_,
            pools: address(pools),
            distributor: address(distributor),
            registry: address(registry),
            staking: address(staking),
            gate: address(gate),
            auction: auction_,
            genesis: GENESIS,
            epochLength: L,
            phi: PHI,
            smoothing: SMOOTHING,
            fadePeriod: 180 days,
            emissionPerDay: 3600e18,
            alphaPerDay: 3600e18
        });
    }

    function _auctionConfig(
        address tndm_
    ) internal view virtual returns (IBurnAuction.Config memory) {
        return IBurnAuction.Config({
            authority: address(manager),
            tndm: tndm_,
            usdc: address(usdc),
            desk: desk,
            controller: address(controller),
            gate: address(gate),
            openDelay: 7 days,
            lotInterval: 1 days,
            lotDuration: 2 days,
            halfLife: 1 hours,
            revenueHalfLife: 30 days,
            maxLot: 10_000e6,
            pricingLot: 1e6,
            genesisPrice: 20e18,
            genesisFloor: 5e18
        });
    }

    /// @dev A subnet of the present epoch that is eligible from the next on; its pool too once markets are open.
    function _addSubnet() internal returns (Netuid netuid) {
        netuid = registry.add(pools.currentEpoch());
        staking.setEligibleFrom(netuid, pools.currentEpoch() + 1);
        if (gate.marketsOpenedAt() != 0) _createPool(netuid, SEED, PRICE);
    }

    function _createPool(
        Netuid netuid,
        uint256 seed,
        uint256 price
    ) internal returns (address token) {
        _give(address(gate), seed);
        vm.startPrank(address(gate));
        tndm.approve(address(pools), seed);
        token = pools.create(netuid, seed, price);
        vm.stopPrank();
    }

    function _openMarkets() internal {
        gate.open();
        for (uint16 n = 1; n <= registry.subnetCount(); ++n) {
            _createPool(Netuid.wrap(n), SEED, PRICE);
        }
    }

    /// @dev TNDM of the treasury.
    function _give(
        address to,
        uint256 amount
    ) internal {
        vm.prank(treasury);
        vm.assertTrue(tndm.transfer(to, amount));
    }

    function _toEpoch(
        uint64 epoch
    ) internal {
        vm.warp(pools.startOf(epoch));
    }

    function _settleAll() internal {
        while (controller.settledThrough() < pools.currentEpoch()) {
            controller.settle(1000);
        }
    }

    function _sponsor(
        Netuid netuid,
        uint256 amount
    ) internal {
        vm.prank(treasury);
        controller.sponsor(netuid, amount);
    }

    function _fund(
        Netuid netuid,
        uint256 amount
    ) internal {
        usdc.mint(desk, amount);
        vm.prank(desk);
        auction.fund(netuid, amount);
    }

    function _contribute(
        Netuid netuid,
        uint256 amount
    ) internal {
        usdc.mint(desk, amount);
        vm.startPrank(desk);
        usdc.approve(address(distributor), amount);
        distributor.contribute(netuid, amount);
        vm.stopPrank();
    }

    function _buy(
        Netuid netuid,
        uint256 tndmIn
    ) internal returns (uint256) {
        vm.prank(trader);
        return pools.buy(netuid, tndmIn, 0, block.timestamp);
    }

    function _sell(
        Netuid netuid,
        uint256 alphaIn
    ) internal virtual returns (uint256) {
        address token = pools.alphaOf(netuid);
        vm.startPrank(trader);
        TandemToken(token).approve(address(pools), alphaIn);
        uint256 out = pools.sell(netuid, alphaIn, 0, block.timestamp);
        vm.stopPrank();
        return out;
    }

    /// @dev Address of the contract that this one creates `steps` creations after the next one.
    function _ahead(
        uint256 steps
    ) internal view returns (address) {
        return vm.computeCreateAddress(address(this), uint256(vm.getNonce(address(this))) + steps);
    }
}
