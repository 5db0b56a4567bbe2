//! The subnets that the benches compute.

use yuma::{Epoch, Hyperparameters, LiquidAlpha, Neuron, Rules};

/// Validators, miners, what part of the columns in per cent has weights, and whether validators agree on them.
pub(crate) struct Case {
    /// How it is called.
    pub(crate) name: &'static str,
    validators: u16,
    miners: u16,
    columns: u64,
    style: Style,
}

enum Style {
    /// Every weight is drawn by itself.
    Uniform,
    /// Weights are those of all, but for a tenth or so.
    Agree,
    /// So, too, and every validator has columns of its own, its fellows among them.
    Scattered,
}

/// The four that Subtensor's own epoch was measured with, and the largest subnet of all.
pub(crate) const CASES: [Case; 5] = [
    Case { name: "16x240-dense", validators: 16, miners: 240, columns: 100, style: Style::Uniform },
    Case { name: "64x192-dense", validators: 64, miners: 192, columns: 100, style: Style::Agree },
    Case { name: "64x4032-dense", validators: 64, miners: 4_032, columns: 100, style: Style::Agree },
    Case { name: "64x4032-tenth", validators: 64, miners: 4_032, columns: 10, style: Style::Agree },
    Case { name: "1024x65536-hundredth", validators: 1_024, miners: 64_512, columns: 1, style: Style::Scattered },
];

/// One of many subnets that are computed at once.
#[allow(dead_code, reason = "read where times are measured")]
pub(crate) const SUBNET: Case =
    Case { name: "256 of 64x256", validators: 64, miners: 256, columns: 100, style: Style::Agree };

/// Rules to measure: their name, version, and liquid alpha.
pub(crate) const RULES: [(&str, Rules, bool); 3] =
    [("yuma2", Rules::Yuma2, false), ("yuma3", Rules::Yuma3, false), ("yuma3-liquid", Rules::Yuma3, true)];

impl Case {
    /// One of [`RULES`] with the chain's defaults otherwise. Where nobody has half of the stake behind it, a small part must do, or
    /// there would be no consensus and no bonds to compute.
    pub(crate) fn parameters(&self, rules: Rules, liquid: bool) -> Hyperparameters {
        let defaults = Hyperparameters::subtensor(rules);
        Hyperparameters {
            liquid_alpha: liquid.then(LiquidAlpha::default),
            max_validators: 1_024,
            kappa: if matches!(self.style, Style::Scattered) { 200 } else { defaults.kappa },
            ..defaults
        }
    }

    /// The subnet in its third epoch: bonds stand wherever weights do.
    pub(crate) fn epoch(&self, params: &Hyperparameters) -> Epoch {
        let mut state = 1u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let uids = u32::from(self.validators) + u32::from(self.miners);
        let quality: Vec<u64> = (0..uids).map(|_| 1_000 + random(50_000)).collect();
        let shared: Vec<bool> = (0..uids).map(|_| random(100) < self.columns).collect();
        let mut validator = |uid: u32| {
            let mut weights = Vec::new();
            for target in 0..uids {
                let (chosen, weight) = match self.style {
                    Style::Uniform => (target >= self.validators.into(), 1 + random(65_535)),
                    Style::Agree => {
                        let quality = quality[target as usize];
                        (target >= self.validators.into() && shared[target as usize], quality + random(quality / 8))
                    }
                    Style::Scattered => (target != uid && random(100) < self.columns, quality[target as usize]),
                };
                if chosen {
                    weights.push((target as u16, weight as u16));
                }
            }
            Neuron { stake: (1 + random(1_000)).into(), permit: true, last_update: 1, weights, ..Neuron::default() }
        };
        let mut neurons: Vec<Neuron> = (0..u32::from(self.validators)).map(&mut validator).collect();
        neurons.resize(uids as usize, Neuron::default());
        let mut epoch = Epoch { now: 1, bonds_since: 1, owner: None, neurons };
        for _ in 0..2 {
            let bonds = epoch.run(params).expect("the input is well formed").bonds;
            epoch.neurons.iter_mut().zip(bonds).for_each(|(neuron, bonds)| neuron.bonds = bonds);
        }
        epoch
    }
}

/// Weights that are not 0.
pub(crate) fn weights(epoch: &Epoch) -> u64 {
    epoch.neurons.iter().flat_map(|neuron| &neuron.weights).filter(|cell| cell.1 > 0).count() as u64
}
