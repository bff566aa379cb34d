//! The transformers of the four architectures in double precision, as Hugging Face's models compute them: the reference
//! that llama.cpp's logits are compared with.

use super::tiny::{
    Arch, EPSILON, HEAD, Matrix, Model, N_EMBD, N_HEADS, N_KV_HEADS, N_LAYERS, ROPE_BASE,
};

/// Logits of the last token.
pub fn logits(model: &Model, tokens: &[usize]) -> Vec<f64> {
    let embeddings = model.get("embed_tokens");
    let scale = match model.arch {
        Arch::Gemma3 => (N_EMBD as f64).sqrt(),
        _ => 1.0,
    };
    let mut x: Vec<Vec<f64>> = tokens
        .iter()
        .map(|&token| row(embeddings, token).map(|v| v * scale).collect())
        .collect();
    for layer in 0..N_LAYERS {
        let of = |name: &str| format!("layers.{layer}.{name}");
        let normed: Vec<_> = x
            .iter()
            .map(|x| rms(x, model.get(&of("input_layernorm"))))
            .collect();
        let mut attended = attention(model, layer, &normed);
        for (x, attended) in x.iter_mut().zip(&mut attended) {
            if model.arch.has_post_norms() {
                *attended = rms(attended, model.get(&of("post_attention_layernorm")));
            }
            add(x, attended);
            let normed = rms(x, model.get(&of("pre_feedforward_layernorm")));
            let mut fed = feed_forward(model, layer, &normed);
            if model.arch.has_post_norms() {
                fed = rms(&fed, model.get(&of("post_feedforward_layernorm")));
            }
            add(x, &fed);
        }
    }
    let last = rms(x.last().expect("a token"), model.get("norm"));
    let head = if model.tied {
        embeddings
    } else {
        model.get("lm_head")
    };
    times(head, &last)
}

fn row(matrix: &Matrix, row: usize) -> impl Iterator<Item = f64> {
    let values = &matrix.values[row * matrix.cols..(row + 1) * matrix.cols];
    values.iter().map(|&v| f64::from(v))
}

fn times(matrix: &Matrix, x: &[f64]) -> Vec<f64> {
    (0..matrix.rows())
        .map(|r| row(matrix, r).zip(x).map(|(w, x)| w * x).sum())
        .collect()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

fn rms(x: &[f64], weight: &Matrix) -> Vec<f64> {
    let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    let factor = 1.0 / (mean + f64::from(EPSILON)).sqrt();
    x.iter()
        .zip(&weight.values)
        .map(|(v, &w)| v * factor * f64::from(w))
        .collect()
}

/// Rotary embedding: `x cos + rotate_half(x) sin`.
fn rotate(head: &[f64], position: usize) -> Vec<f64> {
    let half = head.len() / 2;
    (0..head.len())
        .map(|i| {
            let frequency = f64::from(ROPE_BASE).powf(-((i % half) as f64) / half as f64);
            let (sin, cos) = (position as f64 * frequency).sin_cos();
            let turned = if i < half {
                -head[i + half]
            } else {
                head[i - half]
            };
            head[i] * cos + turned * sin
        })
        .collect()
}

/// A projection, cut into heads.
fn heads(model: &Model, layer: usize, which: &str, x: &[f64]) -> Vec<Vec<f64>> {
    let name = format!("layers.{layer}.self_attn.{which}_proj");
    let mut projected = times(model.get(&name), x);
    if let Some(bias) = model.weights.get(&format!("{name}.bias")) {
        projected
            .iter_mut()
            .zip(&bias.values)
            .for_each(|(v, &b)| *v += f64::from(b));
    }
    projected.chunks(HEAD).map(<[f64]>::to_vec).collect()
}

/// The same, normed where the architecture norms heads, and rotated.
fn rotated(model: &Model, layer: usize, which: &str, x: &[f64], position: usize) -> Vec<Vec<f64>> {
    let norm = model
        .weights
        .get(&format!("layers.{layer}.self_attn.{which}_norm"));
    let heads = heads(model, layer, which, x).into_iter();
    heads
        .map(|head| match norm {
            Some(norm) => rotate(&rms(&head, norm), position),
            None => rotate(&head, position),
        })
        .collect()
}

fn attention(model: &Model, layer: usize, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let positions = || x.iter().enumerate();
    let queries: Vec<_> = positions()
        .map(|(at, x)| rotated(model, layer, "q", x, at))
        .collect();
    let keys: Vec<_> = positions()
        .map(|(at, x)| rotated(model, layer, "k", x, at))
        .collect();
    let values: Vec<_> = x.iter().map(|x| heads(model, layer, "v", x)).collect();
    let output = model.get(&format!("layers.{layer}.self_attn.o_proj"));
    queries
        .iter()
        .enumerate()
        .map(|(at, query)| {
            let mut mixed = Vec::with_capacity(N_HEADS * HEAD);
            for (head, q) in query.iter().enumerate() {
                let kv = head / (N_HEADS / N_KV_HEADS);
                let scores: Vec<f64> = keys[..=at]
                    .iter()
                    .map(|k| {
                        k[kv].iter().zip(q).map(|(k, q)| k * q).sum::<f64>() / (HEAD as f64).sqrt()
                    })
                    .collect();
                let weights = softmax(&scores);
                mixed.extend((0..HEAD).map(|i| {
                    let past = weights.iter().zip(&values[..=at]);
                    past.map(|(w, v)| w * v[kv][i]).sum::<f64>()
                }));
            }
            times(output, &mixed)
        })
        .collect()
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

fn feed_forward(model: &Model, layer: usize, x: &[f64]) -> Vec<f64> {
    let of = |name: &str| model.get(&format!("layers.{layer}.mlp.{name}"));
    let activate = |v: f64| match model.arch {
        // GELU by tanh.
        Arch::Gemma3 => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044_715 * v.powi(3));
            0.5 * v * (1.0 + inner.tanh())
        }
        // SiLU.
        _ => v / (1.0 + (-v).exp()),
    };
    let gate = times(of("gate_proj"), x);
    let up = times(of("up_proj"), x);
    let hidden: Vec<f64> = gate
        .iter()
        .zip(&up)
        .map(|(g, u)| activate(*g) * u)
        .collect();
    times(of("down_proj"), &hidden)
}
