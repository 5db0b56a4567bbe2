//! Pools, the alpha vault and the auction.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, Log, U256},
    sol_types::SolEventInterface,
};
use tandem_contracts::{
    bindings::{
        AlphaPools, BurnAuction, alpha_pools::AlphaPools::AlphaPoolsEvents as Market,
        burn_auction::BurnAuction::BurnAuctionEvents as Auction,
    },
    grants::SubnetGrant,
};

use super::{At, Check, less, small};

/// Money that is no subnet's.
const UNATTRIBUTED: u16 = 0;

#[derive(Default)]
pub(super) struct Pool {
    pub(super) token: Address,
    pub(super) tndm: u128,
    pub(super) alpha: u128,
    /// Half of the fees, until they are burned.
    pub(super) burnable: u128,
    pub(super) pending: u128,
    pub(super) issued: u128,
    created: u64,
    stop: u64,
    /// TNDM and alpha of the moment it was wound up.
    redemption: (u128, u128),
}

impl Pool {
    /// Half of a fee leaves the reserves.
    fn set_aside(&mut self, fee: U256) {
        let half = small(fee) / 2;
        less(&mut self.tndm, half);
        self.burnable += half;
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Lot {
    started_at: u64,
    usdc: u128,
    prices: (U256, U256),
    attributed: bool,
    sold: bool,
    netuids: Vec<u16>,
    parts: Vec<u128>,
}

#[derive(Default)]
pub(super) struct Books {
    pub(super) pools: BTreeMap<u16, Pool>,
    accrued: BTreeMap<u16, u128>,
    lots: Vec<Lot>,
    burned: u128,
    stopped_until: u64,
}

impl Books {
    /// The token of a pool that was created.
    pub(super) fn read_pools(&mut self, at: At, log: &Log) -> Option<Address> {
        match Market::decode_log(log).expect("an event of the pools").data {
            Market::PoolCreated(event) => {
                let pool = Pool {
                    token: event.token,
                    tndm: small(event.tndm),
                    alpha: small(event.alpha),
                    issued: small(event.alpha),
                    created: at.epoch,
                    ..Pool::default()
                };
                assert!(self.pools.insert(event.netuid, pool).is_none(), "a pool is created once");
                return Some(event.token);
            }
            Market::Swapped(event) => {
                let pool = self.pool(event.netuid);
                if event.buy {
                    pool.tndm += small(event.amountIn);
                    less(&mut pool.alpha, small(event.amountOut));
                } else {
                    less(&mut pool.tndm, small(event.amountOut));
                    pool.alpha += small(event.amountIn);
                }
                pool.set_aside(event.fee);
            }
            Market::AlphaSwapped(event) => {
                let from = self.pool(event.from);
                from.alpha += small(event.alphaIn);
                less(&mut from.tndm, small(event.tndm));
                from.set_aside(event.fee);
                let to = self.pool(event.to);
                to.tndm += small(event.tndm);
                less(&mut to.alpha, small(event.alphaOut));
            }
            Market::Poured(event) => {
                let pool = self.pool(event.netuid);
                pool.tndm += small(event.tndm);
                pool.alpha += small(event.alpha);
                less(&mut pool.pending, small(event.tndm));
                pool.issued += small(event.alpha);
            }
            Market::FeesBurned(event) => {
                let pool = self.pool(event.netuid);
                less(&mut pool.burnable, small(event.tndm));
                assert_eq!(pool.burnable, 0, "all fees are burned");
            }
            Market::PoolStopped(event) => self.pool(event.netuid).stop = event.fromEpoch,
            Market::PoolWoundUp(event) => {
                let pool = self.pool(event.netuid);
                assert_eq!(small(event.tndm), pool.tndm);
                assert_eq!(small(event.kept + event.burned), pool.tndm + pool.burnable + pool.pending);
                pool.redemption = (small(event.tndm), small(event.supply));
                (pool.tndm, pool.burnable, pool.pending) = (small(event.kept), 0, 0);
            }
            Market::Redeemed(event) => less(&mut self.pool(event.netuid).tndm, small(event.tndm)),
        }
        None
    }

    /// Emission waits to be poured, budgets are issued.
    pub(super) fn granted(&mut self, grant: &SubnetGrant) {
        if grant.emitted != 0 {
            let pool = self.pool(grant.netuid);
            pool.pending += grant.emitted;
            pool.issued += grant.alpha_out;
        }
    }

    pub(super) fn read_auction(&mut self, at: At, log: &Log) {
        match Auction::decode_log(log).expect("an event of the auction").data {
            Auction::Funded(event) => *self.accrued.entry(event.netuid).or_default() += small(event.usdc),
            Auction::LotStarted(event) => {
                if !event.attributed {
                    less(self.accrued.entry(UNATTRIBUTED).or_default(), small(event.usdc));
                }
                self.lots.push(Lot {
                    started_at: at.timestamp,
                    usdc: small(event.usdc),
                    prices: (event.startPrice, event.floorPrice),
                    attributed: event.attributed,
                    ..Lot::default()
                });
                assert_eq!(event.lotId, U256::from(self.lots.len()));
            }
            Auction::LotComposed(event) => {
                for (netuid, part) in event.netuids.iter().zip(&event.parts) {
                    less(self.accrued.entry(*netuid).or_default(), *part);
                }
                let lot = self.lot(event.lotId);
                assert_eq!(event.parts.iter().sum::<u128>(), lot.usdc, "the parts are the whole");
                (lot.netuids, lot.parts) = (event.netuids, event.parts);
            }
            Auction::LotRestarted(event) => {
                let lot = self.lot(event.lotId);
                (lot.started_at, lot.prices) = (at.timestamp, (event.startPrice, event.floorPrice));
            }
            Auction::LotTaken(event) => {
                self.lot(event.lotId).sold = true;
                self.burned += small(event.tndmBurned);
            }
            Auction::Stopped(event) => self.stopped_until = event.until,
            _ => {}
        }
    }

    /// USDC units that wait, or lie in lots that nobody has taken.
    pub(super) fn for_sale(&self) -> u128 {
        let lots = self.lots.iter().filter(|lot| !lot.sold).map(|lot| lot.usdc);
        self.accrued.values().copied().chain(lots).sum()
    }

    fn pool(&mut self, netuid: u16) -> &mut Pool {
        self.pools.get_mut(&netuid).expect("a pool is created first")
    }

    fn lot(&mut self, id: U256) -> &mut Lot {
        let place = id.to::<usize>() - 1;
        &mut self.lots[place]
    }

    pub(super) fn compare(&self, check: &mut Check<'_>) {
        let (pools, auction) = (check.facts.suite.alpha_pools, check.facts.suite.burn_auction);
        for (netuid, pool) in &self.pools {
            let there = check.view(pools, AlphaPools::poolOfCall { netuid: *netuid });
            check.same("pool: TNDM", netuid, there.tndm, pool.tndm);
            check.same("pool: alpha", netuid, there.alpha, pool.alpha);
            check.same("pool: fees to burn", netuid, there.burnable, pool.burnable);
            check.same("pool: pending", netuid, there.pending, pool.pending);
            check.same("pool: issued", netuid, there.issued, pool.issued);
            check.same("pool: created in", netuid, there.createdEpoch, pool.created);
            check.same("pool: stops in", netuid, there.stopEpoch, pool.stop);
            let there = check.view(pools, AlphaPools::redemptionOfCall { netuid: *netuid });
            check.same("pool: redemption", netuid, (there.tndm, there.supply), pool.redemption);
        }
        for (netuid, usdc) in &self.accrued {
            let there = check.view(auction, BurnAuction::accruedOfCall { netuid: *netuid });
            let what = if *netuid == UNATTRIBUTED { "auction: accrued for nobody" } else { "auction: accrued" };
            check.same(what, netuid, small(there), *usdc);
        }
        let count = check.view(auction, BurnAuction::lotCountCall {});
        check.same("auction: lots", (), count, U256::from(self.lots.len()));
        for (place, lot) in self.lots.iter().enumerate() {
            let there = check.view(auction, BurnAuction::lotOfCall { lotId: U256::from(place + 1) });
            let there = Lot {
                started_at: there.startedAt,
                usdc: there.usdc,
                prices: (there.startPrice, there.floorPrice),
                attributed: there.attributed,
                sold: there.sold,
                netuids: there.netuids,
                parts: there.parts,
            };
            let what = if lot.netuids.is_empty() { "auction: lot of its own" } else { "auction: lot of subnets" };
            check.same(what, place + 1, there, lot.clone());
        }
        check.same("auction: burned", (), small(check.view(auction, BurnAuction::totalBurnedCall {})), self.burned);
        let stopped = check.view(auction, BurnAuction::stoppedUntilCall {});
        check.same("auction: stop", (), stopped, self.stopped_until);
    }
}
