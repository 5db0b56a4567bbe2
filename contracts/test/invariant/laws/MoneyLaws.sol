// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IEmissionController } from "../../../src/emission/IEmissionController.sol";
import { IRewardDistributor } from "../../../src/epoch/IRewardDistributor.sol";
import { IAlphaPools } from "../../../src/market/IAlphaPools.sol";
import { Netuid, RewardKind, WAD } from "../../../src/types/Types.sol";
import { World } from "../World.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice What must be true of TNDM, alpha, pools, emission, auction and rewards, after every act.
abstract contract MoneyLaws is World {
    /// @dev For TNDM (0) or a subnet's alpha.
    function tokenLaws(
        Netuid netuid
    ) internal view {
        law_tokensAreWithSomebodyWeKnow(tokenOf(netuid));
        law_whoOnlyBurnsOrRoutesKeepsNothing(tokenOf(netuid));
        if (netuid.isZero()) law_vestingHoldsTheRest();
    }

    function poolLaws() internal view {
        law_emissionIsEarnedByBurning();
        law_poolsHoldWhatTheyOwe();
        law_redemptionsAreCovered();
    }

    function rewardLaws() internal view {
        law_budgetsBoundClaims();
        law_theDistributorHoldsWhatItOwes();
        law_nobodyIsPaidMoreThanPromised();
        law_theAuctionHoldsWhatItSells();
    }

    /// @dev [AC-2] Never more than 21 million, and nothing is anywhere but with somebody we know.
    function law_tokensAreWithSomebodyWeKnow(
        IERC20 token
    ) private view {
        uint256 sum = 0;
        for (uint256 i = 0; i < everyone.length; ++i) {
            sum += token.balanceOf(everyone[i]);
        }
        vm.assertEq(sum, token.totalSupply(), "tokens of all");
        vm.assertLe(sum, WHOLE, "more than there ever was");
    }

    /// @dev [EM-1] For the network and for each subnet. TNDM leaves the vault by emission alone.
    function law_emissionIsEarnedByBurning() private view {
        uint256 emitted = controller.totalEmitted();
        uint256 phi = controller.phi();
        vm.assertLe(emitted * WAD, phi * controller.totalBurned(), "the law of emission");
        vm.assertLe(controller.totalBurned(), WHOLE - tndm.totalSupply(), "credited what was not burned");
        vm.assertEq(
            tndm.balanceOf(address(controller)),
            EMISSION_VAULT - emitted + donated[address(tndm)][address(controller)],
            "the vault of emission"
        );
        uint256 burnedForAll = 0;
        uint256 emittedToAll = 0;
        for (uint16 n = 1; n <= netuids(); ++n) {
            IEmissionController.Ledger memory l = controller.ledgerOf(Netuid.wrap(n));
            vm.assertLe((uint256(l.allowance) + l.emitted) * WAD, phi * l.burned, "a subnet's allowance without a burn");
            burnedForAll += l.burned;
            emittedToAll += l.emitted;
        }
        vm.assertEq(burnedForAll, controller.totalBurned(), "burned for subnets");
        vm.assertLe(emittedToAll, emitted, "emitted to subnets");
    }

    /// @dev [AM-2] [EM-3] To the wei: reserves, accrued fees, pending emission; reserves, unissued alpha and unclaimed budgets.
    function law_poolsHoldWhatTheyOwe() private view {
        uint256 owed = donated[address(tndm)][address(pools)];
        for (uint16 n = 1; n <= netuids(); ++n) {
            Netuid netuid = Netuid.wrap(n);
            IAlphaPools.Pool memory pool = pools.poolOf(netuid);
            if (pool.token == address(0)) continue;
            owed += uint256(pool.tndm) + pool.burnable + pool.pending;
            vm.assertLe(pool.issued, WHOLE, "more alpha issued than there is");
            vm.assertEq(
                IERC20(pool.token).balanceOf(address(pools)),
                WHOLE - pool.issued + pool.alpha + _unclaimedAlpha(netuid) + donated[pool.token][address(pools)],
                "the vault of alpha"
            );
        }
        vm.assertEq(tndm.balanceOf(address(pools)), owed, "TNDM of pools");
    }

    /// @dev [SN-1] Whoever holds alpha of a pool that was wound up, or will claim some, finds its TNDM there.
    function law_redemptionsAreCovered() private view {
        for (uint16 n = 1; n <= netuids(); ++n) {
            Netuid netuid = Netuid.wrap(n);
            IAlphaPools.Redemption memory r = pools.redemptionOf(netuid);
            if (r.supply == 0) continue;
            IERC20 alpha = alphaOf(netuid);
            uint256 outside = alpha.totalSupply() - alpha.balanceOf(address(pools)) + _unclaimedAlpha(netuid);
            vm.assertGe(pools.poolOf(netuid).tndm, outside * r.tndm / r.supply, "redemptions are not covered");
        }
    }

    /// @dev [EP-3] Per (netuid, kind), whatever roots say.
    function law_budgetsBoundClaims() private view {
        for (uint16 n = 1; n <= netuids(); ++n) {
            (uint256 alpha, uint256 usdcGranted) = distributor.grantsOf(Netuid.wrap(n));
            uint256 alphaBudgets = 0;
            uint256 usdcBudgets = 0;
            for (uint256 k = 0; k < KINDS; ++k) {
                IRewardDistributor.Budget memory b = distributor.budgetOf(Netuid.wrap(n), RewardKind(k));
                vm.assertLe(b.claimed, b.granted, "claimed more than was granted");
                if (k <= uint256(RewardKind.ContributorAlpha)) alphaBudgets += b.granted;
                else usdcBudgets += b.granted;
            }
            vm.assertLe(alphaBudgets, alpha, "budgets above the grants of alpha");
            vm.assertLe(usdcBudgets, usdcGranted, "budgets above the grants of USDC");
        }
    }

    /// @dev [EP-4] To the unit: pots and budgets that are not claimed.
    function law_theDistributorHoldsWhatItOwes() private view {
        uint256 owed = _potsIn() + donated[address(usdc)][address(distributor)];
        for (uint16 n = 1; n <= netuids(); ++n) {
            for (uint256 k = uint256(RewardKind.OwnerUsdc); k < KINDS; ++k) {
                owed -= distributor.budgetOf(Netuid.wrap(n), RewardKind(k)).claimed;
            }
        }
        vm.assertEq(usdc.balanceOf(address(distributor)), owed, "USDC of the distributor");
    }

    /// @dev [EP-3] By any root that ever was active; and what was paid to all is what was claimed.
    function law_nobodyIsPaidMoreThanPromised() private view {
        uint256 paidToAll = 0;
        for (uint256 i = 0; i < promises.length; ++i) {
            Promise memory p = promises[i];
            uint256 paid = distributor.paidTo(p.netuid, p.kind, p.account);
            vm.assertLe(paid, promised[promiseId(p.netuid, p.kind, p.account)], "paid what no root promised");
            paidToAll += paid;
        }
        uint256 claimed = 0;
        for (uint16 n = 1; n <= netuids(); ++n) {
            for (uint256 k = 0; k < KINDS; ++k) {
                claimed += distributor.budgetOf(Netuid.wrap(n), RewardKind(k)).claimed;
            }
        }
        vm.assertEq(paidToAll, claimed, "claimed is not what was paid");
    }

    /// @dev What waits in line and what lots hold that nobody took.
    function law_theAuctionHoldsWhatItSells() private view {
        uint256 owed = _auctionIn() + donated[address(usdc)][address(auction)];
        for (uint256 id = 1; id <= auction.lotCount(); ++id) {
            if (auction.lotOf(id).sold) owed -= auction.lotOf(id).usdc;
        }
        vm.assertEq(usdc.balanceOf(address(auction)), owed, "USDC of the auction");
    }

    /// @dev [EM-1] What was to be burned or passed on did not stay.
    function law_whoOnlyBurnsOrRoutesKeepsNothing(
        IERC20 token
    ) private view {
        address[6] memory transits =
            [address(auction), address(registry), address(router), address(settlement), address(desk), address(oracle)];
        for (uint256 i = 0; i < transits.length; ++i) {
            vm.assertEq(token.balanceOf(transits[i]), donated[address(token)][transits[i]], "tokens stayed behind");
        }
        uint256 gifts = donated[address(usdc)][address(registry)];
        vm.assertEq(usdc.balanceOf(address(registry)), gifts, "USDC of the registry");
    }

    /// @dev What allocations and airdrop have not released is there, and nobody got more than is his.
    function law_vestingHoldsTheRest() private view {
        uint256 released = 0;
        for (uint256 id = 0; id < allocation.allocationCount(); ++id) {
            vm.assertLe(allocation.releasedOf(id), allocation.allocationOf(id).amount, "released too much");
            released += allocation.releasedOf(id);
        }
        vm.assertEq(
            tndm.balanceOf(address(allocation)),
            ALLOCATED - released + donated[address(tndm)][address(allocation)],
            "TNDM of allocations"
        );
        uint256 open = airdrop.promised();
        for (uint256 i = 0; i < everyone.length; ++i) {
            vm.assertLe(airdrop.releasedOf(everyone[i]), airdrop.entitlementOf(everyone[i]), "dropped too much");
            open -= airdrop.releasedOf(everyone[i]);
        }
        vm.assertGe(tndm.balanceOf(address(airdrop)), open, "TNDM of the airdrop");
    }

    function _unclaimedAlpha(
        Netuid netuid
    ) private view returns (uint256 unclaimed) {
        (unclaimed,) = distributor.grantsOf(netuid);
        for (uint256 k = 0; k <= uint256(RewardKind.ContributorAlpha); ++k) {
            unclaimed -= distributor.budgetOf(netuid, RewardKind(k)).claimed;
        }
    }
}
