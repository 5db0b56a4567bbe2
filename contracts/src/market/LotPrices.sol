// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { DutchDecay } from "./DutchDecay.sol";
import { IBurnAuction } from "./IBurnAuction.sol";
import { Arrays } from "@openzeppelin/contracts/utils/Arrays.sol";
import { Math } from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title What lots cost, learned from what was paid for the last ones
abstract contract LotPrices is IBurnAuction {
    /// @dev Units of the USDC that a price is for.
    uint256 internal constant ONE_USDC = 1e6;
    /// @dev A decay starts at this multiple of the last price.
    uint256 internal constant START_MULTIPLE = 2;
    uint256 private constant MEDIAN_OF = 7;
    /// @dev The floor is the median over this: 25 %.
    uint256 private constant FLOOR_DIVISOR = 4;

    uint64 public immutable HALF_LIFE;
    uint128 public immutable PRICING_LOT;
    uint256 public immutable GENESIS_PRICE;
    uint256 public immutable GENESIS_FLOOR;

    /// @dev Prices of the last sales that count, sale n (from 0) at n modulo the ring's size.
    uint256[MEDIAN_OF] private _soldPrices;
    uint256 private _soldCount;

    constructor(
        Config memory config
    ) {
        if (
            config.genesisFloor == 0 || config.genesisFloor > config.genesisPrice
                || config.genesisPrice > type(uint128).max || config.halfLife == 0
        ) revert BurnAuction_BadConfig();
        HALF_LIFE = config.halfLife;
        PRICING_LOT = config.pricingLot;
        GENESIS_PRICE = config.genesisPrice;
        GENESIS_FLOOR = config.genesisFloor;
    }

    /// @inheritdoc IBurnAuction
    function lastPrice() public view returns (uint256) {
        return _soldCount == 0 ? 0 : _soldPrices[(_soldCount - 1) % MEDIAN_OF];
    }

    /// @inheritdoc IBurnAuction
    function medianPrice() public view returns (uint256) {
        uint256 count = Math.min(_soldCount, MEDIAN_OF);
        if (count == 0) return 0;
        uint256[] memory prices = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            prices[i] = _soldPrices[i];
        }
        Arrays.sort(prices);
        return Math.average(prices[(count - 1) / 2], prices[count / 2]);
    }

    /// @dev A price for next to nothing costs nothing to pay, so it says nothing: who doubled it day by day, or waited until it had
    /// fallen where nobody else looks, would decide where the next large lot starts.
    function _learn(
        uint256 price,
        uint256 usdc
    ) internal {
        if (usdc < PRICING_LOT) return;
        _soldPrices[_soldCount % MEDIAN_OF] = price;
        ++_soldCount;
    }

    function _startOfDecay() internal view returns (uint256) {
        return _soldCount == 0 ? GENESIS_PRICE : START_MULTIPLE * lastPrice();
    }

    /// @dev 25 % of the median of the last seven sales, the genesis constant before there are seven.
    function _floorOfSales() internal view returns (uint256) {
        if (_soldCount < MEDIAN_OF) return GENESIS_FLOOR;
        return Math.max(1, medianPrice() / FLOOR_DIVISOR);
    }

    function _price(
        Lot storage lot
    ) internal view returns (uint256) {
        return DutchDecay.decayed(lot.startPrice, lot.floorPrice, block.timestamp - lot.startedAt, HALF_LIFE);
    }

    function _costUp(
        uint256 usdc,
        uint256 price
    ) internal pure returns (uint256) {
        return Math.mulDiv(usdc, price, ONE_USDC, Math.Rounding.Ceil);
    }
}
