//! What to pay: pure arithmetic between a floor and a ceiling.

use serde::Deserialize;

use crate::config::SenderConfig;

/// How a chain charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeModel {
    /// Base fee and tip.
    Ethereum,
    /// The same, and the data's price on L1 on top, which the gas limit does not cover.
    OpStack,
    /// Base fee alone: transactions are taken in order of arrival. The data's price on L1 is charged in gas.
    Arbitrum,
}

/// What a block costs at the moment, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// Base fee of the next block.
    pub base: u128,
    /// What others tip.
    pub tip: u128,
}

/// Fees of a transaction, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Ceiling of base fee and tip together.
    pub max: u128,
    /// Tip.
    pub tip: u128,
}

/// Between what the fees stay, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRules {
    /// No transaction's cap is lower: one signed in a cheap moment would be overtaken and block all that come after it. A
    /// higher cap costs nothing while the base fee is low.
    pub floor: u128,
    /// No transaction's cap is higher.
    pub ceiling: u128,
    /// Least tip where tips count.
    pub min_tip: u128,
}

impl FeeRules {
    /// As configured.
    pub fn new(config: &SenderConfig) -> Self {
        let ceiling = u128::from(config.max_fee_wei);
        Self {
            floor: u128::from(config.min_fee_wei).min(ceiling),
            ceiling,
            min_tip: u128::from(config.min_tip_wei).min(ceiling),
        }
    }

    /// Fees of a new transaction: room for the base fee to double. `Err` is what is needed, if the ceiling is below it.
    pub fn first(&self, model: FeeModel, market: Market) -> Result<Fees, u128> {
        let least_tip = if model == FeeModel::Arbitrum { 0 } else { self.min_tip };
        let needed = market.base.saturating_add(least_tip);
        if needed > self.ceiling {
            return Err(needed);
        }
        let wanted_tip = if model == FeeModel::Arbitrum { 0 } else { market.tip.max(self.min_tip) };
        let tip = wanted_tip.min(self.ceiling - market.base);
        let max = market.base.saturating_mul(2).saturating_add(tip);
        Ok(Fees { max: max.clamp(self.floor, self.ceiling), tip })
    }

    /// Fees of a transaction that replaces one with `last`: the market's, and at least an eighth above both of the last
    /// ones, even where the market has fallen, or no node would take it. `None` if the ceiling forbids that.
    pub fn replacing(&self, model: FeeModel, market: Option<Market>, last: Fees) -> Option<Fees> {
        let least = Fees { max: raised(last.max), tip: raised(last.tip) };
        if least.max > self.ceiling || least.tip > self.ceiling {
            return None;
        }
        // Above the ceiling, the market asks for as much as may be paid.
        let market = market.map(|market| self.first(model, market));
        let market = match market {
            Some(Ok(fees)) => fees,
            Some(Err(_)) => Fees { max: self.ceiling, tip: least.tip },
            None => least,
        };
        let max = market.max.max(least.max).max(least.tip);
        Some(Fees { max, tip: market.tip.max(least.tip).min(max) })
    }
}

/// An eighth more, rounded up: geth and its kin ask for a tenth, for blobs aside.
fn raised(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8))
}
