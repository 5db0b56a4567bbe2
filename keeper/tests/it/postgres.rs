//! What only a real server shows: it is killed and comes back, connections are cut, many ask at the same time, backups are
//! restored.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};
use nix::sys::signal::Signal;
use sqlx::Connection;
use tandem_keeper::{
    guard::{Guard, GuardError, Register, Slot},
    lead::Lead,
    store::{
        self, Bounded, CommitOutcome, Fence, JobOutcome, Jobs, LeaseQuery, Leases, PostgresStore, Store, StoreConfig,
        StoreError,
    },
};
use tandem_protocol::{
    api::{AuditOutcome, JobResult, Verdict},
    jobs::jobs,
};

use crate::support::{commit, key, network, postgres::Cluster};

const VALIDATOR: Address = Address::repeat_byte(0x11);
const SLOT: Slot = Slot { chain_id: 1, contract: Address::repeat_byte(7), epoch: 5, attempt: 0 };

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url, 8, store::MAX_PENDING, true).await.unwrap()
}

async fn lead(store: &PostgresStore) {
    let holder = B256::repeat_byte(9);
    let lease = store.acquire("keeper", holder, Duration::from_secs(60), 0).await.unwrap().unwrap();
    store.fence(Fence::Lease(lease));
}

/// One server for what several processes of an operator do with it at the same time.
///
/// `[KP-1]` `[KP-2]`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_a_database_without_harm() {
    let cluster = Cluster::start().await;
    ten_thousand_jobs_go_to_eight_clients_once_each(&cluster.database("jobs").await).await;
    a_cut_off_leader_is_fenced(&cluster.database("leads").await).await;
    a_lease_is_not_taken_over_in_the_middle_of_a_fenced_write(&cluster.database("fence").await).await;
    of_many_replicas_one_signs(&cluster.database("guards").await).await;
    a_restored_backup_of_either_guard_signs_nothing_else(&cluster).await;
    a_database_s_shape_is_brought_up_to_date_by_whoever_may(&cluster).await;
    cut_connections_fail_one_call_at_most(&cluster).await;
    what_could_forget_is_refused(&cluster).await;
    a_server_that_falls_silent_is_not_waited_for(&cluster).await;
}

async fn ten_thousand_jobs_go_to_eight_clients_once_each(url: &str) {
    let uids: Vec<u16> = (0..1_000).collect();
    let publisher = open(url).await;
    lead(&publisher).await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &uids, 10);
    let began = Instant::now();
    assert_eq!(publisher.add_jobs(3, &[(VALIDATOR, list)]).await.unwrap(), 10_000);
    let published = began.elapsed();
    let clients = (0..8).map(|client| {
        let url = url.to_owned();
        tokio::spawn(async move {
            let store = PostgresStore::open(&url, 2, store::MAX_PENDING, false).await.unwrap();
            let mut got = Vec::new();
            loop {
                let query = LeaseQuery {
                    validator: VALIDATOR,
                    epoch: 3,
                    limit: 20 + client,
                    now_ms: 1,
                    until_ms: 1_000_000,
                    max_attempts: 3,
                };
                let leased = store.lease_jobs(query).await.unwrap();
                if leased.is_empty() {
                    return got;
                }
                got.extend(leased);
            }
        })
    });
    let mut times: BTreeMap<B256, u32> = BTreeMap::new();
    for client in futures_util::future::join_all(clients).await {
        for leased in client.unwrap() {
            assert_eq!(leased.attempt, 1);
            *times.entry(leased.job.id).or_default() += 1;
        }
    }
    assert_eq!((times.len(), times.values().copied().max()), (10_000, Some(1)));
    eprintln!("10,000 jobs: published in {published:?}, leased by 8 clients in {:?}", began.elapsed() - published);
    // Leases run out by the keeper's clock and are given to others under a higher attempt.
    let again = LeaseQuery {
        validator: VALIDATOR,
        epoch: 3,
        limit: 9,
        now_ms: 1_000_000,
        until_ms: 2_000_000,
        max_attempts: 3,
    };
    assert!(publisher.lease_jobs(again).await.unwrap().iter().all(|leased| leased.attempt == 2));
    assert_eq!(publisher.prune_jobs(4).await.unwrap(), 10_000);
    assert!(publisher.lease_jobs(again).await.unwrap().is_empty());
}

async fn a_cut_off_leader_is_fenced(url: &str) {
    let (one, two) = (Arc::new(open(url).await), Arc::new(open(url).await));
    let ttl = Duration::from_millis(700);
    let (first, second) = (Lead::among(one.clone(), ttl), Lead::among(two.clone(), ttl));
    assert!(first.ask(0).await);
    // Its own clock is of no account.
    assert!(!second.ask(u64::MAX >> 1).await);
    assert_eq!(one.choose(1, 0, B256::repeat_byte(1)).await.unwrap(), B256::repeat_byte(1));
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(second.ask(0).await);
    // The first one was paused and knows nothing of it.
    assert!(matches!(one.choose(2, 0, B256::repeat_byte(1)).await, Err(StoreError::NotLeading)));
    assert_eq!(two.choose(2, 0, B256::repeat_byte(2)).await.unwrap(), B256::repeat_byte(2));
    assert!(!first.ask(0).await);
    second.resign().await;
    assert!(first.ask(0).await);
    assert_eq!(one.choose(2, 0, B256::repeat_byte(1)).await.unwrap(), B256::repeat_byte(2));
    // Whoever cannot reach the database does not lead.
    one.close().await;
    assert!(!first.ask(0).await);
}

async fn a_lease_is_not_taken_over_in_the_middle_of_a_fenced_write(url: &str) {
    let (former, next) = (Arc::new(open(url).await), open(url).await);
    let old = former.acquire("keeper", B256::repeat_byte(1), Duration::ZERO, 0).await.unwrap().unwrap();
    former.fence(Fence::Lease(old));
    // Somebody else's open transaction holds the write up after it has looked at the lease.
    let mut blocker = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("BEGIN; INSERT INTO choices VALUES (3, 0, '\\x00')").execute(&mut blocker).await.unwrap();
    let write = tokio::spawn({
        let former = former.clone();
        async move { former.choose(3, 0, B256::repeat_byte(1)).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut takeover = Box::pin(next.acquire("keeper", B256::repeat_byte(2), Duration::from_secs(60), 0));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut takeover).await.is_err());
    sqlx::raw_sql("ROLLBACK").execute(&mut blocker).await.unwrap();
    assert_eq!(write.await.unwrap().unwrap(), B256::repeat_byte(1));
    next.fence(Fence::Lease(takeover.await.unwrap().unwrap()));
    assert!(matches!(former.choose(4, 0, B256::repeat_byte(1)).await, Err(StoreError::NotLeading)));
    assert_eq!(next.choose(3, 0, B256::repeat_byte(2)).await.unwrap(), B256::repeat_byte(1));
}

async fn of_many_replicas_one_signs(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut guards = Vec::new();
    for replica in 0..6u8 {
        let register: Arc<dyn Register> = Arc::new(open(url).await);
        let path = folder.path().join(format!("{replica}.sqlite"));
        guards.push(Guard::open(&path).await.unwrap().shared(register));
    }
    for epoch in 0..20 {
        let ask = |(replica, guard): (u8, Guard)| async move {
            guard.authorize(Slot { epoch, ..SLOT }, B256::repeat_byte(replica)).await
        };
        let asked = futures_util::future::join_all((0..6).zip(guards.clone()).map(ask)).await;
        assert_eq!(asked.iter().filter(|answer| answer.is_ok()).count(), 1, "{asked:?}");
        let refused = |answer: &Result<_, _>| matches!(answer, Err(GuardError::AlreadySigned { .. }));
        assert_eq!(asked.iter().filter(|answer| refused(answer)).count(), 5, "{asked:?}");
    }
}

async fn a_restored_backup_of_either_guard_signs_nothing_else(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let (old_file, file) = (folder.path().join("old.sqlite"), folder.path().join("new.sqlite"));
    let (signed, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let register: Arc<dyn Register> = Arc::new(open(&cluster.database("before").await).await);
    let guard = Guard::open(&file).await.unwrap().shared(register.clone());
    guard.authorize(SLOT, signed).await.unwrap();
    guard.close().await;

    // An old database, the right file: what the file knows is brought back, nothing else goes in.
    let restored: Arc<dyn Register> = Arc::new(open(&cluster.database("restored").await).await);
    let guard = Guard::open(&file).await.unwrap().shared(restored.clone());
    assert!(matches!(guard.authorize(SLOT, other).await, Err(GuardError::AlreadySigned { .. })));
    guard.authorize(SLOT, signed).await.unwrap();
    assert_eq!(restored.reserve(SLOT, other).await.unwrap(), signed);
    assert_eq!(restored.reserved(1, SLOT.contract, 5).await.unwrap(), [(SLOT, signed)]);
    assert!(restored.reserved(1, SLOT.contract, 6).await.unwrap().is_empty());
    assert!(restored.reserved(2, SLOT.contract, 0).await.unwrap().is_empty());
    guard.close().await;

    // An old file, the right database: what the database knows is noted in the file.
    let guard = Guard::open(&old_file).await.unwrap().shared(register);
    assert!(matches!(guard.authorize(SLOT, other).await, Err(GuardError::AlreadySigned { .. })));
    guard.close().await;
    let guard = Guard::open(&old_file).await.unwrap();
    assert!(matches!(guard.authorize(SLOT, other).await, Err(GuardError::AlreadySigned { .. })));
    guard.authorize(SLOT, signed).await.unwrap();
}

async fn a_database_s_shape_is_brought_up_to_date_by_whoever_may(cluster: &Cluster) {
    let url = cluster.database("fresh").await;
    let refused = PostgresStore::open(&url, 2, 1, false).await;
    let Err(StoreError::Config(words)) = refused else { panic!("{refused:?}") };
    assert!(words.contains("tandem-keeper db migrate"), "{words}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    std::fs::write(&path, format!("{url}\n")).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = StoreConfig {
        url: Some(tandem_keeper::config::SecretRef::File(path)),
        migrate: false,
        ..StoreConfig::default()
    };
    assert_eq!(store::migrate(&config, folder.path()).await.unwrap(), 1);
    assert_eq!(store::migrate(&config, folder.path()).await.unwrap(), 1);
    let opened = store::open(&config, folder.path()).await.unwrap();
    assert!(opened.register.is_some());
    assert!(matches!(opened.store.choose(1, 0, B256::ZERO).await, Err(StoreError::NotLeading)));
    opened.store.close().await;
}

async fn cut_connections_fail_one_call_at_most(cluster: &Cluster) {
    let store = open(&cluster.database("cut").await).await;
    let (network, validator) = (network(), key(11));
    for seq in 1..=20 {
        let commit = commit(&network, &validator, 3, 1, seq, &[(4, 1)]);
        if seq % 4 == 0 {
            cluster.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cut'").await;
        }
        let mut failures = 0;
        while let Err(error) = store.put_commit(&commit).await {
            assert!(error.is_transient(), "{error}");
            failures += 1;
            assert!(failures < 8, "{error}");
        }
        assert_eq!(store.put_commit(&commit).await.unwrap(), CommitOutcome::Stored);
    }
    let refused = store.put_commit(&commit(&network, &validator, 3, 1, 20, &[(4, 2)])).await.unwrap();
    assert_eq!(refused, CommitOutcome::Equivocation);
}

async fn what_could_forget_is_refused(cluster: &Cluster) {
    let url = cluster.database("forgetful").await;
    cluster.run("ALTER DATABASE forgetful SET synchronous_commit = off").await;
    let refused = PostgresStore::open(&url, 2, 1, true).await;
    assert!(matches!(refused, Err(StoreError::Forgetful("synchronous_commit"))), "{refused:?}");
}

async fn a_server_that_falls_silent_is_not_waited_for(cluster: &Cluster) {
    let store = Bounded::new(open(&cluster.database("silent").await).await, Duration::from_millis(500));
    let commit = commit(&network(), &key(11), 3, 1, 1, &[(4, 1)]);
    store.put_commit(&commit).await.unwrap();
    cluster.signal("silent", Signal::SIGSTOP).await;
    let began = Instant::now();
    let refused = store.put_commit(&commit).await;
    assert!(matches!(&refused, Err(error @ StoreError::Silent(_)) if error.is_transient()), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    cluster.signal("silent", Signal::SIGCONT).await;
    let again =
        tokio::time::timeout(Duration::from_secs(20), async { while store.put_commit(&commit).await.is_err() {} });
    again.await.unwrap();
}

/// `[KP-1]`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_was_confirmed_and_nobody_falls_over() {
    let mut cluster = Cluster::start().await;
    let url = cluster.database("traffic").await;
    let store = Arc::new(open(&url).await);
    lead(&store).await;
    let list = jobs(B256::ZERO, VALIDATOR, 3, 1, &(0..300).collect::<Vec<u16>>(), 10);
    store.add_jobs(3, &[(VALIDATOR, list)]).await.unwrap();

    let stop = tokio_util::sync::CancellationToken::new();
    let traffic = (0..4u32).map(|client| {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::spawn(async move {
            let (network, mut confirmed, mut failures) = (network(), Vec::new(), 0);
            for epoch in 1.. {
                if stop.is_cancelled() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                let commit = commit(&network, &key(20 + client as u8), epoch, 1, 1, &[(4, 1)]);
                match store.put_commit(&commit).await {
                    Ok(outcome) => {
                        assert_eq!(outcome, CommitOutcome::Stored);
                        confirmed.push((epoch, None));
                    }
                    Err(error) => {
                        assert!(error.is_transient(), "{error}");
                        failures += 1;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
                let query =
                    LeaseQuery { validator: VALIDATOR, epoch: 3, limit: 1, now_ms: 1, until_ms: 2, max_attempts: 9 };
                let Ok(leased) = store.lease_jobs(query).await else { continue };
                for leased in leased {
                    let (verdict, detail) = (Verdict::Pass, String::new());
                    let outcome = AuditOutcome { verdict, tokens_audited: 1, speed_class: 1, commitment: None, detail };
                    let result = JobResult { job: leased.job.id, attempt: leased.attempt, outcome };
                    if store
                        .complete_job(VALIDATOR, &result, 1)
                        .await
                        .is_ok_and(|outcome| outcome == JobOutcome::Applied)
                    {
                        confirmed.push((epoch, Some(result)));
                    }
                }
            }
            (confirmed, failures)
        })
    });
    let traffic: Vec<_> = traffic.collect();
    tokio::time::sleep(Duration::from_millis(700)).await;
    cluster.kill();
    assert!(store.proposals(1, 0).await.is_err_and(|error| error.is_transient()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.launch().await;
    let came_back = Instant::now();
    while store.proposals(1, 0).await.is_err() {
        assert!(came_back.elapsed() < Duration::from_secs(20));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.cancel();

    let (network, mut all_failures) = (network(), 0);
    for (client, task) in traffic.into_iter().enumerate() {
        let (confirmed, failures) = task.await.unwrap();
        assert!(confirmed.len() > 10, "{} confirmed", confirmed.len());
        all_failures += failures;
        for (epoch, result) in confirmed {
            match result {
                // Another hash under the same number meets the one that was confirmed.
                None => {
                    let other = commit(&network, &key(20 + client as u8), epoch, 1, 1, &[(4, 2)]);
                    assert_eq!(store.put_commit(&other).await.unwrap(), CommitOutcome::Equivocation);
                }
                Some(result) => {
                    assert_eq!(store.complete_job(VALIDATOR, &result, 1).await.unwrap(), JobOutcome::Duplicate);
                }
            }
        }
    }
    assert!(all_failures > 0, "the server was away for nobody");
    // The lease and its fence came back with the rest.
    store.choose(9, 0, B256::ZERO).await.unwrap();
}

/// `[KP-1]`
#[tokio::test]
async fn a_url_is_in_no_error_and_a_server_that_is_away_is_a_passing_fault() {
    for url in ["postgres://keeper:hunter2@[bad", "mysql://keeper:hunter2@localhost/x", "hunter2"] {
        let error = PostgresStore::open(url, 2, 1, true).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(!error.is_transient());
    }
    let error = PostgresStore::open("postgres://keeper:hunter2@127.0.0.1:1/x", 2, 1, true).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    assert!(error.is_transient(), "{error:?}");
    let config: StoreConfig = toml::from_str("url = { env = \"TANDEM_NO_SUCH_VARIABLE\" }").unwrap();
    let error = config.resolve().unwrap_err();
    assert_eq!(error.to_string(), "[K-STORE-8] [store] url: the environment has no TANDEM_NO_SUCH_VARIABLE");
    // The URL itself has no place in the configuration.
    for text in ["url = \"postgres://keeper:hunter2@localhost/x\"", "pool = 3"] {
        assert!(toml::from_str::<StoreConfig>(text).is_err(), "{text}");
    }
}
