// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISettlement } from "../../src/compute/ISettlement.sol";
import { SeriesTest } from "../support/SeriesTest.sol";

/// @notice What a contributor pays to settle ten clients' vouchers. Everything is prepared in `setUp`, so that a test begins, as
/// a transaction does, with no slot touched; the transaction's own cost is added to what the call took.
/// What is deployed is compiled through the intermediate representation and is held to 20,000 each by the benchmark; forge
/// compiles without it, which costs up to a fiftieth more.
contract SettlementGasTest is SeriesTest {
    uint256 private constant VOUCHERS = 10;
    uint256 private constant TARGET = 20_000 + 20_000 / 50;
    /// @dev EIP-2028 and the transaction's base.
    uint256 private constant BASE = 21_000;
    uint256 private constant ZERO_BYTE = 4;
    uint256 private constant BYTE = 16;

    bytes private _first;
    bytes private _repeat;

    function setUp() public override {
        super.setUp();
        vm.warp(GENESIS + 10 * LENGTH + 10);
        // The contributor has earned, and the subnet has had margin in this epoch.
        buyCredits(payer, 10e18);
        settleUpTo(openChannel(10e18), 3e18);

        uint256[] memory channels = new uint256[](VOUCHERS);
        for (uint256 i = 0; i < VOUCHERS; ++i) {
            payer = makeActor(string.concat("payer ", vm.toString(i)));
            buyCredits(payer, 1234567890123456789012);
            channels[i] = openChannel(1134567890123456789012);
        }
        _first = _batch(channels, 123456789012345678);
        for (uint256 i = 0; i < VOUCHERS; ++i) {
            payer = makeActor(string.concat("payer again ", vm.toString(i)));
            buyCredits(payer, 1234567890123456789012);
            channels[i] = openChannel(1134567890123456789012);
            settleUpTo(channels[i], 123456789012345678);
        }
        _repeat = _batch(channels, 323456789012345678);
    }

    /// The first vouchers of ten channels cost no more than later ones: the purse is written at the opening.
    function test_tenFirstVouchersOfTheirChannelsCostAtMostTwentyThousandEach() public {
        _check(_first, "first");
    }

    function test_tenLaterVouchersCostAtMostTwentyThousandEach() public {
        _check(_repeat, "repeat");
    }

    function _check(
        bytes memory call,
        string memory name
    ) private {
        // The address that a transaction goes to is warm.
        vm.assertEq(address(settlement).balance, 0);
        uint256 before = gasleft();
        (bool ok, bytes memory result) = address(settlement).call(call);
        uint256 used = before - gasleft() + BASE;
        vm.assertTrue(ok);
        vm.assertGt(abi.decode(result, (uint256)), VOUCHERS * 1e17);
        for (uint256 i = 0; i < call.length; ++i) {
            used += call[i] == 0 ? ZERO_BYTE : BYTE;
        }
        vm.assertLe(used, VOUCHERS * TARGET, name);
    }

    function _batch(
        uint256[] memory channels,
        uint256 amount
    ) private view returns (bytes memory) {
        ISettlement.CompactVoucher[] memory vouchers = new ISettlement.CompactVoucher[](channels.length);
        for (uint256 i = 0; i < channels.length; ++i) {
            ISettlement.Voucher memory voucher = voucherFor(channels[i], amount);
            voucher.promptTokens = 98_765;
            vouchers[i] = compactVoucher(voucher, sessionSecret);
        }
        return abi.encodeCall(ISettlement.settleBatch, (contributor, SUBNET, MODEL, 1, vouchers));
    }
}
