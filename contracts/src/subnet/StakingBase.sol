// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ILaunchGate } from "../governance/ILaunchGate.sol";
import { IAlphaPools } from "../market/IAlphaPools.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid } from "../types/Types.sol";
import { IStaking } from "./IStaking.sol";
import { ISubnetRegistry } from "./ISubnetRegistry.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What all parts of staking know: the neighbours and the keys under which epochs are checkpointed
abstract contract StakingBase is IStaking, EpochClock {
    using SafeCast for uint256;

    /// @dev TNDM bonds are kept as if they were the alpha of subnet 0, which does not exist. Not a constant: the optimizer would copy
    /// every function that is called with it.
    Netuid internal immutable BOND = Netuid.wrap(0);

    IERC20 public immutable TNDM;
    IAlphaPools public immutable POOLS;
    ISubnetRegistry public immutable REGISTRY;
    ILaunchGate public immutable GATE;

    constructor(
        Config memory config
    ) EpochClock(config.genesis, config.epochLength) {
        TNDM = IERC20(config.tndm);
        POOLS = IAlphaPools(config.pools);
        REGISTRY = ISubnetRegistry(config.registry);
        GATE = ILaunchGate(config.gate);
    }

    /// @dev Reverts without a pool.
    function _tokenOf(
        Netuid netuid
    ) internal view returns (IERC20 token) {
        if (netuid == BOND) return TNDM;
        token = IERC20(POOLS.alphaOf(netuid));
        if (address(token) == address(0)) revert Staking_NoPool(netuid);
    }

    function _ownerOf(
        address hotkey
    ) internal view returns (address) {
        return REGISTRY.ownerOfHotkey(hotkey);
    }

    /// @dev Everything done now counts from the next epoch on [SN-2].
    function _nextKey() internal view returns (uint48) {
        return _key(currentEpoch() + 1);
    }

    function _key(
        uint64 epoch
    ) internal pure returns (uint48) {
        return uint256(epoch).toUint48();
    }
}
