//! Three keeper processes that work through epoch after epoch while a test makes them suffer.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;
use serde::{Serialize, de::DeserializeOwned};
use tandem_contracts::bindings::EpochOracle;
use tandem_protocol::api::{Attestation, ReceiptResponse};
use tokio::{sync::Mutex, time::sleep};

use crate::{
    suite::{KEEPERS, Net, Program},
    support::{commit, opened},
};

const VALIDATORS: usize = 3;

pub(crate) struct Fleet {
    pub(crate) net: Net,
    /// None while a keeper is down on purpose.
    pub(crate) programs: RefCell<Vec<Option<Program>>>,
    /// Held by whoever takes the node away.
    pub(crate) node: Mutex<()>,
    /// Time stands still until every keeper serves.
    pub(crate) patient: bool,
    /// Reports that were seen signed, by keeper, epoch and attempt.
    signed: RefCell<BTreeMap<(Address, u64, u32), BTreeSet<B256>>>,
}

impl Fleet {
    pub(crate) fn new(net: Net, patient: bool, start: impl Fn(&Net, usize) -> Program) -> Self {
        let programs = (0..KEEPERS).map(|index| Some(start(&net, index))).collect();
        Self { net, programs: RefCell::new(programs), node: Mutex::default(), patient, signed: RefCell::default() }
    }

    /// Whether a keeper has ended; not if it is down on purpose.
    pub(crate) fn has_ended(&self, index: usize) -> bool {
        let program = &mut self.programs.borrow_mut()[index];
        program.as_mut().is_some_and(|program| program.0.try_wait().unwrap().is_some())
    }

    pub(crate) async fn time(&self) -> u64 {
        let _node = self.node.lock().await;
        self.net.anvil.time().await
    }

    /// A second of the chain's time, which every keeper that serves has seen afterwards.
    pub(crate) async fn pass(&self) {
        let waiting = Instant::now();
        for index in 0..KEEPERS {
            while self.patient && !self.net.serves(index).await {
                assert!(waiting.elapsed() < Duration::from_secs(60), "keeper {index} is gone:\n{}", self.net.logs());
                sleep(Duration::from_millis(30)).await;
            }
        }
        let time = {
            let _node = self.node.lock().await;
            self.net.pass(1).await;
            self.net.anvil.time().await
        };
        let passed = Instant::now();
        for index in 0..KEEPERS {
            while passed.elapsed() < Duration::from_secs(1)
                && self.net.serves(index).await
                && self.net.try_status(index).await.is_some_and(|status| status.head_time < time)
            {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn skip_to(&self, time: u64) {
        if self.time().await < time {
            let _node = self.node.lock().await;
            self.net.anvil.mine_at(time.max(self.net.anvil.time().await + 1)).await;
        }
        self.pass().await;
    }

    /// Whether the epoch is active before this time.
    pub(crate) async fn active_before(&self, epoch: u64, deadline: u64) -> bool {
        loop {
            let active = {
                let _node = self.node.lock().await;
                let oracle = EpochOracle::new(self.net.network.oracle, &self.net.anvil.provider);
                oracle.lastActive().call().await.unwrap()
            };
            if active.any && active.epoch >= epoch {
                return true;
            }
            if self.time().await + 1 >= deadline {
                return false;
            }
            self.pass().await;
        }
    }

    /// Shows everybody everything, again every second until it is taken or the time is up; answers by body and keeper.
    async fn show<T: Serialize>(&self, path: &str, bodies: &[T], deadline: u64) -> BTreeMap<(usize, usize), Vec<u8>> {
        let mut answers = BTreeMap::new();
        loop {
            for (number, body) in bodies.iter().enumerate() {
                for index in 0..KEEPERS {
                    if answers.contains_key(&(number, index)) {
                        continue;
                    }
                    let url = format!("{}{path}", self.net.base(index));
                    let sent = self.net.http.post(url).json(body).timeout(Duration::from_secs(2)).send().await;
                    if let Ok(Ok(answer)) = sent.map(reqwest::Response::error_for_status)
                        && let Ok(bytes) = answer.bytes().await
                    {
                        answers.insert((number, index), bytes.to_vec());
                    }
                }
            }
            if answers.len() == bodies.len() * KEEPERS || self.time().await + 1 >= deadline {
                return answers;
            }
            self.pass().await;
        }
    }

    /// An epoch from its start to its last reveal: whose rows every keeper took in time, and whether the epoch before became
    /// active in time.
    pub(crate) async fn epoch(&self, epoch: u64) -> (BTreeSet<Address>, bool) {
        let clock = self.net.network.clock;
        self.skip_to(clock.start_of(epoch) + 1).await;
        let row = |number: usize| vec![(3, 60_000), (4, 20_000 + number as u16)];
        let sign = |number| {
            let hotkey = self.net.world.signer(&format!("hotkey {}", number + 1));
            commit(&self.net.network, &hotkey, epoch, 1, 1, &row(number))
        };
        let commits: Vec<_> = (0..VALIDATORS).map(sign).collect();
        let receipts = self.show("/v1/commits", &commits, clock.commit_deadline(epoch)).await;
        let reveal = |number: usize| {
            let of_it = receipts.iter().filter(|((commit, _), _)| *commit == number);
            let receipts = of_it
                .map(|(_, bytes)| serde_json::from_slice(bytes).unwrap())
                .map(|receipt: ReceiptResponse| (receipt.keeper, receipt.signature))
                .collect();
            opened(&commits[number], &row(number), receipts)
        };
        let reveals: Vec<_> = (0..VALIDATORS).map(reveal).collect();

        let in_time = match epoch.checked_sub(1) {
            Some(before) => self.active_before(before, clock.commit_deadline(epoch)).await,
            None => true,
        };
        self.skip_to(clock.commit_deadline(epoch)).await;
        let taken = self.show("/v1/reveals", &reveals, clock.reveal_deadline(epoch)).await;
        let by_all = |number: &usize| {
            (0..KEEPERS).all(|index| taken.contains_key(&(*number, index)) && receipts.contains_key(&(*number, index)))
        };
        ((0..VALIDATORS).filter(by_all).map(|number| reveals[number].validator).collect(), in_time)
    }

    async fn read<T: DeserializeOwned>(&self, index: usize, path: &str) -> Option<T> {
        let asked = self.net.http.get(format!("{}{path}", self.net.base(index))).timeout(Duration::from_secs(5));
        asked.send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }

    /// Notes what who answers shows of an epoch's signatures. Panics if anybody signed two reports, or has evidence of that.
    pub(crate) async fn audit(&self, epoch: u64) -> Vec<Attestation> {
        let mut seen = Vec::new();
        for index in 0..KEEPERS {
            let path = format!("/v1/epochs/{epoch}");
            let Some(shown) = self.read::<Vec<Attestation>>(index, &format!("{path}/attestations")).await else {
                continue;
            };
            seen.extend(shown);
            let evidence: Vec<serde_json::Value> =
                self.read(index, &format!("{path}/evidence")).await.unwrap_or_default();
            assert!(evidence.is_empty(), "somebody contradicted itself in epoch {epoch}: {evidence:?}");
        }
        for attestation in &seen {
            let report = &attestation.report.message;
            let mut signed = self.signed.borrow_mut();
            let reports = signed.entry((attestation.keeper, epoch, report.attempt)).or_default();
            reports.insert(report.eip712_hash_struct());
            assert!(reports.len() == 1, "{} signed two reports of epoch {epoch}", attestation.keeper);
        }
        seen
    }
}
