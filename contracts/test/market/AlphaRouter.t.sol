// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { AlphaRouter } from "../../src/market/AlphaRouter.sol";
import { IAlphaPools } from "../../src/market/IAlphaPools.sol";
import { IAlphaRouter } from "../../src/market/IAlphaRouter.sol";
import { AlphaToken } from "../../src/token/AlphaToken.sol";
import { VotesToken } from "../../src/token/VotesToken.sol";
import { Netuid } from "../../src/types/Types.sol";
import { PoolsWorld } from "../support/PoolsWorld.sol";

contract AlphaRouterTest is PoolsWorld {
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    Netuid private constant TNDM = Netuid.wrap(0);
    uint256 private constant NO_LIMIT = type(uint256).max;

    AlphaRouter private router;
    address private owner;
    uint256 private ownerKey;
    address private to = makeActor("to");

    function setUp() public override {
        super.setUp();
        router = new AlphaRouter(address(tndm), address(pools));
        (owner, ownerKey) = makeActorAndKey("owner");
        _give(owner, 100_000e18);
        vm.startPrank(trader);
        tndm.approve(address(router), type(uint256).max);
        alphaOne.approve(address(router), type(uint256).max);
        alphaTwo.approve(address(router), type(uint256).max);
        vm.stopPrank();
    }

    function test_aPermitAndATradeGoIntoOneTransaction() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = _permitCall(TNDM, 100e18, 0);
        calls[1] = abi.encodeCall(router.buy, (one, 100e18, NO_LIMIT, 1, owner, block.timestamp));
        uint256 quoted = pools.quoteBuy(one, 100e18);
        vm.prank(owner);
        router.multicall(calls);
        vm.assertEq(alphaOne.balanceOf(owner), quoted);

        calls[0] = _permitCall(one, quoted, 0);
        calls[1] = abi.encodeCall(router.swap, (one, two, quoted, 1, to, block.timestamp));
        uint256 swapped = pools.quoteSwap(one, two, quoted);
        vm.prank(owner);
        router.multicall(calls);
        vm.assertEq(alphaTwo.balanceOf(to), swapped);
        _assertEmpty();
    }

    function test_aPermitThatSomebodyElseUsedHurtsNobody() public {
        (uint8 v, bytes32 r, bytes32 s) = _sign(TNDM, 100e18, 0);
        vm.prank(trader);
        tndm.permit(owner, address(router), 100e18, block.timestamp, v, r, s);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(router.permit, (TNDM, 100e18, block.timestamp, v, r, s));
        calls[1] = abi.encodeCall(router.buy, (one, 100e18, NO_LIMIT, 0, owner, block.timestamp));
        vm.prank(owner);
        router.multicall(calls);
        vm.assertGt(alphaOne.balanceOf(owner), 0);
    }

    /// @dev A permit binds its signer; nobody trades with what others approved.
    function test_nobodySpendsAnothersApproval() public {
        (uint8 v, bytes32 r, bytes32 s) = _sign(TNDM, 100e18, 0);
        vm.startPrank(to);
        router.permit(TNDM, 100e18, block.timestamp, v, r, s);
        vm.assertEq(tndm.allowance(owner, address(router)), 0, "signed by somebody else");
        vm.expectPartialRevert(bytes4(keccak256("ERC20InsufficientAllowance(address,uint256,uint256)")));
        router.buy(one, 100e18, NO_LIMIT, 0, to, block.timestamp);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        router.permit(NOWHERE, 100e18, block.timestamp, v, r, s);
    }

    /// @dev All or none.
    function test_aStepThatFailsUndoesTheOthers() public {
        uint256 held = _buy(one, 100e18);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(router.sell, (one, held, 0, 0, trader, block.timestamp));
        calls[1] = abi.encodeCall(router.buy, (two, 1e18, NO_LIMIT, type(uint256).max, trader, block.timestamp));
        vm.expectPartialRevert(IAlphaPools.AlphaPools_TooLittleOut.selector);
        vm.prank(trader);
        router.multicall(calls);
        vm.assertEq(alphaOne.balanceOf(trader), held);
    }

    /// @dev The rest of a partial fill never leaves the trader.
    function testFuzz_limitsFillInPart(
        uint256 amount,
        uint256 limit
    ) public {
        amount = bound(amount, 1e18, 500_000e18);
        limit = bound(limit, PRICE + PRICE / 100, 10 * PRICE);
        uint256 had = tndm.balanceOf(trader);
        (uint256 quotedIn, uint256 quotedOut) = pools.quoteBuyUntil(one, amount, limit);
        vm.prank(trader);
        (uint256 used, uint256 out) = router.buy(one, amount, limit, 1, trader, block.timestamp);
        vm.assertEq(used, quotedIn);
        vm.assertEq(out, quotedOut);
        vm.assertEq(had - tndm.balanceOf(trader), used);
        vm.assertLe(pools.spotPrice(one), limit);
        had = alphaOne.balanceOf(trader);
        uint256 floor = pools.spotPrice(one) * 99 / 100;
        vm.prank(trader);
        (used, out) = router.sell(one, had, floor, 1, to, block.timestamp);
        vm.assertEq(had - alphaOne.balanceOf(trader), used);
        vm.assertEq(tndm.balanceOf(to), out);
        vm.assertGe(pools.spotPrice(one), floor);
        _assertEmpty();
    }

    /// @dev [AM-1]: the least input that brings what was asked for, as quoted, also when a pour is pending.
    function testFuzz_exactOutputsCostTheLeastThatBringsThem(
        uint256 wanted,
        uint256 kind,
        uint256 pending
    ) public {
        _buy(one, 5000e18);
        _givePending(one, bound(pending, 0, 1000e18));
        _givePending(two, bound(pending, 0, 1000e18));
        _toEpoch(1);
        _closeAll();
        kind %= 3;
        (uint256 tndmReserve, uint256 alphaReserve) = pools.reservesAhead(kind == 2 ? two : one);
        uint256 most = kind == 1 ? tndmReserve / 3 : kind == 2 ? alphaReserve / 10 : alphaReserve * 9 / 10;
        wanted = bound(wanted, 1, most);
        uint256 cost = kind == 0
            ? router.quoteBuyExact(one, wanted)
            : kind == 1 ? router.quoteSellExact(one, wanted) : router.quoteSwapExact(one, two, wanted);
        vm.assertGe(_quote(kind, cost), wanted, "enough");
        if (cost > 1) vm.assertLt(_quote(kind, cost - 1), wanted, "the least");
        uint256 quoted = _quote(kind, cost);
        AlphaToken spent = kind == 0 ? AlphaToken(address(tndm)) : alphaOne;
        AlphaToken got = kind == 0 ? alphaOne : kind == 1 ? AlphaToken(address(tndm)) : alphaTwo;
        uint256 had = spent.balanceOf(trader);
        vm.startPrank(trader);
        uint256 paid = kind == 0
            ? router.buyExact(one, wanted, cost, to, block.timestamp)
            : kind == 1
                ? router.sellExact(one, wanted, cost, to, block.timestamp)
                : router.swapExact(one, two, wanted, cost, to, block.timestamp);
        vm.stopPrank();
        vm.assertEq(paid, cost);
        vm.assertEq(had - spent.balanceOf(trader), cost);
        vm.assertEq(got.balanceOf(to), quoted);
        _assertEmpty();
    }

    function test_exactOutputsRefuseWhatIsTooDearOrNotThere() public {
        uint256 held = _buy(one, 100e18);
        vm.startPrank(trader);
        uint256 cost = router.quoteBuyExact(one, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAlphaRouter.AlphaRouter_TooMuchIn.selector, cost, cost - 1));
        router.buyExact(one, 1e18, cost - 1, trader, block.timestamp);
        cost = router.quoteSellExact(one, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAlphaRouter.AlphaRouter_TooMuchIn.selector, cost, cost - 1));
        router.sellExact(one, 1e18, cost - 1, trader, block.timestamp);
        cost = router.quoteSwapExact(one, two, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IAlphaRouter.AlphaRouter_TooMuchIn.selector, cost, cost - 1));
        router.swapExact(one, two, 1e18, cost - 1, trader, block.timestamp);

        (uint256 tndmReserve, uint256 alphaReserve) = pools.reservesAhead(one);
        vm.expectRevert(_notThere(one, alphaReserve, alphaReserve));
        router.quoteBuyExact(one, alphaReserve);
        vm.expectRevert(_notThere(one, tndmReserve, tndmReserve));
        router.quoteSellExact(one, tndmReserve);
        vm.expectPartialRevert(IAlphaRouter.AlphaRouter_NotEnoughLiquidity.selector);
        router.quoteSellExact(one, tndmReserve - 1); // the fee does not fit beside it
        vm.expectPartialRevert(IAlphaRouter.AlphaRouter_NotEnoughLiquidity.selector);
        router.quoteSwapExact(one, two, type(uint256).max);
        vm.expectRevert(IAlphaPools.AlphaPools_ZeroAmount.selector);
        router.quoteBuyExact(one, 0);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_SamePool.selector, one));
        router.quoteSwapExact(one, one, 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        router.quoteBuyExact(NOWHERE, 1);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_UnknownPool.selector, NOWHERE));
        router.swap(NOWHERE, one, 1, 0, trader, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IAlphaPools.AlphaPools_Expired.selector, block.timestamp - 1));
        router.sell(one, held, 0, 0, trader, block.timestamp - 1);
        vm.stopPrank();
    }

    function test_alphaOfAPrunedSubnetIsRedeemedByPermitToo() public {
        vm.prank(owner);
        tndm.approve(address(pools), type(uint256).max);
        vm.prank(owner);
        uint256 held = pools.buy(one, 100e18, 0, block.timestamp);
        vm.prank(address(registry));
        pools.stop(one, 1);
        _toEpoch(1);
        settler.setSettledThrough(1);
        pools.windUp(one);
        bytes[] memory calls = new bytes[](2);
        calls[0] = _permitCall(one, held, 0);
        calls[1] = abi.encodeCall(router.redeem, (one, held, to));
        vm.prank(owner);
        router.multicall(calls);
        IAlphaPools.Redemption memory redemption = pools.redemptionOf(one);
        vm.assertEq(tndm.balanceOf(to), held * redemption.tndm / redemption.supply);
        _assertEmpty();
    }

    function _quote(
        uint256 kind,
        uint256 amount
    ) private view returns (uint256) {
        if (kind == 0) return pools.quoteBuy(one, amount);
        return kind == 1 ? pools.quoteSell(one, amount) : pools.quoteSwap(one, two, amount);
    }

    function _notThere(
        Netuid netuid,
        uint256 wanted,
        uint256 available
    ) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAlphaRouter.AlphaRouter_NotEnoughLiquidity.selector, netuid, wanted, available);
    }

    function _permitCall(
        Netuid netuid,
        uint256 amount,
        uint256 nonce
    ) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = _sign(netuid, amount, nonce);
        return abi.encodeCall(router.permit, (netuid, amount, block.timestamp, v, r, s));
    }

    function _sign(
        Netuid netuid,
        uint256 amount,
        uint256 nonce
    ) private view returns (uint8 v, bytes32 r, bytes32 s) {
        VotesToken token = netuid.isZero() ? VotesToken(address(tndm)) : VotesToken(pools.alphaOf(netuid));
        bytes32 message = keccak256(abi.encode(PERMIT, owner, address(router), amount, nonce, block.timestamp));
        return vm.sign(ownerKey, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), message)));
    }

    function _assertEmpty() private view {
        vm.assertEq(tndm.balanceOf(address(router)), 0, "TNDM left");
        vm.assertEq(alphaOne.balanceOf(address(router)), 0, "alpha left");
        vm.assertEq(alphaTwo.balanceOf(address(router)), 0, "alpha left");
    }
}
