// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { CreditDesk } from "../../src/compute/CreditDesk.sol";
import { ISettlement } from "../../src/compute/ISettlement.sol";
import { IEmissionController } from "../../src/emission/IEmissionController.sol";
import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { Netuid, Phase, RewardKind } from "../../src/types/Types.sol";
import { RewardTree } from "./RewardTree.sol";
import { SuiteDeployment } from "./SuiteDeployment.sol";

/// @notice The whole suite as it is deployed: every contract by CREATE3, wired by immutables, administered by the timelock alone. Two
/// genesis subnets (1 works, 2 is a meme), four mesh validators of distinct owners and two contributors in the first, three
/// keepers of whom two sign. Durations are a devnet's: an epoch takes 100 seconds. Tests begin one second into epoch 0.
abstract contract SuiteTest is SuiteDeployment {
    using RewardTree for IRewardDistributor.Claim[];

    /// @dev What the next report pays, cumulative.
    IRewardDistributor.Claim[] internal rewards;

    function setUp() public virtual {
        vm.warp(GENESIS - 1000);
        (session, sessionSecret) = makeActorAndKey("session");
        keeperSecrets = [uint256(101), 102, 103];
        _deploySuite();
        _populate();
        vm.warp(GENESIS + 1);
    }

    /// @dev `owner` takes the next uid; it gets whatever USDC that costs.
    function register(
        Netuid netuid,
        address owner,
        address hotkey
    ) internal returns (uint16 uid) {
        uint256 price = registry.neuronPrice(netuid);
        usdc.mint(owner, price);
        vm.startPrank(owner);
        usdc.approve(address(registry), price);
        uid = registry.registerNeuron(netuid, hotkey, "http://127.0.0.1", price);
        vm.stopPrank();
    }

    // -------------------------------------------------------------------------------------------------- credits

    /// @dev Gives `account` the USDC that `credits` cost, and buys them with it.
    function buyCredits(
        address account,
        uint256 credits
    ) internal returns (uint256 cost) {
        return buyCreditsAt(desk, account, credits);
    }

    /// @dev The same at another series' desk.
    function buyCreditsAt(
        CreditDesk seller,
        address account,
        uint256 credits
    ) internal returns (uint256 cost) {
        cost = seller.quote(credits);
        usdc.mint(account, cost);
        vm.startPrank(account);
        usdc.approve(address(seller), cost);
        seller.buy(credits, cost);
        vm.stopPrank();
    }

    function openChannel(
        address payer,
        Netuid netuid,
        uint16 uid,
        uint256 amount
    ) internal returns (uint256 channelId) {
        vm.prank(payer);
        channelId = settlement.open(netuid, uid, uint128(amount), uint64(block.timestamp) + 60, session);
    }

    /// @dev Signs and settles a voucher for `amount` cumulative credits, all of it completion tokens at the card's price.
    function settleUpTo(
        uint256 channelId,
        uint256 amount
    ) internal returns (uint256 paid) {
        ISettlement.Voucher memory voucher = voucherFor(channelId, amount);
        return settlement.settle(voucher, signed(sessionSecret, settlement.hashVoucher(voucher)));
    }

    /// @dev `user` buys credits and spends all of them on one neuron; the margin goes on at once.
    function spend(
        Netuid netuid,
        uint16 uid,
        uint256 amount
    ) internal {
        buyCredits(user, amount);
        settleUpTo(openChannel(user, netuid, uid, amount), amount);
        desk.forwardMargin(netuid);
    }

    // -------------------------------------------------------------------------------------------------- epochs

    /// @dev Goes to the end of the present epoch and closes all that have ended.
    function endEpoch() internal returns (uint64 epoch) {
        epoch = oracle.currentEpoch();
        vm.warp(oracle.endOf(epoch));
        while (controller.settledThrough() <= epoch) {
            controller.settle(ALL);
        }
    }

    function addReward(
        RewardKind kind,
        Netuid netuid,
        address account,
        uint256 amount
    ) internal {
        for (uint256 i = 0; i < rewards.length; ++i) {
            IRewardDistributor.Claim storage c = rewards[i];
            if (c.kind != kind || c.netuid != netuid || c.account != account) continue;
            c.cumulative += amount;
            return;
        }
        rewards.push(
            IRewardDistributor.Claim({
                index: rewards.length, kind: kind, netuid: netuid, account: account, cumulative: amount
            })
        );
    }

    /// @dev Splits what an epoch granted to a subnet: validators equally, contributors 60 to 40, keepers equally.
    function addRewardsOf(
        uint64 epoch,
        Netuid netuid
    ) internal {
        IEmissionController.Grant memory grant = controller.grantOf(epoch, netuid);
        address owner = registry.ownerOfSubnetAt(netuid, epoch);
        _addRole(RewardKind.OwnerAlpha, RewardKind.OwnerUsdc, netuid, owner, grant, 18, 18);
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address account,) = validator(n);
            _addRole(RewardKind.ValidatorAlpha, RewardKind.ValidatorUsdc, netuid, account, grant, 10, 9);
        }
        _addRole(RewardKind.ContributorAlpha, RewardKind.ContributorUsdc, netuid, first, grant, 24, 23);
        _addRole(RewardKind.ContributorAlpha, RewardKind.ContributorUsdc, netuid, second, grant, 16, 15);
        address[] memory list = keepers();
        for (uint256 n = 0; n < list.length; ++n) {
            if (grant.usdc != 0) addReward(RewardKind.KeeperUsdc, netuid, list[n], uint256(grant.usdc) / 100);
        }
    }

    /// @dev The report that is due for `epoch`, paying `rewards`.
    function reportFor(
        uint64 epoch
    ) internal view returns (IEpochOracle.EpochReport memory) {
        (,, bytes32 previous) = oracle.lastPosted();
        IRewardDistributor.Claim[] memory claims = rewards;
        return IEpochOracle.EpochReport({
            epoch: epoch,
            attempt: oracle.attemptOf(epoch),
            configDigest: keeperSet.configDigestAt(epoch),
            inputsBlock: keccak256(abi.encode("block", epoch)),
            previousReport: previous,
            subnetsRoot: keccak256(abi.encode("subnets", epoch)),
            rewardsRoot: claims.rootOf(),
            bundleHash: keccak256(abi.encode("bundle", epoch)),
            rulesVersion: 1
        });
    }

    /// @dev Signatures of the first keepers, exactly as many as the threshold asks for.
    function signReport(
        IEpochOracle.EpochReport memory report
    ) internal view returns (IEpochOracle.Signature[] memory signatures) {
        return signedBy(report, SIGNERS);
    }

    function signedBy(
        IEpochOracle.EpochReport memory report,
        uint256 count
    ) internal view returns (IEpochOracle.Signature[] memory signatures) {
        bytes32 digest = oracle.hashReport(report);
        signatures = new IEpochOracle.Signature[](count);
        for (uint256 i = 0; i < count; ++i) {
            (signatures[i].r, signatures[i].vs) = signedCompactly(keeperSecrets[i], digest);
        }
    }

    /// @dev Posts the report of an ended epoch and waits until it is active.
    function publish(
        uint64 epoch
    ) internal {
        IEpochOracle.EpochReport memory report = reportFor(epoch);
        oracle.post(report, signReport(report));
        vm.warp(block.timestamp + ACTIVATION_DELAY);
        oracle.activate(report);
    }

    /// @dev Claims everything that the active root pays.
    function claimAll() internal returns (uint256 paidCount) {
        IRewardDistributor.Claim[] memory claims = rewards;
        bytes32[][] memory proofs = new bytes32[][](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            proofs[i] = claims.proofOf(i);
        }
        return distributor.claimBatch(claims, proofs);
    }

    /// @dev One whole mesh epoch: `credits` spent on each contributor, closed, reported, active and claimed.
    function runEpoch(
        uint256 credits
    ) internal returns (uint64 epoch) {
        if (credits != 0) {
            spend(TEXT, firstUid(), credits);
            spend(TEXT, secondUid(), credits);
        }
        epoch = endEpoch();
        addRewardsOf(epoch, TEXT);
        publish(epoch);
        claimAll();
    }

    function firstUid() internal view returns (uint16) {
        return uint16(registry.uidOf(TEXT, first) - 1);
    }

    function secondUid() internal view returns (uint16) {
        return uint16(registry.uidOf(TEXT, second) - 1);
    }

    // -------------------------------------------------------------------------------------------------- launch

    /// @dev Walks from a mesh whose thresholds are met to the token. The genesis beneficiaries vote themselves.
    function openToken() internal {
        gate.qualify(first);
        gate.qualify(second);
        vm.prank(team);
        allocation.delegate(team);
        vm.prank(ecosystem);
        allocation.delegate(ecosystem);
        vm.prank(council);
        gate.announce();
        vm.warp(block.timestamp + NOTICE);
        gate.openToken();
    }

    /// @dev On to open markets, by way of the token if need be; releases what the ecosystem fund has at once.
    function openMarkets() internal {
        if (gate.phase() == Phase.Mesh) openToken();
        uint256 opensAt = uint256(gate.tokenOpenedAt()) + TOKEN_PERIOD;
        if (block.timestamp < opensAt) vm.warp(opensAt);
        gate.openMarkets();
        allocation.release(1);
    }

    /// @dev The ecosystem fund takes a lot at its present price.
    function takeLot(
        uint256 lotId
    ) internal returns (uint256 paid) {
        uint256 cost = auction.costOf(lotId);
        vm.startPrank(ecosystem);
        tndm.approve(address(auction), cost);
        paid = auction.take(lotId, cost, block.timestamp);
        vm.stopPrank();
    }

    /// @dev A call by the timelock, put through by the council.
    function councilCalls(
        address target,
        bytes memory data
    ) internal {
        vm.prank(council);
        timelock.schedule(target, 0, data, 0, 0, TIMELOCK_DELAY);
        vm.warp(block.timestamp + TIMELOCK_DELAY);
        vm.prank(council);
        timelock.execute(target, 0, data, 0, 0);
    }

    /// @dev A proposal by `proposer` that one `voter` decides, through the governor and the timelock.
    function decide(
        address proposer,
        address voter,
        address target,
        bytes memory data
    ) internal {
        address[] memory targets = new address[](1);
        targets[0] = target;
        bytes[] memory calls = new bytes[](1);
        calls[0] = data;
        vm.prank(proposer);
        uint256 id = governor.propose(targets, new uint256[](1), calls, "");
        vm.warp(governor.proposalSnapshot(id) + 1);
        vm.prank(voter);
        governor.castVote(id, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
        governor.queue(id);
        vm.warp(block.timestamp + TIMELOCK_DELAY);
        governor.execute(id);
    }

    function _populate() private {
        for (uint256 n = 0; n < VALIDATORS; ++n) {
            (address owner, address hotkey) = validator(n);
            register(TEXT, owner, hotkey);
        }
        register(TEXT, first, first);
        register(TEXT, second, second);
    }

    /// @dev `percent` of what was granted in alpha and in USDC, rounded down.
    function _addRole(
        RewardKind alphaKind,
        RewardKind usdcKind,
        Netuid netuid,
        address account,
        IEmissionController.Grant memory grant,
        uint256 alphaPercent,
        uint256 usdcPercent
    ) private {
        if (grant.alphaOut != 0) addReward(alphaKind, netuid, account, grant.alphaOut * alphaPercent / 100);
        if (grant.usdc != 0) addReward(usdcKind, netuid, account, grant.usdc * usdcPercent / 100);
    }
}
