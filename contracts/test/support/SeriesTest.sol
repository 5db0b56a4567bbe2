// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { CreditDesk } from "../../src/compute/CreditDesk.sol";
import { ICreditDesk } from "../../src/compute/ICreditDesk.sol";
import { ISettlement } from "../../src/compute/ISettlement.sol";
import { RateCard } from "../../src/compute/RateCard.sol";
import { Settlement } from "../../src/compute/Settlement.sol";
import { SuiteFactory } from "../../src/deploy/SuiteFactory.sol";
import { Outages } from "../../src/epoch/Outages.sol";
import { TestUSDC } from "../../src/local/TestUSDC.sol";
import { ISubnetRegistry } from "../../src/subnet/ISubnetRegistry.sol";
import { ComputeCredit } from "../../src/token/ComputeCredit.sol";
import { IComputeCredit } from "../../src/token/IComputeCredit.sol";
import { Netuid } from "../../src/types/Types.sol";
import { GateStand } from "./Neighbours.sol";
import { Vouchers } from "./Vouchers.sol";
import { AccessManager } from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Says who owns a uid, as the registry would.
contract NeuronOwners {
    mapping(Netuid netuid => mapping(uint16 uid => address)) private _owners;

    function set(
        Netuid netuid,
        uint16 uid,
        address owner
    ) external {
        _owners[netuid][uid] = owner;
    }

    function neuronOf(
        Netuid netuid,
        uint16 uid
    ) external view returns (ISubnetRegistry.Neuron memory neuron) {
        neuron.owner = _owners[netuid][uid];
    }
}

/// @notice Takes recognised margin as auction and distributor do: pulls what it is told.
contract MarginSink {
    error Refused();

    IERC20 private immutable USDC;

    bool public refuses;
    bool public burnsGas;
    mapping(Netuid netuid => uint256) public received;
    mapping(Netuid netuid => mapping(uint64 epoch => uint256)) public receivedFor;

    constructor(
        IERC20 usdc
    ) {
        USDC = usdc;
    }

    function setRefuses(
        bool refuses_
    ) external {
        refuses = refuses_;
    }

    function fund(
        Netuid netuid,
        uint256 amount
    ) external {
        _pull(netuid, amount);
    }

    function contributeFor(
        Netuid netuid,
        uint64 epoch,
        uint256 amount
    ) external {
        receivedFor[netuid][epoch] += amount;
        _pull(netuid, amount);
    }

    function setBurnsGas(
        bool burnsGas_
    ) external {
        burnsGas = burnsGas_;
    }

    function _pull(
        Netuid netuid,
        uint256 amount
    ) private {
        if (refuses) revert Refused();
        while (burnsGas) { }
        received[netuid] += amount;
        require(USDC.transferFrom(msg.sender, address(this), amount));
    }
}

/// @notice A whole series (credit, desk, settlement) with its rate card, wired as it is deployed.
abstract contract SeriesTest is Vouchers {
    uint64 internal constant GENESIS = 1_800_000_000;
    uint64 internal constant LENGTH = 3600;
    uint64 internal constant GRACE = 1 days;
    uint64 internal constant LEAST_OUTAGE = 10 minutes;
    uint256 internal constant PRICE = 1_000_000;
    uint256 internal constant PAYOUT = 850_000;
    uint256 internal constant BUYBACK = 0.5e18;
    uint256 internal constant CREDIT = 1e18;
    uint256 internal constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    Netuid internal constant SUBNET = Netuid.wrap(1);
    uint16 internal constant UID = 3;

    AccessManager internal manager;
    TestUSDC internal usdc;
    ComputeCredit internal credit;
    CreditDesk internal desk;
    Settlement internal settlement;
    RateCard internal card;
    NeuronOwners internal registry;
    MarginSink internal auction;
    MarginSink internal distributor;
    GateStand internal gate;
    Outages internal outages;

    address internal payer;
    address internal contributor;
    address internal stranger;
    address internal session;
    uint256 internal sessionSecret;

    function setUp() public virtual {
        // Deployed before genesis, as on a real chain; the tests begin in epoch 0.
        vm.warp(GENESIS - 10);
        payer = makeActor("payer");
        contributor = makeActor("contributor");
        stranger = makeActor("stranger");
        (session, sessionSecret) = makeActorAndKey("session");

        manager = new AccessManager(address(this));
        usdc = new TestUSDC();
        registry = new NeuronOwners();
        auction = new MarginSink(usdc);
        distributor = new MarginSink(usdc);
        gate = new GateStand();
        outages = new Outages(LEAST_OUTAGE);
        card = new RateCard(address(manager), GENESIS, LENGTH);
        _deploySeries();

        registry.set(SUBNET, UID, contributor);
        card.publish(MODEL_ID, PROMPT_RATE, COMPLETION_RATE);
        vm.warp(GENESIS + 10);
    }

    function deskConfig() internal view returns (ICreditDesk.Config memory) {
        return ICreditDesk.Config({
            authority: address(manager),
            usdc: address(usdc),
            credit: address(credit),
            settlement: address(settlement),
            auction: address(auction),
            distributor: address(distributor),
            gate: address(gate),
            price: PRICE,
            payoutRate: PAYOUT,
            buybackShare: BUYBACK,
            genesis: GENESIS,
            epochLength: LENGTH
        });
    }

    /// @dev Gives `account` USDC, which buys `credits` for itself.
    function buyCredits(
        address account,
        uint256 credits
    ) internal returns (uint256 cost) {
        cost = desk.quote(credits);
        usdc.mint(account, cost);
        vm.prank(account);
        usdc.approve(address(desk), cost);
        vm.prank(account);
        desk.buy(credits, cost);
    }

    /// @dev `payer` opens a channel of `amount` credits to the contributor for a day.
    function openChannel(
        uint256 amount
    ) internal returns (uint256 channelId) {
        vm.prank(payer);
        channelId = settlement.open(SUBNET, UID, uint128(amount), uint64(block.timestamp) + 1 days, session);
    }

    function signVoucher(
        ISettlement.Voucher memory voucher,
        uint256 secret
    ) internal view returns (bytes memory) {
        return signed(secret, settlement.hashVoucher(voucher));
    }

    /// @dev Signs and settles a voucher for `amount` cumulative credits.
    function settleUpTo(
        uint256 channelId,
        uint256 amount
    ) internal returns (uint256 paid) {
        ISettlement.Voucher memory voucher = voucherFor(channelId, amount);
        return settlement.settle(voucher, signVoucher(voucher, sessionSecret));
    }

    /// @dev Lets `account` earn `amount` credits that `payer` buys for it.
    function earnFor(
        address account,
        uint256 amount
    ) internal {
        registry.set(SUBNET, UID, account);
        buyCredits(payer, amount);
        settleUpTo(openChannel(amount), amount);
        registry.set(SUBNET, UID, contributor);
    }

    function assertHolding(
        IComputeCredit.Holding memory holding,
        uint256 purchased,
        uint256 earned,
        uint256 margin
    ) internal pure {
        vm.assertEq(holding.purchased, purchased, "purchased");
        vm.assertEq(holding.earned, earned, "earned");
        vm.assertEq(holding.margin, margin, "margin");
    }

    /// @dev `voucher` as a batch carries it.
    function compactVoucher(
        ISettlement.Voucher memory voucher,
        uint256 secret
    ) internal view returns (ISettlement.CompactVoucher memory) {
        return compactVoucher(voucher, settlement.hashVoucher(voucher), secret);
    }

    /// @dev Settles a batch for the contributor, by the first version of the model.
    function settleBatch(
        ISettlement.CompactVoucher[] memory vouchers
    ) internal returns (uint256 paid) {
        return settlement.settleBatch(contributor, SUBNET, MODEL, 1, vouchers);
    }

    function _deploySeries() private {
        SuiteFactory factory = new SuiteFactory();
        credit = ComputeCredit(factory.addressOf(address(this), "credit"));
        desk = CreditDesk(factory.addressOf(address(this), "desk"));
        settlement = Settlement(factory.addressOf(address(this), "settlement"));
        factory.deploy(
            "credit",
            abi.encodePacked(
                type(ComputeCredit).creationCode, abi.encode(address(desk), address(settlement), address(gate))
            )
        );
        factory.deploy("desk", abi.encodePacked(type(CreditDesk).creationCode, abi.encode(deskConfig())));
        factory.deploy(
            "settlement",
            abi.encodePacked(
                type(Settlement).creationCode,
                abi.encode(address(credit), address(desk), address(card), address(registry), address(outages), GRACE)
            )
        );
    }
}
