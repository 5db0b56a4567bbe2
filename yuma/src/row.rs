//! Walking sparse rows.

use core::ops::Range;

use crate::Row;

/// The columns of a row without gaps, whose cells then need no looking up. Empty rows have none.
#[inline]
pub(crate) fn run(row: Row<'_>) -> Option<Range<usize>> {
    let (first, last) = (usize::from(row.first()?.0), usize::from(row.last()?.0));
    (last - first + 1 == row.len()).then_some(first..last + 1)
}

/// The columns of two rows without gaps that have the same ones.
#[inline]
pub(crate) fn common_run(a: Row<'_>, b: Row<'_>) -> Option<Range<usize>> {
    run(a).filter(|columns| run(b).as_ref() == Some(columns))
}

/// Visits the columns of a row of weights and a row of bonds in ascending order, with the weight, if one is given, and
/// the bond or 0.
#[inline(always)]
pub(crate) fn merge(weights: Row<'_>, bonds: Row<'_>, mut visit: impl FnMut(u16, Option<u16>, u16)) {
    let mut bonds = bonds.iter().copied();
    let mut next = bonds.next();
    for &(uid, weight) in weights {
        while let Some((column, bond)) = next
            && column < uid
        {
            visit(column, None, bond);
            next = bonds.next();
        }
        let bond = match next {
            Some((column, bond)) if column == uid => {
                next = bonds.next();
                bond
            }
            _ => 0,
        };
        visit(uid, Some(weight), bond);
    }
    for (column, bond) in next.into_iter().chain(bonds) {
        visit(column, None, bond);
    }
}
