//! Real keepers that die at every named point of their work, one after the other, and are started again: no epoch is lost,
//! nothing is signed or posted twice.

use std::{cell::RefCell, collections::BTreeSet, convert::Infallible, time::Duration};

use tandem_keeper::kill::POINTS;
use tokio::time::sleep;

use crate::{
    fleet::Fleet,
    suite::{KEEPERS, Net, Program, replay},
};

const EPOCHS: u64 = 5;

/// Points at which nobody has died yet, and how often somebody died.
struct Reaper {
    left: RefCell<BTreeSet<&'static str>>,
    deaths: RefCell<usize>,
}

impl Reaper {
    /// A keeper's share of the points: everybody's of sending, which only one keeper does, and every third of the others, which
    /// everybody passes.
    fn start(&self, net: &Net, index: usize) -> Program {
        let mine = |(place, point): &(usize, &&str)| point.starts_with("sender.") || place % KEEPERS == index;
        let left = self.left.borrow();
        let points = POINTS.iter().enumerate().filter(mine).map(|(_, point)| *point);
        let points: Vec<&str> = points.filter(|point| left.contains(point)).collect();
        net.start(index, &[("TANDEM_KEEPER_KILL_AT", &points.join(","))])
    }

    /// Starts again who has died; it dies no more where somebody has.
    async fn revive(&self, fleet: &Fleet) -> Infallible {
        loop {
            for index in (0..KEEPERS).filter(|index| fleet.has_ended(*index)) {
                let log = fleet.net.log(index);
                let words = log.lines().rfind(|line| line.contains("killed at ")).unwrap_or_else(|| panic!("{log}"));
                let died_at = |point: &&str| words.contains(&format!("killed at {point},"));
                let point = POINTS.into_iter().find(died_at).unwrap();
                self.left.borrow_mut().remove(point);
                *self.deaths.borrow_mut() += 1;
                let again = self.start(&fleet.net, index);
                fleet.programs.borrow_mut()[index] = Some(again);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn epochs(fleet: &Fleet, reaper: &Reaper) {
    let clock = fleet.net.network.clock;
    for epoch in 0..EPOCHS {
        let (taken, in_time) = fleet.epoch(epoch).await;
        assert_eq!(taken.len(), 3, "not every row of epoch {epoch} was taken in time:\n{}", fleet.net.logs());
        let left = reaper.left.borrow();
        assert!(in_time, "epoch {} is not active, {left:?} left:\n{}", epoch - 1, fleet.net.logs());
    }
    assert!(fleet.active_before(EPOCHS - 1, clock.commit_deadline(EPOCHS)).await, "{}", fleet.net.logs());
    for epoch in 0..EPOCHS {
        assert!(fleet.audit(epoch).await.len() >= KEEPERS);
    }
}

/// `[KP-1]` `[KP-2]` `[EP-2]`
#[tokio::test]
async fn keepers_that_die_once_at_every_point_of_their_work_lose_no_epoch_and_sign_none_twice() {
    let reaper = Reaper { left: RefCell::new(POINTS.into()), deaths: RefCell::new(0) };
    let fleet = Fleet::new(Net::deploy().await, true, |net, index| reaper.start(net, index));
    tokio::select! {
        () = epochs(&fleet, &reaper) => {}
        never = reaper.revive(&fleet) => match never {},
    }
    let (left, deaths) = (reaper.left.take(), reaper.deaths.take());
    assert!(left.is_empty(), "after {deaths} deaths nobody got to {left:?}");
    let (code, words) = replay(&fleet.net, EPOCHS - 1, &fleet.net.base(0));
    assert_eq!(code, Some(0), "{words}");
}
