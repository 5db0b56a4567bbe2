// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISettlement } from "../../../src/compute/ISettlement.sol";
import { Netuid, Phase } from "../../../src/types/Types.sol";
import { CreditActs } from "./CreditActs.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Gifts nobody asked for, epoch hoppers, dealers with themselves, dust, and USDC that freezes whom it likes.
abstract contract HostileActs is CreditActs {
    /// @dev What is sent to a contract belongs to nobody and changes nothing; who refuses it is right too.
    function donate(
        uint256 what,
        uint256 subnet,
        uint256 to,
        uint256 amount
    ) external acts {
        address[22] memory suite = suiteContracts();
        address target = suite[to % suite.length];
        IERC20 token = what % 3 == 0 ? IERC20(address(usdc)) : IERC20(address(tndm));
        amount = bound(amount, 1, 100e18);
        if (what % 3 == 0) usdc.mint(attacker, amount);
        else if (!give(attacker, amount)) return;
        if (what % 3 == 2 && gate.phase() == Phase.Markets) {
            Netuid netuid = liveNetuid(subnet);
            amount = buyAlpha(attacker, netuid, amount);
            token = alphaOf(netuid);
        }
        vm.prank(attacker);
        try token.transfer(target, amount) returns (bool ok) {
            expect(ok, "a transfer that did not say so failed");
            donated[address(token)][target] += amount;
            did();
        } catch { }
    }

    /// @dev [CR-1]
    function moveCreditsByHand(
        uint256 actor,
        uint256 way
    ) external acts {
        address owner = earnerOf(actor);
        uint256 amount = credit.balanceOf(owner);
        vm.startPrank(owner);
        (bool moved,) = address(credit)
            .call(
                way % 4 == 0
                    ? abi.encodeCall(credit.transfer, (attacker, amount))
                    : way % 4 == 1
                        ? abi.encodeCall(credit.transferFrom, (owner, attacker, amount))
                        : way % 4 == 2
                            ? abi.encodeCall(credit.approve, (attacker, amount))
                            : abi.encodeCall(credit.permit, (owner, attacker, amount, block.timestamp, 27, 0, 0))
            );
        vm.stopPrank();
        expect(!moved && credit.allowance(owner, attacker) == 0, "a credit that can be passed on");
        did();
    }

    /// @dev [SN-2] In just before a boundary, out just after: the hopper is in one epoch, from its start, and in none that had begun.
    function hopAnEpoch(
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        address hotkey = hotkeys[0];
        uint64 epoch = oracle.currentEpoch();
        if (registry.uidOf(netuid, hotkey) == 0 || !give(attacker, 100e18)) return;
        vm.warp(oracle.endOf(epoch) - 1);
        if (!trades(netuid)) return;
        bytes32 running = keccak256(abi.encode(staking.weightsAt(netuid, epoch)));
        uint256 bought = buyAlpha(attacker, netuid, bound(amount, 1e18, 100e18));
        uint256 shares = staking.sharesAt(netuid, hotkey, attacker, epoch + 1);
        stakeAlpha(attacker, netuid, hotkey, bought);
        expect(keccak256(abi.encode(staking.weightsAt(netuid, epoch))) == running, "a hopper weighs in a running epoch");
        expect(staking.sharesAt(netuid, hotkey, attacker, epoch + 1) > shares, "stake that does not count next");
        vm.warp(block.timestamp + 1);
        bytes32 next = keccak256(abi.encode(staking.weightsAt(netuid, epoch + 1)));
        vm.prank(attacker);
        staking.unstake(netuid, hotkey, type(uint256).max);
        expect(keccak256(abi.encode(staking.weightsAt(netuid, epoch + 1))) == next, "a begun epoch was left");
        expect(staking.sharesAt(netuid, hotkey, attacker, epoch + 2) == 0, "a hopper stays behind");
        did();
    }

    /// @dev In and out within one epoch is to have been in none.
    function hopWithinAnEpoch(
        uint256 subnet,
        uint256 amount
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        uint64 next = oracle.currentEpoch() + 1;
        if (registry.uidOf(netuid, hotkeys[1]) == 0 || !give(attacker, 50e18)) return;
        uint256 bought = buyAlpha(attacker, netuid, bound(amount, 1e18, 50e18));
        uint256 weight = staking.weightAt(netuid, hotkeys[1], next);
        stakeAlpha(attacker, netuid, hotkeys[1], bought);
        vm.prank(attacker);
        staking.unstake(netuid, hotkeys[1], type(uint256).max);
        // Where slashes have made shares odd, the two roundings stay with the pool.
        expect(staking.weightAt(netuid, hotkeys[1], next) <= weight + 2, "stake of a moment weighs");
        did();
    }

    /// @dev Buys credits, spends them on itself, cashes out: the margin is gone.
    function washCredits(
        uint256 subnet,
        uint256 credits
    ) external acts {
        Netuid netuid = anyNetuid(subnet);
        (uint16 uid, bool seated) = _seatOfAttacker(netuid);
        if (!seated || block.timestamp < desk.buyingPausedUntil()) return;
        credits = bound(credits, 1e18, 1000e18);
        uint256 cost = desk.quote(credits);
        usdc.mint(attacker, cost);
        uint256 before = usdc.balanceOf(attacker);
        _wash(netuid, uid, credits);
        _cashOut(credits);
        uint256 margin = cost - (credits * PAYOUT + 1e18 - 1) / 1e18;
        attacked(before - margin, usdc.balanceOf(attacker));
    }

    /// @dev The same in crumbs, whose costs and reserves round up.
    function washDust(
        uint256 subnet,
        uint256 seed
    ) external acts {
        Netuid netuid = anyNetuid(subnet);
        (uint16 uid, bool seated) = _seatOfAttacker(netuid);
        if (!seated || block.timestamp < desk.buyingPausedUntil()) return;
        usdc.mint(attacker, 1e6);
        uint256 before = usdc.balanceOf(attacker);
        uint256 sum = 0;
        for (uint256 i = 0; i < 3; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 crumb = 1 + seed % (10 ** (1 + (seed >> 128) % 14));
            _wash(netuid, uid, crumb);
            sum += crumb;
        }
        _cashOut(sum);
        attacked(before, usdc.balanceOf(attacker));
    }

    /// @dev A wei, or a few, in and out again and again.
    function tradeDust(
        uint256 subnet,
        uint256 seed
    ) external acts trading {
        Netuid netuid = liveNetuid(subnet);
        if (!give(attacker, 1e12)) return;
        uint256 before = tndm.balanceOf(attacker);
        uint256 rest = 0;
        for (uint256 i = 0; i < 3; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            rest += buyAlpha(attacker, netuid, 1 + seed % 300);
            if (rest == 0) continue;
            uint256 part = 1 + (seed >> 128) % rest;
            sellAlpha(attacker, netuid, part);
            rest -= part;
        }
        if (rest != 0) sellAlpha(attacker, netuid, rest);
        attacked(before, tndm.balanceOf(attacker));
    }

    /// @dev [CR-5] [EP-4] [GV-2] While USDC freezes somebody or everybody, vouchers settle and stake leaves; what cannot be paid waits.
    function freeze(
        uint256 whom,
        uint256 channel
    ) external acts {
        address[3] memory frozen = [address(auction), address(distributor), address(desk)];
        bool all = whom % 4 == 3;
        if (all) usdc.pause();
        else usdc.blacklist(frozen[whom % 4]);
        uint256 count = settlement.channelCount();
        for (uint256 i = 0; i < count; ++i) {
            uint256 id = 1 + (channel % count + i) % count;
            ISettlement.Channel memory state = settlement.channelOf(id);
            uint256 rest = creditsIn(state.rest);
            if (rest == 0 || block.timestamp > uint256(state.expiry) + 40) continue;
            ISettlement.Voucher memory voucher = voucherOf(id, state.settled + (rest + 1) / 2);
            settlement.settle(voucher, signed(sessionSecret, settlement.hashVoucher(voucher)));
            did();
            break;
        }
        settleAll();
        if (all) usdc.unpause();
        else usdc.unBlacklist(frozen[whom % 4]);
    }

    /// @dev A hotkey has one seat in a subnet and one owner in all.
    function registerAgain(
        uint256 subnet,
        uint256 validatorSeed
    ) external acts trading {
        Netuid netuid = anyNetuid(subnet);
        address hotkey = hotkeys[validatorSeed % STAKED];
        (address owner,) = validator(validatorSeed % STAKED);
        uint256 price = registry.neuronPrice(netuid);
        if (!give(attacker, price) || !give(owner, price)) return;
        approve(attacker, tndm, address(registry), price);
        vm.prank(attacker);
        try registry.registerNeuron(netuid, hotkey, "", price) {
            wrong("a hotkey was taken from its owner");
        } catch { }
        if (registry.uidOf(netuid, hotkey) == 0) return;
        approve(owner, tndm, address(registry), price);
        vm.prank(owner);
        try registry.registerNeuron(netuid, hotkey, "", price) {
            wrong("a hotkey has two seats in a subnet");
        } catch { }
        did();
    }

    function _wash(
        Netuid netuid,
        uint16 uid,
        uint256 credits
    ) private {
        uint256 cost = desk.quote(credits);
        approve(attacker, usdc, address(desk), cost);
        vm.startPrank(attacker);
        desk.buy(credits, cost);
        uint256 id = settlement.open(netuid, uid, uint128(credits), uint64(block.timestamp) + 60, session);
        vm.stopPrank();
        ISettlement.Voucher memory voucher = voucherOf(id, credits);
        settlement.settle(voucher, signed(sessionSecret, settlement.hashVoucher(voucher)));
    }

    function _cashOut(
        uint256 credits
    ) private {
        if (credits * PAYOUT < 1e18) return;
        vm.prank(attacker);
        desk.cashOut(credits, attacker);
    }

    /// @dev Its seat in the subnet, which it takes if there is room.
    function _seatOfAttacker(
        Netuid netuid
    ) private returns (uint16 uid, bool seated) {
        uint256 found = registry.uidOf(netuid, attacker);
        if (found == 0) {
            if (registry.prunedFromOf(netuid) != 0 || registry.neuronCount(netuid) >= UIDS) return (0, false);
            if (!join(attacker, netuid, attacker)) return (0, false);
            found = registry.uidOf(netuid, attacker);
        }
        return (uint16(found - 1), true);
    }

    function hostileActs() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](9);
        list[0] = this.donate.selector;
        list[1] = this.moveCreditsByHand.selector;
        list[2] = this.hopAnEpoch.selector;
        list[3] = this.hopWithinAnEpoch.selector;
        list[4] = this.washCredits.selector;
        list[5] = this.washDust.selector;
        list[6] = this.tradeDust.selector;
        list[7] = this.freeze.selector;
        list[8] = this.registerAgain.selector;
    }
}
