//! Vouchers as the settlement contract takes them: in batches of one contributor, subnet, model and version.

use std::collections::BTreeMap;

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, Bytes, U256};
use tandem_contracts::bindings::Settlement;
use tandem_contracts::bindings::settlement::ISettlement::CompactVoucher;
use tandem_protocol::messages::Voucher;
use tandem_protocol::signed::{Signed, compact};

// Places of a packed voucher's fields. They hold what the meter admits: 80 bits are more credits than a channel takes, 56 more
// tokens than it pays for.
const CHANNEL_AT: usize = 192;
const AMOUNT_AT: usize = 112;
const PROMPT_AT: usize = 56;

/// Vouchers that a neuron's owner was paid with.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Who earns.
    pub contributor: Address,
    /// On which subnet.
    pub netuid: u16,
    /// By what.
    pub vouchers: &'a [Signed<Voucher>],
}

impl Batch<'_> {
    /// Calldata of one call to the settlement contract that settles them all.
    pub fn calldata(&self) -> Bytes {
        let mut groups: BTreeMap<(B256, u32), Vec<CompactVoucher>> = BTreeMap::new();
        for Signed { message, signature } in self.vouchers {
            let (r, vs) = compact(&signature.0);
            let packed = (message.channelId << CHANNEL_AT)
                | (U256::from(message.amount) << AMOUNT_AT)
                | (U256::from(message.promptTokens) << PROMPT_AT)
                | U256::from(message.completionTokens);
            let group = groups.entry((message.model, message.rateCardVersion)).or_default();
            group.push(CompactVoucher { packed, r, vs });
        }
        let mut calls: Vec<Bytes> = groups
            .into_iter()
            .map(|((model, version), vouchers)| {
                let call = Settlement::settleBatchCall {
                    contributor: self.contributor,
                    netuid: self.netuid,
                    model,
                    rateCardVersion: version,
                    vouchers,
                };
                call.abi_encode().into()
            })
            .collect();
        match calls.len() {
            1 => calls.swap_remove(0),
            _ => Settlement::multicallCall { data: calls }.abi_encode().into(),
        }
    }
}
