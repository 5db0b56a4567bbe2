// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { Netuid, RewardKind } from "../../src/types/Types.sol";
import { closeBudget } from "./Closings.sol";
import { EconomyWorld } from "./EconomyWorld.sol";

/// @notice One subnet whose pots are closed, and rewards as the oracle would publish them.
abstract contract DistributorTest is EconomyWorld {
    /// @dev What npm's @openzeppelin/merkle-tree 1.0.8 computes for `_vectorClaims`, padded with three zero leaves:
    /// SimpleMerkleTree.of(leaves, { sortLeaves: false, nodeHash: (l, r) => keccak256(l ‖ r) }).
    bytes32 internal constant NPM_ROOT = 0xd1aee2a1e6d540ef485bf69ff9737f65465e8870d8edfc6caf97aa6a39576c0c;

    Netuid internal one;
    address internal alice = makeActor("alice");
    address internal bob = makeActor("bob");

    function setUp() public override {
        super.setUp();
        one = _addSubnet();
        _openMarkets();
    }

    function _close(
        uint64 epoch,
        bool eligible,
        uint256 alpha
    ) internal returns (uint256) {
        vm.prank(address(controller));
        return closeBudget(distributor, epoch, one, eligible, alpha);
    }

    function _claimOf(
        uint256 index,
        RewardKind kind,
        address account,
        uint256 cumulative
    ) internal view returns (IRewardDistributor.Claim memory) {
        return
            IRewardDistributor.Claim({
                index: index, kind: kind, netuid: one, account: account, cumulative: cumulative
            });
    }

    function _activate(
        uint64 epoch,
        IRewardDistributor.Claim[] memory cs
    ) internal returns (bytes32[] memory tree) {
        tree = _treeOf(_leavesOf(cs));
        vm.prank(oracle);
        distributor.activateRoot(epoch, tree[0]);
    }

    function _vectorClaims() internal pure returns (IRewardDistributor.Claim[] memory cs) {
        cs = new IRewardDistributor.Claim[](5);
        cs[0] = _vector(0, RewardKind.ContributorAlpha, 1, 0x11, 100);
        cs[1] = _vector(1, RewardKind.ContributorUsdc, 1, 0x22, 2_000_000);
        cs[2] = _vector(2, RewardKind.KeeperUsdc, 1, 0x33, 7);
        cs[3] = _vector(3, RewardKind.ContributorAlpha, 2, 0x44, 1e18);
        cs[4] = _vector(4, RewardKind.OwnerAlpha, 3, 0x55, 1 << 200);
    }

    /// @dev An account whose address repeats one byte.
    function _vector(
        uint256 index,
        RewardKind kind,
        uint16 netuid,
        uint160 b,
        uint256 cumulative
    ) internal pure returns (IRewardDistributor.Claim memory) {
        address account = address(b * (type(uint160).max / 0xff));
        return IRewardDistributor.Claim({
            index: index, kind: kind, netuid: Netuid.wrap(netuid), account: account, cumulative: cumulative
        });
    }

    /// @dev Leaves of a tree of at least eight places.
    function _leavesOf(
        IRewardDistributor.Claim[] memory cs
    ) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](8);
        for (uint256 i = 0; i < cs.length; ++i) {
            IRewardDistributor.Claim memory c = cs[i];
            bytes32 inner =
                keccak256(abi.encode(c.index, uint8(c.kind), Netuid.unwrap(c.netuid), c.account, c.cumulative));
            leaves[i] = keccak256(bytes.concat(inner));
        }
    }

    /// @dev In npm's layout: the root first, leaf i at the end less i.
    function _treeOf(
        bytes32[] memory leaves
    ) internal pure returns (bytes32[] memory tree) {
        uint256 size = 2 * leaves.length - 1;
        tree = new bytes32[](size);
        for (uint256 i = 0; i < leaves.length; ++i) {
            tree[size - 1 - i] = leaves[i];
        }
        for (uint256 place = leaves.length - 1; place > 0; --place) {
            tree[place - 1] = keccak256(abi.encode(tree[2 * place - 1], tree[2 * place]));
        }
    }

    function _proofOf(
        bytes32[] memory tree,
        uint256 index
    ) internal pure returns (bytes32[] memory proof) {
        uint256 depth;
        while (2 ** (depth + 1) - 1 < tree.length) {
            ++depth;
        }
        proof = new bytes32[](depth);
        uint256 place = tree.length - 1 - index;
        for (uint256 level = 0; level < depth; ++level) {
            proof[level] = tree[place % 2 == 1 ? place + 1 : place - 1];
            place = (place - 1) / 2;
        }
    }
}
