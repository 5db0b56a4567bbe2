// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { IStaking } from "../../src/subnet/IStaking.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Staking } from "../../src/subnet/Staking.sol";
import { SubnetRegistry } from "../../src/subnet/SubnetRegistry.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { ITandemToken } from "../../src/token/ITandemToken.sol";
import { TandemToken } from "../../src/token/TandemToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { listOf } from "./Closings.sol";
import { AuctionStand, ControllerStand, GateStand, OracleStand, PoolsStand } from "./Neighbours.sol";
import { Test } from "./Test.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Staking with the real registry and real tokens, among stand-ins. Two genesis subnets, of which the first has alpha; `A`
/// holds all TNDM and alpha. Neurons cost nothing. HA is a mesh validator of the first subnet.
abstract contract StakingTest is Test {
    uint64 internal constant GENESIS = 1_000_000;
    uint64 internal constant LENGTH = 100;
    uint64 internal constant UNBONDING = 500;
    uint64 internal constant FADE = 1000;
    uint64 internal constant GLIDE = 2000;
    uint64 internal constant NEURON_IMMUNITY = 50;
    uint128 internal constant VIRTUAL = 1000e18;
    uint16 internal constant MAX_UIDS = 256;
    uint16 internal constant TAKE_BOUND = 11_796;
    uint16 internal constant TAKE_STEP = 655;
    uint64 internal constant TAKE_PERIOD = 1000;
    Netuid internal constant BOND = Netuid.wrap(0);
    Netuid internal constant ONE = Netuid.wrap(1);
    Netuid internal constant TWO = Netuid.wrap(2);
    uint256 internal constant ALL = type(uint256).max;

    address internal immutable A = makeActor("owner a");
    address internal immutable B = makeActor("owner b");
    address internal immutable C = makeActor("owner c");
    address internal immutable HA = makeActor("hotkey a");
    address internal immutable HB = makeActor("hotkey b");
    address internal immutable HC = makeActor("hotkey c");
    address internal immutable HD = makeActor("hotkey d");
    address internal immutable SLASHING = makeActor("slashing");
    address internal immutable PROVER = makeActor("prover");

    TandemToken internal tndm;
    AlphaToken internal alpha;
    GateStand internal gate;
    PoolsStand internal pools;
    OracleStand internal oracle;
    SubnetRegistry internal registry;
    Staking internal staking;

    function setUp() public virtual {
        vm.warp(GENESIS);
        ITandemToken.Mint[] memory mints = new ITandemToken.Mint[](1);
        mints[0] = ITandemToken.Mint({ to: A, amount: 21_000_000e18 });
        tndm = new TandemToken(mints, new address[](0));
        gate = new GateStand();
        pools = new PoolsStand(IERC20(address(tndm)));
        oracle = new OracleStand();
        alpha = new AlphaToken(ONE, "Alpha", "a1", A, address(0));
        pools.setAlpha(ONE, address(alpha));
        _deployRegistry();
        staking = new Staking(config(), mesh());
        vm.assertEq(address(registry.STAKING()), address(staking), "wired to each other");
        approve(A);
    }

    function _deployRegistry() private {
        TestUSDC usdc = new TestUSDC();
        address auction = address(new AuctionStand(IERC20(address(usdc))));
        ControllerStand controller = new ControllerStand();
        controller.setSettledThrough(type(uint64).max);
        ISubnetRegistry.GenesisSubnet[] memory subnets = new ISubnetRegistry.GenesisSubnet[](2);
        subnets[0] = ISubnetRegistry.GenesisSubnet({ owner: A, name: "text" });
        subnets[1] = ISubnetRegistry.GenesisSubnet({ owner: A, name: "code" });
        ISubnetRegistry.Config memory c = ISubnetRegistry.Config({
            authority: address(0),
            tndm: address(tndm),
            usdc: address(usdc),
            pools: address(pools),
            controller: address(controller),
            auction: auction,
            gate: address(gate),
            staking: vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1),
            oracle: address(oracle),
            genesis: GENESIS,
            epochLength: LENGTH,
            firstLock: 2,
            floorLock: 2,
            lockHalfLife: 1000,
            neuronFeeUsdc: 0,
            neuronPriceTndm: 0,
            neuronHalfLife: 1000,
            neuronImmunity: NEURON_IMMUNITY,
            maxSubnets: 3,
            subnetImmunity: 200,
            hyperparameterPeriod: 0,
            defaults: ISubnetRegistry.Hyperparameters({
                kappa: 32_767,
                bondsMovingAverage: 900_000,
                bondsPenalty: 0,
                maxValidators: 3,
                maxUids: maxUids(),
                activityCutoff: 10
            })
        });
        registry = new SubnetRegistry(c, subnets, new ISubnetRegistry.HotkeyBinding[](0));
    }

    function maxUids() internal pure virtual returns (uint16) {
        return MAX_UIDS;
    }

    function config() internal view returns (IStaking.Config memory) {
        return IStaking.Config({
            tndm: address(tndm),
            pools: address(pools),
            registry: address(registry),
            gate: address(gate),
            slashing: SLASHING,
            genesis: GENESIS,
            epochLength: LENGTH,
            unbondingPeriod: UNBONDING,
            virtualFade: fade(),
            minimumStakeShare: 0.005e18,
            minimumDelegation: minimumDelegation(),
            rootWeightStart: 0.5e18,
            rootWeightFloor: 0.1e18,
            rootWeightGlide: GLIDE,
            takeDefault: TAKE_BOUND,
            takeBound: TAKE_BOUND,
            takeStep: TAKE_STEP,
            takePeriod: TAKE_PERIOD
        });
    }

    function mesh() internal view virtual returns (IStaking.Virtual[] memory list) {
        list = new IStaking.Virtual[](1);
        list[0] = IStaking.Virtual({ netuid: ONE, hotkey: HA, weight: VIRTUAL });
    }

    function fade() internal pure virtual returns (uint64) {
        return FADE;
    }

    function minimumDelegation() internal pure virtual returns (uint256) {
        return 1;
    }

    function approve(
        address account
    ) internal {
        vm.startPrank(account);
        alpha.approve(address(staking), type(uint256).max);
        tndm.approve(address(staking), type(uint256).max);
        vm.stopPrank();
    }

    /// @dev Gives an account tokens of both kinds.
    function endow(
        address account,
        uint256 amount
    ) internal {
        vm.startPrank(A);
        alpha.transfer(account, amount);
        tndm.transfer(account, amount);
        vm.stopPrank();
        approve(account);
    }

    function register(
        Netuid netuid,
        address owner,
        address hotkey
    ) internal {
        vm.prank(owner);
        registry.registerNeuron(netuid, hotkey, "", 0);
    }

    function stake(
        address hotkey,
        uint256 amount
    ) internal {
        stakeAs(A, hotkey, amount);
    }

    function stakeAs(
        address account,
        address hotkey,
        uint256 amount
    ) internal {
        vm.prank(account);
        staking.stake(ONE, hotkey, amount);
    }

    function unstakeAs(
        address account,
        address hotkey,
        uint256 amount
    ) internal returns (uint256 id) {
        vm.prank(account);
        id = staking.unstake(ONE, hotkey, amount);
    }

    function bondAs(
        address account,
        address hotkey,
        uint256 amount
    ) internal {
        vm.prank(account);
        staking.bond(hotkey, amount);
    }

    function slash(
        Netuid netuid,
        address hotkey,
        uint256 share
    ) internal returns (uint256 tndmTaken, uint256 alphaTaken) {
        vm.prank(SLASHING);
        return staking.slash(netuid, hotkey, share, PROVER);
    }

    function warpToEpoch(
        uint64 epoch
    ) internal {
        vm.warp(GENESIS + uint256(epoch) * LENGTH);
    }

    function checkEligible(
        uint64 epoch
    ) internal returns (bool) {
        return staking.checkEligible(listOf(ONE), epoch)[0];
    }
}
