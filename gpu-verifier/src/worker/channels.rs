//! The payer's channels: one per neuron and owner, opened on first need, remembered, and found again on the chain.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use anyhow::Context as _;
use tandem_protocol::payment::{PaymentMeter, Rate};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::store::{Store, StoredChannel};
use crate::chain::{Chain, NewChannel};
use crate::node::till::Payee;

/// A channel that ends sooner than this many seconds is not used for another probe.
const MARGIN: u64 = 45;
/// Channels on the chain that are looked at when one is searched.
const CANDIDATES: usize = 8;

/// How channels are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelTerms {
    /// Credits of one channel, base units.
    pub amount: u128,
    /// Its life, seconds.
    pub life: u64,
    /// A neuron that refused to be paid from its channel gets no other one for so many seconds, so that it cannot tie up all
    /// credits.
    pub pause: u64,
}

/// One lock per subnet and uid.
type Locks = HashMap<(u16, u16), Arc<Mutex<()>>>;

/// A channel that nobody else uses while this is held.
pub struct HeldChannel {
    payee: Payee,
    session: PrivateKeySigner,
    _lock: OwnedMutexGuard<()>,
    /// What was signed and consumed; [`Purse::keep`] stores it.
    pub meter: PaymentMeter,
    expiry: u64,
}

impl HeldChannel {
    /// Signs vouchers.
    pub const fn session(&self) -> &PrivateKeySigner {
        &self.session
    }
}

/// The payer and its channels.
pub struct Purse {
    chain: Arc<dyn Chain>,
    store: Arc<Store>,
    payer: PrivateKeySigner,
    terms: ChannelTerms,
    locks: SyncMutex<Locks>,
    searched: SyncMutex<HashSet<Payee>>,
    /// Chain time of the last refusal.
    refused: SyncMutex<HashMap<Payee, u64>>,
}

impl Purse {
    /// The purse of `payer`, whose key `chain` sends transactions with.
    pub fn new(chain: Arc<dyn Chain>, store: Arc<Store>, payer: PrivateKeySigner, terms: ChannelTerms) -> Self {
        Self {
            chain,
            store,
            payer,
            terms,
            locks: SyncMutex::default(),
            searched: SyncMutex::default(),
            refused: SyncMutex::default(),
        }
    }

    /// Waits for the channel to a neuron and takes it, opening one if there is none with life, the present rate, and enough for
    /// `prompt_tokens` and `max_tokens`. `None` if the neuron refused its channel and it is too early for another.
    ///
    /// # Errors
    /// The worker's own trouble: no credits, no gas, no chain.
    pub async fn hold(
        &self,
        payee: Payee,
        rate: Rate,
        prompt_tokens: u64,
        max_tokens: u64,
    ) -> anyhow::Result<Option<HeldChannel>> {
        let lock = locked(&self.locks).entry((payee.netuid, payee.uid)).or_default().clone();
        let lock = lock.lock_owned().await;
        let now = self.chain.head().await?.time;
        let usable = |channel: &StoredChannel| {
            channel.expiry > now.saturating_add(MARGIN)
                && *channel.meter.rate() == rate
                && channel.meter.clone().authorize(prompt_tokens, max_tokens).is_ok()
        };
        let session = self.session(payee)?;
        let mut channel = self.store.channel(payee.netuid, payee.uid, payee.owner).await?.filter(usable);
        if channel.is_none() && locked(&self.searched).insert(payee) {
            channel = self.search(payee, rate, session.address()).await?.filter(usable);
        }
        let channel = match channel {
            Some(channel) => channel,
            None if self.is_paused(payee, now) => return Ok(None),
            None => {
                // Before credits are tied up in it.
                PaymentMeter::new(U256::ZERO, self.terms.amount, rate)
                    .authorize(prompt_tokens, max_tokens)
                    .context("a new channel would not pay for one probe; give --channel-credits more")?;
                self.open(payee, rate, session.address(), now).await?
            }
        };
        self.store.put_channel(payee.netuid, payee.uid, payee.owner, &channel).await?;
        Ok(Some(HeldChannel { payee, session, _lock: lock, meter: channel.meter, expiry: channel.expiry }))
    }

    /// Stores a channel's meter; to be done before a voucher leaves and after a response is counted.
    ///
    /// # Errors
    /// When the state file fails.
    pub async fn keep(&self, channel: &HeldChannel) -> anyhow::Result<()> {
        let HeldChannel { payee: Payee { netuid, uid, owner }, ref meter, expiry, .. } = *channel;
        Ok(self.store.put_channel(netuid, uid, owner, &StoredChannel { meter: meter.clone(), expiry }).await?)
    }

    /// Stops using a channel that its contributor refused.
    ///
    /// # Errors
    /// When the state file or the chain fails.
    pub async fn forget(&self, channel: HeldChannel) -> anyhow::Result<()> {
        let Payee { netuid, uid, owner } = channel.payee;
        let now = self.chain.head().await?.time;
        locked(&self.refused).insert(channel.payee, now);
        Ok(self.store.forget_channel(netuid, uid, owner).await?)
    }

    /// The session key of a channel: derived, so that a channel can be used again by whoever has the payer's key.
    fn session(&self, payee: Payee) -> anyhow::Result<PrivateKeySigner> {
        let mut seed = b"tandem probe session".to_vec();
        seed.extend(self.payer.to_bytes());
        seed.extend(payee.netuid.to_be_bytes());
        seed.extend(payee.uid.to_be_bytes());
        seed.extend(payee.owner);
        let key: B256 = keccak256(seed);
        Ok(PrivateKeySigner::from_bytes(&key)?)
    }

    /// A channel that was opened before this process knew of it.
    async fn search(&self, payee: Payee, rate: Rate, session: Address) -> anyhow::Result<Option<StoredChannel>> {
        let ids = self.chain.channels_between(self.payer.address(), payee.owner).await?;
        for id in ids.into_iter().take(CANDIDATES) {
            let Some(found) = self.chain.channel(id).await? else { continue };
            if (found.netuid, found.uid, found.session_key) != (payee.netuid, payee.uid, session) {
                continue;
            }
            let tokens = self.chain.settled_tokens(id).await?;
            if let Ok(meter) = PaymentMeter::resume(id, found.capacity, rate, found.settled, tokens) {
                tracing::info!(channel = %id, netuid = payee.netuid, uid = payee.uid, "found a channel");
                return Ok(Some(StoredChannel { meter, expiry: found.expiry }));
            }
        }
        Ok(None)
    }

    fn is_paused(&self, payee: Payee, now: u64) -> bool {
        locked(&self.refused).get(&payee).is_some_and(|last| now < last.saturating_add(self.terms.pause))
    }

    async fn open(&self, payee: Payee, rate: Rate, session_key: Address, now: u64) -> anyhow::Result<StoredChannel> {
        let ChannelTerms { amount, life, .. } = self.terms;
        let Payee { netuid, uid, .. } = payee;
        let expiry = now.saturating_add(life);
        let opened = self.chain.open_channel(NewChannel { netuid, uid, amount, expiry, session_key }).await;
        let id = opened.inspect_err(|_| {
            // It may be on the chain all the same, and is found there then.
            locked(&self.searched).remove(&payee);
        })?;
        tracing::info!(channel = %id, netuid, uid, amount, expiry, "opened a channel");
        Ok(StoredChannel { meter: PaymentMeter::new(id, amount, rate), expiry })
    }
}

fn locked<T>(mutex: &SyncMutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
