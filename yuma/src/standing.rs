//! Who has a voice: activity, stake, permits.

use alloc::vec;
use alloc::vec::Vec;

use crate::input::validate_stakes;
use crate::payout::floored_shares;
use crate::{Epoch, Error, Hyperparameters, Neuron, Profile, Q32, Snapshot};

/// What an epoch knows of its uids before it looks at weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) active: Vec<bool>,
    pub(crate) stake: Vec<Q32>,
    pub(crate) active_stake: Vec<Q32>,
    /// Permits that hold in this epoch.
    pub(crate) permitted: Vec<bool>,
    /// Permits for the next one.
    pub(crate) permits: Vec<bool>,
    pub(crate) fates: Vec<Fate>,
}

/// What becomes of a uid's bonds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They count, and are stored for the next epoch.
    Stay,
    /// They count, but are not stored.
    End,
    /// They do not count; what decay leaves is stored.
    Sleep,
    /// They neither count nor are stored.
    Lapse,
}

impl Standing {
    fn new(
        stakes: &[u128],
        active: Vec<bool>,
        permitted: Vec<bool>,
        permits: impl FnOnce(&[Q32]) -> Vec<bool>,
        fate: impl Fn(usize, bool, bool) -> Fate,
    ) -> Self {
        // At least 1, so that no stake at all divides to 0. The total is below 2⁹⁶, hence the shift loses nothing.
        let total = stakes.iter().sum::<u128>().max(1);
        let share = |&stake: &u128| if stake == 0 { Q32::ZERO } else { Q32::from_raw(((stake << 32) / total) as u64) };
        let stake: Vec<Q32> = stakes.iter().map(share).collect();
        let permits = permits(&stake);
        let votes = |uid: usize| active[uid] && permitted[uid];
        let voting: Vec<Q32> =
            stake.iter().enumerate().map(|(uid, &stake)| if votes(uid) { stake } else { Q32::ZERO }).collect();
        let active_stake = floored_shares(&voting);
        let fates = (0..stakes.len()).map(|uid| fate(uid, permitted[uid], permits[uid])).collect();
        Self { active, stake, active_stake, permitted, permits, fates }
    }

    pub(crate) fn of_epoch(epoch: &Epoch, params: &Hyperparameters) -> Result<Self, Error> {
        validate_stakes(epoch.neurons.iter().map(|neuron| neuron.stake))?;
        if let Some(uid) = epoch.owner.filter(|&uid| usize::from(uid) >= epoch.neurons.len()) {
            return Err(Error::Owner { uid, count: epoch.neurons.len() });
        }
        let neurons = || epoch.neurons.iter().enumerate();
        let counted = |(uid, neuron): (usize, &Neuron)| {
            if neuron.stake < params.stake_threshold && !epoch.is_owner(uid) { 0 } else { neuron.stake }
        };
        let grace = if params.profile == Profile::Tandem { params.permit_grace } else { 0 };
        let fate = |uid: usize, permitted: bool, permit: bool| {
            let graced = grace > 0 && epoch.neurons[uid].permitted_at.saturating_add(grace) >= epoch.now;
            match (permitted || grace == 0, permit) {
                (true, true) => Fate::Stay,
                // A permit that is lost only now leaves the whole grace.
                (true, false) => {
                    if grace > 0 {
                        Fate::Stay
                    } else {
                        Fate::End
                    }
                }
                (false, permit) => {
                    if permit || graced {
                        Fate::Sleep
                    } else {
                        Fate::Lapse
                    }
                }
            }
        };
        Ok(Self::new(
            &neurons().map(counted).collect::<Vec<_>>(),
            neurons()
                .map(|(_, neuron)| neuron.last_update.saturating_add(params.activity_cutoff) >= epoch.now)
                .collect(),
            neurons().map(|(uid, neuron)| neuron.permit || epoch.is_owner(uid)).collect(),
            |stake| next_permits(stake, params.max_validators, epoch.owner),
            fate,
        ))
    }

    pub(crate) fn of_snapshot(snapshot: &Snapshot<'_>) -> Result<Self, Error> {
        let stakes = snapshot.stakes.len();
        validate_stakes(snapshot.stakes.iter().copied())?;
        for (list, given) in [
            ("permits", snapshot.permits.len()),
            ("active", snapshot.active.len()),
            ("weights", snapshot.weights.len()),
            ("bonds", snapshot.bonds.len()),
        ] {
            if given != stakes {
                return Err(Error::Length { list, given, stakes });
            }
        }
        let permits = snapshot.permits.to_vec();
        Ok(Self::new(
            snapshot.stakes,
            snapshot.active.to_vec(),
            permits.clone(),
            |_| permits,
            |_, _, permit| if permit { Fate::Stay } else { Fate::End },
        ))
    }
}

/// The K largest stakes above zero, the higher uid first among equals, and the owner.
fn next_permits(stake: &[Q32], k: u16, owner: Option<u16>) -> Vec<bool> {
    let mut order: Vec<u16> =
        (0..=u16::MAX).zip(stake).filter(|(_, stake)| **stake > Q32::ZERO).map(|(uid, _)| uid).collect();
    // Those without stake would be dropped first.
    if let Some(dropped) = order.len().checked_sub(usize::from(k)).filter(|&dropped| dropped > 0) {
        order.select_nth_unstable_by_key(dropped - 1, |&uid| (stake[usize::from(uid)], uid));
        order.drain(..dropped);
    }
    let mut permits = vec![false; stake.len()];
    for uid in order.into_iter().chain(owner) {
        permits[usize::from(uid)] = true;
    }
    permits
}
