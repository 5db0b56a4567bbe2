//! Who pays: channels, meters and vouchers. A voucher is on the disk before the response that it pays for is computed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqlitePool;
use tandem_protocol::api::{CompletionPayment, TopUpReceipt, VoucherJson};
use tandem_protocol::messages::Voucher;
use tandem_protocol::payment::{BATCH, PaymentError, PaymentMeter, PaymentTerms, Rate, Tokens};
use tandem_protocol::signed::{SignatureError, Signed};
use thiserror::Error;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use crate::chain::{Batch, Chain, ChainError, Channel, Head, Network};
use crate::service::StateError;

/// Tables of the node's state file. The account is JSON.
pub const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS accounts (
    channel TEXT PRIMARY KEY, account TEXT NOT NULL, owed INTEGER NOT NULL, expiry INTEGER NOT NULL
) STRICT";

/// Unknown channels that are asked for at the chain at the same time: strangers can make a node ask.
const LOOKUPS: usize = 4;
/// Accounts kept in memory; the rest are read from the file when they are needed.
const ACCOUNTS: usize = 10_000;

/// Why a payment is refused. The terms tell the client what would do.
#[derive(Debug, Error)]
pub enum TillError {
    /// Nothing was paid.
    #[error("this model is paid by voucher: open a channel to this neuron and send one in the field tandem")]
    Missing,
    /// No such channel.
    #[error("channel {0} does not exist (yet)")]
    UnknownChannel(U256),
    /// The channel pays another contributor.
    #[error("channel {0} is not to this neuron and its owner")]
    OtherContributor(U256),
    /// The channel is about to end.
    #[error("channel {channel} expires at {expiry}, too soon to serve on it")]
    Expired {
        /// Channel.
        channel: U256,
        /// Its expiry, seconds.
        expiry: u64,
    },
    /// The session key did not sign.
    #[error("voucher: {0}")]
    Signature(SignatureError),
    /// The voucher does not pay for the request.
    #[error(transparent)]
    Payment(#[from] PaymentError),
    /// Another request of the channel is being answered.
    #[error("channel {0} has a request under way; a channel serves one at a time")]
    Busy(U256),
    /// A top-up for a channel without an answer under way.
    #[error("channel {0} has no answer under way; send the voucher with a request")]
    NothingDue(U256),
    /// The rate card has no price for the model.
    #[error("the rate card has no rate for this model")]
    NoRate,
    /// The chain did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The state file failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl TillError {
    /// The stable code; `None` where the fault is the node's own.
    pub const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("payment_required"),
            Self::UnknownChannel(_) => Some("unknown_channel"),
            Self::OtherContributor(_) => Some("channel_of_another_contributor"),
            Self::Expired { .. } => Some("channel_expired"),
            Self::Signature(_) => Some("voucher_signature"),
            Self::Payment(PaymentError::Exhausted { .. }) => Some("channel_exhausted"),
            Self::Payment(PaymentError::OtherRate { .. }) => Some("voucher_rate"),
            Self::Payment(PaymentError::NotGrowing { .. }) => Some("voucher_not_growing"),
            Self::Payment(_) => Some("voucher_insufficient"),
            Self::Busy(_) => Some("channel_busy"),
            Self::NothingDue(_) => Some("no_answer_under_way"),
            Self::NoRate | Self::Chain(_) | Self::State(_) => None,
        }
    }
}

/// The neuron that is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payee {
    /// Subnet.
    pub netuid: u16,
    /// Neuron.
    pub uid: u16,
    /// Its owner, who earns.
    pub owner: Address,
}

/// What is known of a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The channel as it is on chain.
    pub channel: Channel,
    /// Consumed and signed.
    pub meter: PaymentMeter,
    /// The voucher to settle: the last one that a response was computed for.
    pub best: Option<Signed<Voucher>>,
}

impl Account {
    /// Credits in vouchers that are not settled, base units.
    pub fn owed(&self) -> u128 {
        self.best.as_ref().map_or(0, |best| best.message.amount.saturating_sub(self.channel.settled))
    }
}

/// An account in memory. Its lock is held for moments; the turn, for as long as an answer is under way.
struct Slot {
    account: Mutex<Account>,
    turn: Arc<Semaphore>,
    /// Longest that the answer under way may become, tokens.
    longest: AtomicU64,
    /// Tokens of the answer under way that are covered.
    covered: watch::Sender<u64>,
}

impl Slot {
    fn new(account: Account) -> Self {
        let covered = watch::Sender::new(account.meter.covered());
        let (turn, longest) = (Arc::new(Semaphore::new(1)), AtomicU64::new(0));
        Self { account: Mutex::new(account), turn, longest, covered }
    }
}

/// A request that is paid, at least in part; its channel takes no other until this is dropped.
pub struct Admission {
    slot: Arc<Slot>,
    _turn: OwnedSemaphorePermit,
    before: Option<Signed<Voucher>>,
}

impl Admission {
    /// Completion tokens that are covered, now and after each top-up.
    pub fn covered(&self) -> watch::Receiver<u64> {
        self.slot.covered.subscribe()
    }

    /// Counters and price of a voucher that covers `completion_tokens` of the answer in all. Blocks the thread for a moment.
    ///
    /// # Errors
    /// [`PaymentError::OutOfRange`].
    pub fn due(&self, completion_tokens: u64) -> Result<(U256, Tokens, u128), PaymentError> {
        let account = self.slot.account.blocking_lock();
        let (least, amount) = account.meter.due(completion_tokens)?;
        Ok((account.meter.channel_id(), least, amount))
    }
}

/// How much of an answer is to be covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cover {
    /// Tokens that the first voucher must cover.
    pub least: u64,
    /// Longest that the answer may become.
    pub most: u64,
}

/// Time and price, kept fresh by [`Till::refresh`].
#[derive(Clone, Copy, Debug)]
struct Fresh {
    head: Head,
    rate: Option<Rate>,
    seen: Instant,
}

/// The node's till.
pub struct Till {
    chain: Arc<dyn Chain>,
    network: Network,
    payee: Payee,
    model: alloy_primitives::B256,
    expiry_margin: u64,
    state: SqlitePool,
    fresh: RwLock<Fresh>,
    accounts: Mutex<HashMap<U256, Arc<Slot>>>,
    lookups: Semaphore,
}

impl Till {
    /// Opens the till. `model` is the on-chain name of the model served; no request is taken on a channel that ends within
    /// `expiry_margin` seconds.
    ///
    /// # Errors
    /// [`TillError`] when the chain cannot be asked for time and price.
    pub async fn open(
        chain: Arc<dyn Chain>,
        network: Network,
        payee: Payee,
        model: alloy_primitives::B256,
        expiry_margin: u64,
        state: SqlitePool,
    ) -> Result<Self, TillError> {
        let fresh = Fresh { head: chain.head().await?, rate: chain.rate(model).await?, seen: Instant::now() };
        Ok(Self {
            chain,
            network,
            payee,
            model,
            expiry_margin,
            state,
            fresh: RwLock::new(fresh),
            accounts: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS),
        })
    }

    /// Reads time and price again.
    ///
    /// # Errors
    /// [`ChainError`]; what was known stays.
    pub async fn refresh(&self) -> Result<(), ChainError> {
        let fresh =
            Fresh { head: self.chain.head().await?, rate: self.chain.rate(self.model).await?, seen: Instant::now() };
        *self.fresh.write().unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn fresh(&self) -> Fresh {
        *self.fresh.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How long ago the chain was last heard of.
    pub fn age(&self) -> Duration {
        self.fresh().seen.elapsed()
    }

    /// What to pay; the counters are those of `channel`, if it is known.
    ///
    /// # Errors
    /// [`TillError::NoRate`].
    pub async fn terms(&self, channel: Option<U256>) -> Result<PaymentTerms, TillError> {
        let known = match channel {
            Some(id) => self.accounts.lock().await.get(&id).cloned(),
            None => None,
        };
        let meter = match known {
            Some(slot) => Some(slot.account.lock().await.meter.clone()),
            None => None,
        };
        Ok(PaymentTerms {
            chain_id: self.network.chain_id,
            settlement: self.network.settlement,
            netuid: self.payee.netuid,
            uid: self.payee.uid,
            contributor: self.payee.owner,
            rate: self.fresh().rate.ok_or(TillError::NoRate)?,
            consumed: meter.as_ref().map(PaymentMeter::consumed),
            signed: meter.as_ref().map(PaymentMeter::signed),
            needed: None,
        })
    }

    /// Takes the payment for a request of `prompt_tokens`. The voucher is on the disk when this returns.
    ///
    /// # Errors
    /// [`TillError`]; nothing was taken then.
    pub async fn admit(
        &self,
        payment: &CompletionPayment,
        prompt_tokens: u64,
        cover: Cover,
    ) -> Result<Admission, TillError> {
        let id = payment.voucher.channel_id;
        let slot = self.account(id).await?;
        let turn = slot.turn.clone().try_acquire_owned().map_err(|_| TillError::Busy(id))?;
        let accept = |meter: &mut PaymentMeter, voucher: &Voucher| meter.accept(voucher, prompt_tokens, cover.least);
        let before = self.take(&slot, &payment.voucher, accept).await?;
        slot.longest.store(cover.most, Ordering::Relaxed);
        Ok(Admission { slot, _turn: turn, before })
    }

    /// Takes a further voucher for the answer under way on its channel: one that covers another batch, or the answer to its end.
    /// It is on the disk when this returns.
    ///
    /// # Errors
    /// [`TillError`]; nothing was taken then, and the answer goes on with what it had.
    pub async fn top_up(&self, voucher: &VoucherJson) -> Result<TopUpReceipt, TillError> {
        let channel_id = voucher.channel_id;
        let slot = self.accounts.lock().await.get(&channel_id).cloned();
        let slot = slot.filter(|slot| slot.turn.available_permits() == 0).ok_or(TillError::NothingDue(channel_id))?;
        let longest = slot.longest.load(Ordering::Relaxed);
        let accept = |meter: &mut PaymentMeter, voucher: &Voucher| {
            meter.accept_top_up(voucher, meter.covered().saturating_add(BATCH).min(longest))
        };
        self.take(&slot, voucher, accept).await?;
        Ok(TopUpReceipt { channel_id, covered: *slot.covered.borrow() })
    }

    /// Checks a voucher, lets the meter accept it, and writes both down. Returns the voucher that it replaces.
    async fn take(
        &self,
        slot: &Slot,
        voucher: &VoucherJson,
        accept: impl FnOnce(&mut PaymentMeter, &Voucher) -> Result<(), PaymentError>,
    ) -> Result<Option<Signed<Voucher>>, TillError> {
        let mut account = slot.account.lock().await;
        let Fresh { head, rate, seen } = self.fresh();
        let now = head.time.saturating_add(seen.elapsed().as_secs());
        if account.channel.expiry <= now.saturating_add(self.expiry_margin) {
            return Err(TillError::Expired { channel: voucher.channel_id, expiry: account.channel.expiry });
        }
        let rate = rate.ok_or(TillError::NoRate)?;
        if *account.meter.rate() != rate {
            return Err(PaymentError::OtherRate { model: rate.model, version: rate.version }.into());
        }
        let voucher = Signed::<Voucher>::from(voucher);
        voucher.verify(&self.network.settlement_domain(), account.channel.session_key).map_err(TillError::Signature)?;
        let mut next = account.clone();
        accept(&mut next.meter, &voucher.message)?;
        let before = next.best.replace(voucher);
        self.put(&next).await?;
        *account = next;
        slot.covered.send_replace(account.meter.covered());
        Ok(before)
    }

    /// Counts a response; returns the credits consumed on the channel so far, base units.
    ///
    /// # Errors
    /// [`TillError`] when more is counted than was paid, or the state file failed; the voucher is kept in any case.
    pub async fn served(&self, admission: Admission, used: Tokens) -> Result<u128, TillError> {
        let mut account = admission.slot.account.lock().await;
        account.meter.record(used)?;
        let consumed = account.meter.consumed_credits();
        self.put(&account).await?;
        Ok(consumed)
    }

    /// Gives up a request that was not answered: its vouchers will not be settled.
    ///
    /// # Errors
    /// [`TillError`] when the state file failed.
    pub async fn unserved(&self, mut admission: Admission) -> Result<(), TillError> {
        let mut account = admission.slot.account.lock().await;
        account.best = admission.before.take();
        self.put(&account).await
    }

    /// Credits in vouchers that are not settled, base units.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn owed_credits(&self) -> Result<u128, StateError> {
        let rows = sqlx::query("SELECT account FROM accounts WHERE owed = 1").fetch_all(&self.state).await?;
        let mut sum = 0_u128;
        for row in rows {
            sum = sum.saturating_add(parse(row.try_get("account")?)?.owed());
        }
        Ok(sum)
    }

    /// Vouchers of this node, as the chain settles them.
    pub fn batch<'a>(&self, vouchers: &'a [Signed<Voucher>]) -> Batch<'a> {
        Batch { contributor: self.payee.owner, netuid: self.payee.netuid, vouchers }
    }

    /// Up to `limit` vouchers that are not settled.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn owed(&self, limit: u32) -> Result<Vec<Signed<Voucher>>, StateError> {
        let rows = sqlx::query("SELECT account FROM accounts WHERE owed = 1 ORDER BY expiry, channel LIMIT ?")
            .bind(limit)
            .fetch_all(&self.state)
            .await?;
        let accounts = rows.iter().map(|row| parse(row.try_get("account")?)).collect::<Result<Vec<_>, _>>()?;
        Ok(accounts.into_iter().filter_map(|account| account.best).collect())
    }

    /// Reads from the chain what is settled of a channel, in credits (base units).
    ///
    /// # Errors
    /// [`TillError`].
    pub async fn reconcile(&self, id: U256) -> Result<u128, TillError> {
        let channel = self.chain.channel(id).await?.ok_or(TillError::UnknownChannel(id))?;
        let slot = self.account(id).await?;
        let mut account = slot.account.lock().await;
        account.channel = channel;
        self.put(&account).await?;
        Ok(account.channel.settled)
    }

    /// Gives up settling a channel for good: its voucher cannot settle any more.
    ///
    /// # Errors
    /// [`StateError`].
    pub async fn write_off(&self, id: U256) -> Result<(), StateError> {
        sqlx::query("UPDATE accounts SET owed = 0 WHERE channel = ?").bind(key(id)).execute(&self.state).await?;
        Ok(())
    }

    /// The one account of a channel. Everything that changes an account is on the disk before its lock is released, so one
    /// that nobody holds can be forgotten and read again.
    async fn account(&self, id: U256) -> Result<Arc<Slot>, TillError> {
        if let Some(account) = self.known(id, None).await? {
            return Ok(account);
        }
        let account = self.first_sight(id).await?;
        self.known(id, Some(account)).await?.ok_or(TillError::UnknownChannel(id))
    }

    /// The account in memory, or in the file, or `new`.
    async fn known(&self, id: U256, new: Option<Account>) -> Result<Option<Arc<Slot>>, TillError> {
        let mut accounts = self.accounts.lock().await;
        if let Some(slot) = accounts.get(&id) {
            return Ok(Some(slot.clone()));
        }
        let Some(account) = self.stored(id).await?.or(new) else { return Ok(None) };
        if accounts.len() >= ACCOUNTS {
            accounts.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let slot = Arc::new(Slot::new(account));
        accounts.insert(id, slot.clone());
        Ok(Some(slot))
    }

    async fn first_sight(&self, id: U256) -> Result<Account, TillError> {
        let rate = self.fresh().rate.ok_or(TillError::NoRate)?;
        let channel = {
            let _one_of_few = self.lookups.acquire().await;
            self.chain.channel(id).await?.ok_or(TillError::UnknownChannel(id))?
        };
        let Payee { netuid, uid, owner } = self.payee;
        if (channel.netuid, channel.uid, channel.contributor) != (netuid, uid, owner) {
            return Err(TillError::OtherContributor(id));
        }
        let tokens = self.chain.settled_tokens(id).await?;
        let meter = PaymentMeter::resume(id, channel.capacity, rate, channel.settled, tokens)?;
        Ok(Account { channel, meter, best: None })
    }

    async fn stored(&self, id: U256) -> Result<Option<Account>, StateError> {
        let row = sqlx::query("SELECT account FROM accounts WHERE channel = ?")
            .bind(key(id))
            .fetch_optional(&self.state)
            .await?;
        row.map(|row| parse(row.try_get("account")?)).transpose()
    }

    async fn put(&self, account: &Account) -> Result<(), TillError> {
        let json = serde_json::to_string(account).map_err(|error| StateError::Damaged(error.to_string()))?;
        sqlx::query("INSERT OR REPLACE INTO accounts (channel, account, owed, expiry) VALUES (?, ?, ?, ?)")
            .bind(key(account.meter.channel_id()))
            .bind(json)
            .bind(i64::from(account.owed() > 0))
            .bind(i64::try_from(account.channel.expiry).unwrap_or(i64::MAX))
            .execute(&self.state)
            .await
            .map_err(StateError::Database)?;
        Ok(())
    }
}

fn key(id: U256) -> String {
    format!("{id:#x}")
}

fn parse(json: String) -> Result<Account, StateError> {
    serde_json::from_str(&json).map_err(|error| StateError::Damaged(error.to_string()))
}
