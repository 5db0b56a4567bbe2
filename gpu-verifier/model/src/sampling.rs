//! Which token comes next, drawn so that a verifier can draw it again.
//!
//! The rule, for other implementations to copy. For the token at absolute position `p` of the sequence (prompt
//! included, counting from 0), seed `s` and temperature `T`:
//!
//! 1. `W = Philox4x32-10(key = (s mod 2^32, s div 2^32), counter = (v div 4, p, 0, 0x54414e44))` for each token id
//!    `v`, and `w = W[v mod 4]`.
//! 2. `u = ((w div 512) + 1/2) / 2^23`, exactly representable, strictly between 0 and 1.
//! 3. `g = -ln(-ln(u))`, a Gumbel variable, with [`numeric::ln`](crate::numeric::ln).
//! 4. `score(v) = fma(T, g, logit(v))`; with `T = 0` the logit itself.
//! 5. The token is the one with the largest score; among equals the lowest id.
//!
//! That is exact sampling from `softmax(logits / T)` (the Gumbel-max trick). A verifier with nearly equal logits gets
//! nearly equal scores, so a token is checked by its *margin*: how far its score lies below the best.

use thiserror::Error;

use crate::numeric::ln;

/// Sets this stream apart from any other use of the generator with the same seed.
const DOMAIN: u32 = 0x5441_4e44;

/// Highest temperature accepted.
pub const MAX_TEMPERATURE: f32 = 2.0;

/// A temperature that is not a number from 0 to [`MAX_TEMPERATURE`].
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("temperature {0} is not between 0 and {MAX_TEMPERATURE}")]
pub struct TemperatureError(pub f32);

/// A token to draw.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// The rule.
    pub sampler: &'a Sampler,
    /// The token's position in the sequence.
    pub position: u32,
}

/// What is known of a margin, in units of logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// It is no smaller.
    pub at_least: f32,
    /// It is no larger.
    pub at_most: f32,
}

/// The rule of sampling for one response.
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    seed: u64,
    temperature: f32,
}

impl Sampler {
    /// A sampler for `seed` and `temperature`; temperature 0 is greedy and ignores the seed.
    ///
    /// # Errors
    /// [`TemperatureError`].
    pub fn new(seed: u64, temperature: f32) -> Result<Self, TemperatureError> {
        if (0.0..=MAX_TEMPERATURE).contains(&temperature) {
            Ok(Self { seed, temperature })
        } else {
            Err(TemperatureError(temperature))
        }
    }

    /// What the draws depend on.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// How much noise is added; 0 is greedy.
    pub const fn temperature(&self) -> f32 {
        self.temperature
    }

    /// The token at `position`, given the logits of all tokens.
    pub fn choose(&self, position: u32, logits: &[f32]) -> u32 {
        self.best(position, logits).0
    }

    /// How far `claimed` falls short of the best score at `position`, in units of logits: 0 if it is the token that
    /// [`choose`](Self::choose) gives, infinite if there is no such token.
    pub fn margin(&self, position: u32, logits: &[f32], claimed: u32) -> f32 {
        let Some(&logit) = logits.get(claimed as usize) else { return f32::INFINITY };
        let (best, score) = self.best(position, logits);
        if best == claimed {
            return 0.0;
        }
        let own = self.score(logit, position, claimed);
        // A NaN on either side is no agreement.
        if score >= own { score - own } else { f32::INFINITY }
    }

    /// Bounds of [`margin`](Self::margin) when the logits of some tokens only are `known` (each once, `claimed` among them)
    /// and all others are at most `rest`, in a vocabulary of `vocab` tokens. Logits may be shifted by any constant: log
    /// probabilities do. Infinite where `claimed` is not known.
    pub fn margin_bounds(&self, position: u32, known: &[(u32, f32)], rest: f32, vocab: usize, claimed: u32) -> Margin {
        let score = |&(token, logit): &(u32, f32)| self.score(logit, position, token);
        let Some(own) = known.iter().find(|(token, _)| *token == claimed).map(score).filter(|own| !own.is_nan()) else {
            return Margin { at_least: f32::INFINITY, at_most: f32::INFINITY };
        };
        let best = known.iter().map(score).fold(own, f32::max);
        let mut listed: Vec<u32> = known.iter().map(|(token, _)| *token).collect();
        listed.sort_unstable();
        let unknown = (0..vocab as u32).filter(|token| listed.binary_search(token).is_err());
        let others = unknown.map(|token| self.score(rest, position, token)).fold(f32::NEG_INFINITY, f32::max);
        Margin { at_least: best - own, at_most: best.max(others) - own }
    }

    fn best(&self, position: u32, logits: &[f32]) -> (u32, f32) {
        let mut best = (0, f32::NEG_INFINITY);
        let groups = logits.chunks(4).zip(0_u32..);
        for (logits, group) in groups {
            let words = if self.temperature > 0.0 { self.words(position, group) } else { [0; 4] };
            for ((&logit, word), lane) in logits.iter().zip(words).zip(0..) {
                let score = self.add_noise(logit, word);
                if score > best.1 {
                    best = (group * 4 + lane, score);
                }
            }
        }
        best
    }

    fn score(&self, logit: f32, position: u32, token: u32) -> f32 {
        self.add_noise(logit, self.words(position, token / 4)[(token % 4) as usize])
    }

    fn words(&self, position: u32, group: u32) -> [u32; 4] {
        philox([self.seed as u32, (self.seed >> 32) as u32], [group, position, 0, DOMAIN])
    }

    fn add_noise(&self, logit: f32, word: u32) -> f32 {
        if self.temperature > 0.0 { self.temperature.mul_add(gumbel(word), logit) } else { logit }
    }
}

fn gumbel(word: u32) -> f32 {
    let u = ((word >> 9) as f32 + 0.5) * (1.0 / 8_388_608.0);
    -ln(-ln(u))
}

/// Philox4x32 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
fn philox(mut key: [u32; 2], mut counter: [u32; 4]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xd251_1f53;
        let b = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors of Philox publish with Random123.
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0, 0], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 2], [u32::MAX; 4]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0xa409_3822, 0x299f_31d0], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn the_extremes_of_the_generator_give_finite_noise() {
        assert!(gumbel(0).is_finite() && gumbel(u32::MAX).is_finite());
        assert!(gumbel(0) < -2.7 && gumbel(u32::MAX) > 16.0);
    }

    #[test]
    fn tokens_are_drawn_as_often_as_their_probability_says() {
        let logits = [0.0, 1.0, 2.0, -1.0, 0.5];
        for temperature in [0.5_f32, 1.0, 2.0] {
            let weights: Vec<f64> = logits.iter().map(|l: &f32| f64::from(l / temperature).exp()).collect();
            let total: f64 = weights.iter().sum();
            let sampler = Sampler::new(9, temperature).unwrap();
            let mut counts = [0_u32; 5];
            for position in 0..20_000 {
                counts[sampler.choose(position, &logits) as usize] += 1;
            }
            for (count, weight) in counts.iter().zip(&weights) {
                let (expected, found) = (weight / total, f64::from(*count) / 20_000.0);
                assert!((expected - found).abs() < 0.015, "T {temperature}: {expected} expected, {found} found");
            }
        }
    }

    #[test]
    fn the_margin_is_zero_for_the_chosen_token_and_positive_for_others() {
        let logits = [0.3, -2.0, 1.5, 1.5, f32::NAN, 0.0];
        for temperature in [0.0, 1.0] {
            let sampler = Sampler::new(3, temperature).unwrap();
            for position in 0..200 {
                let chosen = sampler.choose(position, &logits);
                for token in 0..6 {
                    let margin = sampler.margin(position, &logits, token);
                    assert_eq!(margin == 0.0, token == chosen || (temperature == 0.0 && token == 3), "{token}");
                    assert!(margin >= 0.0);
                }
            }
        }
        let greedy = Sampler::new(0, 0.0).unwrap();
        assert_eq!(greedy.choose(5, &logits), 2);
        assert_eq!(greedy.margin(5, &logits, 99), f32::INFINITY);
    }

    #[test]
    fn bounds_from_a_few_logits_hold_the_margin_between_them() {
        let logits: Vec<f32> = (0..60_u16).map(|i| f32::from(i * 37 % 60) / 9.0).collect();
        let mut order: Vec<u32> = (0..60).collect();
        order.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]));
        let (mut tight, mut open) = (0, 0);
        for position in 0..100 {
            for (temperature, claimed) in [(0.0, 0), (1.0, 17), (0.5, order[0]), (1.0, order[3])] {
                let sampler = Sampler::new(5, temperature).unwrap();
                let margin = sampler.margin(position, &logits, claimed);
                // Shifted, as log probabilities are.
                let known = |count: usize| -> Vec<(u32, f32)> {
                    let mut tokens = order[..count].to_vec();
                    tokens.extend((!tokens.contains(&claimed)).then_some(claimed));
                    tokens.into_iter().map(|token| (token, logits[token as usize] - 4.0)).collect()
                };
                for count in [1, 5, 20, 60] {
                    let rest = logits[order[count - 1] as usize] - 4.0;
                    let bounds = sampler.margin_bounds(position, &known(count), rest, 60, claimed);
                    assert!(bounds.at_least <= margin + 1e-5 && margin <= bounds.at_most + 1e-5, "{bounds:?} {margin}");
                    let known_exactly = bounds.at_most - bounds.at_least < 1e-5;
                    if known_exactly {
                        tight += 1
                    } else {
                        open += 1
                    }
                    assert!(known_exactly || count < 60);
                }
            }
        }
        assert!(tight > 400 && open > 100, "{tight} {open}");
        let sampler = Sampler::new(5, 1.0).unwrap();
        assert_eq!(sampler.margin_bounds(0, &[(1, 0.0)], 0.0, 60, 2).at_least, f32::INFINITY);
        assert_eq!(sampler.margin_bounds(0, &[(2, f32::NAN)], 0.0, 60, 2).at_least, f32::INFINITY);
    }

    #[test]
    fn temperatures_out_of_range_are_refused() {
        for bad in [-0.1, 2.1, f32::NAN, f32::INFINITY] {
            assert!(Sampler::new(0, bad).is_err());
        }
    }
}
