// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { Escrow, Serving } from "./CreditWords.sol";
import { creditsIn, splitMarginDown } from "./Holdings.sol";
import { IComputeCredit } from "./IComputeCredit.sol";
import { Soulbound } from "./Soulbound.sol";
import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeCast } from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title ComputeCredit
/// @notice Promises, units and errors are documented on IComputeCredit.
/// @dev Storage is cut into words by what changes them together; settling a batch writes two, `_escrow` and the contributor's
/// `Serving`. Everything else that an account or the network did is derived from these words by its law.
contract ComputeCredit is Soulbound {
    using SafeCast for uint256;

    /// @dev What buying, opening and reclaiming change of an account.
    struct Buying {
        uint96 purchased; // held now
        uint96 bought; // ever
        uint56 margin; // deferred, of `purchased`, USDC units
    }

    /// @dev Where earned credits of an account went.
    struct Using {
        uint128 cashedOut; // ever
        uint128 escrowed; // into channels less what came back
    }

    /// @dev The earned credits of channels.
    struct Recycling {
        uint128 held; // in open channels now
        uint128 settled; // ever earned from earned credits
    }

    /// @dev What was sold and cashed out; the rest is the supply.
    struct Supply {
        uint96 bought; // ever
        uint96 cashedOut; // ever
        uint56 margin; // ever deferred, USDC units
    }

    /// @notice The desk of this series: mints against USDC, burns against USDC.
    address public immutable DESK;
    /// @notice The settlement contract of this series: escrow and earning.
    address public immutable SETTLEMENT;
    /// @notice The launch gate, which takes the airdrop's snapshot.
    address public immutable GATE;

    Supply private _supply;
    /// @dev Purchased credits of all open channels: settlement cannot hand out what no payer put in.
    Escrow private _escrow;
    /// @dev Earned credits of all open channels, likewise.
    Recycling private _recycling;
    /// @dev Margin that went into channels less what came back, ever: what of it is not in `_escrow` is recognised.
    uint256 private _marginIn;
    uint256 private _snapshotTotal;
    mapping(address account => Buying) private _buyings;
    mapping(address account => Serving) private _servings;
    mapping(address account => Using) private _usings;
    mapping(address account => uint256) private _kept;

    modifier onlyDesk() {
        _requireDesk();
        _;
    }

    modifier onlySettlement() {
        _requireSettlement();
        _;
    }

    /// @param desk Who mints and burns, for ever.
    /// @param settlement Who escrows and settles, for ever.
    /// @param gate Who takes the snapshot, once.
    constructor(
        address desk,
        address settlement,
        address gate
    ) {
        if (desk == address(0)) revert ComputeCredit_InvalidAccount(desk);
        if (settlement == address(0)) revert ComputeCredit_InvalidAccount(settlement);
        DESK = desk;
        SETTLEMENT = settlement;
        GATE = gate;
    }

    /// @inheritdoc IComputeCredit
    function mintPurchased(
        address to,
        uint256 amount,
        uint256 margin
    ) external onlyDesk {
        _requireHolder(to);
        Supply storage supply = _supply;
        uint256 bought = supply.bought + amount;
        uint256 marginSold = supply.margin + margin;
        if (bought > type(uint96).max || marginSold > type(uint56).max) {
            revert ComputeCredit_SeriesFull(bought, marginSold);
        }
        (supply.bought, supply.margin) = (bought.toUint96(), marginSold.toUint56());
        Buying storage buying = _buyings[to];
        buying.purchased += amount.toUint96();
        buying.bought += amount.toUint96();
        buying.margin += margin.toUint56();
        emit Transfer(address(0), to, amount);
        emit Purchased(to, amount, margin);
    }

    /// @inheritdoc IComputeCredit
    function burnEarned(
        address from,
        uint256 amount
    ) external onlyDesk {
        uint256 available = _servings[from].earnedOf();
        if (amount > available) revert ComputeCredit_InsufficientEarned(from, available, amount);
        _servings[from] = _servings[from].withEarned(available - amount);
        _usings[from].cashedOut += amount.toUint128();
        _supply.cashedOut += amount.toUint96();
        emit Transfer(from, address(0), amount);
    }

    /// @inheritdoc IComputeCredit
    function escrow(
        address from,
        uint256 amount
    ) external onlySettlement returns (Holding memory taken) {
        _requireHolder(from);
        Holding memory left = _holdingOf(from);
        uint256 available = creditsIn(left);
        if (amount > available) revert ComputeCredit_InsufficientCredits(from, available, amount);
        (taken, left) = splitMarginDown(left, amount);
        if (taken.purchased != 0) {
            Buying storage buying = _buyings[from];
            (buying.purchased, buying.margin) = (_credits(left.purchased), _margin(left.margin));
            _escrow = _escrow.withHeld(_escrow.purchasedOf() + taken.purchased, _escrow.marginOf() + taken.margin);
            _marginIn += taken.margin;
        }
        if (taken.earned != 0) {
            _servings[from] = _servings[from].withEarned(left.earned);
            _usings[from].escrowed += taken.earned;
            _recycling.held += taken.earned;
        }
        emit Transfer(from, SETTLEMENT, amount);
        emit Escrowed(from, taken.purchased, taken.earned, taken.margin);
    }

    /// @inheritdoc IComputeCredit
    function unescrow(
        address to,
        Holding calldata rest
    ) external onlySettlement {
        _requireHolder(to);
        _requireEscrowed(rest.purchased, rest.earned, rest.margin);
        if (rest.purchased != 0) {
            Buying storage buying = _buyings[to];
            (buying.purchased, buying.margin) =
            (buying.purchased + _credits(rest.purchased), buying.margin + _margin(rest.margin));
            _escrow = _escrow.withHeld(_escrow.purchasedOf() - rest.purchased, _escrow.marginOf() - rest.margin);
            _marginIn -= rest.margin;
        }
        if (rest.earned != 0) {
            _servings[to] = _servings[to].withEarned(_servings[to].earnedOf() + rest.earned);
            _usings[to].escrowed -= rest.earned;
            _recycling.held -= rest.earned;
        }
        emit Transfer(SETTLEMENT, to, creditsIn(rest));
        emit Returned(to, rest.purchased, rest.earned, rest.margin);
    }

    /// @inheritdoc IComputeCredit
    function earn(
        address contributor,
        uint256 purchased,
        uint256 earned,
        uint256 margin
    ) external onlySettlement {
        _requireHolder(contributor);
        _requireEscrowed(purchased, earned, margin);
        Serving serving = _servings[contributor];
        if (purchased != 0) {
            Escrow word = _escrow;
            _escrow = word.afterSettling(purchased, margin);
            if (word.isSnapshotTaken() && !serving.isKept()) {
                _kept[contributor] = serving.servedOf();
                serving = serving.kept();
            }
        }
        if (earned != 0) {
            _recycling.held -= earned.toUint128();
            _recycling.settled += earned.toUint128();
        }
        _servings[contributor] = serving.afterEarning(purchased, earned, margin);
        uint256 amount = purchased + earned;
        emit Transfer(SETTLEMENT, contributor, amount);
        emit Earned(contributor, amount, purchased, margin);
    }

    /// @inheritdoc IComputeCredit
    function takeSnapshot() external {
        if (msg.sender != GATE) revert ComputeCredit_OnlyGate(msg.sender);
        if (_escrow.isSnapshotTaken()) revert ComputeCredit_SnapshotTaken();
        uint256 total = _escrow.settledOf();
        _escrow = _escrow.withSnapshot();
        _snapshotTotal = total;
        emit SnapshotTaken(total);
    }

    /// @inheritdoc IERC20
    function totalSupply() external view returns (uint256) {
        return _supply.bought - _supply.cashedOut;
    }

    /// @inheritdoc IERC20
    function balanceOf(
        address account
    ) external view returns (uint256) {
        return creditsIn(_holdingOf(account));
    }

    /// @inheritdoc IComputeCredit
    function holdingOf(
        address account
    ) external view returns (Holding memory) {
        return _holdingOf(account);
    }

    /// @inheritdoc IComputeCredit
    function lifetimeOf(
        address account
    ) external view returns (Lifetime memory) {
        Buying memory buying = _buyings[account];
        Serving serving = _servings[account];
        Using memory using_ = _usings[account];
        return Lifetime({
            bought: buying.bought,
            spent: buying.bought - buying.purchased + using_.escrowed,
            earned: serving.earnedOf().toUint128() + using_.cashedOut + using_.escrowed,
            earnedFromPurchased: serving.servedOf().toUint128(),
            cashedOut: using_.cashedOut,
            marginRecognised: serving.recognisedOf().toUint128()
        });
    }

    /// @inheritdoc IComputeCredit
    function lifetimeTotal() external view returns (Lifetime memory) {
        uint256 settled = _escrow.settledOf() + _recycling.settled;
        return Lifetime({
            bought: _supply.bought,
            spent: (settled + _escrow.purchasedOf() + _recycling.held).toUint128(),
            earned: settled.toUint128(),
            earnedFromPurchased: _escrow.settledOf().toUint128(),
            cashedOut: _supply.cashedOut,
            marginRecognised: _recognised().toUint128()
        });
    }

    /// @inheritdoc IComputeCredit
    function deferredMargin() external view returns (uint256) {
        return _supply.margin - _recognised();
    }

    /// @inheritdoc IComputeCredit
    function snapshotOf(
        address account
    ) external view returns (uint256) {
        _requireSnapshot();
        Serving serving = _servings[account];
        return serving.isKept() ? _kept[account] : serving.servedOf();
    }

    /// @inheritdoc IComputeCredit
    function snapshotTotal() external view returns (uint256) {
        _requireSnapshot();
        return _snapshotTotal;
    }

    /// @inheritdoc IComputeCredit
    function snapshotTaken() external view returns (bool) {
        return _escrow.isSnapshotTaken();
    }

    function _holdingOf(
        address account
    ) private view returns (Holding memory) {
        if (account == SETTLEMENT) {
            return Holding({
                purchased: _escrow.purchasedOf().toUint128(),
                earned: _recycling.held,
                margin: _escrow.marginOf().toUint128()
            });
        }
        Buying memory buying = _buyings[account];
        return Holding({
            purchased: buying.purchased, earned: _servings[account].earnedOf().toUint128(), margin: buying.margin
        });
    }

    function _recognised() private view returns (uint256) {
        return _marginIn - _escrow.marginOf();
    }

    function _requireDesk() private view {
        if (msg.sender != DESK) revert ComputeCredit_OnlyDesk(msg.sender);
    }

    function _requireSettlement() private view {
        if (msg.sender != SETTLEMENT) revert ComputeCredit_OnlySettlement(msg.sender);
    }

    function _requireEscrowed(
        uint256 purchased,
        uint256 earned,
        uint256 margin
    ) private view {
        Escrow word = _escrow;
        if (
            purchased > word.purchasedOf() || margin > word.marginOf() || (earned != 0 && earned > _recycling.held)
                || (purchased == 0 && margin != 0)
        ) revert ComputeCredit_AboveEscrow(purchased, earned, margin);
    }

    function _requireSnapshot() private view {
        if (!_escrow.isSnapshotTaken()) revert ComputeCredit_NoSnapshot();
    }

    function _requireHolder(
        address account
    ) private view {
        if (account == address(0) || account == SETTLEMENT) revert ComputeCredit_InvalidAccount(account);
    }

    function _credits(
        uint128 amount
    ) private pure returns (uint96) {
        return uint256(amount).toUint96();
    }

    function _margin(
        uint128 amount
    ) private pure returns (uint56) {
        return uint256(amount).toUint56();
    }
}
