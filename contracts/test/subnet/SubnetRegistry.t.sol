// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { SubnetRegistry } from "../../src/subnet/SubnetRegistry.sol";
import { Netuid } from "../../src/types/Types.sol";
import { RegistryTest } from "../support/RegistryTest.sol";

/// @notice A contract that makes the calls it is told to make.
contract ContractOwner {
    function execute(
        address target,
        bytes calldata data
    ) external {
        (bool ok,) = target.call(data);
        require(ok);
    }
}

contract SubnetRegistryTest is RegistryTest {
    function test_genesis_subnets_exist_from_birth_with_default_hyperparameters() public view {
        vm.assertEq(registry.subnetCount(), 2);
        vm.assertTrue(registry.exists(ONE) && registry.exists(TWO));
        vm.assertFalse(registry.exists(THREE) || registry.exists(Netuid.wrap(0)));
        ISubnetRegistry.Subnet memory subnet = registry.subnetOf(ONE);
        vm.assertTrue(subnet.genesis);
        vm.assertEq(subnet.name, "text");
        vm.assertEq(registry.subnetOf(TWO).registeredEpoch, 0);
        vm.assertEq(registry.ownerOfSubnetAt(ONE, 0), OWNER);
        assertSame(registry.hyperparametersAt(ONE, 0), defaults());
    }

    /// @dev A neuron's fee in the mesh phase buys back TNDM for nobody's allowance.
    function test_before_markets_a_neuron_pays_a_usdc_fee_to_the_auction_unattributed() public {
        uint256 before = usdc.balanceOf(MINER);
        vm.assertEq(register(ONE, 0), 0);
        vm.assertEq(before - usdc.balanceOf(MINER), FEE);
        vm.assertEq(auction.funded(Netuid.wrap(0)), FEE);
        vm.assertEq(usdc.balanceOf(address(registry)), 0);
        vm.assertEq(registry.neuronCount(ONE), 1);
        vm.assertEq(registry.uidOf(ONE, hotkey(0)), 1);
        vm.assertEq(registry.ownerOfHotkey(hotkey(0)), MINER);
        ISubnetRegistry.Neuron memory neuron = registry.neuronOf(ONE, 0);
        vm.assertEq(neuron.owner, MINER);
        vm.assertEq(neuron.endpoint, "http://miner");
        vm.assertEq(neuron.registeredAt, GENESIS);
    }

    function test_in_markets_half_of_a_neurons_price_is_burned_and_half_buys_alpha() public {
        gate.openMarkets();
        uint256 supply = tndm.totalSupply();
        register(ONE, 0);
        vm.assertEq(supply - tndm.totalSupply(), PRICE / 2);
        vm.assertEq(pools.boughtWith(ONE), PRICE / 2);
        vm.assertEq(tndm.balanceOf(address(registry)), 0);
        // Unattributed: no allowance grows by it.
        vm.assertEq(controller.credited(ONE), 0);
    }

    function test_a_registration_raises_the_price_by_26_percent_and_a_half_life_halves_it_to_the_floor() public {
        register(ONE, 0);
        vm.assertEq(registry.neuronPrice(ONE), FEE * 126 / 100);
        register(ONE, 1);
        vm.assertEq(registry.neuronPrice(ONE), 15_876_000);
        vm.assertEq(registry.neuronPrice(TWO), FEE, "each subnet has its own price");
        vm.warp(GENESIS + HALF_LIFE / 2);
        vm.assertEq(registry.neuronPrice(ONE), 11_907_000, "a straight line between halvings");
        vm.warp(GENESIS + HALF_LIFE);
        vm.assertEq(registry.neuronPrice(ONE), FEE, "never below the floor");
    }

    function test_a_price_above_the_callers_limit_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_PriceAboveLimit.selector, FEE, FEE - 1));
        vm.prank(MINER);
        registry.registerNeuron(ONE, hotkey(0), "", FEE - 1);
    }

    function test_a_full_subnet_refuses_neurons() public {
        for (uint256 n = 0; n < 4; ++n) {
            register(ONE, n);
        }
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_SubnetFull.selector, ONE, 4));
        register(ONE, 4);
        vm.assertEq(registry.neuronsOf(ONE).length, 4);
    }

    function test_a_hotkey_has_one_uid_per_subnet_and_one_owner_in_all() public {
        register(ONE, 0);
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_HotkeyRegistered.selector, ONE, hotkey(0))
        );
        register(ONE, 0);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_HotkeyOwnedBy.selector, hotkey(0), MINER));
        vm.prank(OTHER);
        registry.registerNeuron(TWO, hotkey(0), "", type(uint256).max);
        register(TWO, 0);
    }

    function test_a_hotkey_that_named_its_owner_cannot_be_taken_by_a_stranger() public {
        vm.prank(hotkey(0));
        registry.bindHotkey(MINER);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_HotkeyOwnedBy.selector, hotkey(0), MINER));
        vm.prank(OTHER);
        registry.registerNeuron(ONE, hotkey(0), "", type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_HotkeyOwnedBy.selector, hotkey(0), MINER));
        vm.prank(hotkey(0));
        registry.bindHotkey(OTHER);
        register(ONE, 0);
    }

    /// @dev A validator of the mesh phase owns its hotkey before anybody can call anything.
    function test_a_hotkey_bound_at_birth_is_its_owners_alone() public {
        vm.assertEq(registry.ownerOfHotkey(hotkey(99)), MESH_OWNER);
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_HotkeyOwnedBy.selector, hotkey(99), MESH_OWNER)
        );
        register(ONE, 99);
        vm.expectEmit();
        emit ISubnetRegistry.HotkeyBound(hotkey(99), MESH_OWNER);
        new SubnetRegistry(config(), genesisSubnets(), bindings());
    }

    function test_hotkeys_are_bound_at_birth_to_one_owner_each() public {
        ISubnetRegistry.HotkeyBinding[] memory list = new ISubnetRegistry.HotkeyBinding[](2);
        list[0] = ISubnetRegistry.HotkeyBinding({ hotkey: hotkey(99), owner: MESH_OWNER });
        list[1] = ISubnetRegistry.HotkeyBinding({ hotkey: hotkey(99), owner: OTHER });
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_HotkeyOwnedBy.selector, hotkey(99), MESH_OWNER)
        );
        new SubnetRegistry(config(), genesisSubnets(), list);
        list[1].owner = address(0);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_ZeroAddress.selector));
        new SubnetRegistry(config(), genesisSubnets(), list);
        list[1] = ISubnetRegistry.HotkeyBinding({ hotkey: address(0), owner: OTHER });
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_ZeroAddress.selector));
        new SubnetRegistry(config(), genesisSubnets(), list);
    }

    /// @dev [SN-2]
    function test_the_number_of_a_hotkeys_subnets_is_read_as_of_the_epochs_start() public {
        vm.warp(GENESIS + 2 * LENGTH);
        register(ONE, 0);
        vm.warp(GENESIS + 4 * LENGTH);
        register(TWO, 0);
        vm.assertEq(registry.subnetsOfAt(hotkey(0), 2), 0);
        vm.assertEq(registry.subnetsOfAt(hotkey(0), 3), 1);
        vm.assertEq(registry.subnetsOfAt(hotkey(0), 4), 1);
        vm.assertEq(registry.subnetsOfAt(hotkey(0), 5), 2);
    }

    function test_endpoints_are_bounded_and_changed_by_owner_or_hotkey_alone() public {
        register(ONE, 0);
        vm.prank(hotkey(0));
        registry.setEndpoint(ONE, 0, "http://a");
        vm.prank(MINER);
        registry.setEndpoint(ONE, 0, "http://b");
        vm.assertEq(registry.neuronOf(ONE, 0).endpoint, "http://b");
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NotNeuron.selector, ONE, uint16(0), OTHER)
        );
        vm.prank(OTHER);
        registry.setEndpoint(ONE, 0, "http://c");
        string memory long = string(new bytes(257));
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_EndpointTooLong.selector, 257));
        vm.prank(MINER);
        registry.setEndpoint(ONE, 0, long);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_EndpointTooLong.selector, 257));
        vm.prank(MINER);
        registry.registerNeuron(ONE, hotkey(1), long, type(uint256).max);
    }

    function test_subnets_are_registered_only_once_markets_are_open() public {
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_MarketsClosed.selector));
        vm.prank(MINER);
        registry.registerSubnet("new", type(uint256).max);
    }

    function test_a_subnet_waits_until_every_ended_epoch_is_settled() public {
        gate.openMarkets();
        vm.warp(GENESIS + 5 * LENGTH);
        controller.setSettledThrough(4);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NotSettled.selector, 5, 4));
        vm.prank(MINER);
        registry.registerSubnet("new", FIRST_LOCK);
        controller.setSettledThrough(5);
        vm.prank(MINER);
        registry.registerSubnet("new", FIRST_LOCK);
    }

    /// @dev [EM-1] The burned half of the lock earns allowance, once; the other half seeds the pool at the median price.
    function test_half_a_lock_is_burned_and_credited_and_half_seeds_the_pool() public {
        gate.openMarkets();
        uint256 supply = tndm.totalSupply();
        vm.prank(MINER);
        vm.assertEq(Netuid.unwrap(registry.registerSubnet("new", FIRST_LOCK)), 3);
        vm.assertEq(supply - tndm.totalSupply(), FIRST_LOCK / 2);
        vm.assertEq(controller.credited(THREE), FIRST_LOCK / 2);
        vm.assertEq(pools.seededWith(THREE), FIRST_LOCK / 2);
        vm.assertEq(pools.seededAt(THREE), 0.05e18);
        ISubnetRegistry.Subnet memory subnet = registry.subnetOf(THREE);
        vm.assertEq(subnet.lockPaid, FIRST_LOCK);
        vm.assertFalse(subnet.genesis);
        vm.assertEq(registry.ownerOfSubnetAt(THREE, 0), address(0), "not in the epoch it was registered in");
        vm.assertEq(registry.ownerOfSubnetAt(THREE, 1), MINER);
    }

    function test_the_lock_price_doubles_and_halves_per_half_life_down_to_its_floor() public {
        vm.assertEq(registry.lockPrice(), FIRST_LOCK);
        vm.warp(GENESIS + 10 * HALF_LIFE);
        vm.assertEq(registry.lockPrice(), FIRST_LOCK, "it waits for markets");
        gate.openMarkets();
        vm.warp(GENESIS + 11 * HALF_LIFE);
        vm.assertEq(registry.lockPrice(), FIRST_LOCK / 2);
        vm.prank(MINER);
        registry.registerSubnet("new", type(uint256).max);
        vm.assertEq(registry.lockPrice(), FIRST_LOCK);
        vm.warp(GENESIS + 20 * HALF_LIFE);
        vm.assertEq(registry.lockPrice(), FLOOR_LOCK);
        uint256 limit = FLOOR_LOCK - 1;
        vm.expectRevert(
            abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_PriceAboveLimit.selector, FLOOR_LOCK, limit)
        );
        vm.prank(MINER);
        registry.registerSubnet("dear", limit);
    }

    function test_the_number_of_subnets_and_the_length_of_names_are_bounded() public {
        gate.openMarkets();
        vm.startPrank(MINER);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadNameLength.selector, 0));
        registry.registerSubnet("", type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadNameLength.selector, 33));
        registry.registerSubnet("123456789012345678901234567890123", type(uint256).max);
        registry.registerSubnet("12345678901234567890123456789012", type(uint256).max);
        registry.registerSubnet("fourth", type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_AllSubnetsImmune.selector, 4));
        registry.registerSubnet("fifth", type(uint256).max);
        vm.stopPrank();
    }

    /// @dev [SN-2]
    function test_hyperparameters_count_from_the_next_epoch_and_the_last_call_wins() public {
        vm.warp(GENESIS + 3 * LENGTH + 1);
        ISubnetRegistry.Hyperparameters memory params = defaults();
        params.kappa = 40_000;
        vm.prank(OWNER);
        registry.setHyperparameters(ONE, params);
        params.kappa = 50_000;
        params.activityCutoff = type(uint64).max;
        vm.prank(OWNER);
        registry.setHyperparameters(ONE, params);
        assertSame(registry.hyperparametersAt(ONE, 3), defaults());
        assertSame(registry.hyperparametersAt(ONE, 4), params);
        assertSame(registry.hyperparametersAt(ONE, 400), params);
        assertSame(registry.hyperparametersAt(TWO, 4), defaults());
    }

    /// @dev What does not count yet may be corrected; what counts stands for a while.
    function test_between_two_changes_of_hyperparameters_a_period_passes() public {
        ISubnetRegistry.Hyperparameters memory params = defaults();
        params.kappa = 40_000;
        vm.warp(GENESIS + LENGTH - 10);
        set(params);
        vm.warp(GENESIS + LENGTH - 1);
        params.kappa = 41_000;
        set(params);
        assertSame(registry.hyperparametersAt(ONE, 1), params);
        uint256 opensAt = GENESIS + LENGTH - 1 + HYPERPARAMETER_PERIOD;
        for (uint256 time = GENESIS + LENGTH; time < opensAt; time += 73) {
            vm.warp(time);
            vm.expectRevert(
                abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_ChangedTooOften.selector, ONE, opensAt)
            );
            set(params);
        }
        vm.prank(OWNER);
        registry.setHyperparameters(TWO, params);
        vm.warp(opensAt);
        params.kappa = 42_000;
        set(params);
        assertSame(registry.hyperparametersAt(ONE, registry.currentEpoch() + 1), params);
    }

    function test_fewer_uids_than_there_are_neurons_evict_nobody_and_let_nobody_in() public {
        for (uint256 n = 0; n < 4; ++n) {
            register(ONE, n);
        }
        ISubnetRegistry.Hyperparameters memory params = defaults();
        params.maxUids = 3;
        set(params);
        warpToEpoch(1);
        vm.assertEq(registry.neuronCount(ONE), 4);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_SubnetFull.selector, ONE, 4));
        register(ONE, 4);
    }

    /// @dev A subnet's governor is any contract that can make three calls.
    function test_a_contract_takes_a_subnet_over_governs_it_and_hands_it_on() public {
        ContractOwner governor = new ContractOwner();
        vm.prank(OWNER);
        registry.transferSubnet(ONE, address(governor));
        governor.execute(address(registry), abi.encodeCall(registry.acceptSubnet, (ONE)));
        vm.assertEq(registry.ownerOfSubnet(ONE), address(governor));
        ISubnetRegistry.Hyperparameters memory params = defaults();
        params.kappa = 50_000;
        governor.execute(address(registry), abi.encodeCall(registry.setHyperparameters, (ONE, params)));
        assertSame(registry.hyperparametersAt(ONE, 1), params);
        governor.execute(address(registry), abi.encodeCall(registry.transferSubnet, (ONE, OTHER)));
        vm.prank(OTHER);
        registry.acceptSubnet(ONE);
        vm.assertEq(registry.ownerOfSubnetAt(ONE, 1), OTHER);
    }

    function test_several_neurons_are_registered_in_one_call() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(registry.registerNeuron, (ONE, hotkey(0), "", ANY));
        calls[1] = abi.encodeCall(registry.registerNeuron, (TWO, hotkey(0), "", ANY));
        vm.prank(MINER);
        bytes[] memory results = registry.multicall(calls);
        vm.assertEq(abi.decode(results[1], (uint256)), 0);
        vm.assertEq(registry.subnetsOfAt(hotkey(0), 1), 2);
        vm.assertEq(registry.neuronOf(TWO, 0).owner, MINER);
    }

    /// @dev The history of a hotkey's subnets outgrows the word that holds its last two changes.
    function test_every_change_of_a_hotkeys_subnets_is_remembered() public {
        gate.openMarkets();
        for (uint16 id = 1; id <= 4; ++id) {
            warpToEpoch(10 * uint256(id));
            if (id > 2) registerSubnet();
            register(Netuid.wrap(id), 0);
        }
        for (uint64 e = 0; e <= 50; ++e) {
            vm.assertEq(registry.subnetsOfAt(hotkey(0), e), e == 0 ? 0 : (e - 1) / 10 > 4 ? 4 : (e - 1) / 10);
        }
    }

    function test_genesis_subnets_are_announced_like_all_others() public {
        vm.expectEmit();
        emit ISubnetRegistry.SubnetRegistered(ONE, OWNER, "text", 0, 0, 0);
        new SubnetRegistry(config(), genesisSubnets(), bindings());
    }

    function test_only_the_subnets_owner_sets_hyperparameters_and_only_within_bounds() public {
        ISubnetRegistry.Hyperparameters memory params = defaults();
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NotSubnetOwner.selector, ONE, MINER));
        vm.prank(MINER);
        registry.setHyperparameters(ONE, params);
        params.kappa = 0;
        refuses(params, "kappa", 0);
        params = defaults();
        params.bondsMovingAverage = 975_001;
        refuses(params, "bondsMovingAverage", 975_001);
        params = defaults();
        params.maxUids = 257;
        refuses(params, "maxUids", 257);
        params = defaults();
        params.maxValidators = 5;
        refuses(params, "maxValidators", 5);
        params.maxUids = 256;
        params.maxValidators = 65;
        refuses(params, "maxValidators", 65);
        params.maxValidators = 2;
        refuses(params, "maxValidators", 2);
        params = defaults();
        params.activityCutoff = 0;
        refuses(params, "activityCutoff", 0);
    }

    /// @dev [SN-2]
    function test_a_subnet_changes_hands_in_two_steps_from_the_next_epoch_on() public {
        vm.prank(OWNER);
        registry.transferSubnet(ONE, OTHER);
        vm.assertEq(registry.offeredTo(ONE), OTHER);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NotOffered.selector, ONE, MINER));
        vm.prank(MINER);
        registry.acceptSubnet(ONE);
        vm.prank(OTHER);
        registry.acceptSubnet(ONE);
        vm.assertEq(registry.ownerOfSubnet(ONE), OTHER);
        vm.assertEq(registry.ownerOfSubnetAt(ONE, 0), OWNER);
        vm.assertEq(registry.ownerOfSubnetAt(ONE, 1), OTHER);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_NotSubnetOwner.selector, ONE, OWNER));
        vm.prank(OWNER);
        registry.transferSubnet(ONE, OWNER);
    }

    function test_unknown_subnets_and_neurons_are_named_in_errors() public {
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_UnknownSubnet.selector, THREE));
        registry.neuronPrice(THREE);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_UnknownSubnet.selector, THREE));
        register(THREE, 0);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_UnknownNeuron.selector, ONE, uint16(0)));
        registry.neuronOf(ONE, 0);
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_ZeroAddress.selector));
        vm.prank(MINER);
        registry.registerNeuron(ONE, address(0), "", type(uint256).max);
    }

    function test_a_config_that_cannot_work_is_refused() public {
        ISubnetRegistry.Config memory bad = config();
        bad.lockHalfLife = 0;
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadConfig.selector));
        new SubnetRegistry(bad, genesisSubnets(), bindings());
        bad = config();
        bad.floorLock = bad.firstLock + 1;
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadConfig.selector));
        new SubnetRegistry(bad, genesisSubnets(), bindings());
        bad = config();
        bad.maxSubnets = 1;
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_TooManySubnets.selector, 1));
        new SubnetRegistry(bad, genesisSubnets(), bindings());
    }

    function set(
        ISubnetRegistry.Hyperparameters memory params
    ) private {
        vm.prank(OWNER);
        registry.setHyperparameters(ONE, params);
    }

    function refuses(
        ISubnetRegistry.Hyperparameters memory params,
        bytes32 field,
        uint256 value
    ) private {
        vm.expectRevert(abi.encodeWithSelector(ISubnetRegistry.SubnetRegistry_BadHyperparameter.selector, field, value));
        vm.prank(OWNER);
        registry.setHyperparameters(ONE, params);
    }

    function assertSame(
        ISubnetRegistry.Hyperparameters memory a,
        ISubnetRegistry.Hyperparameters memory b
    ) private pure {
        vm.assertEq(keccak256(abi.encode(a)), keccak256(abi.encode(b)));
    }
}
