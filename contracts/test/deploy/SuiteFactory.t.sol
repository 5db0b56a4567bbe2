// SPDX-License-Identifier: MIT
pragma solidity 0.8.35;

import { ISuiteFactory } from "../../src/deploy/ISuiteFactory.sol";
import { SuiteFactory } from "../../src/deploy/SuiteFactory.sol";
import { Test } from "../support/Test.sol";
import { Create3 } from "@openzeppelin/contracts/utils/Create3.sol";
import { Errors } from "@openzeppelin/contracts/utils/Errors.sol";

contract SuiteFactoryTest is Test {
    bytes32 private constant SALT = "suite";

    SuiteFactory private factory;

    function setUp() public {
        factory = new SuiteFactory();
    }

    function test_theAddressDependsOnDeployerAndSaltNotOnTheCode() public {
        address expected = factory.addressOf(address(this), SALT);
        uint256 before = vm.snapshotState();
        vm.assertEq(factory.deploy(SALT, _knower(1)), expected);
        vm.revertToState(before);
        vm.expectEmit(address(factory));
        emit ISuiteFactory.Deployed(address(this), SALT, expected);
        vm.assertEq(factory.deploy(SALT, _knower(2)), expected);
        vm.assertEq(Knower(expected).VALUE(), 2);
    }

    function test_nobodyTakesAnAddressOfAnothersSuite() public {
        address stranger = makeActor("stranger");
        vm.prank(stranger);
        address theirs = factory.deploy(SALT, _knower(1));
        vm.assertEq(theirs, factory.addressOf(stranger, SALT));
        vm.assertNotEq(uint160(theirs), uint160(factory.addressOf(address(this), SALT)));
        factory.deploy(SALT, _knower(1));
    }

    function test_aSaltServesOnce() public {
        address deployed = factory.deploy(SALT, _knower(1));
        vm.expectRevert(
            abi.encodeWithSelector(ISuiteFactory.SuiteFactory_SaltUsed.selector, address(this), SALT, deployed)
        );
        factory.deploy(SALT, _knower(1));
    }

    function test_theConstructorsOwnReasonComesThroughAndTheSaltStaysFree() public {
        vm.expectRevert(abi.encodeWithSelector(Knower.Unwanted.selector, 13));
        factory.deploy(SALT, _knower(13));
        factory.deploy(SALT, _knower(1));
    }

    function test_initcodeWithoutAResultIsRefused() public {
        vm.expectRevert(Create3.Create3EmptyBytecode.selector);
        factory.deploy(SALT, "");
        vm.expectRevert(abi.encodeWithSelector(ISuiteFactory.SuiteFactory_NoCode.selector, address(this), SALT));
        factory.deploy(SALT, hex"00"); // STOP
        vm.expectRevert(Errors.FailedDeployment.selector);
        factory.deploy(SALT, hex"fe"); // INVALID: no reason to pass on
    }

    function test_valueGoesToThePayableConstructor() public {
        vm.deal(address(this), 5);
        address deployed = factory.deploy{ value: 5 }(SALT, _knower(1));
        vm.assertEq(deployed.balance, 5);
        vm.assertEq(address(factory).balance, 0);
    }

    function _knower(
        uint256 value
    ) private pure returns (bytes memory) {
        return abi.encodePacked(type(Knower).creationCode, abi.encode(value));
    }
}

/// @notice Knows a number, but not the unlucky one.
contract Knower {
    error Unwanted(uint256 value);

    uint256 public immutable VALUE;

    constructor(
        uint256 value
    ) payable {
        if (value == 13) revert Unwanted(value);
        VALUE = value;
    }
}
