//! Many subnets at once.

use alloc::vec::Vec;

use crate::{Epoch, Error, Hyperparameters, Outcome};

/// Computes one epoch of each subnet, in their order. With the feature `rayon`, on all threads of the current pool; what
/// comes out does not depend on it.
pub fn run_many(subnets: &[(&Epoch, &Hyperparameters)]) -> Vec<Result<Outcome, Error>> {
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;

        use crate::Workspace;

        let run =
            |workspace: &mut Workspace, (epoch, params): &(&Epoch, &Hyperparameters)| epoch.run_in(params, workspace);
        subnets.par_iter().map_init(Workspace::new, run).collect()
    }
    #[cfg(not(feature = "rayon"))]
    {
        let mut workspace = crate::Workspace::new();
        subnets.iter().map(|(epoch, params)| epoch.run_in(params, &mut workspace)).collect()
    }
}
