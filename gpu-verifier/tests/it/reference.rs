//! The forward pass against a second, naive one: double precision, textbook formulas, nothing shared but the files.

use half::bf16;
use tandem_verifier::model::{ModelConfig, ModelFiles};
use tandem_verifier::testmodel::Size;

use crate::common::{FULL, prompt, written};

struct Naive {
    files: ModelFiles,
}

type Matrix = Vec<Vec<f64>>;

impl Naive {
    fn tensor(&self, name: &str, shape: &[usize]) -> Matrix {
        let bytes = self.files.weights().bf16(name, shape).unwrap();
        let values: Vec<f64> = bytes.chunks(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f64()).collect();
        values.chunks(*shape.last().unwrap()).map(<[f64]>::to_vec).collect()
    }

    fn times(&self, x: &Matrix, name: &str, outputs: usize) -> Matrix {
        let w = self.tensor(&format!("{name}.weight"), &[outputs, x[0].len()]);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
        x.iter().map(|x| w.iter().map(|w| dot(w, x)).collect()).collect()
    }

    fn norm(&self, x: &Matrix, name: &str, eps: f64) -> Matrix {
        let w = &self.tensor(&format!("{name}.weight"), &[x[0].len()])[0];
        let scaled = |x: &Vec<f64>| {
            let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
            x.iter().zip(w).map(|(v, w)| v / (mean + eps).sqrt() * w).collect()
        };
        x.iter().map(scaled).collect()
    }

    fn rotate(x: &mut Matrix, c: &ModelConfig) {
        for (position, row) in x.iter_mut().enumerate() {
            for head in row.chunks_mut(c.head_dim) {
                for i in 0..c.head_dim / 2 {
                    let angle = position as f64 * c.rope.theta.powf(-2.0 * i as f64 / c.head_dim as f64);
                    let (a, b) = (head[i], head[i + c.head_dim / 2]);
                    head[i] = a * angle.cos() - b * angle.sin();
                    head[i + c.head_dim / 2] = b * angle.cos() + a * angle.sin();
                }
            }
        }
    }

    fn forward(&self, tokens: &[u32]) -> Matrix {
        let c = self.files.config();
        let (eps, d) = (f64::from(c.rms_norm_eps), c.head_dim);
        let embedding = self.tensor("model.embed_tokens.weight", &[c.vocab_size, c.hidden_size]);
        let mut h: Matrix = tokens.iter().map(|&t| embedding[t as usize].clone()).collect();
        for layer in 0..c.layers {
            let p = format!("model.layers.{layer}");
            let x = self.norm(&h, &format!("{p}.input_layernorm"), eps);
            let mut q = self.times(&x, &format!("{p}.self_attn.q_proj"), c.heads * d);
            let mut k = self.times(&x, &format!("{p}.self_attn.k_proj"), c.kv_heads * d);
            let v = self.times(&x, &format!("{p}.self_attn.v_proj"), c.kv_heads * d);
            Self::rotate(&mut q, c);
            Self::rotate(&mut k, c);
            let mut attended = vec![vec![0.0; c.heads * d]; tokens.len()];
            for head in 0..c.heads {
                let (at, kv) = (head * d, head / (c.heads / c.kv_heads) * d);
                for i in 0..tokens.len() {
                    let score = |j: usize| (0..d).map(|e| q[i][at + e] * k[j][kv + e]).sum::<f64>() / (d as f64).sqrt();
                    let weights: Vec<f64> = (0..=i).map(|j| score(j).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for e in 0..d {
                        attended[i][at + e] = (0..=i).map(|j| weights[j] * v[j][kv + e]).sum::<f64>() / total;
                    }
                }
            }
            let out = self.times(&attended, &format!("{p}.self_attn.o_proj"), c.hidden_size);
            add(&mut h, &out);
            let x = self.norm(&h, &format!("{p}.post_attention_layernorm"), eps);
            let mut gate = self.times(&x, &format!("{p}.mlp.gate_proj"), c.intermediate_size);
            let up = self.times(&x, &format!("{p}.mlp.up_proj"), c.intermediate_size);
            for (g, u) in gate.iter_mut().flatten().zip(up.iter().flatten()) {
                *g = *g / (1.0 + (-*g).exp()) * u;
            }
            add(&mut h, &self.times(&gate, &format!("{p}.mlp.down_proj"), c.hidden_size));
        }
        self.norm(&h, "model.norm", eps)
    }
}

fn add(h: &mut Matrix, delta: &Matrix) {
    for (h, d) in h.iter_mut().flatten().zip(delta.iter().flatten()) {
        *h += d;
    }
}

#[test]
fn hidden_states_and_logits_agree_with_a_textbook_forward_pass() {
    let dir = written(1, Size::Full);
    let naive = Naive { files: ModelFiles::open(dir.path()).unwrap() };
    let tokens = prompt(5, 70);
    let expected = naive.forward(&tokens);
    let states = FULL.prefill(&tokens).unwrap();
    for (own, expected) in states.bits().iter().zip(expected.iter().flatten()) {
        let own = bf16::from_bits(*own).to_f64();
        // Half a unit of bf16's last place, and a little for single precision.
        assert!((own - expected).abs() <= expected.abs() / 255.0 + 1e-4, "{own} {expected}");
    }
    let rounded: Matrix =
        states.bits().chunks(128).map(|r| r.iter().map(|&b| bf16::from_bits(b).to_f64()).collect()).collect();
    let logits = naive.times(&rounded, "lm_head", 288);
    for (own, expected) in FULL.logits(states.bits()).unwrap().iter().zip(logits.iter().flatten()) {
        assert!((f64::from(*own) - expected).abs() < 1e-4);
    }
}
