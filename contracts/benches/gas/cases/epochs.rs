//! What keepers do once an epoch, in networks of different sizes.

use crate::{
    net::Net,
    report::{Measured, Row},
};

/// What one epoch's end costs.
struct Epoch {
    settle: Measured,
    post: Measured,
    activate: Measured,
}

fn epoch(net: &mut Net) -> Epoch {
    net.end_epoch();
    let settle = net.settle_tx();
    let settle = net.measure(settle);
    let post = net.post_tx();
    let post = net.measure(post);
    let activate = net.activate_tx().expect("reports have been posted for longer than they wait");
    let activate = net.measure(activate);
    Epoch { settle, post, activate }
}

fn old(subnets: u16) -> Net {
    let mut net = Net::markets(subnets);
    net.grow_old();
    net
}

pub(super) fn rows() -> Vec<Row> {
    let mut small = old(1);
    let few = epoch(&mut small);
    let [ten, twenty] = [10, 20].map(|subnets| epoch(&mut old(subnets)));
    small.grow_to(128);
    let many = epoch(&mut small);
    vec![
        Row::new("post, 5 of 7 signatures, 1 subnet", few.post).gas(85_000),
        Row::new("post, 5 of 7 signatures, 128 subnets", many.post).gas(85_000),
        Row::new("activate", few.activate),
        Row::marginal("settle, each further subnet", &ten.settle, &twenty.settle, 10).gas(25_000),
        Row::new("settle, 1 subnet", few.settle),
        Row::new("settle, 10 subnets", ten.settle),
        Row::new("settle, 20 subnets", twenty.settle),
    ]
}
