//! The state machine; its diagram is the module's above.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use metrics::{counter, gauge};
use tokio::sync::{Mutex, OnceCell};

use super::{
    FeeModel, FeeRules, Fees, GasKey, Intent, Refusal, SendError, Transactor,
    ask::{Ask, Inclusion, Simulated},
    call, now_ms,
    signing::{Form, Unsigned, read},
};
use crate::{
    chain::{BlockRef, Nodes},
    config::{Finality, SenderConfig},
    kill,
    network::Network,
    store::{NewTx, OutboxTx, Store, StoreError, TxAttempt, TxState},
    telemetry,
};

/// The same bytes are not offered to the nodes more often than this.
const RESEND: Duration = Duration::from_secs(3);
/// Between two looks at the gas key's balance.
const BALANCE_EVERY: Duration = Duration::from_secs(60);
/// Gas of a no-op where no node can say.
const NOOP_GAS: u64 = 100_000;
const WEI_PER_GWEI: u64 = 1_000_000_000;

/// Sends from one gas key through all nodes.
pub struct Sender {
    ask: Ask,
    store: Arc<dyn Store>,
    key: GasKey,
    network: Network,
    finality: Finality,
    config: SenderConfig,
    model: OnceCell<FeeModel>,
    /// Submitting and watching take turns.
    turn: Mutex<Memory>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sender").field("key", &self.key.address()).finish_non_exhaustive()
    }
}

/// What only saves work: nothing is lost with it.
#[derive(Default)]
struct Memory {
    /// When a signed form was offered last.
    offered: HashMap<B256, Instant>,
    /// Since when a transaction that was in a block is in none, milliseconds.
    hidden: HashMap<i64, u64>,
    balance_read: Option<Instant>,
}

/// Who is before a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nobody: it is the one to be helped.
    Head,
    /// Another of ours that is in no block.
    Behind,
}

impl Sender {
    /// A sender; what the store holds unfinished is taken up at the first [`Transactor::tick`].
    pub fn new(
        nodes: Nodes,
        store: Arc<dyn Store>,
        key: GasKey,
        network: Network,
        finality: Finality,
        config: SenderConfig,
    ) -> Self {
        let model = OnceCell::new_with(config.fee_model);
        Self { ask: Ask::new(nodes), store, key, network, finality, config, model, turn: Mutex::default() }
    }

    /// Simulates, signs and stores, but does not broadcast: [`Transactor::tick`] does. This is what a crash right after
    /// storing leaves behind.
    pub async fn prepare(&self, to: Address, data: Vec<u8>, purpose: String) -> Result<OutboxTx, SendError> {
        let sender = self.key.address();
        let open = self.store.open_txs(sender).await?;
        if open.iter().any(|tx| tx.state != TxState::Mined) {
            return Err(SendError::Busy);
        }
        let gas_limit = match self.ask.simulate(sender, to, &data).await? {
            Simulated::Gas(gas) => self.gas_limit(gas, &purpose)?,
            Simulated::Reverts(reason) => return Err(SendError::Reverts { purpose, reason }),
        };
        kill::point("sender.simulated");
        let counted = self.ask.nodes.nonce(sender).await?;
        // A mined transaction counts even while a reorganisation hides it.
        let nonce = open.iter().map(|tx| tx.nonce + 1).max().map_or(counted, |own| own.max(counted));
        let model = self.model().await?;
        let fees = self.rules().first(model, self.ask.market().await?);
        let fees = fees.map_err(|needed| SendError::TooExpensive { needed, ceiling: self.rules().ceiling })?;
        let first = self.unsigned(to, &data, nonce, gas_limit, fees).sign(&self.key).await?;
        let l1_fee = self.ask.l1_fee(model, &first.raw).await?;
        let needed = U256::from(gas_limit).saturating_mul(U256::from(fees.max)).saturating_add(l1_fee);
        let balance = self.balance().await?;
        if balance < needed {
            return Err(SendError::Funds { key: sender, balance, needed });
        }
        let new = NewTx { sender, purpose, to, data, nonce, gas_limit, first: first.clone() };
        let id = match self.store.put_tx(&new).await {
            Err(StoreError::InFlight(_)) => return Err(SendError::Busy),
            other => other?,
        };
        kill::point("sender.stored");
        counter!(telemetry::TXS).increment(1);
        tracing::info!(purpose = new.purpose, nonce, hash = %first.hash, "transaction signed");
        Ok(OutboxTx {
            id,
            purpose: new.purpose,
            to,
            data: new.data,
            nonce,
            gas_limit,
            state: TxState::Signed,
            attempts: vec![first],
        })
    }

    fn rules(&self) -> FeeRules {
        FeeRules::new(&self.config)
    }

    async fn model(&self) -> Result<FeeModel, SendError> {
        self.model.get_or_try_init(|| self.ask.fee_model()).await.copied()
    }

    fn gas_limit(&self, estimate: u64, purpose: &str) -> Result<u64, SendError> {
        let limit = self.config.max_gas;
        if estimate > limit {
            return Err(SendError::TooMuchGas { purpose: purpose.to_owned(), gas: estimate, limit });
        }
        Ok((estimate.saturating_mul(self.config.gas_percent) / 100).min(limit))
    }

    fn unsigned(&self, to: Address, data: &[u8], nonce: u64, gas_limit: u64, fees: Fees) -> Unsigned {
        let data = Bytes::copy_from_slice(data);
        Unsigned { chain_id: self.network.chain_id, nonce, gas_limit, fees, to, data }
    }

    async fn balance(&self) -> Result<U256, SendError> {
        let balance = self.ask.balance(self.key.address()).await?;
        gauge!(telemetry::GAS_BALANCE).set(f64::from(balance));
        Ok(balance)
    }

    /// One transaction, one step on.
    async fn step(
        &self,
        tx: &mut OutboxTx,
        last_final: &BlockRef,
        line: Line,
        memory: &mut Memory,
    ) -> Result<TxState, SendError> {
        let next = self.ask.nodes.nonce(self.key.address()).await?;
        let used = next > tx.nonce;
        if used && let Some(found) = self.find(tx).await? {
            memory.hidden.remove(&tx.id);
            return self.note(tx, &found, last_final).await;
        }
        if used && self.is_lost(tx, last_final).await? {
            tracing::error!(purpose = tx.purpose, nonce = tx.nonce, "[K-TX-6] the nonce was used by something else");
            counter!(telemetry::LOST).increment(1);
            self.store.set_tx_state(tx.id, TxState::Lost).await?;
            return Ok(TxState::Lost);
        }
        if used {
            // Another transaction has the nonce in a block that is not final: nothing of ours can get in until that goes.
            tracing::warn!(
                purpose = tx.purpose,
                nonce = tx.nonce,
                "the nonce is used by something else, not final yet"
            );
            return Ok(TxState::Broadcast);
        }
        let signed_ms = tx.attempts.last().map_or(0, |last| last.signed_ms);
        let since = match tx.state {
            TxState::Mined if !memory.hidden.contains_key(&tx.id) => {
                tracing::warn!(purpose = tx.purpose, nonce = tx.nonce, "a reorganisation took the transaction out");
                memory.hidden.insert(tx.id, now_ms());
                for attempt in &tx.attempts {
                    memory.offered.remove(&attempt.hash);
                }
                now_ms()
            }
            TxState::Mined => memory.hidden.get(&tx.id).copied().unwrap_or_default(),
            _ => signed_ms,
        };
        let late = now_ms().saturating_sub(since.max(signed_ms)) >= self.config.bump_after_s.saturating_mul(1_000);
        if late && line == Line::Head && next < tx.nonce {
            // Nodes that queue it say nothing of what it waits for.
            self.fill_gap(next, tx).await?;
        } else if late && line == Line::Head {
            self.help(tx).await?;
        } else if tx.state == TxState::Broadcast {
            // In a pool, as far as we know.
            return Ok(tx.state);
        }
        self.offer(tx, line, memory).await
    }

    /// The block that any of the transaction's signed forms is in.
    async fn find(&self, tx: &OutboxTx) -> Result<Option<Inclusion>, SendError> {
        let hashes: Vec<B256> = tx.attempts.iter().map(|attempt| attempt.hash).collect();
        self.ask.included(&hashes).await
    }

    /// Takes note of an inclusion. Final is what is in the very block that the quorum calls final.
    async fn note(&self, tx: &OutboxTx, found: &Inclusion, last_final: &BlockRef) -> Result<TxState, SendError> {
        let settled = found.number <= last_final.number
            && self.ask.nodes.by_number(found.number).await.is_ok_and(|block| block.hash == found.block);
        let state = if settled { TxState::Final } else { TxState::Mined };
        if state == tx.state {
            return Ok(state);
        }
        kill::point(if settled { "sender.final" } else { "sender.mined" });
        self.store.set_tx_state(tx.id, state).await?;
        let Inclusion { number, success, hash, attempt, cost, .. } = *found;
        let noop = self.form(tx, &tx.attempts[attempt]).is_some_and(|form| form.is_noop);
        if settled {
            counter!(telemetry::TX_COST).increment((cost / U256::from(WEI_PER_GWEI)).saturating_to());
        }
        if !success {
            tracing::warn!(purpose = tx.purpose, %hash, number, "the contract refused the transaction");
        }
        tracing::info!(purpose = tx.purpose, %hash, number, success, noop, state = state.name(), "transaction included");
        Ok(state)
    }

    /// Whether the nonce is used in final state, by nothing of ours.
    async fn is_lost(&self, tx: &OutboxTx, last_final: &BlockRef) -> Result<bool, SendError> {
        let nonce = self.ask.nonce_at(self.key.address(), BlockId::hash(last_final.hash)).await?;
        // Asked twice: the block may have become final between the two questions.
        Ok(nonce > tx.nonce && self.find(tx).await?.is_none())
    }

    fn form(&self, tx: &OutboxTx, attempt: &TxAttempt) -> Option<Form> {
        read(attempt, self.key.address(), tx.nonce)
    }

    /// The call as this key has signed it. What stands beside it in the database is not signed again unseen; without a form of
    /// ours there is nothing to go by.
    fn call_of(&self, tx: &OutboxTx) -> Option<(Address, Bytes)> {
        let mut forms = tx.attempts.iter().filter_map(|attempt| self.form(tx, attempt));
        forms.find(|form| !form.is_noop).map(|form| (form.to, form.data))
    }

    /// For a transaction that takes too long: higher fees, or a no-op in its place if the contract would refuse it now.
    /// Failing that it stays as it is, and is offered again.
    async fn help(&self, tx: &mut OutboxTx) -> Result<(), SendError> {
        let sender = self.key.address();
        let is_noop = tx.attempts.last().and_then(|last| self.form(tx, last)).is_some_and(|form| form.is_noop);
        if is_noop {
            return self.replace(tx, None).await.map(drop);
        }
        let Some((to, data)) = self.call_of(tx) else { return Ok(()) };
        match self.ask.simulate(sender, to, &data).await {
            Ok(Simulated::Gas(gas)) => self.replace(tx, Some(gas)).await.map(drop),
            Ok(Simulated::Reverts(reason)) => {
                // Its own success may be the reason, if it got in this very moment.
                if self.ask.nodes.nonce(sender).await? > tx.nonce {
                    return Ok(());
                }
                if self.replace(tx, None).await? {
                    tracing::info!(purpose = tx.purpose, nonce = tx.nonce, reason, "not needed any more, cancelled");
                    counter!(telemetry::CANCELLED).increment(1);
                }
                Ok(())
            }
            Err(error) => {
                tracing::warn!(purpose = tx.purpose, %error, "no estimate, the last one holds");
                self.replace(tx, Some(0)).await.map(drop)
            }
        }
    }

    /// Signs and stores another form with fees that replace the last ones: the call if `gas` is its estimate (never a
    /// lower limit than before), else a no-op. `false` if the ceiling forbids.
    async fn replace(&self, tx: &mut OutboxTx, gas: Option<u64>) -> Result<bool, SendError> {
        let Some(last) = tx.attempts.last() else { return Ok(false) };
        let model = self.model().await?;
        let market = self.ask.market().await;
        if let Err(error) = &market {
            tracing::warn!(purpose = tx.purpose, %error, "no market, the last fees are raised");
        }
        let last_fees = Fees { max: last.max_fee, tip: last.tip };
        let Some(fees) = self.rules().replacing(model, market.ok(), last_fees) else {
            tracing::warn!(purpose = tx.purpose, nonce = tx.nonce, max_fee = last.max_fee, "fee ceiling reached");
            return Ok(false);
        };
        let sender = self.key.address();
        let unsigned = match gas {
            Some(gas) => {
                let before = tx.attempts.iter().filter_map(|attempt| self.form(tx, attempt));
                let before = before.map(|form| form.gas_limit).max().unwrap_or(tx.gas_limit);
                let limit = self.gas_limit(gas, &tx.purpose).unwrap_or(before).max(before);
                let Some((to, data)) = self.call_of(tx) else { return Ok(false) };
                self.unsigned(to, &data, tx.nonce, limit, fees)
            }
            None => self.unsigned(sender, &[], tx.nonce, self.noop_gas().await, fees),
        };
        let attempt = unsigned.sign(&self.key).await?;
        tracing::info!(purpose = tx.purpose, nonce = tx.nonce, hash = %attempt.hash, max_fee = fees.max, "fees raised");
        self.store.put_attempt(tx.id, &attempt).await?;
        counter!(telemetry::BUMPS).increment(1);
        tx.attempts.push(attempt);
        if tx.state == TxState::Broadcast {
            tx.state = TxState::Signed;
        }
        Ok(true)
    }

    /// Not 21,000 everywhere: Arbitrum charges for the data in gas.
    async fn noop_gas(&self) -> u64 {
        let sender = self.key.address();
        match self.ask.simulate(sender, sender, &[]).await {
            Ok(Simulated::Gas(gas)) => self.gas_limit(gas, "no-op").unwrap_or(NOOP_GAS),
            _ => NOOP_GAS,
        }
    }

    /// Offers the newest signed form to every node.
    async fn offer(&self, tx: &mut OutboxTx, line: Line, memory: &mut Memory) -> Result<TxState, SendError> {
        let Some(newest) = tx.attempts.last() else { return Ok(tx.state) };
        if self.form(tx, newest).is_none() {
            tracing::error!(purpose = tx.purpose, "[K-TX-9] the database holds bytes that this key did not sign");
            return Ok(tx.state);
        }
        if memory.offered.get(&newest.hash).is_some_and(|at| at.elapsed() < RESEND) {
            return Ok(tx.state);
        }
        memory.offered.insert(newest.hash, Instant::now());
        let (refusal, words) = self.ask.broadcast(&newest.raw).await;
        if refusal == Refusal::AlreadyKnown {
            if tx.state == TxState::Signed {
                kill::point("sender.broadcast");
                self.store.set_tx_state(tx.id, TxState::Broadcast).await?;
                tx.state = TxState::Broadcast;
            }
            return Ok(tx.state);
        }
        counter!(telemetry::TX_REFUSALS).increment(1);
        tracing::warn!(
            purpose = tx.purpose,
            nonce = tx.nonce,
            ?refusal,
            words,
            "[K-TX-10] no node took the transaction"
        );
        // A used nonce shows as a receipt at the next step, or in final state as a loss; all else is tried again.
        if refusal == Refusal::Underpriced && line == Line::Head {
            // The market has gone up since it was signed: offered again with the next step. Whoever is behind another one has
            // time until that is in a block.
            self.raise(tx).await?;
        }
        Ok(tx.state)
    }

    async fn raise(&self, tx: &mut OutboxTx) -> Result<(), SendError> {
        let is_noop = tx.attempts.last().and_then(|last| self.form(tx, last)).is_some_and(|form| form.is_noop);
        self.replace(tx, (!is_noop).then_some(0)).await.map(drop)
    }

    /// A reorganisation below what counted as final took a transaction of ours away for good, and every later one waits
    /// for its nonce. A no-op there harms nothing: if the old one comes back, only one of the two can be in the chain.
    async fn fill_gap(&self, missing: u64, tx: &OutboxTx) -> Result<(), SendError> {
        let sender = self.key.address();
        let fees = self.rules().first(self.model().await?, self.ask.market().await?);
        let fees = fees.map_err(|needed| SendError::TooExpensive { needed, ceiling: self.rules().ceiling })?;
        let noop = self.unsigned(sender, &[], missing, self.noop_gas().await, fees).sign(&self.key).await?;
        let (refusal, words) = self.ask.broadcast(&noop.raw).await;
        tracing::warn!(missing, waiting = tx.nonce, ?refusal, words, "a nonce that went missing is filled");
        Ok(())
    }

    async fn watch_balance(&self, memory: &mut Memory) {
        if memory.balance_read.is_some_and(|at| at.elapsed() < BALANCE_EVERY) {
            return;
        }
        memory.balance_read = Some(Instant::now());
        if let Err(error) = self.balance().await {
            tracing::debug!(%error, "balance");
        }
    }
}

#[async_trait]
impl Transactor for Sender {
    async fn submit(&self, intent: &Intent) -> Result<(), SendError> {
        let mut memory = self.turn.lock().await;
        let (to, data) = call(intent, &self.network, self.config.settle_batch);
        let mut tx = self.prepare(to, data, intent.purpose()).await?;
        // Stored: from here on every failure is the watcher's to mend.
        if let Err(error) = self.offer(&mut tx, Line::Head, &mut memory).await {
            tracing::warn!(purpose = tx.purpose, %error, "broadcast failed, will be tried again");
        }
        Ok(())
    }

    async fn tick(&self) -> Result<bool, SendError> {
        let mut memory = self.turn.lock().await;
        self.watch_balance(&mut memory).await;
        let mut open = self.store.open_txs(self.key.address()).await?;
        let oldest = open
            .iter()
            .filter(|tx| tx.state != TxState::Mined)
            .filter_map(|tx| tx.attempts.first())
            .map(|attempt| attempt.signed_ms)
            .min();
        gauge!(telemetry::TX_AGE).set(oldest.map_or(0.0, |since| now_ms().saturating_sub(since) as f64 / 1_000.0));
        memory.hidden.retain(|id, _| open.iter().any(|tx| tx.id == *id));
        if open.is_empty() {
            memory.offered.clear();
            return Ok(false);
        }
        let last_final = self.ask.nodes.heads(self.finality).await?.last_final;
        let (mut under_way, mut line) = (false, Line::Head);
        for tx in &mut open {
            let state = self.step(tx, &last_final, line, &mut memory).await?;
            let included = !memory.hidden.contains_key(&tx.id) && state == TxState::Mined;
            if !included && !matches!(state, TxState::Final | TxState::Lost) {
                (under_way, line) = (true, Line::Behind);
            }
        }
        Ok(under_way)
    }
}
