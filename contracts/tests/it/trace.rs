//! The accounting of where gas goes.

use alloy::{primitives::U256, sol_types::SolCall};
use tandem_contracts::{
    bindings::CreditDesk,
    world::{GasTrace, Work},
};

use crate::support::{CREDIT, net};

#[test]
fn a_trace_accounts_for_all_gas_of_a_transaction_and_changes_nothing() {
    let mut net = net();
    let desk = net.suite().credit_desk;
    net.fund("user", desk, 10);
    let user = net.world.account("user");
    let data = CreditDesk::buyCall { credits: CREDIT, maxUsdc: U256::MAX }.abi_encode();
    let trace = net.world.trace(user, desk, data.clone().into()).unwrap();
    let GasTrace { gas_used, intrinsic, refund, ref work, ref slots } = trace;

    assert_eq!(gas_used, net.world.send(user, desk, data.into(), U256::ZERO).unwrap().gas_used);
    let executed: u64 = work.values().map(|spent| spent.gas).sum();
    assert_eq!(intrinsic + executed - refund, gas_used);
    assert_eq!(trace.by_contract().iter().map(|(_, gas)| gas).sum::<u64>(), executed);
    assert_eq!(trace.by_work().values().map(|spent| spent.gas).sum::<u64>(), executed);
    let storage = [Work::ColdRead, Work::WarmRead, Work::FreshWrite, Work::Rewrite, Work::RepeatedWrite];
    let of_storage: u64 = work.iter().filter(|((_, kind), _)| storage.contains(kind)).map(|(_, spent)| spent.gas).sum();
    assert_eq!(slots.values().map(|spent| spent.gas).sum::<u64>(), of_storage);
}
