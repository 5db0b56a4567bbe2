//! What a transaction would take, for who only wants to know: nothing is signed, nothing stored.

use alloy_primitives::{Address, U256};

use super::{
    FeeRules, Intent, SendError,
    ask::{Ask, Simulated},
    call,
};
use crate::{chain::Nodes, config::SenderConfig, network::Network};

/// Bytes of a transaction beside its calldata: signature, nonce, fees and target.
const ENVELOPE: usize = 120;

/// What sending something would take now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Bytes of calldata.
    pub bytes: usize,
    /// Gas that the newest state asks for.
    pub gas: u64,
    /// What is paid at the fees of the moment, wei; the data's price on L1 included.
    pub cost: U256,
    /// What a gas key must have at least before it sends, wei.
    pub needed: U256,
}

/// Asks what `from` would pay for `intent`.
///
/// # Errors
/// As [`super::Transactor::submit`], when the contract would refuse it, it takes too much, or nobody can say.
pub async fn quote(
    nodes: Nodes,
    network: &Network,
    config: &SenderConfig,
    from: Address,
    intent: &Intent,
) -> Result<Quote, SendError> {
    let ask = Ask::new(nodes);
    let (to, data) = call(intent, network, config.settle_batch);
    let purpose = intent.purpose();
    let gas = match ask.simulate(from, to, &data).await? {
        Simulated::Gas(gas) => gas,
        Simulated::Reverts(reason) => return Err(SendError::Reverts { purpose, reason }),
    };
    if gas > config.max_gas {
        return Err(SendError::TooMuchGas { purpose, gas, limit: config.max_gas });
    }
    let model = match config.fee_model {
        Some(model) => model,
        None => ask.fee_model().await?,
    };
    let (market, rules) = (ask.market().await?, FeeRules::new(config));
    let fees = rules.first(model, market);
    let fees = fees.map_err(|needed| SendError::TooExpensive { needed, ceiling: rules.ceiling })?;
    // All ones: as bytes that cannot be compressed, and as many.
    let raw = [vec![0xff; ENVELOPE], data.clone()].concat();
    let l1_fee = ask.l1_fee(model, &raw).await?;
    let limit = (gas.saturating_mul(config.gas_percent) / 100).min(config.max_gas);
    let wei = |gas: u64, fee: u128| U256::from(gas).saturating_mul(U256::from(fee)).saturating_add(l1_fee);
    let price = market.base.saturating_add(fees.tip).min(fees.max);
    Ok(Quote { bytes: data.len(), gas, cost: wei(gas, price), needed: wei(limit, fees.max) })
}
