// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IBurnAuction } from "../market/IBurnAuction.sol";
import { EpochClock } from "../types/EpochClock.sol";
import { Netuid, WAD } from "../types/Types.sol";
import { IEpochOracle } from "./IEpochOracle.sol";
import { IKeeperSet } from "./IKeeperSet.sol";
import { KeeperTable } from "./KeeperTable.sol";
import { AccessManaged } from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import { Checkpoints } from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

/// @title KeeperSet
/// @notice Promises, units and errors are documented on IKeeperSet.
contract KeeperSet is IKeeperSet, EpochClock, AccessManaged {
    using Checkpoints for Checkpoints.Trace160;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev In a slot of its own: nearly every reading asks for the newest set.
    struct Newest {
        address table;
        uint64 fromEpoch;
    }

    uint256 private constant MIN_KEEPERS = 4;
    uint256 private constant MAX_KEEPERS = 31;
    uint256 private constant MAX_ENDPOINT_BYTES = 256;
    uint64 private constant STILL_SERVING = type(uint64).max;
    /// @dev One part of two of what is slashed.
    uint256 private constant PROVER_PART = 2;

    IERC20 public immutable USDC;
    IBurnAuction public immutable AUCTION;
    IEpochOracle public immutable ORACLE;
    address public immutable SLASHING;
    bool public immutable DEVNET;
    uint64 public immutable UNBONDING_PERIOD;

    Newest private _newest;
    /// @dev Tables of all sets that came into effect before the newest, by first epoch.
    Checkpoints.Trace160 private _earlier;
    uint256 private _tables;
    mapping(address keeper => uint64) private _servesUntil;
    mapping(address keeper => uint256) private _bonds;
    mapping(address keeper => string) private _endpoints;

    constructor(
        Config memory config,
        address[] memory keepers,
        uint16 threshold
    ) EpochClock(config.genesis, config.epochLength) AccessManaged(config.authority) {
        USDC = IERC20(config.usdc);
        AUCTION = IBurnAuction(config.auction);
        ORACLE = IEpochOracle(config.oracle);
        SLASHING = config.slashing;
        DEVNET = config.devnet;
        UNBONDING_PERIOD = config.unbondingPeriod;
        _push(keepers, threshold, 0);
    }

    /// @inheritdoc IKeeperSet
    function schedule(
        address[] calldata keepers,
        uint16 threshold
    ) external restricted {
        uint64 fromEpoch = currentEpoch() + 1;
        // Whoever is not in the new set serves until it takes effect; whoever is, serves on.
        uint64 until = startOf(fromEpoch).toUint64();
        address[] memory before = KeeperTable.read(_newest.table).keepers;
        for (uint256 i = 0; i < before.length; ++i) {
            _servesUntil[before[i]] = until;
        }
        _push(keepers, threshold, fromEpoch);
        ORACLE.syncKeepers();
    }

    /// @inheritdoc IKeeperSet
    function setEndpoint(
        string calldata endpoint
    ) external {
        uint256 length = bytes(endpoint).length;
        if (length > MAX_ENDPOINT_BYTES) revert KeeperSet_EndpointTooLong(length);
        _endpoints[msg.sender] = endpoint;
        emit EndpointChanged(msg.sender, endpoint);
    }

    /// @inheritdoc IKeeperSet
    function bond(
        address keeper,
        uint256 usdc
    ) external {
        if (keeper == address(0)) revert KeeperSet_ZeroAddress();
        if (usdc == 0) revert KeeperSet_ZeroAmount();
        _bonds[keeper] += usdc;
        USDC.safeTransferFrom(msg.sender, address(this), usdc);
        emit Bonded(keeper, msg.sender, usdc);
    }

    /// @inheritdoc IKeeperSet
    function withdrawBond(
        address to
    ) external {
        if (to == address(0)) revert KeeperSet_ZeroAddress();
        uint64 until = _servesUntil[msg.sender];
        if (until == STILL_SERVING) revert KeeperSet_StillServing(msg.sender);
        if (until != 0 && block.timestamp < uint256(until) + UNBONDING_PERIOD) {
            revert KeeperSet_StillBound(msg.sender, uint256(until) + UNBONDING_PERIOD);
        }
        uint256 amount = _bonds[msg.sender];
        if (amount == 0) revert KeeperSet_NoBond(msg.sender);
        delete _bonds[msg.sender];
        USDC.safeTransfer(to, amount);
        emit BondWithdrawn(msg.sender, to, amount);
    }

    /// @inheritdoc IKeeperSet
    function slash(
        address keeper,
        uint256 share,
        address prover
    ) external returns (uint256 usdc) {
        if (msg.sender != SLASHING) revert KeeperSet_OnlySlashing(msg.sender);
        if (share > WAD) revert KeeperSet_ShareAboveOne(share);
        usdc = Math.mulDiv(_bonds[keeper], share, WAD);
        if (usdc == 0) return 0;
        _bonds[keeper] -= usdc;
        uint256 toProver = usdc / PROVER_PART;
        emit BondSlashed(keeper, prover, usdc, toProver);
        USDC.safeTransfer(prover, toProver);
        USDC.forceApprove(address(AUCTION), usdc - toProver);
        AUCTION.fund(Netuid.wrap(0), usdc - toProver);
    }

    /// @inheritdoc IKeeperSet
    function setAt(
        uint64 epoch
    ) external view returns (Set memory set) {
        KeeperTable.Members memory members = _membersAt(epoch);
        address[] memory keepers = members.keepers;
        string[] memory endpoints = new string[](keepers.length);
        for (uint256 i = 0; i < keepers.length; ++i) {
            endpoints[i] = _endpoints[keepers[i]];
        }
        return Set({
            fromEpoch: members.fromEpoch,
            threshold: members.threshold,
            configDigest: members.configDigest,
            keepers: keepers,
            endpoints: endpoints
        });
    }

    /// @inheritdoc IKeeperSet
    function membersAt(
        uint64 epoch
    ) external view returns (address[] memory keepers, uint16 threshold, bytes32 configDigest) {
        KeeperTable.Members memory members = _membersAt(epoch);
        return (members.keepers, members.threshold, members.configDigest);
    }

    /// @inheritdoc IKeeperSet
    function tableAt(
        uint64 epoch
    ) public view returns (address) {
        if (epoch >= _newest.fromEpoch) return _newest.table;
        return address(_earlier.upperLookupRecent(epoch));
    }

    /// @inheritdoc IKeeperSet
    function newest() external view returns (address table, uint64 fromEpoch) {
        return (_newest.table, _newest.fromEpoch);
    }

    /// @inheritdoc IKeeperSet
    function isKeeperAt(
        uint64 epoch,
        address keeper
    ) external view returns (bool) {
        address[] memory keepers = _membersAt(epoch).keepers;
        for (uint256 i = 0; i < keepers.length; ++i) {
            if (keepers[i] == keeper) return true;
        }
        return false;
    }

    /// @inheritdoc IKeeperSet
    function thresholdAt(
        uint64 epoch
    ) external view returns (uint16) {
        return _membersAt(epoch).threshold;
    }

    /// @inheritdoc IKeeperSet
    function configDigestAt(
        uint64 epoch
    ) external view returns (bytes32) {
        return _membersAt(epoch).configDigest;
    }

    /// @inheritdoc IKeeperSet
    function endpointOf(
        address keeper
    ) external view returns (string memory) {
        return _endpoints[keeper];
    }

    /// @inheritdoc IKeeperSet
    function bondOf(
        address keeper
    ) external view returns (uint256) {
        return _bonds[keeper];
    }

    /// @inheritdoc IKeeperSet
    function servesUntil(
        address keeper
    ) external view returns (uint64) {
        return _servesUntil[keeper];
    }

    function _push(
        address[] memory keepers,
        uint16 threshold,
        uint64 fromEpoch
    ) private {
        _check(keepers, threshold);
        bytes32 digest = keccak256(abi.encode(block.chainid, address(this), fromEpoch, keepers, threshold));
        KeeperTable.Members memory members =
            KeeperTable.Members({ fromEpoch: fromEpoch, threshold: threshold, configDigest: digest, keepers: keepers });
        Newest memory before = _newest;
        // A set that is replaced in the epoch it was scheduled in has never held.
        if (fromEpoch > before.fromEpoch) _earlier.push(before.fromEpoch, uint160(before.table));
        _newest = Newest({ table: KeeperTable.write(members, bytes32(++_tables)), fromEpoch: fromEpoch });
        for (uint256 i = 0; i < keepers.length; ++i) {
            _servesUntil[keepers[i]] = STILL_SERVING;
        }
        emit SetScheduled(fromEpoch, digest, keepers, threshold);
    }

    function _check(
        address[] memory keepers,
        uint16 threshold
    ) private view {
        uint256 n = keepers.length;
        if (n == 0 || n > MAX_KEEPERS || (n < MIN_KEEPERS && !DEVNET)) revert KeeperSet_BadSize(n);
        bool good = n < MIN_KEEPERS ? threshold <= n && 2 * uint256(threshold) > n : threshold == 2 * n / 3 + 1;
        if (!good) revert KeeperSet_BadThreshold(threshold, n);
        address previous = address(0);
        for (uint256 i = 0; i < n; ++i) {
            if (keepers[i] <= previous) revert KeeperSet_NotAscending(i);
            previous = keepers[i];
        }
    }

    function _membersAt(
        uint64 epoch
    ) private view returns (KeeperTable.Members memory) {
        return KeeperTable.read(tableAt(epoch));
    }
}
