//! Vouchers as the settlement contract takes them: in batches of one contributor, subnet, model and version.

use std::collections::BTreeMap;

use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, Bytes};
use tandem_contracts::bindings::Settlement;
use tandem_contracts::bindings::settlement::ISettlement::CompactVoucher;
use tandem_protocol::messages::Voucher;
use tandem_protocol::signed::Signed;

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
            groups.entry((message.model, message.rateCardVersion)).or_default().push(CompactVoucher {
                channelId: message.channelId,
                amount: message.amount,
                promptTokens: message.promptTokens,
                completionTokens: message.completionTokens,
                r,
                vs,
            });
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

/// ERC-2098: the parity of `v` in the highest bit of `s`, which a low `s` leaves free.
fn compact(signature: &[u8; 65]) -> (B256, B256) {
    let (r, mut vs) = (B256::from_slice(&signature[..32]), B256::from_slice(&signature[32..64]));
    if signature[64] == 28 || signature[64] == 1 {
        vs.0[0] |= 0x80;
    }
    (r, vs)
}
