// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { SubnetRegistry } from "../../src/subnet/SubnetRegistry.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { AuctionStand, ControllerStand, GateStand, OracleStand, PoolsStand, StakingStand } from "./Neighbours.sol";
import { Test } from "./Test.sol";
import { AccessManager } from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice A registry of two genesis subnets among stand-ins, room for four subnets and four uids each; every ended epoch counts as
/// settled unless a test says otherwise. This contract is the access manager's administrator.
abstract contract RegistryTest is Test {
    uint64 internal constant GENESIS = 1_000_000;
    uint64 internal constant LENGTH = 100;
    uint64 internal constant HALF_LIFE = 1000;
    uint64 internal constant SUBNET_IMMUNITY = 250;
    uint64 internal constant NEURON_IMMUNITY = 150;
    uint64 internal constant HYPERPARAMETER_PERIOD = 300;
    uint16 internal constant MAX_SUBNETS = 4;
    uint256 internal constant FIRST_LOCK = 4000e18;
    uint256 internal constant FLOOR_LOCK = 1000e18;
    uint256 internal constant FEE = 10e6;
    uint256 internal constant PRICE = 5e18;
    uint256 internal constant ANY = type(uint256).max;
    Netuid internal constant NONE = Netuid.wrap(0);
    Netuid internal constant ONE = Netuid.wrap(1);
    Netuid internal constant TWO = Netuid.wrap(2);
    Netuid internal constant THREE = Netuid.wrap(3);
    Netuid internal constant FOUR = Netuid.wrap(4);
    Netuid internal constant FIVE = Netuid.wrap(5);

    address internal immutable OWNER = makeActor("subnet owner");
    address internal immutable MINER = makeActor("miner");
    address internal immutable MESH_OWNER = makeActor("mesh owner");
    address internal immutable OTHER = makeActor("other");

    AccessManager internal manager;
    TestUSDC internal usdc;
    TandemToken internal tndm;
    GateStand internal gate;
    PoolsStand internal pools;
    AuctionStand internal auction;
    ControllerStand internal controller;
    OracleStand internal oracle;
    StakingStand internal staking;
    SubnetRegistry internal registry;

    function setUp() public virtual {
        vm.warp(GENESIS);
        manager = new AccessManager(address(this));
        usdc = new TestUSDC();
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](1);
        mints[0] = ITandemToken.Mint({ to: MINER, amount: 21_000_000e18 });
        tndm = new TandemToken(mints, new address[](0));
        gate = new GateStand();
        pools = new PoolsStand(IERC20(address(tndm)));
        auction = new AuctionStand(IERC20(address(usdc)));
        controller = new ControllerStand();
        oracle = new OracleStand();
        staking = new StakingStand();
        registry = new SubnetRegistry(config(), genesisSubnets(), bindings());
        controller.setSettledThrough(type(uint64).max);
        usdc.mint(MINER, 1_000_000_000e6);
        vm.startPrank(MINER);
        usdc.approve(address(registry), type(uint256).max);
        tndm.approve(address(registry), type(uint256).max);
        tndm.transfer(OTHER, 1_000_000e18);
        vm.stopPrank();
        usdc.mint(OTHER, 1_000_000e6);
        vm.startPrank(OTHER);
        usdc.approve(address(registry), type(uint256).max);
        tndm.approve(address(registry), type(uint256).max);
        vm.stopPrank();
    }

    function config() internal view virtual returns (ISubnetRegistry.Config memory) {
        return ISubnetRegistry.Config({
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
            firstLock: FIRST_LOCK,
            floorLock: FLOOR_LOCK,
            lockHalfLife: HALF_LIFE,
            neuronFeeUsdc: FEE,
            neuronPriceTndm: PRICE,
            neuronHalfLife: HALF_LIFE,
            neuronImmunity: NEURON_IMMUNITY,
            maxSubnets: MAX_SUBNETS,
            subnetImmunity: SUBNET_IMMUNITY,
            hyperparameterPeriod: HYPERPARAMETER_PERIOD,
            defaults: defaults()
        });
    }

    function defaults() internal pure virtual returns (ISubnetRegistry.Hyperparameters memory) {
        return ISubnetRegistry.Hyperparameters({
            kappa: 32_767,
            bondsMovingAverage: 900_000,
            bondsPenalty: 65_535,
            maxValidators: 3,
            maxUids: 4,
            activityCutoff: 10
        });
    }

    function genesisSubnets() internal view returns (ISubnetRegistry.GenesisSubnet[] memory list) {
        list = new ISubnetRegistry.GenesisSubnet[](2);
        list[0] = ISubnetRegistry.GenesisSubnet({ owner: OWNER, name: "text" });
        list[1] = ISubnetRegistry.GenesisSubnet({ owner: OWNER, name: "code" });
    }

    function bindings() internal view returns (ISubnetRegistry.HotkeyBinding[] memory list) {
        list = new ISubnetRegistry.HotkeyBinding[](1);
        list[0] = ISubnetRegistry.HotkeyBinding({ hotkey: hotkey(99), owner: MESH_OWNER });
    }

    function hotkey(
        uint256 n
    ) internal pure returns (address) {
        return vm.addr(1000 + n);
    }

    function register(
        Netuid netuid,
        uint256 n
    ) internal returns (uint16) {
        vm.prank(MINER);
        return registry.registerNeuron(netuid, hotkey(n), "http://miner", type(uint256).max);
    }

    function registerSubnet() internal returns (Netuid) {
        vm.prank(MINER);
        return registry.registerSubnet("new", ANY);
    }

    function warpToEpoch(
        uint256 epoch
    ) internal {
        vm.warp(GENESIS + epoch * LENGTH);
    }

    function assertIds(
        uint16[] memory found,
        string memory expected
    ) internal pure {
        string memory written;
        for (uint256 i = 0; i < found.length; ++i) {
            written = string.concat(written, i == 0 ? "" : " ", vm.toString(found[i]));
        }
        vm.assertEq(written, expected);
    }
}
