// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

/// @title The figures that the network is steered by
/// @notice Pure views over what other contracts have counted: no state, no owner, no input. Each figure says whether it is
/// defined: without sales, emission or credits there is nothing to divide by, and zero would be a lie. Figures "of the year"
/// cover the running week and the 52 before it. Rounded down.
interface INetworkHealth {
    /// @notice `value` is WAD (1e18 = one) unless said otherwise, and zero while the figure is not `defined`.
    struct Figure {
        bool defined;
        uint256 value;
    }

    /// @notice All figures and what they are made of. USDC has 6 decimals, TNDM and credits 18.
    /// @param creditRatio See `creditRatio`.
    /// @param governanceRatio See `governanceRatio`.
    /// @param subsidyRatio See `subsidyRatio`.
    /// @param respentShare See `respentShare`.
    /// @param reserveCoverage See `reserveCoverage`.
    /// @param revenue USDC, ever: see `creditRatio`.
    /// @param redeemed Credits burned for USDC, ever.
    /// @param burnedInYear TNDM burned by the auction, of the year.
    /// @param emittedInYear TNDM emitted, of the year.
    /// @param emittedValue USDC, what `emittedInYear` is worth at the median price of the last lots; 0 before the first is sold.
    /// @param marginInYear USDC, of the year: recognised margin whose buyback part was sold.
    struct Health {
        Figure creditRatio;
        Figure governanceRatio;
        Figure subsidyRatio;
        Figure respentShare;
        Figure reserveCoverage;
        uint256 revenue;
        uint256 redeemed;
        uint256 burnedInYear;
        uint256 emittedInYear;
        uint256 emittedValue;
        uint256 marginInYear;
    }

    /// @notice Everything in one call.
    function health() external view returns (Health memory);

    /// @notice Real revenue per credit redeemed, in USDC units per credit (1e18) like a price; of the whole time. Revenue is what users
    /// paid for the credits that were spent for the first time: recognised margin, and `payoutRate` for each credit earned from
    /// purchased ones. A credit that its earner spends again brings none. Not below the price that users paid: what is
    /// above it is work whose pay was spent on inference or is still held. Undefined while nothing was redeemed.
    function creditRatio() external view returns (Figure memory);

    /// @notice TNDM burned by the auction over TNDM emitted, of the year. 1/φ where all allowance was earned by revenue and paid out; less
    /// means sponsored emission (locks count as such). Undefined without emission.
    function governanceRatio() external view returns (Figure memory);

    /// @notice Value of the TNDM emitted, at the median price of the last lots sold, over recognised margin, both of the year. Margin is
    /// measured where it burns: USDC that lots of attributed money sold, over the buyback share; fees, gifts and the mesh phase do
    /// not count. Above one the network pays for its work with more than it keeps. Undefined without such sales or
    /// without a price.
    function subsidyRatio() external view returns (Figure memory);

    /// @notice Part of all credits settled that their spenders had earned, not bought; of the whole time. Undefined while none was
    /// settled.
    function respentShare() external view returns (Figure memory);

    /// @notice The desk's reserve over what all credits would cash out for; never below one [CR-2]. Undefined without credits.
    function reserveCoverage() external view returns (Figure memory);

    // constructor(address controller, address auction, address desk, address credit)
}
