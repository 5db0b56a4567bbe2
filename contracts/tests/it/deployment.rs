//! Bringing a suite to a chain: addresses, repetition, and who rules afterwards.

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use tandem_contracts::{
    bindings::{
        BurnAuction, CreditDesk, EpochOracle, KeeperSet, RateCard, SubnetRegistry, SuiteFactory, TandemAccess,
        TandemTimelock, TandemToken, TestUSDC,
    },
    suite::{ChainFacts, Plan, Stage, Suite, salt_of},
    world::World,
};

use crate::support::{MODEL, config, deployed, net};

/// [AC-1]
#[test]
fn after_the_hand_over_the_timelock_alone_is_admin() {
    let (net, execution) = deployed();
    let manager = net.suite().tandem_access;
    let mut admins = Vec::new();
    for (_, outcome) in &execution.sent {
        for (_, event) in outcome.events::<TandemAccess::RoleGranted>() {
            if event.roleId == 0 {
                admins.push(event.account);
            }
        }
        for (_, event) in outcome.events::<TandemAccess::RoleRevoked>() {
            assert_eq!(event.roleId, 0);
            admins.retain(|admin| *admin != event.account);
        }
    }
    assert_eq!(admins, [net.suite().tandem_timelock]);
    let holds = |account| net.view(manager, TandemAccess::hasRoleCall { roleId: 0, account }).isMember;
    assert!(holds(net.suite().tandem_timelock));
    assert!(!holds(net.plan.deployer));
}

/// [AC-1]
#[test]
fn nobody_can_give_a_role_in_the_mesh() {
    let mut net = net();
    let manager = net.suite().tandem_access;
    for name in ["deployer", "council", "guardian", "keeper 1"] {
        let account = net.world.account(name);
        let call = TandemAccess::grantRoleCall { roleId: 0, account, executionDelay: 0 };
        let refused = net.as_account(name, manager, call).unwrap_err();
        assert_eq!(refused.name, "AccessManagerUnauthorizedAccount", "{name}: {refused}");
    }
    // [GV-1] Not even the timelock, before the token opens.
    let account = net.world.account("successor");
    let call = TandemAccess::grantRoleCall { roleId: 1, account, executionDelay: 0 };
    let refused = net.world.call(net.suite().tandem_timelock, manager, call).unwrap_err();
    assert_eq!(refused.name, "TandemAccess_Frozen", "{refused}");
}

#[test]
fn a_strangers_transaction_never_takes_a_mesh_validators_hotkey() {
    let mut net = net();
    let registry = net.suite().subnet_registry;
    for n in 1..=3 {
        let (hotkey, owner) = (net.world.account(&format!("hotkey {n}")), net.world.account(&format!("validator {n}")));
        assert_eq!(net.view(registry, SubnetRegistry::ownerOfHotkeyCall { hotkey }), owner);
        net.fund("stranger", registry, 10);
        let call =
            SubnetRegistry::registerNeuronCall { netuid: 1, hotkey, endpoint: String::new(), maxPrice: U256::MAX };
        let refused = net.as_account("stranger", registry, call).unwrap_err();
        assert_eq!(refused.name, "SubnetRegistry_HotkeyOwnedBy", "{refused}");
    }
}

#[test]
fn a_role_reaches_its_own_functions_only() {
    let mut net = net();
    let suite = net.suite();
    let until = net.world.timestamp() + 60;
    net.as_account("guardian", suite.credit_desk, CreditDesk::pauseBuyingCall { until }).unwrap();
    net.as_account("guardian", suite.burn_auction, BurnAuction::stopCall { until }).unwrap();
    let veto = EpochOracle::vetoCall { epoch: 0, reason: Default::default() };
    let nothing_pending = net.as_account("guardian", suite.epoch_oracle, veto.clone()).unwrap_err();
    assert_eq!(nothing_pending.name, "EpochOracle_NotPending");

    let unauthorized = "AccessManagedUnauthorized";
    let price = CreditDesk::setPriceCall { newPrice: U256::from(1_100_000) };
    let publish = RateCard::publishCall { modelId: "m".into(), promptPerMillion: 1, completionPerMillion: 1 };
    let schedule = KeeperSet::scheduleCall { keepers: net.config.keepers.members.clone(), threshold: 3 };
    for name in ["guardian", "council", "deployer"] {
        assert_eq!(net.as_account(name, suite.credit_desk, price.clone()).unwrap_err().name, unauthorized);
        assert_eq!(net.as_account(name, suite.rate_card, publish.clone()).unwrap_err().name, unauthorized);
        assert_eq!(net.as_account(name, suite.keeper_set, schedule.clone()).unwrap_err().name, unauthorized);
    }
    assert_eq!(net.as_account("council", suite.epoch_oracle, veto).unwrap_err().name, unauthorized);
    net.world.call(suite.tandem_timelock, suite.credit_desk, price).unwrap();
    net.world.call(suite.tandem_timelock, suite.rate_card, publish).unwrap();
}

#[test]
fn the_timelock_answers_to_the_council_and_the_gate() {
    let net = net();
    let (suite, council) = (net.suite(), net.world.account("council"));
    let has = |role, account| net.view(suite.tandem_timelock, TandemTimelock::hasRoleCall { role, account });
    let proposer = net.view(suite.tandem_timelock, TandemTimelock::PROPOSER_ROLECall {});
    let admin = net.view(suite.tandem_timelock, TandemTimelock::DEFAULT_ADMIN_ROLECall {});
    let executor = net.view(suite.tandem_timelock, TandemTimelock::EXECUTOR_ROLECall {});
    assert!(has(proposer, council) && has(admin, suite.launch_gate) && has(executor, Address::ZERO));
    assert!(!has(admin, council) && !has(admin, net.plan.deployer) && !has(proposer, net.plan.deployer));
}

#[test]
fn everything_lies_where_it_was_predicted() {
    let net = net();
    let suite = net.suite();
    for (name, address) in suite.contracts() {
        assert!(!net.world.code(address).is_empty(), "{name} has no code");
        assert_eq!(suite.address_of(name), Some(address));
    }
    for deployment in net.plan.deployments().filter(|deployment| deployment.contract != "SuiteFactory") {
        let ask = SuiteFactory::addressOfCall { deployer: net.plan.deployer, salt: deployment.salt };
        assert_eq!(net.view(suite.suite_factory, ask), deployment.address, "{}", deployment.contract);
        assert_eq!(deployment.salt, salt_of(&net.config.suite, deployment.contract));
    }
}

#[test]
fn addresses_depend_on_deployer_and_name_alone() {
    let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let usdc = Some(Address::repeat_byte(0xdc));
    let suite = Suite::predict("tandem", one, usdc);
    let mut all: Vec<_> = suite.contracts().into_iter().map(|(_, address)| address).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), suite.contracts().len(), "no two contracts share an address");
    assert_ne!(Suite::predict("tandem", two, usdc).launch_gate, suite.launch_gate);
    assert_ne!(Suite::predict("tandem-2", one, usdc).launch_gate, suite.launch_gate);
    assert_eq!(Suite::predict("tandem", two, usdc).suite_factory, suite.suite_factory);
    assert_eq!(Suite::predict("tandem", one, None).launch_gate, suite.launch_gate);
}

#[test]
fn deploying_again_sends_nothing() {
    let (mut net, first) = deployed();
    assert_eq!(first.sent.len(), net.plan.steps.len());
    assert_eq!(first.skipped, 0);
    let second = net.world.execute(&net.plan).unwrap();
    assert!(second.sent.is_empty());
    assert_eq!(second.skipped, net.plan.steps.len());
}

#[test]
fn a_deployment_can_be_interrupted_at_every_stage_and_resumed() {
    let (net, _) = deployed();
    let first_wiring = net.plan.steps.iter().position(|step| step.stage == Stage::Wire).unwrap();
    for done in [1, 7, first_wiring + 1, net.plan.steps.len() - 1] {
        let mut world = World::new();
        let mut half = net.plan.clone();
        half.steps.truncate(done);
        world.execute(&half).unwrap();
        world.warp(100);
        let rest = world.execute(&net.plan).unwrap();
        assert_eq!(rest.skipped, done);
        assert!(world.holds(&net.plan.handed_over()));
    }
}

#[test]
fn what_changed_later_is_not_deployed_over() {
    let mut net = net();
    let suite = net.suite();
    let guardian = net.world.account("guardian");
    let call = TandemAccess::renounceRoleCall { roleId: 1, callerConfirmation: guardian };
    net.world.call(guardian, suite.tandem_access, call).unwrap();
    assert!(net.world.execute(&net.plan).unwrap().sent.is_empty());
}

/// [AC-2]
#[test]
fn the_supply_lies_in_the_four_vaults() {
    let net = net();
    let (suite, tndm) = (net.suite(), net.suite().tandem_token);
    let whole = |amount: u64| U256::from(amount) * crate::support::CREDIT;
    assert_eq!(net.world.total_supply(tndm), whole(21_000_000));
    assert_eq!(net.world.balance_of(tndm, suite.emission_controller), whole(10_500_000));
    assert_eq!(net.world.balance_of(tndm, suite.launch_gate), whole(10_000));
    assert_eq!(net.world.balance_of(tndm, suite.genesis_allocation), whole(9_440_000));
    assert_eq!(net.world.balance_of(tndm, suite.airdrop), whole(1_050_000));
    assert_eq!(net.view(tndm, TandemToken::circulatingSupplyCall {}), U256::ZERO);
}

#[test]
fn the_rate_card_begins_with_the_models_of_the_configuration() {
    let net = net();
    let ask = RateCard::latestVersionCall { model: alloy::primitives::keccak256(MODEL) };
    assert_eq!(net.view(net.suite().rate_card, ask), 1);
}

#[test]
fn the_test_stablecoin_is_born_on_local_chains_only() {
    let mut config = config();
    let mut world = World::with_chain_id(10);
    config.resolve_genesis(world.timestamp());
    let plan = Plan::new(&config, world.account("deployer"), ChainFacts { chain_id: 31_337 }).unwrap();
    let refused = world.execute(&plan).unwrap_err().to_string();
    assert!(refused.contains("deploy TestUSDC: TestUSDC_NotALocalChain(chainId: 10)"), "{refused}");
}

#[test]
fn a_revert_is_told_in_words() {
    let mut net = net();
    let usdc = net.suite().usdc;
    let (user, spender) = (net.world.account("user"), net.world.account("spender"));
    let poor = net.world.transfer(usdc, user, spender, U256::from(5)).unwrap_err();
    assert_eq!(poor.message, format!("ERC20InsufficientBalance(sender: {user}, balance: 0, needed: 5)"));
    assert!(poor.gas_used > 21_000);
    let nothing = net.as_account("user", user, TestUSDC::pausedCall {}).unwrap_err();
    assert_eq!(nothing.name, "UnreadableAnswer");
    let unknown = tandem_contracts::decode_revert(&TestUSDC::pauseCall {}.abi_encode());
    assert_eq!(unknown, "unknown error 0x8456cb59");
    assert_eq!(tandem_contracts::decode_revert(&[]), "reverted without a reason");
}
