// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { RollingYear } from "../../src/types/RollingYear.sol";
import { Test } from "../support/Test.sol";

contract RollingYearTest is Test {
    using RollingYear for RollingYear.Year;

    uint256 private constant START = 1_800_000_000 / uint256(1 weeks) * 1 weeks;

    RollingYear.Year private _year;

    function test_sumsCoverTheRunningWeekAnd52BeforeIt() public {
        _year.add(START, 5, 7);
        _year.add(START + 1 weeks - 1, 1, 1);
        (uint256 first, uint256 second) = _year.sumsAt(START);
        vm.assertEq(first, 6);
        vm.assertEq(second, 8);
        (first,) = _year.sumsAt(START + 53 weeks - 1);
        vm.assertEq(first, 6, "still the 53rd week");
        (first, second) = _year.sumsAt(START + 53 weeks);
        vm.assertEq(first + second, 0);
        (first,) = _year.sumsAt(START - 1);
        vm.assertEq(first, 0, "weeks to come do not count");
    }

    /// @dev The slot that a week used is another week's a year later.
    function test_aWeekTakesThePlaceOfTheOneAYearBefore() public {
        _year.add(START, 5, 7);
        _year.add(START + 53 weeks, 2, 3);
        (uint256 first, uint256 second) = _year.sumsAt(START + 53 weeks);
        vm.assertEq(first, 2);
        vm.assertEq(second, 3);
        _year.add(START, 100, 100);
        (first,) = _year.sumsAt(START + 53 weeks);
        vm.assertEq(first, 2, "what is too late is left out");
    }

    /// @dev Against a list of everything that was added.
    function testFuzz_sumsEqualThoseOfAList(
        uint256[12] memory gaps,
        uint256[12] memory amounts,
        uint256 end
    ) public {
        uint256[12] memory times;
        uint256 time = START;
        for (uint256 i = 0; i < gaps.length; ++i) {
            time += bound(gaps[i], 0, 20 weeks);
            times[i] = time;
            _year.add(time, bound(amounts[i], 0, 1e30), i);
        }
        end = bound(end, time, time + 60 weeks);
        uint256 expected;
        uint256 positions;
        for (uint256 i = 0; i < gaps.length; ++i) {
            if (times[i] / 1 weeks + 53 <= end / 1 weeks) continue;
            expected += bound(amounts[i], 0, 1e30);
            positions += i;
        }
        (uint256 first, uint256 second) = _year.sumsAt(end);
        vm.assertEq(first, expected);
        vm.assertEq(second, positions);
    }
}
