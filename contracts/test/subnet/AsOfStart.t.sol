// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { Netuid } from "../../src/types/Types.sol";
import { SuiteTest } from "../support/Suite.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice [SN-2] What an epoch reads is fixed when the epoch begins, whatever anybody does afterwards.
contract AsOfStartTest is SuiteTest {
    uint256 private constant STEPS = 24;
    uint256 private constant ACTIONS = 12;

    /// @dev What was read of an epoch on its first step.
    mapping(uint64 epoch => bytes32) private _read;
    uint64 private _firstRead;
    uint256 private _newcomers;
    uint256 private _acted;
    ISubnetRegistry.PruneProof private _proof;

    /// @dev Two uids are free: newcomers soon have to evict.
    function hyperparameters() internal pure override returns (ISubnetRegistry.Hyperparameters memory params) {
        params = super.hyperparameters();
        (params.maxUids, params.maxValidators) = (8, 4);
    }

    function setUp() public override {
        super.setUp();
        runEpoch(500e18);
        runEpoch(500e18);
        runEpoch(0);
        openMarkets();
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address owner,) = validator(n);
            vm.startPrank(ecosystem);
            tndm.approve(address(pools), 1000e18);
            uint256 alpha = pools.buy(TEXT, 1000e18, 0, block.timestamp);
            IERC20(pools.alphaOf(TEXT)).transfer(owner, alpha);
            tndm.transfer(owner, 10_000e18);
            vm.stopPrank();
            vm.startPrank(owner);
            IERC20(pools.alphaOf(TEXT)).approve(address(staking), type(uint256).max);
            tndm.approve(address(staking), type(uint256).max);
            tndm.approve(address(registry), type(uint256).max);
            vm.stopPrank();
        }
        vm.prank(ecosystem);
        tndm.approve(address(registry), type(uint256).max);
        _firstRead = oracle.currentEpoch();
    }

    /// @dev Each run is a long one: eight in the quick profile, the profile's own number in `deep`.
    /// forge-config: default.fuzz.runs = 8
    function testFuzz_no_sequence_of_calls_changes_what_an_epoch_that_has_begun_reads(
        uint256 seed
    ) public {
        for (uint256 step = 0; step < STEPS; ++step) {
            uint256 random = uint256(keccak256(abi.encode(seed, step)));
            uint64 epoch = oracle.currentEpoch();
            if (_read[epoch] == 0) _read[epoch] = readingOf(epoch);
            act(random);
            for (uint64 e = _firstRead; e <= epoch; ++e) {
                if (_read[e] != 0) vm.assertEq(readingOf(e), _read[e], "an epoch that has begun changed");
            }
            vm.warp(block.timestamp + bound(random >> 128, 0, LENGTH));
        }
        vm.assertGt(_acted, STEPS / 4, "many steps must do something");
    }

    /// @dev [SN-2] A validator of the trio leaves in the middle of an epoch: it was there when that began, and not when the next did.
    function test_an_eviction_changes_what_the_next_epoch_reads_and_nothing_before() public {
        vm.startPrank(ecosystem);
        registry.registerNeuron(TEXT, makeActor("seventh"), "", type(uint256).max);
        registry.registerNeuron(TEXT, makeActor("eighth"), "", type(uint256).max);
        vm.stopPrank();
        report(1);
        uint64 epoch = oracle.currentEpoch();
        bytes32 reading = readingOf(epoch);
        address newcomer = makeActor("newcomer");
        (address owner, address hotkey) = validator(1);
        vm.prank(owner);
        vm.assertEq(registry.registerNeuronEvicting(TEXT, newcomer, "", type(uint256).max, _proof), 1);
        vm.assertEq(readingOf(epoch), reading, "the running epoch");
        vm.assertGt(staking.weightAt(TEXT, hotkey, epoch), 0);
        vm.assertEq(staking.weightAt(TEXT, hotkey, epoch + 1), 0);
        vm.assertEq(registry.uidAt(TEXT, newcomer, epoch + 1), 2);
        vm.warp(oracle.endOf(epoch + 1));
        vm.assertEq(readingOf(epoch), reading, "and for ever");
    }

    /// @dev One random action; those that the rules refuse at the moment are part of the game.
    function act(
        uint256 random
    ) private {
        (address owner, address hotkey) = validator(random % VALIDATORS);
        uint256 amount = bound(random >> 64, 1, 500e18);
        address target = address(staking);
        address caller = owner;
        bytes memory data;
        uint256 action = (random >> 8) % ACTIONS;
        if (action == 0) data = abi.encodeCall(staking.stake, (TEXT, hotkey, amount));
        else if (action == 1) data = abi.encodeCall(staking.unstake, (TEXT, hotkey, amount));
        else if (action == 2) data = abi.encodeCall(staking.bond, (hotkey, amount));
        else if (action == 3) data = abi.encodeCall(staking.unbond, (hotkey, amount));
        else if (action == 4) data = abi.encodeCall(staking.sampleCirculation, (TEXT));
        else if (action == 10) data = abi.encodeCall(staking.slash, (TEXT, hotkey, amount / 1000, owner));
        else if (action == 11) data = abi.encodeCall(staking.setTake, (hotkey, uint16(amount % 11_797)));
        else target = address(registry);
        if (action == 10) caller = address(slashing);
        if (action == 5) {
            data = abi.encodeCall(registry.registerNeuron, (MEME, hotkey, "", type(uint256).max));
        } else if (action == 6) {
            address newcomer = vm.addr(9000 + ++_newcomers);
            data = abi.encodeCall(registry.registerNeuron, (TEXT, newcomer, "", type(uint256).max));
        } else if (action == 7) {
            ISubnetRegistry.Hyperparameters memory params = hyperparameters();
            params.kappa = uint16(bound(amount, 1, 65_535));
            data = abi.encodeCall(registry.setHyperparameters, (TEXT, params));
            caller = registry.ownerOfSubnet(TEXT);
        } else if (action == 8) {
            data = abi.encodeCall(registry.transferSubnet, (TEXT, owner));
            caller = registry.ownerOfSubnet(TEXT);
        } else if (action == 9) {
            data = abi.encodeCall(registry.acceptSubnet, (TEXT));
            caller = registry.offeredTo(TEXT);
        }
        if (action == 10) {
            address newcomer = vm.addr(9000 + ++_newcomers);
            data = abi.encodeCall(registry.registerNeuronEvicting, (TEXT, newcomer, "", type(uint256).max, _proof));
            caller = ecosystem;
        } else if (action == 11) {
            return report(uint16(random >> 16));
        }
        // An offer to nobody: no call comes from the zero address.
        if (caller == address(0)) caller = owner;
        vm.prank(caller);
        (bool ok,) = target.call(data);
        if (ok) ++_acted;
    }

    /// @dev Ends the epoch and activates a report that lists all uids of the first subnet for eviction, `lowest` first.
    function report(
        uint16 lowest
    ) private {
        uint64 epoch = endEpoch();
        uint16[] memory list = new uint16[](8);
        for (uint16 i = 0; i < list.length; ++i) {
            list[i] = (lowest % 8 + i) % 8;
        }
        bytes32 trace = keccak256(abi.encode("trace", epoch));
        (_proof.pruneList, _proof.traceRoot) = (list, trace);
        IEpochOracle.EpochReport memory r = reportFor(epoch);
        r.subnetsRoot = keccak256(bytes.concat(keccak256(abi.encode(TEXT, trace, keccak256(abi.encode(list))))));
        oracle.post(r, signReport(r));
        vm.warp(block.timestamp + ACTIVATION_DELAY);
        oracle.activate(r);
    }

    function readingOf(
        uint64 epoch
    ) private returns (bytes32 digest) {
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address owner, address hotkey) = validator(n);
            digest = keccak256(
                abi.encode(
                    digest,
                    staking.sharesAt(TEXT, hotkey, owner, epoch),
                    staking.totalSharesAt(TEXT, hotkey, epoch),
                    staking.sharesAt(Netuid.wrap(0), hotkey, owner, epoch),
                    staking.totalBondAt(hotkey, epoch),
                    staking.takeAt(hotkey, epoch),
                    staking.weightAt(TEXT, hotkey, epoch),
                    staking.weightAt(MEME, hotkey, epoch),
                    registry.subnetsOfAt(hotkey, epoch)
                )
            );
        }
        digest = keccak256(abi.encode(digest, staking.weightsAt(TEXT, epoch), registry.neuronsAt(TEXT, epoch)));
        return keccak256(
            abi.encode(
                digest,
                staking.eligibleAt(TEXT, epoch),
                staking.eligibleAt(MEME, epoch),
                staking.minimumStakeAt(TEXT, epoch),
                registry.hyperparametersAt(TEXT, epoch),
                registry.ownerOfSubnetAt(TEXT, epoch),
                keeperSet.configDigestAt(epoch)
            )
        );
    }
}

/// @notice Subnets of 256 uids.
contract WidestWalkTest is SuiteTest {
    function setUp() public override {
        super.setUp();
        runEpoch(500e18);
        runEpoch(500e18);
        runEpoch(0);
        openMarkets();
    }

    /// @dev Settling asks for every subnet: the widest walk, to a third owner who is not there, must stay affordable.
    function test_the_walk_over_a_full_subnet_without_a_third_owner_stays_under_5_million_gas() public {
        address crowd = makeActor("crowd");
        vm.startPrank(ecosystem);
        tndm.transfer(crowd, 1_000_000e18);
        vm.stopPrank();
        vm.prank(crowd);
        tndm.approve(address(registry), type(uint256).max);
        for (uint256 n = 0; n < 256; ++n) {
            vm.warp(block.timestamp + 500);
            vm.prank(crowd);
            registry.registerNeuron(MEME, vm.addr(20_000 + n), "", type(uint256).max);
        }
        uint64 epoch = oracle.currentEpoch() + 1;
        uint256 before = gasleft();
        vm.assertFalse(staking.eligibleAt(MEME, epoch));
        vm.assertLt(before - gasleft(), 5_000_000);
    }
}
