// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { IRewardDistributor } from "../../src/epoch/IRewardDistributor.sol";
import { Netuid, Phase, RewardKind } from "../../src/types/Types.sol";
import { SuiteTest } from "../support/Suite.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Who plays, with what means, and what invariants must know that no contract remembers: whatever an act brings in from outside, or
/// takes out, it notes here; laws compare these notes with the contracts.
abstract contract Stage is SuiteTest {
    /// @dev What a root once promised to somebody.
    struct Promise {
        Netuid netuid;
        RewardKind kind;
        address account;
    }

    uint256 internal constant USERS = 4;
    uint256 internal constant STAKED = 3;
    uint256 internal constant KINDS = 7;
    /// @dev Alpha and TNDM alike.
    uint256 internal constant WHOLE = 21_000_000e18;
    uint256 internal constant LENT = 400_000e18;
    uint16 internal constant UIDS = 8;
    /// @dev Subnets that are ever registered: laws walk over all of them.
    uint16 internal constant MOST_SUBNETS = 12;

    address[] internal users;
    uint256[] internal userSecrets;
    /// @dev Whoever may hold TNDM, alpha or credits, contracts of the suite included; each once.
    address[] internal everyone;
    /// @dev Those among them who may hold credits.
    address[] internal creditors;
    /// @dev Of validators that have stake.
    address[] internal hotkeys;
    /// @dev Whom roots promise something.
    address[] internal payees;
    address internal attacker = makeActor("attacker");
    address internal lender = makeActor("lender");
    address internal gateway = makeActor("gateway");
    address internal prover = makeActor("prover");
    /// @dev Its USDC is frozen.
    address internal outcast = makeActor("outcast");

    /// @dev How often an act did what it is there for.
    mapping(bytes4 act => uint256) internal done;
    uint256 internal acted;
    uint256 internal succeeded;
    /// @dev The first thing that went wrong within an act; empty while all is well.
    string internal flaw;
    /// @dev Sent to a contract that did not ask for it.
    mapping(address token => mapping(address to => uint256)) internal donated;
    /// @dev USDC that the auction, and pots, got from others than desks.
    uint256 internal otherToAuction;
    uint256 internal otherToPots;
    uint256 internal swept;
    mapping(Netuid => mapping(address account => uint256)) internal putIn;
    mapping(Netuid => mapping(address account => uint256)) internal takenOut;
    Promise[] internal promises;
    mapping(bytes32 promiseId => uint256 cumulative) internal promised;
    /// @dev How much an attacker ever gained by one attack, in wei of the asset it began with; and how often each was tried.
    mapping(bytes4 attack => uint256) internal gained;

    /// @dev Around every act: counts it, and looks at what must not change from one to the next.
    modifier acts() {
        ++acted;
        _;
        _observe();
    }

    /// @dev Of acts that need pools.
    modifier trading() {
        if (gate.phase() == Phase.Markets) {
            _;
        }
    }

    // -------------------------------------------------------------------------------------------------- notes

    /// @dev The act that is running did what it is there for.
    function did() internal {
        ++done[msg.sig];
        ++succeeded;
    }

    function wrong(
        string memory what
    ) internal {
        if (bytes(flaw).length == 0) flaw = what;
    }

    function expect(
        bool condition,
        string memory otherwise
    ) internal {
        if (!condition) wrong(otherwise);
    }

    /// @dev An attack by the act that is running began with `before` and ended with `afterwards` of an asset.
    function attacked(
        uint256 before,
        uint256 afterwards
    ) internal {
        did();
        if (afterwards > before && afterwards - before > gained[msg.sig]) gained[msg.sig] = afterwards - before;
    }

    function notePromise(
        IRewardDistributor.Claim memory c
    ) internal {
        bytes32 id = promiseId(c.netuid, c.kind, c.account);
        if (promised[id] == 0) promises.push(Promise({ netuid: c.netuid, kind: c.kind, account: c.account }));
        if (c.cumulative > promised[id]) promised[id] = c.cumulative;
    }

    function promiseId(
        Netuid netuid,
        RewardKind kind,
        address account
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(netuid, kind, account));
    }

    /// @dev What must not change, or only one way, from act to act.
    function _observe() internal virtual;

    // -------------------------------------------------------------------------------------------------- choices

    function userOf(
        uint256 seed
    ) internal view returns (address) {
        return users[seed % USERS];
    }

    function netuids() internal view returns (uint16) {
        return registry.subnetCount();
    }

    /// @dev Mostly one that is alive; but what is gone must stand whatever is done to it, too.
    function anyNetuid(
        uint256 seed
    ) internal view returns (Netuid) {
        return seed % 4 == 0 ? nthNetuid(seed >> 2) : liveNetuid(seed >> 2);
    }

    function nthNetuid(
        uint256 n
    ) internal view returns (Netuid) {
        return Netuid.wrap(uint16(1 + n % netuids()));
    }

    function trades(
        Netuid netuid
    ) internal view returns (bool) {
        uint64 stop = pools.poolOf(netuid).stopEpoch;
        return stop == 0 || oracle.currentEpoch() < stop;
    }

    /// @dev A subnet whose pool trades; there always is one.
    function liveNetuid(
        uint256 seed
    ) internal view returns (Netuid netuid) {
        uint256 count = netuids();
        for (uint256 i = 0; i < count; ++i) {
            netuid = Netuid.wrap(uint16(1 + (seed % count + i) % count));
            if (trades(netuid)) return netuid;
        }
    }

    function alphaOf(
        Netuid netuid
    ) internal view returns (IERC20) {
        return IERC20(pools.alphaOf(netuid));
    }

    /// @dev Whether there is such a token: TNDM, or the alpha of a subnet with a pool.
    function hasToken(
        Netuid netuid
    ) internal view returns (bool) {
        return netuid.isZero() || pools.exists(netuid);
    }

    /// @dev TNDM for 0.
    function tokenOf(
        Netuid netuid
    ) internal view returns (IERC20) {
        return netuid.isZero() ? IERC20(address(tndm)) : alphaOf(netuid);
    }

    /// @dev Whoever may have something staked: users, owners of validators, the attacker.
    function stakers() internal view returns (address[] memory list) {
        list = new address[](USERS + VALIDATORS + 1);
        for (uint256 i = 0; i < USERS + VALIDATORS; ++i) {
            list[i] = payees[i];
        }
        list[USERS + VALIDATORS] = attacker;
    }

    /// @dev Every contract of the suite that somebody could send something to.
    function suiteContracts() internal view returns (address[22] memory) {
        return [
            address(tndm),
            address(credit),
            address(desk),
            address(settlement),
            address(card),
            address(pools),
            address(router),
            address(auction),
            address(registry),
            address(staking),
            address(slashing),
            address(weightCommits),
            address(controller),
            address(keeperSet),
            address(oracle),
            address(distributor),
            address(timelock),
            address(gate),
            address(allocation),
            address(airdrop),
            address(votes),
            address(governor)
        ];
    }

    // -------------------------------------------------------------------------------------------------- means

    /// @dev TNDM from the ecosystem fund, as far as it has vested.
    function give(
        address to,
        uint256 amount
    ) internal returns (bool) {
        if (tndm.balanceOf(ecosystem) < amount && allocation.releasable(1) != 0) allocation.release(1);
        if (tndm.balanceOf(ecosystem) < amount) return false;
        vm.prank(ecosystem);
        return tndm.transfer(to, amount);
    }

    /// @dev What users, the lender and validators begin with once markets are open.
    function endow() internal {
        for (uint256 i = 0; i < USERS; ++i) {
            give(users[i], 20_000e18);
        }
        give(lender, LENT);
        for (uint256 n = 0; n < STAKED; ++n) {
            (address owner,) = validator(n);
            give(owner, 5000e18);
        }
    }

    function approve(
        address owner,
        IERC20 token,
        address spender,
        uint256 amount
    ) internal {
        vm.prank(owner);
        token.approve(spender, amount);
    }

    function giveUsdc(
        address to,
        uint256 amount,
        address spender
    ) internal {
        usdc.mint(to, amount);
        approve(to, usdc, spender, amount);
    }

    function buyAlpha(
        address owner,
        Netuid netuid,
        uint256 tndmIn
    ) internal returns (uint256 bought) {
        approve(owner, tndm, address(pools), tndmIn);
        vm.prank(owner);
        return pools.buy(netuid, tndmIn, 0, block.timestamp);
    }

    function sellAlpha(
        address owner,
        Netuid netuid,
        uint256 alphaIn
    ) internal returns (uint256 tndmOut) {
        approve(owner, alphaOf(netuid), address(pools), alphaIn);
        vm.prank(owner);
        return pools.sell(netuid, alphaIn, 0, block.timestamp);
    }

    function stakeAlpha(
        address owner,
        Netuid netuid,
        address hotkey,
        uint256 amount
    ) internal {
        approve(owner, alphaOf(netuid), address(staking), amount);
        vm.prank(owner);
        staking.stake(netuid, hotkey, amount);
        putIn[netuid][owner] += amount;
    }

    function settleAll() internal {
        while (controller.settledThrough() < oracle.currentEpoch()) {
            controller.settle(ALL);
        }
    }

    /// @dev A neuron at the price of the phase; false if nobody has as much TNDM.
    function join(
        address owner,
        Netuid netuid,
        address hotkey
    ) internal returns (bool) {
        uint256 price = registry.neuronPrice(netuid);
        if (gate.phase() != Phase.Markets) {
            otherToAuction += price;
            register(netuid, owner, hotkey);
            return true;
        }
        if (!give(owner, price)) return false;
        approve(owner, tndm, address(registry), price);
        vm.prank(owner);
        registry.registerNeuron(netuid, hotkey, "", price);
        return true;
    }

    function seatValidators(
        Netuid netuid
    ) internal {
        for (uint256 v = 0; v < STAKED; ++v) {
            (address owner, address hotkey) = validator(v);
            join(owner, netuid, hotkey);
        }
    }

    /// @dev Enough for the subnet to be granted something, from the next epoch on.
    function stakeValidators(
        Netuid netuid
    ) internal {
        for (uint256 v = 0; v < STAKED; ++v) {
            (address owner, address hotkey) = validator(v);
            if (give(owner, 100e18)) stakeAlpha(owner, netuid, hotkey, buyAlpha(owner, netuid, 100e18));
        }
    }

    // -------------------------------------------------------------------------------------------------- sums

    /// @dev All USDC that ever came to the auction, as its books tell.
    function _auctionIn() internal view returns (uint256 sum) {
        for (uint16 n = 0; n <= netuids(); ++n) {
            sum += auction.accruedOf(Netuid.wrap(n));
        }
        for (uint256 id = 1; id <= auction.lotCount(); ++id) {
            sum += auction.lotOf(id).usdc;
        }
    }

    /// @dev All USDC that ever came to pots and was not swept, as the distributor's books tell.
    function _potsIn() internal view returns (uint256 sum) {
        uint64 epoch = oracle.currentEpoch();
        for (uint16 n = 1; n <= netuids(); ++n) {
            (, uint256 granted) = distributor.grantsOf(Netuid.wrap(n));
            sum += granted + distributor.potOf(epoch, Netuid.wrap(n));
        }
    }

    /// @dev Margin that was recognised and is still at the desk.
    function _held() internal view returns (uint256 held) {
        for (uint16 n = 1; n <= netuids(); ++n) {
            (uint256 toBuyback, uint256 toPot,) = desk.heldMargin(Netuid.wrap(n));
            held += toBuyback + toPot;
        }
    }
}
