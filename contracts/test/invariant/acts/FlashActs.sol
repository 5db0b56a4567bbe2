// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../../../src/types/Types.sol";
import { World } from "../World.sol";
import { IVotes } from "@openzeppelin/contracts/governance/utils/IVotes.sol";

/// @notice Attacks that borrow eighty times what a pool holds and give it back in one transaction, around something that anybody can
/// trigger. None may end with more TNDM than it began with [AM-2] [AM-3].
abstract contract FlashActs is World {
    function flashAroundAPour(
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        (uint256 before, uint256 borrowed) = _borrow(amount);
        uint256 bought = buyAlpha(attacker, netuid, borrowed);
        pools.pour(netuid);
        sellAlpha(attacker, netuid, bought);
        _giveBack(before);
    }

    /// @dev Alpha for alpha moves two prices for one fee.
    function flashAroundTwoPours(
        uint256 from,
        uint256 into,
        uint256 amount,
        uint256 share
    ) external acts trading {
        (Netuid a, Netuid b) = (liveNetuid(from), liveNetuid(into));
        if (a == b) return;
        (uint256 before, uint256 borrowed) = _borrow(amount);
        uint256 bought = buyAlpha(attacker, a, borrowed);
        uint256 part = bound(share, 1, bought);
        uint256 swapped = _swap(a, b, part);
        pools.pour(a);
        pools.pour(b);
        bought -= part;
        if (swapped != 0) bought += _swap(b, a, swapped);
        if (bought != 0) sellAlpha(attacker, a, bought);
        _giveBack(before);
    }

    /// @dev Closing epochs, which moves prices' averages, grants and budgets.
    function flashAroundSettlement(
        uint256 subnet,
        uint256 amount,
        uint256 visits
    ) external acts trading {
        if (controller.settledThrough() == oracle.currentEpoch()) return;
        Netuid netuid = liveNetuid(subnet);
        (uint256 before, uint256 borrowed) = _borrow(amount);
        uint256 bought = buyAlpha(attacker, netuid, borrowed);
        staking.sampleCirculation(netuid);
        controller.settle(visits % 16);
        pools.pour(netuid);
        settleAll();
        pools.pour(netuid);
        sellAlpha(attacker, netuid, bought);
        _giveBack(before);
    }

    /// @dev Half of a neuron's price buys alpha without a minimum. Its own price is the attacker's to pay.
    function flashAroundOnesOwnNeuron(
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        _aroundANeuron(liveNetuid(subnet), amount, true);
    }

    /// @dev Somebody else's: what is won comes out of the half that buys alpha for nobody, and is never more than it.
    function flashAroundAnothersNeuron(
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        _aroundANeuron(liveNetuid(subnet), amount, false);
    }

    /// @dev Nothing that happens to pools in a block changes what a lot costs in it.
    function flashAroundALot(
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        uint256 count = auction.lotCount();
        if (count == 0) return;
        uint256 cost = auction.costOf(count);
        (uint256 before, uint256 borrowed) = _borrow(amount);
        uint256 bought = buyAlpha(attacker, netuid, borrowed);
        usdc.mint(attacker, 1);
        approve(attacker, usdc, address(auction), 1);
        vm.prank(attacker);
        auction.fund(Netuid.wrap(0), 1);
        ++otherToAuction;
        expect(auction.costOf(count) == cost, "a lot's price can be pushed");
        sellAlpha(attacker, netuid, bought);
        _giveBack(before);
    }

    /// @dev [GV-1] Votes are those of a second that is over.
    function flashVotes(
        uint256 amount
    ) external acts trading {
        (uint256 before, uint256 borrowed) = _borrow(amount);
        uint256 past = votes.getPastVotes(attacker, block.timestamp - 1);
        vm.startPrank(attacker);
        tndm.delegate(attacker);
        expect(votes.getVotes(attacker) >= borrowed, "votes that did not come along");
        expect(votes.getPastVotes(attacker, block.timestamp - 1) == past, "borrowed votes count in the past");
        tndm.delegate(address(0));
        vm.stopPrank();
        _giveBack(before);
    }

    /// @dev Buys into the weakest subnet, has it pruned, and redeems. The lock is not even counted.
    function flashAroundAPruning(
        uint256 amount
    ) external acts trading {
        uint256 lock = registry.lockPrice();
        settleAll();
        Netuid victim = registry.nextVictim();
        if (victim.isZero() || lock > 200_000e18 || netuids() >= MOST_SUBNETS || !give(users[0], lock)) return;
        (uint256 before, uint256 borrowed) = _borrow(amount);
        uint256 bought = buyAlpha(attacker, victim, borrowed);
        approve(users[0], tndm, address(registry), lock);
        vm.prank(users[0]);
        Netuid heir = registry.registerSubnet("heir", lock);
        vm.warp(oracle.endOf(oracle.currentEpoch()));
        settleAll();
        pools.windUp(victim);
        approve(attacker, alphaOf(victim), address(pools), bought);
        vm.prank(attacker);
        pools.redeem(victim, bought, attacker);
        _giveBack(before);
        seatValidators(heir);
        stakeValidators(heir);
    }

    function _aroundANeuron(
        Netuid netuid,
        uint256 amount,
        bool own
    ) private {
        if (!_joinable(netuid)) return;
        (uint256 before, uint256 borrowed) = _borrow(amount);
        uint256 bought = buyAlpha(attacker, netuid, borrowed);
        uint256 price = registry.neuronPrice(netuid);
        if (own) {
            approve(attacker, tndm, address(registry), price);
            vm.prank(attacker);
            registry.registerNeuron(netuid, _stranger(), "", price);
        } else {
            join(users[0], netuid, _stranger());
        }
        sellAlpha(attacker, netuid, bought);
        _giveBack(own ? before : before + price / 2);
    }

    /// @dev From a few TNDM to all that is lent, each order of magnitude as often as any other; and a float for losses.
    function _borrow(
        uint256 seed
    ) private returns (uint256 before, uint256 borrowed) {
        borrowed = (LENT >> (seed % 16)) - (seed >> 8) % 1e18;
        vm.prank(lender);
        tndm.transfer(attacker, borrowed);
        give(attacker, 200e18);
        before = tndm.balanceOf(attacker);
    }

    function _giveBack(
        uint256 before
    ) private {
        uint256 balance = tndm.balanceOf(attacker);
        attacked(before, balance);
        vm.prank(attacker);
        tndm.transfer(lender, balance);
        uint256 held = tndm.balanceOf(lender);
        if (held < LENT) {
            give(lender, LENT - held);
        } else {
            vm.prank(lender);
            tndm.transfer(ecosystem, held - LENT);
        }
    }

    function _swap(
        Netuid from,
        Netuid into,
        uint256 amount
    ) private returns (uint256 out) {
        approve(attacker, alphaOf(from), address(pools), amount);
        vm.prank(attacker);
        return pools.swap(from, into, amount, 0, block.timestamp);
    }

    function _joinable(
        Netuid netuid
    ) private view returns (bool) {
        return registry.prunedFromOf(netuid) == 0 && registry.neuronCount(netuid) < UIDS;
    }

    function _stranger() private returns (address) {
        return makeActor(string.concat("stranger ", vm.toString(acted)));
    }

    function flashActs() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](8);
        list[0] = this.flashAroundAPour.selector;
        list[1] = this.flashAroundTwoPours.selector;
        list[2] = this.flashAroundSettlement.selector;
        list[3] = this.flashAroundOnesOwnNeuron.selector;
        list[4] = this.flashAroundAnothersNeuron.selector;
        list[5] = this.flashAroundALot.selector;
        list[6] = this.flashVotes.selector;
        list[7] = this.flashAroundAPruning.selector;
    }
}
