// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEpochOracle } from "../../../src/epoch/IEpochOracle.sol";
import { ISlashing } from "../../../src/epoch/ISlashing.sol";
import { IDelegation } from "../../../src/subnet/IDelegation.sol";
import { Netuid } from "../../../src/types/Types.sol";
import { World } from "../World.sol";
import { IVotes } from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice What delegators, validators, keepers and those who prove their faults do.
abstract contract StakeActs is World {
    Netuid private constant BOND = Netuid.wrap(0);
    /// @dev Of a validator's faults: none is shown twice.
    uint32 private _fault;

    function stake(
        uint256 actor,
        uint256 subnet,
        uint256 validatorSeed,
        uint256 amount
    ) external acts trading {
        Netuid netuid = anyNetuid(subnet);
        address hotkey = hotkeys[validatorSeed % STAKED];
        if (registry.uidOf(netuid, hotkey) == 0) return;
        if (trades(netuid) && give(voterOf(actor), 20e18)) buyAlpha(voterOf(actor), netuid, 20e18);
        uint256 balance = alphaOf(netuid).balanceOf(voterOf(actor));
        if (balance == 0) return;
        stakeAlpha(voterOf(actor), netuid, hotkey, bound(amount, 1, balance));
        did();
    }

    function unstake(
        uint256 actor,
        uint256 subnet,
        uint256 validatorSeed,
        uint256 amount
    ) external acts {
        Netuid netuid = anyNetuid(subnet);
        address hotkey = hotkeys[validatorSeed % STAKED];
        uint256 worth = staking.stakeOf(netuid, hotkey, voterOf(actor));
        if (worth == 0) return;
        vm.prank(voterOf(actor));
        staking.unstake(netuid, hotkey, _partOf(worth, amount));
        did();
    }

    function bond(
        uint256 actor,
        uint256 validatorSeed,
        uint256 amount
    ) external acts {
        address owner = voterOf(actor);
        address hotkey = hotkeys[validatorSeed % STAKED];
        amount = bound(amount, 1, 2000e18);
        if (registry.subnetsOfAt(hotkey, oracle.currentEpoch() + 1) == 0 || !give(owner, amount)) return;
        approve(owner, tndm, address(staking), amount);
        vm.prank(owner);
        staking.bond(hotkey, amount);
        putIn[BOND][owner] += amount;
        did();
    }

    function unbond(
        uint256 actor,
        uint256 validatorSeed,
        uint256 amount
    ) external acts {
        address hotkey = hotkeys[validatorSeed % STAKED];
        uint256 worth = staking.bondOf(hotkey, voterOf(actor));
        if (worth == 0) return;
        vm.prank(voterOf(actor));
        staking.unbond(hotkey, _partOf(worth, amount));
        did();
    }

    function withdraw(
        uint256 seed,
        uint256 wait
    ) external acts {
        uint256 count = staking.unbondingCount();
        if (count == 0) return;
        uint256 id = 1 + seed % count;
        IDelegation.Unbonding memory u = staking.unbondingOf(id);
        if (u.account == address(0)) return;
        if (block.timestamp < u.releaseAt) {
            try staking.withdraw(id) {
                wrong("withdrawn before its time");
            } catch { }
            if (wait % 2 == 0) return;
            vm.warp(u.releaseAt);
        }
        uint256 before = IERC20(u.asset).balanceOf(u.account);
        staking.withdraw(id);
        uint256 got = IERC20(u.asset).balanceOf(u.account) - before;
        expect(got == u.amount, "withdrawn another sum than shown");
        takenOut[u.netuid][u.account] += got;
        try staking.withdraw(id) {
            wrong("withdrawn twice");
        } catch { }
        did();
    }

    /// @dev In the token, or in staking.
    function delegate(
        uint256 actor,
        uint256 subnet,
        uint256 to,
        uint256 where
    ) external acts trading {
        Netuid netuid = Netuid.wrap(uint16(subnet % (netuids() + 1)));
        address delegatee = to % 5 == 0 ? address(0) : voterOf(to);
        if (where % 2 == 0) {
            vm.prank(voterOf(actor));
            staking.delegate(netuid, delegatee);
        } else {
            address token = netuid == BOND ? address(tndm) : address(alphaOf(netuid));
            vm.prank(voterOf(actor));
            IVotes(token).delegate(delegatee);
        }
        did();
    }

    function syncVotes(
        uint256 actor,
        uint256 subnet,
        uint256 validatorSeed
    ) external acts {
        Netuid netuid = Netuid.wrap(uint16(subnet % (netuids() + 1)));
        address hotkey = hotkeys[validatorSeed % STAKED];
        if (staking.stakeOf(netuid, hotkey, voterOf(actor)) == 0) return;
        staking.syncVotes(netuid, hotkey, voterOf(actor));
        did();
    }

    function setTake(
        uint256 validatorSeed,
        uint256 take
    ) external acts {
        (address owner, address hotkey) = validator(validatorSeed % STAKED);
        uint16 now_ = staking.takeAt(hotkey, oracle.currentEpoch() + 1);
        vm.prank(owner);
        try staking.setTake(hotkey, uint16(bound(take, 0, 12_000))) {
            uint16 next = staking.takeAt(hotkey, oracle.currentEpoch() + 1);
            expect(next <= now_ + 655 && next <= 11_796, "a take rose too far");
            did();
        } catch { }
    }

    function sampleCirculation(
        uint256 subnet
    ) external acts trading {
        staking.sampleCirculation(anyNetuid(subnet));
        did();
    }

    function nameATrio(
        uint256 subnet
    ) external acts {
        try staking.nameTrio(anyNetuid(subnet), [hotkeys[0], hotkeys[1], hotkeys[2]]) {
            did();
        } catch { }
    }

    /// @dev Half of what is taken goes to the prover, the rest is burned.
    function proveADoubleCommit(
        uint256 validatorSeed,
        uint256 subnet
    ) external acts {
        (, address hotkey) = validator(validatorSeed % STAKED);
        uint256 secret = uint256(keccak256(bytes(string.concat("hotkey ", vm.toString(validatorSeed % STAKED)))));
        ISlashing.WeightsCommit memory a = ISlashing.WeightsCommit({
            netuid: anyNetuid(subnet),
            epoch: oracle.currentEpoch(),
            validator: hotkey,
            seq: ++_fault,
            commitHash: keccak256("one")
        });
        bytes memory first_ = signed(secret, slashing.hashCommit(a));
        ISlashing.WeightsCommit memory b = a;
        b = ISlashing.WeightsCommit(a.netuid, a.epoch, a.validator, a.seq, keccak256("other"));
        bytes memory second_ = signed(secret, slashing.hashCommit(b));
        (uint256 supply, uint256 held) = (tndm.totalSupply(), tndm.balanceOf(prover));
        vm.prank(prover);
        slashing.proveDoubleCommit(a, first_, b, second_);
        (uint256 burned, uint256 got) = (supply - tndm.totalSupply(), tndm.balanceOf(prover) - held);
        expect(burned == got || burned == got + 1, "not half of a slash was burned");
        vm.prank(prover);
        try slashing.proveDoubleCommit(a, first_, b, second_) {
            wrong("one fault was slashed twice");
        } catch { }
        did();
    }

    function bondAKeeper(
        uint256 which,
        uint256 amount
    ) external acts {
        amount = bound(amount, 1, 1000e6);
        giveUsdc(users[0], amount, address(keeperSet));
        address keeper = which % 4 == 3 ? users[0] : keepers()[which % 4];
        vm.prank(users[0]);
        keeperSet.bond(keeper, amount);
        did();
    }

    /// @dev Who never served gets its bond back at once, who serves does not.
    function withdrawAKeepersBond(
        uint256 which
    ) external acts {
        address keeper = keepers()[which % 3];
        vm.prank(keeper);
        try keeperSet.withdrawBond(keeper) {
            wrong("a serving keeper withdrew its bond");
        } catch { }
        uint256 bonded = keeperSet.bondOf(users[0]);
        if (bonded == 0) return;
        uint256 before = usdc.balanceOf(users[0]);
        vm.prank(users[0]);
        keeperSet.withdrawBond(users[0]);
        expect(usdc.balanceOf(users[0]) == before + bonded, "another bond than was put in");
        did();
    }

    function proveADoubleReport(
        uint256 seed
    ) external acts {
        uint64 epoch = oracle.currentEpoch();
        IEpochOracle.EpochReport memory a;
        IEpochOracle.EpochReport memory b;
        (a.epoch, a.attempt) = (epoch, ++_fault);
        (b.epoch, b.attempt, b.rewardsRoot) = (epoch, _fault, bytes32(uint256(1)));
        uint256 count = 1 + seed % 3;
        (bytes[] memory one, bytes[] memory other) = (new bytes[](count), new bytes[](count));
        for (uint256 i = 0; i < count; ++i) {
            one[i] = signed(keeperSecrets[i], oracle.hashReport(a));
            other[i] = signed(keeperSecrets[i], oracle.hashReport(b));
        }
        (uint256 held, uint256 waiting) = (usdc.balanceOf(prover), usdc.balanceOf(address(auction)));
        vm.prank(prover);
        slashing.proveDoubleReport(a, one, b, other);
        (held, waiting) = (usdc.balanceOf(prover) - held, usdc.balanceOf(address(auction)) - waiting);
        expect(held <= waiting && waiting <= held + count, "not half of a bond went to the auction");
        otherToAuction += waiting;
        if (held != 0) did();
    }

    /// @dev Users, and owners of validators.
    function voterOf(
        uint256 seed
    ) internal view returns (address) {
        return payees[seed % (USERS + VALIDATORS)];
    }

    /// @dev All rather than all but dust, which may not stay.
    function _partOf(
        uint256 worth,
        uint256 seed
    ) private pure returns (uint256 amount) {
        amount = bound(seed, 1, worth);
        if (amount + 3 > worth) amount = type(uint256).max;
    }

    function stakeActs() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](14);
        list[0] = this.stake.selector;
        list[1] = this.unstake.selector;
        list[2] = this.bond.selector;
        list[3] = this.unbond.selector;
        list[4] = this.withdraw.selector;
        list[5] = this.delegate.selector;
        list[6] = this.syncVotes.selector;
        list[7] = this.setTake.selector;
        list[8] = this.sampleCirculation.selector;
        list[9] = this.nameATrio.selector;
        list[10] = this.proveADoubleCommit.selector;
        list[11] = this.bondAKeeper.selector;
        list[12] = this.withdrawAKeepersBond.selector;
        list[13] = this.proveADoubleReport.selector;
    }
}
