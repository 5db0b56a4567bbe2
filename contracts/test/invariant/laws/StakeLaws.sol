// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IDelegation } from "../../../src/subnet/IDelegation.sol";
import { Netuid } from "../../../src/types/Types.sol";
import { World } from "../World.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice What must be true of stake, bonds, votes and seats, after every act.
abstract contract StakeLaws is World {
    uint256 private constant DUST = 1000;

    /// @dev For bonds of TNDM (0) or stake of a subnet's alpha.
    function stakeLaws(
        Netuid netuid
    ) internal view {
        address[] memory accounts = stakers();
        uint256[] memory worth = law_sharesAreWorthNoMoreThanTheirPool(netuid, accounts);
        law_votesAreWhatIsStaked(netuid, accounts, worth);
        law_stakingHoldsAndPaysWhatWasPutIn(netuid, accounts, worth);
        law_keepersBondsAreThere();
        law_noMoreSubnetsLiveThanMay();
    }

    /// @return worth What each account has staked, behind all validators.
    function law_sharesAreWorthNoMoreThanTheirPool(
        Netuid netuid,
        address[] memory accounts
    ) private view returns (uint256[] memory worth) {
        worth = new uint256[](accounts.length);
        uint64 next = oracle.currentEpoch() + 1;
        for (uint256 h = 0; h < STAKED; ++h) {
            uint256 sum = 0;
            for (uint256 i = 0; i < accounts.length; ++i) {
                uint256 own = staking.stakeOf(netuid, hotkeys[h], accounts[i]);
                sum += own;
                worth[i] += own;
            }
            vm.assertLe(sum, staking.totalStakeAt(netuid, hotkeys[h], next), "shares are worth more than their pool");
        }
    }

    /// @dev Pools and queues are covered; and nobody gets out more than it put in, but for the fractions of a wei that those who left
    /// before have left to the pool.
    function law_stakingHoldsAndPaysWhatWasPutIn(
        Netuid netuid,
        address[] memory accounts,
        uint256[] memory claims
    ) private view {
        IERC20 token = tokenOf(netuid);
        uint64 next = oracle.currentEpoch() + 1;
        uint256 owed = donated[address(token)][address(staking)];
        for (uint256 h = 0; h < STAKED; ++h) {
            owed += staking.totalStakeAt(netuid, hotkeys[h], next);
        }
        for (uint256 id = 1; id <= staking.unbondingCount(); ++id) {
            IDelegation.Unbonding memory u = staking.unbondingOf(id);
            if (u.asset != address(token)) continue;
            owed += u.amount;
            for (uint256 i = 0; i < accounts.length; ++i) {
                if (accounts[i] == u.account) claims[i] += u.amount;
            }
        }
        vm.assertGe(token.balanceOf(address(staking)), owed, "stake is not covered");
        for (uint256 i = 0; i < accounts.length; ++i) {
            claims[i] += takenOut[netuid][accounts[i]];
            uint256 most = putIn[netuid][accounts[i]];
            if (most != 0) most += staking.unbondingCount();
            vm.assertLe(claims[i], most, "more comes out than was put in");
        }
    }

    /// @dev All positions whose account has a delegate, each once; after a slash rather too many than too few.
    function law_votesAreWhatIsStaked(
        Netuid netuid,
        address[] memory accounts,
        uint256[] memory worth
    ) private view {
        uint256 cast = 0;
        uint256 units = 0;
        for (uint256 i = 0; i < accounts.length; ++i) {
            cast += staking.getVotes(netuid, accounts[i]);
            uint256 own = staking.votingUnitsOf(netuid, accounts[i]);
            if (staking.delegateOf(netuid, accounts[i]) != address(0)) units += own;
            // Others' roundings leave a position a few wei more than when it was last touched.
            vm.assertLe(worth[i], own + DUST, "stake without a vote");
        }
        vm.assertEq(cast, units, "votes that nobody staked");
    }

    /// @dev [GV-1] In the token, staked, or vesting: all together never more than there is.
    function law_noTndmVotesTwice() internal view {
        uint256 sum = 0;
        for (uint256 i = 0; i < everyone.length; ++i) {
            sum += votes.getVotes(everyone[i]);
        }
        vm.assertLe(sum, tndm.totalSupply(), "more votes than TNDM");
    }

    function law_keepersBondsAreThere() private view {
        uint256 owed = donated[address(usdc)][address(keeperSet)] + keeperSet.bondOf(users[0]);
        address[] memory list = keepers();
        for (uint256 i = 0; i < list.length; ++i) {
            owed += keeperSet.bondOf(list[i]);
        }
        vm.assertEq(usdc.balanceOf(address(keeperSet)), owed, "bonds of keepers");
    }

    function law_noMoreSubnetsLiveThanMay() private view {
        vm.assertLe(registry.liveAt(oracle.currentEpoch() + 1).length, maxSubnets(), "too many subnets");
    }
}
