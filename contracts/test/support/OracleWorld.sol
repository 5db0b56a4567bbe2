// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { EpochOracle } from "../../src/epoch/EpochOracle.sol";
import { IEpochOracle } from "../../src/epoch/IEpochOracle.sol";
import { IKeeperSet } from "../../src/epoch/IKeeperSet.sol";
import { KeeperSet } from "../../src/epoch/KeeperSet.sol";
import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { AuctionStand, ControllerStand, DistributorStand } from "./Neighbours.sol";
import { Test } from "./Test.sol";
import { AccessManager } from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @notice A real oracle and a real keeper set; controller, distributor and auction are stand-ins. Everything is settled.
abstract contract OracleWorld is Test {
    uint64 internal constant GENESIS = 1_000_000;
    uint64 internal constant LENGTH = 100;
    uint64 internal constant DELAY = 30;
    uint64 internal constant UNBONDING = 500;

    AccessManager internal manager;
    TestUSDC internal usdc;
    AuctionStand internal auction;
    KeeperSet internal keeperSet;
    ControllerStand internal controller;
    DistributorStand internal distributor;
    EpochOracle internal oracle;
    address internal slashing;
    /// @dev Private keys of the keepers, by ascending address.
    uint256[] internal keys;

    /// @dev `slashing` must be set before, if it matters.
    function buildOracle(
        uint256 keepers,
        uint16 threshold
    ) internal {
        vm.warp(GENESIS);
        manager = new AccessManager(address(this));
        usdc = new TestUSDC();
        auction = new AuctionStand(usdc);
        controller = new ControllerStand();
        distributor = new DistributorStand();
        for (uint256 i = 0; i < keepers; ++i) {
            keys.push(11 + i);
        }
        sortKeys(keys);
        keeperSet = new KeeperSet(keeperConfig(keepers < 4), addressesOf(keys), threshold);
        oracle = new EpochOracle(
            address(manager), address(keeperSet), address(controller), address(distributor), GENESIS, LENGTH, DELAY
        );
        controller.setSettledThrough(type(uint64).max);
    }

    function keeperConfig(
        bool devnet
    ) internal view returns (IKeeperSet.Config memory) {
        return IKeeperSet.Config({
            authority: address(manager),
            usdc: address(usdc),
            auction: address(auction),
            oracle: vm.computeCreateAddress(address(this), uint256(vm.getNonce(address(this))) + 1),
            slashing: slashing,
            devnet: devnet,
            unbondingPeriod: UNBONDING,
            genesis: GENESIS,
            epochLength: LENGTH
        });
    }

    function sortKeys(
        uint256[] storage list
    ) internal {
        for (uint256 i = 0; i < list.length; ++i) {
            for (uint256 j = i + 1; j < list.length; ++j) {
                if (vm.addr(list[j]) < vm.addr(list[i])) (list[i], list[j]) = (list[j], list[i]);
            }
        }
    }

    function addressesOf(
        uint256[] memory list
    ) internal pure returns (address[] memory addresses) {
        addresses = new address[](list.length);
        for (uint256 i = 0; i < list.length; ++i) {
            addresses[i] = vm.addr(list[i]);
        }
    }

    /// @dev The report that is due for `epoch`.
    function reportFor(
        uint64 epoch
    ) internal view returns (IEpochOracle.EpochReport memory r) {
        (,, bytes32 previous) = oracle.lastPosted();
        r = IEpochOracle.EpochReport({
            epoch: epoch,
            attempt: oracle.attemptOf(epoch),
            configDigest: keeperSet.configDigestAt(epoch),
            inputsBlock: keccak256("block"),
            previousReport: previous,
            subnetsRoot: keccak256(abi.encode("subnets", epoch)),
            rewardsRoot: keccak256(abi.encode("rewards", epoch)),
            bundleHash: keccak256("bundle"),
            rulesVersion: 1
        });
    }

    function sign(
        IEpochOracle.EpochReport memory r,
        uint256 key
    ) internal view returns (IEpochOracle.Signature memory) {
        return compact(oracle.hashReport(r), key);
    }

    /// @dev ERC-2098.
    function compact(
        bytes32 digest,
        uint256 key
    ) internal pure returns (IEpochOracle.Signature memory) {
        (bytes32 r, bytes32 vs) = signedCompactly(key, digest);
        return IEpochOracle.Signature({ r: r, vs: vs });
    }

    /// @dev Signatures of the first keepers, as many as the threshold asks for.
    function quorum(
        IEpochOracle.EpochReport memory r
    ) internal view returns (IEpochOracle.Signature[] memory signatures) {
        return signedBy(r, keeperSet.thresholdAt(r.epoch));
    }

    function signedBy(
        IEpochOracle.EpochReport memory r,
        uint256 count
    ) internal view returns (IEpochOracle.Signature[] memory signatures) {
        bytes32 digest = oracle.hashReport(r);
        signatures = new IEpochOracle.Signature[](count);
        for (uint256 i = 0; i < count; ++i) {
            signatures[i] = compact(digest, keys[i]);
        }
    }

    function post(
        uint64 epoch
    ) internal returns (IEpochOracle.EpochReport memory r) {
        r = reportFor(epoch);
        oracle.post(r, quorum(r));
    }

    function endEpoch(
        uint64 epoch
    ) internal {
        vm.warp(GENESIS + uint256(epoch + 1) * LENGTH);
    }

    /// @dev Waits until the posted report may become active, and makes it so.
    function activate(
        IEpochOracle.EpochReport memory r
    ) internal {
        vm.warp(oracle.reportOf(r.epoch).postedAt + DELAY);
        oracle.activate(r);
    }
}
