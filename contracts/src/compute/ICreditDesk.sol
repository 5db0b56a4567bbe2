// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Netuid } from "../types/Types.sol";

/// @title Sells credits for USDC, pays contributors out in USDC, holds the reserve
/// @notice Prices are USDC units (6 decimals) per credit (1e18). What a buyer pays splits in two: `payoutRate` per credit goes
/// to the reserve, the rest is deferred margin until the credit is spent.
///
/// Promises:
/// - `[CR-2]` `reserve >= payoutRate × totalSupply / 1e18` after every call. The reserve is counted in this contract's books:
///   USDC sent here unasked changes nothing. Costs and reserve parts round up, payouts down.
/// - `payoutRate`, `buybackShare` and every address are immutable; `price >= 1.05 × payoutRate` always.
/// - `[CR-4]` What a cash-out pays depends on `payoutRate` alone. Cash-out has no pause and no role `[GV-2]`.
/// - Margin is recognised once `[CR-3]`; at no time is more forwarded than was deferred. A settlement only books it, per subnet
///   with its epoch. It leaves with the first settlement of the subnet in a later epoch, or when anybody calls
///   `forwardMargin`, and counts in the epoch it was recognised in. Money that cannot leave (a paused or blacklisting USDC) is
///   held, not lost, and never stops a settlement.
/// - Margin recognised in an epoch that began before markets opened buys back unattributed, whenever it is forwarded: it earns
///   no subnet an allowance.
interface ICreditDesk {
    /// @notice Everything a desk is born with.
    /// @param authority AccessManager of the `restricted` functions.
    /// @param usdc The stablecoin, 6 decimals; moves exactly the amount it is told to.
    /// @param credit The ComputeCredit of this series.
    /// @param settlement The Settlement of this series.
    /// @param auction BurnAuction, which takes the buyback part of margin.
    /// @param distributor RewardDistributor, which takes the pot part of margin.
    /// @param gate LaunchGate, which knows when markets opened.
    /// @param price First price, USDC units per credit.
    /// @param payoutRate USDC units per credit cashed out; immutable.
    /// @param buybackShare WAD, between 0.40e18 and 1e18; immutable.
    /// @param genesis Start of epoch 0, seconds.
    /// @param epochLength Length of an epoch, seconds.
    struct Config {
        address authority;
        address usdc;
        address credit;
        address settlement;
        address auction;
        address distributor;
        address gate;
        uint256 price;
        uint256 payoutRate;
        uint256 buybackShare;
        uint64 genesis;
        uint64 epochLength;
    }

    /// @notice `payer` paid `usdc` = `toReserve` + `margin` for `credits` that `account` got.
    event Bought(
        address indexed payer, address indexed account, uint256 credits, uint256 usdc, uint256 toReserve, uint256 margin
    );
    /// @notice `account` burned earned `credits`; `to` got `usdc`.
    event CashedOut(address indexed account, address indexed to, uint256 credits, uint256 usdc);
    /// @notice `margin` USDC units became revenue of the subnet, and are held here.
    event MarginRecognised(Netuid indexed netuid, uint256 margin);
    /// @notice `margin` of an earlier epoch could not be forwarded now: it waits with what `epoch` brings, for `forwardMargin`.
    event MarginHeld(Netuid indexed netuid, uint64 indexed epoch, uint256 margin);
    /// @notice Recognised margin of `epoch` left for the auction, `attributed` to the subnet or not, and for the subnet's pot.
    event MarginForwarded(
        Netuid indexed netuid, uint64 indexed epoch, bool attributed, uint256 toBuyback, uint256 toPot
    );
    /// @notice `price` holds from the start of `fromEpoch`.
    event PriceChanged(uint256 price, uint64 fromEpoch);
    /// @notice Nobody can buy before `until`.
    event BuyingPaused(uint64 until);

    /// @notice Nothing to buy, or so little to cash out that it pays nothing.
    error CreditDesk_ZeroAmount();
    /// @notice The credits cost `cost`, the caller pays `maxUsdc` at most.
    error CreditDesk_AboveMaximum(uint256 cost, uint256 maxUsdc);
    /// @notice The guardian stopped buying before `until`.
    error CreditDesk_BuyingPaused(uint64 until);
    /// @notice A pause may end at `latest`, seven days ahead.
    error CreditDesk_PauseTooLong(uint64 until, uint256 latest);
    /// @notice Only settlement recognises margin.
    error CreditDesk_OnlySettlement(address caller);
    /// @notice The price must be at least `minimum` = 1.05 × payoutRate, rounded up.
    error CreditDesk_PriceTooLow(uint256 price, uint256 minimum);
    /// @notice The payout rate must be above zero.
    error CreditDesk_ZeroPayoutRate();
    /// @notice The buyback share must lie between 0.40e18 and 1e18.
    error CreditDesk_InvalidBuybackShare(uint256 buybackShare);
    /// @notice Margin of an earlier epoch is to be forwarded first, and `needed` gas must be left to try that.
    error CreditDesk_TooLittleGas(uint256 left, uint256 needed);
    /// @notice USDC is not paid out to the zero address or to the desk itself.
    error CreditDesk_InvalidRecipient(address to);

    /// @notice Buy `credits` for the caller, paying at most `maxUsdc`.
    /// @param credits Amount with 18 decimals, above zero.
    /// @param maxUsdc Limit in USDC units; the cost is `quote(credits)`.
    /// @return usdcPaid What was pulled from the caller.
    function buy(
        uint256 credits,
        uint256 maxUsdc
    ) external returns (uint256 usdcPaid);

    /// @notice `buy` with the caller's ERC-2612 permit for exactly `maxUsdc`.
    /// @dev A permit that somebody else has already submitted does no harm: the allowance decides.
    function buyWithPermit(
        uint256 credits,
        uint256 maxUsdc,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 usdcPaid);

    /// @notice The caller (a fiat gateway, which carries chargebacks) pays, `account` gets the credits.
    function buyFor(
        address account,
        uint256 credits,
        uint256 maxUsdc
    ) external returns (uint256 usdcPaid);

    /// @notice Burn `credits` earned credits of the caller and pay `payoutRate` each, rounded down, to `to`. Never paused.
    /// @dev `to` may differ from the caller, whom USDC might have blacklisted.
    function cashOut(
        uint256 credits,
        address to
    ) external returns (uint256 usdcPaid);

    /// @notice Only settlement: `margin` USDC units became revenue of `netuid`. Booked here; if something of an earlier epoch is
    /// booked, that is forwarded first.
    /// @dev The attempt to forward gets 500,000 gas and no more, and its failure is not settlement's: what could not leave waits
    /// with the new epoch's. A caller that leaves too little gas for the attempt reverts with `CreditDesk_TooLittleGas`, so nobody
    /// can make it fail; it is due once per subnet and epoch at most.
    function recogniseMargin(
        Netuid netuid,
        uint256 margin
    ) external;

    /// @notice By anyone: send on the recognised margin of a subnet that is still held here: `buybackShare` of it, rounded up, to
    /// the auction (`fund`; for netuid zero, which means unattributed, if it was recognised in an epoch that began before markets
    /// opened), the rest to the subnet's pot (`contributeFor` the epoch in which it was recognised). Nothing happens if there
    /// is none.
    function forwardMargin(
        Netuid netuid
    ) external;

    /// @notice `restricted` (price setter): from the next epoch's start on; replaces a change that has not begun.
    function setPrice(
        uint256 newPrice
    ) external;

    /// @notice `restricted` (guardian): stops buying until `until`, at most 7 days ahead, expires by itself; a time that has
    /// passed ends a pause.
    function pauseBuying(
        uint64 until
    ) external;

    /// @notice USDC units per credit bought now.
    function price() external view returns (uint256);

    /// @notice USDC units per credit cashed out; immutable.
    function payoutRate() external view returns (uint256);

    /// @notice Part of recognised margin that buys TNDM to burn it; WAD, immutable, at least 0.40e18.
    function buybackShare() external view returns (uint256);

    /// @notice What `credits` cost now, in USDC units, rounded up.
    function quote(
        uint256 credits
    ) external view returns (uint256 usdc);

    /// @notice USDC units that back credits, by this contract's books; deferred and held margin are not part of it.
    function reserve() external view returns (uint256);

    /// @notice Margin of credits that are not spent yet, USDC units.
    function deferredMargin() external view returns (uint256);

    /// @notice Recognised margin of a subnet that waits to be forwarded, in its two parts, USDC units, and the epoch in which it
    /// counts.
    function heldMargin(
        Netuid netuid
    ) external view returns (uint256 toBuyback, uint256 toPot, uint64 epoch);

    /// @notice Buying is stopped while `block.timestamp` is below this.
    function buyingPausedUntil() external view returns (uint64);

    // constructor(Config config)
}
