//! The treadmill: pay that rises as the token falls, and goes on without revenue.

use alloy::primitives::U256;
use tandem_contracts::bindings::NetworkHealth;

use super::{Arena, FAIR, LONG};
use crate::support::CREDIT;

/// Epochs with revenue.
const BUSY: usize = 5;
const CREDITS: u64 = 200;

/// Whether the price stands or falls, the value emitted stays below what revenue bought back, and ends with it. `[EC-2]`
#[test]
fn emission_is_worth_less_than_what_revenue_bought_back_and_ends_when_revenue_ends() {
    // What the TNDM costs at each sale: it keeps its price, or loses half of it each time.
    for (name, prices) in [("steady", [FAIR; BUSY]), ("falling", [2, 4, 8, 16, 32].map(|times| times * FAIR))] {
        let mut arena = Arena::new();
        let (mut bought_back, mut peak) = (U256::ZERO, 0);
        for price in prices {
            arena.work("user", CREDITS);
            let paid = arena.sell_lot("trader", price);
            assert!(paid > U256::ZERO);
            bought_back += arena.in_usdc(paid);
            arena.pass(None);
            peak = peak.max(arena.grant(1).emitted);
        }
        // 15 cents of a credit are margin, half of it buys back.
        let margin = U256::from(BUSY as u64 * CREDITS * 150_000);
        assert!(bought_back <= margin / U256::from(2), "{name}: {bought_back} of {margin}");
        let mut last = 0;
        for _ in 0..LONG {
            arena.pass(None);
            last = arena.grant(1).emitted;
        }
        assert!(peak > 0 && last < peak / 100, "{name}: {last} after {peak}");
        let ledger = arena.ledger(1);
        let emitted = U256::from(ledger.emitted);
        assert!(emitted <= arena.phi_of(U256::from(ledger.burned)), "{name}");
        // Where one network emitted 7.6 dollars for each dollar of revenue.
        assert!(
            arena.in_usdc(emitted) <= arena.phi_of(margin) / U256::from(2),
            "{name}: worth {}",
            arena.in_usdc(emitted)
        );
        let health = arena.net.view(arena.net.plan.suite.network_health, NetworkHealth::healthCall {});
        assert!(health.subsidyRatio.defined && health.subsidyRatio.value < CREDIT, "{name}");
        assert!(health.governanceRatio.value >= CREDIT * CREDIT / arena.net.config.emission.phi.0, "{name}");
        assert!(health.revenue >= margin);
    }
}
