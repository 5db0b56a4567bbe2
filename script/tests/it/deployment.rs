//! `tandem deploy` and `tandem verify` against a real chain.

use alloy::primitives::{Bytes, U256};
use alloy::providers::Provider as _;
use tandem::chain::Call;
use tandem::manifest::Manifest;
use tandem::{deploy, verify};
use tandem_contracts::bindings::CreditDesk;
use tandem_contracts::suite::Stage;

use crate::support::{Anvil, config, deployer};

/// [AC-1] A deployment that was cut off in the middle is finished by running it again, sends nothing a third time, and
/// leaves a chain that verifies.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_deployment_is_finished_by_the_next_run() {
    let (_anvil, chain) = Anvil::start().await;
    let key = deployer(&chain).await;
    let folder = tempfile::tempdir().unwrap();
    let path = Manifest::path(folder.path(), chain.id());

    let mut wanted = config();
    let plan = deploy::plan(&chain, &mut wanted, &key, &path).await.unwrap();
    Manifest::of_plan(&plan, &wanted).unwrap().write(&path).unwrap();
    let some = plan.steps.iter().filter(|step| step.stage == Stage::Deploy).take(7);
    for step in some {
        let call = Call { what: step.name.clone(), to: step.to, data: step.data.clone(), gas: None };
        chain.send(&key, call).await.unwrap();
    }
    let unfinished = verify::run(&chain, &Manifest::read(&path).unwrap()).await;
    assert!(unfinished.is_err() || unfinished.unwrap().iter().any(|finding| !finding.ok));

    let resumed = deploy::run(&chain, &mut wanted, &key, &path).await.unwrap();
    assert_eq!(resumed.sent, plan.steps.len() - 7);
    assert_eq!(resumed.manifest.genesis, plan.genesis);
    let again = deploy::run(&chain, &mut wanted, &key, &path).await.unwrap();
    assert_eq!(again.sent, 0);

    let findings = verify::run(&chain, &Manifest::read(&path).unwrap()).await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert!(wrong.is_empty() && findings.len() > 40, "{wrong:?}");

    // Another configuration must not be taken for the same network.
    let mut other = wanted.clone();
    other.emission.smoothing += 1;
    assert!(deploy::run(&chain, &mut other, &key, &path).await.is_err());

    // The deployer has no rights left.
    let steal = CreditDesk::setPriceCall { newPrice: U256::from(2_000_000) };
    let refused = chain.send(&key, Call::new("set the price", plan.suite.credit_desk, &steal)).await.unwrap_err();
    assert!(format!("{refused:#}").contains("AccessManagedUnauthorized"), "{refused:#}");

    // Exchanged code does not go unnoticed.
    let code = Bytes::from_static(&[0x60, 0x00, 0x60, 0x00, 0xf3]);
    chain.provider().raw_request::<_, ()>("anvil_setCode".into(), (plan.suite.rate_card, code)).await.unwrap();
    let findings = verify::run(&chain, &Manifest::read(&path).unwrap()).await.unwrap();
    assert!(findings.iter().any(|finding| !finding.ok && finding.what == "code of RateCard"), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_chain_gets_no_test_money() {
    let (_anvil, chain) = Anvil::start_as(84_532).await;
    let key = deployer(&chain).await;
    let folder = tempfile::tempdir().unwrap();
    let path = Manifest::path(folder.path(), chain.id());
    let error = deploy::plan(&chain, &mut config(), &key, &path).await.unwrap_err();
    assert!(error.to_string().contains("usdc"), "{error:#}");
}
