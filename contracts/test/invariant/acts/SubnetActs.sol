// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISubnetRegistry } from "../../../src/subnet/ISubnetRegistry.sol";
import { Netuid, Phase } from "../../../src/types/Types.sol";
import { EpochActs } from "./EpochActs.sol";

/// @notice What founders and owners of subnets and neurons do, and those to whom TNDM was promised at genesis.
abstract contract SubnetActs is EpochActs {
    uint256 private constant DEAREST_LOCK = 200_000e18;
    uint256 private _newcomers;

    /// @dev [SN-1] At the limit it takes the place of the weakest.
    function registerASubnet(
        uint256 actor
    ) external acts {
        if (gate.phase() != Phase.Markets || controller.settledThrough() < oracle.currentEpoch()) return;
        uint256 lock = registry.lockPrice();
        uint256 alive = registry.liveAt(oracle.currentEpoch() + 1).length;
        Netuid victim = registry.nextVictim();
        if (netuids() >= MOST_SUBNETS || lock > DEAREST_LOCK) return;
        if (alive == maxSubnets() && victim.isZero()) return;
        address founder = userOf(actor);
        if (!give(founder, lock)) return;
        uint256 supply = tndm.totalSupply();
        approve(founder, tndm, address(registry), lock);
        vm.prank(founder);
        Netuid netuid = registry.registerSubnet("another", lock);
        expect(supply - tndm.totalSupply() == lock / 2, "not half of a lock was burned");
        expect(controller.ledgerOf(netuid).burned == lock / 2, "a lock earned another allowance");
        if (!victim.isZero()) expect(registry.prunedFromOf(victim) == oracle.currentEpoch() + 1, "another was pruned");
        seatValidators(netuid);
        stakeValidators(netuid);
        did();
    }

    function registerANeuron(
        uint256 actor,
        uint256 subnet
    ) external acts {
        Netuid netuid = anyNetuid(subnet);
        if (registry.prunedFromOf(netuid) != 0 || registry.neuronCount(netuid) >= UIDS) return;
        address hotkey = makeActor(string.concat("newcomer ", vm.toString(++_newcomers)));
        uint256 supply = tndm.totalSupply();
        uint256 price = registry.neuronPrice(netuid);
        if (!join(userOf(actor), netuid, hotkey)) return;
        if (gate.phase() != Phase.Markets) price = 0;
        expect(supply - tndm.totalSupply() >= price - price / 2, "not half of a neuron's price was burned");
        did();
    }

    /// @dev [SN-2] Whoever is evicted counts until the epoch ends.
    function evict(
        uint256 actor
    ) external acts {
        (bytes32 root,) = oracle.activeSubnetsRoot();
        Netuid netuid = listed[root];
        if (netuid.isZero() || registry.prunedFromOf(netuid) != 0 || registry.neuronCount(netuid) < UIDS) return;
        address owner = userOf(actor);
        uint256 price = registry.neuronPrice(netuid);
        if (!give(owner, price)) return;
        approve(owner, tndm, address(registry), price);
        ISubnetRegistry.PruneProof memory proof;
        (proof.pruneList, proof.traceRoot) = (pruneList(), bytes32(uint256(1)));
        address hotkey = makeActor(string.concat("newcomer ", vm.toString(++_newcomers)));
        vm.prank(owner);
        try registry.registerNeuronEvicting(netuid, hotkey, "", price, proof) {
            expect(registry.neuronCount(netuid) == UIDS, "an eviction made room for two");
            did();
        } catch (bytes memory reason) {
            expect(bytes4(reason) == ISubnetRegistry.SubnetRegistry_NobodyEvictable.selector, "an eviction failed");
        }
    }

    function leaveAPrunedSubnet(
        uint256 subnet,
        uint256 uid
    ) external acts {
        for (uint16 i = 0; i < netuids(); ++i) {
            Netuid netuid = nthNetuid(subnet % netuids() + i);
            uint64 from = registry.prunedFromOf(netuid);
            uint16 count = from == 0 ? 0 : registry.neuronCountAt(netuid, from - 1);
            if (count == 0) continue;
            uint16[] memory uids = new uint16[](1);
            uids[0] = uint16(uid % count);
            registry.leavePruned(netuid, uids);
            did();
        }
    }

    function handOverASubnet(
        uint256 subnet,
        uint256 to
    ) external acts {
        Netuid netuid = anyNetuid(subnet);
        if (registry.prunedFromOf(netuid) != 0) return;
        vm.prank(registry.ownerOfSubnet(netuid));
        registry.transferSubnet(netuid, userOf(to));
        vm.prank(userOf(to));
        registry.acceptSubnet(netuid);
        did();
    }

    function setHyperparameters(
        uint256 subnet,
        uint256 kappa
    ) external acts {
        Netuid netuid = anyNetuid(subnet);
        if (registry.prunedFromOf(netuid) != 0) return;
        ISubnetRegistry.Hyperparameters memory h = hyperparameters();
        h.kappa = uint16(bound(kappa, 1, type(uint16).max));
        vm.prank(registry.ownerOfSubnet(netuid));
        registry.setHyperparameters(netuid, h);
        did();
    }

    /// @dev Vested TNDM goes where it belongs, whoever asks.
    function releaseAnAllocation(
        uint256 which
    ) external acts {
        which %= 2;
        uint256 due = allocation.releasable(which);
        if (due == 0) return;
        address to = which == 0 ? team : ecosystem;
        uint256 before = tndm.balanceOf(to);
        expect(allocation.release(which) == due && tndm.balanceOf(to) == before + due, "released another sum");
        did();
    }

    function releaseTheAirdrop(
        uint256 which
    ) external acts {
        address account = which % 2 == 0 ? first : second;
        if (gate.phase() == Phase.Mesh || airdrop.entitlementOf(account) == 0) return;
        if (!airdrop.isRegistered(account)) airdrop.register(account);
        uint256 due = airdrop.releasable(account);
        if (due == 0) return;
        uint256 before = tndm.balanceOf(account);
        expect(airdrop.release(account) == due && tndm.balanceOf(account) == before + due, "dropped another sum");
        did();
    }

    function subnetActs() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](8);
        list[0] = this.registerASubnet.selector;
        list[1] = this.registerANeuron.selector;
        list[2] = this.evict.selector;
        list[3] = this.leaveAPrunedSubnet.selector;
        list[4] = this.handOverASubnet.selector;
        list[5] = this.setHyperparameters.selector;
        list[6] = this.releaseAnAllocation.selector;
        list[7] = this.releaseTheAirdrop.selector;
    }
}
