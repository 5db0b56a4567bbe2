// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid, Phase } from "../../src/types/Types.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice A launch gate whose phase the test sets.
contract GateStand {
    Phase public phase;
    uint64 public tokenOpenedAt;
    uint64 public marketsOpenedAt;

    function openMarkets() external {
        phase = Phase.Markets;
        marketsOpenedAt = uint64(block.timestamp);
    }
}

/// @notice Pools without a curve: takes what it is paid and remembers it; the circulation is set by the test.
contract PoolsStand {
    IERC20 public immutable TNDM;
    uint256 public medianEma = 0.05e18;
    mapping(Netuid => address) public alphaOf;
    mapping(Netuid => uint256) public circulatingAlpha;
    mapping(Netuid => uint256) public seededWith;
    mapping(Netuid => uint256) public seededAt;
    mapping(Netuid => uint256) public boughtWith;
    mapping(Netuid => uint256) public emaOf;
    mapping(Netuid => uint64) public stoppedFrom;

    constructor(
        IERC20 tndm
    ) {
        TNDM = tndm;
    }

    function create(
        Netuid netuid,
        uint256 tndm,
        uint256 initialPrice
    ) external returns (address) {
        TNDM.transferFrom(msg.sender, address(this), tndm);
        seededWith[netuid] = tndm;
        seededAt[netuid] = initialPrice;
        return address(this);
    }

    function buyAndBurn(
        Netuid netuid,
        uint256 tndm
    ) external returns (uint256) {
        TNDM.transferFrom(msg.sender, address(this), tndm);
        boughtWith[netuid] += tndm;
        return tndm;
    }

    function stop(
        Netuid netuid,
        uint64 fromEpoch
    ) external {
        stoppedFrom[netuid] = fromEpoch;
    }

    function setEma(
        Netuid netuid,
        uint256 ema
    ) external {
        emaOf[netuid] = ema;
    }

    function setAlpha(
        Netuid netuid,
        address alpha
    ) external {
        alphaOf[netuid] = alpha;
    }

    function setCirculating(
        Netuid netuid,
        uint256 amount
    ) external {
        circulatingAlpha[netuid] = amount;
    }

    function exists(
        Netuid netuid
    ) external view returns (bool) {
        return alphaOf[netuid] != address(0);
    }
}

/// @notice An auction that only collects; smoothed revenue is set by the test.
contract AuctionStand {
    IERC20 public immutable USDC;
    mapping(Netuid => uint256) public funded;
    mapping(Netuid => uint256) public revenueOf;

    constructor(
        IERC20 usdc
    ) {
        USDC = usdc;
    }

    function fund(
        Netuid netuid,
        uint256 usdc
    ) external {
        USDC.transferFrom(msg.sender, address(this), usdc);
        funded[netuid] += usdc;
    }

    function setRevenue(
        Netuid netuid,
        uint256 usdc
    ) external {
        revenueOf[netuid] = usdc;
    }
}

/// @notice An oracle whose active report the test sets.
contract OracleStand {
    bytes32 private _root;
    uint64 private _epoch;

    function activate(
        bytes32 root,
        uint64 epoch
    ) external {
        (_root, _epoch) = (root, epoch);
    }

    function activeSubnetsRoot() external view returns (bytes32 root, uint64 epoch) {
        return (_root, _epoch);
    }
}

/// @notice A stake that remembers whose seats changed; the zero address stands for all of a pruned subnet.
contract StakingStand {
    mapping(Netuid => address[]) private _changed;

    function onSeatsChanged(
        Netuid netuid,
        address hotkey
    ) external {
        _changed[netuid].push(hotkey);
    }

    function changedIn(
        Netuid netuid
    ) external view returns (address[] memory) {
        return _changed[netuid];
    }
}

/// @notice A controller whose progress the test sets and that remembers the burns credited to it.
contract ControllerStand {
    uint64 public settledThrough;
    mapping(Netuid => uint256) public credited;

    function creditBurn(
        Netuid netuid,
        uint256 burned
    ) external {
        credited[netuid] += burned;
    }

    function setSettledThrough(
        uint64 epoch
    ) external {
        settledThrough = epoch;
    }
}

/// @notice A distributor that remembers roots; verified epochs are set by the test.
contract DistributorStand {
    uint64 public lastEpoch;
    bytes32 public lastRoot;
    uint256 public activations;
    mapping(address account => uint32) public verifiedEpochs;

    function activateRoot(
        uint64 epoch,
        bytes32 root
    ) external {
        lastEpoch = epoch;
        lastRoot = root;
        ++activations;
    }

    function setVerifiedEpochs(
        address account,
        uint32 epochs
    ) external {
        verifiedEpochs[account] = epochs;
    }
}
