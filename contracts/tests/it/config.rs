//! The genesis configuration refuses what the design forbids, and names the key.

use alloy::primitives::Address;
use tandem_contracts::{
    suite::{ChainFacts, ConfigError, Genesis, GenesisConfig, Plan, PlanError, Seconds},
    world::World,
};

use crate::support::config;

/// A configuration that holds outside a devnet.
fn public() -> GenesisConfig {
    let mut config = config();
    config.devnet = false;
    config.usdc = Some(Address::repeat_byte(0xdc));
    config.epochs.genesis = Genesis::At(1_900_000_000);
    config.keepers.members.push(World::new().account("keeper 4"));
    config.keepers.threshold = 3;
    config.staking.unbonding = Seconds::days(14);
    config.keepers.unbonding = Seconds::days(14);
    config.launch.notice = Seconds::days(7);
    config.governance.voting_delay = Seconds::days(2);
    config
}

fn broken_keys(config: &GenesisConfig) -> Vec<String> {
    match config.validate() {
        Ok(()) => Vec::new(),
        Err(ConfigError::Invalid(violations)) => violations.into_iter().map(|violation| violation.key).collect(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_devnet_preset_is_valid_once_its_people_are_named() {
    assert_eq!(broken_keys(&config()), Vec::<String>::new());
    assert_eq!(broken_keys(&public()), Vec::<String>::new());
    let nobody = broken_keys(&GenesisConfig::devnet());
    for key in ["keepers.members", "authorities.council", "authorities.guardian", "genesis_subnets"] {
        assert!(nobody.iter().any(|broken| broken == key), "{key} is not missed in {nobody:?}");
    }
}

#[test]
fn a_configuration_survives_being_written() {
    for config in [config(), public()] {
        assert_eq!(GenesisConfig::from_toml(&config.to_toml().unwrap()), Ok(config));
    }
}

#[test]
fn every_broken_rule_names_its_key() {
    type Change = (&'static str, fn(&mut GenesisConfig));
    let changes: &[Change] = &[
        ("suite", |c| c.suite.clear()),
        ("epochs.length", |c| c.epochs.length = Seconds(0)),
        ("credits.buyback_share", |c| c.credits.buyback_share = "0.399999999999999999".parse().unwrap()),
        ("credits.buyback_share", |c| c.credits.buyback_share = "1.1".parse().unwrap()),
        ("credits.price", |c| c.credits.price = "0.892499 USDC/CREDIT".parse().unwrap()),
        ("credits.payout_rate", |c| c.credits.payout_rate = "0 USDC/CREDIT".parse().unwrap()),
        ("emission.phi", |c| c.emission.phi = "0.950000000000000001".parse().unwrap()),
        ("emission.smoothing", |c| c.emission.smoothing = 0),
        ("pools.pour_cap", |c| c.pools.pour_cap = "2".parse().unwrap()),
        ("auction.genesis_price", |c| c.auction.genesis_price = "1 TNDM/USDC".parse().unwrap()),
        ("subnets.first_lock", |c| c.subnets.first_lock = "1 TNDM".parse().unwrap()),
        ("subnets.hyperparameters.max_validators", |c| c.subnets.hyperparameters.max_validators = 65),
        ("staking.unbonding", |c| c.staking.unbonding = Seconds::days(7)),
        ("keepers.unbonding", |c| c.keepers.unbonding = Seconds::days(1)),
        ("staking.root_weight_floor", |c| c.staking.root_weight_floor = "0.5".parse().unwrap()),
        ("keepers.threshold", |c| c.keepers.threshold = 2),
        ("keepers.threshold", |c| c.keepers.threshold = 4),
        ("keepers.members", |c| c.keepers.members[0] = c.keepers.members[1]),
        ("keepers.members", |c| c.keepers.members.truncate(3)),
        ("launch.notice", |c| c.launch.notice = Seconds(3)),
        ("launch.buyback_margin", |c| c.launch.buyback_margin = "0 USDC".parse().unwrap()),
        ("launch.pool_seed", |c| c.launch.initial_price = "0.002 TNDM/ALPHA".parse().unwrap()),
        ("launch.claimable", |c| c.launch.claimable = "500001 TNDM".parse().unwrap()),
        ("allocations", |c| c.allocations[0].amount = "9440000.1 TNDM".parse().unwrap()),
        ("allocations[0]", |c| c.allocations[0].beneficiary = Address::ZERO),
        ("genesis_subnets[1]", |c| c.genesis_subnets[1].name.clear()),
        ("mesh_validators[0]", |c| c.mesh_validators[0].netuid = 3),
        ("mesh_validators[1]", |c| c.mesh_validators[1] = c.mesh_validators[0].clone()),
        ("mesh_validators[0]", |c| c.mesh_validators[0].owner = Address::repeat_byte(7)),
        ("epochs.activation_delay", |c| c.epochs.activation_delay = Seconds(255 * c.epochs.length.0 + 1)),
        ("pools.pour_cap", |c| c.pools.pour_cap = "0.012".parse().unwrap()),
        ("auction.lot_duration", |c| c.auction.lot_duration = Seconds(2 * c.auction.half_life.0 - 1)),
        ("subnets.hyperparameters.max_validators", |c| c.subnets.hyperparameters.max_validators = 2),
        ("governance.timelock_delay", |c| c.governance.timelock_delay = Seconds(0)),
        ("governance.voting_delay", |c| c.governance.voting_delay = Seconds(3_600)),
        ("governance.quorum_percent", |c| c.governance.quorum_percent = 101),
        ("governance.quorum_floor", |c| c.governance.quorum_floor = "5_000_000 TNDM".parse().unwrap()),
        ("subnets.subnet_immunity", |c| c.subnets.subnet_immunity = Seconds(c.epochs.length.0 - 1)),
        ("staking.take_default", |c| c.staking.take_default = "0.19".parse().unwrap()),
        ("slashing.commit_share", |c| c.slashing.commit_share = "0.001".parse().unwrap()),
        ("slashing.evidence", |c| c.slashing.evidence = Seconds::days(60)),
        ("auction.pricing_lot", |c| c.auction.pricing_lot = "1001 USDC".parse().unwrap()),
        ("models[0]", |c| c.models[0].id = "x".repeat(257)),
    ];
    for (key, change) in changes {
        let mut config = public();
        change(&mut config);
        assert_eq!(broken_keys(&config), [*key]);
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains(&format!("\n  {key}: ")), "{message}");
    }
}

#[test]
fn an_unknown_key_or_a_wrong_unit_is_refused() {
    let text = config().to_toml().unwrap();
    for (from, to, said) in [
        ("smoothing = 2", "smothing = 2", "smothing"),
        ("price = \"1 USDC/CREDIT\"", "price = \"1 USDC\"", "USDC/CREDIT"),
        ("fee = \"0.003\"", "fee = 0.003", "expected a string"),
        ("length = \"24 s\"", "length = \"24\"", "s, min, h or d"),
    ] {
        assert!(text.contains(from), "{from} is not in the file");
        let error = GenesisConfig::from_toml(&text.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_plan_needs_a_fixed_genesis_and_the_right_stablecoin() {
    let (deployer, local, public_chain) =
        (Address::repeat_byte(1), ChainFacts { chain_id: 31_337 }, ChainFacts { chain_id: 10 });
    let open = Plan::new(&config(), deployer, local);
    assert!(matches!(open, Err(PlanError::OpenGenesis(_))));

    let mut named = public();
    assert!(Plan::new(&named, deployer, public_chain).is_ok());
    assert_eq!(Plan::new(&named, deployer, local), Err(PlanError::ForeignUsdc(31_337)));
    named.usdc = None;
    assert_eq!(Plan::new(&named, deployer, public_chain), Err(PlanError::NoUsdc(10)));
}

#[test]
fn genesis_is_fixed_once() {
    let mut config = config();
    assert_eq!(config.resolve_genesis(1_000), 1_030);
    assert_eq!(config.resolve_genesis(2_000), 1_030, "a resumed deployment keeps its genesis");
}
