//! Steps of LoRA training by candle: a transformer of SmolLM2-135M's sizes with rank 8 on all linear layers, forward,
//! backward and AdamW. The weights are of chance: what is measured is time.
//! usage: candle-train-peer STEPS SEQUENCES LENGTH SCORED [frozen]
//!
//! candle's matrix product makes the gradients of both sides, also of a weight that is frozen. With `frozen` the products
//! with weights are an operation of our own that leaves that out.

use std::time::Instant;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, D, DType, Device, Layout, Result, Shape, Storage, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, loss, ops};

const LAYERS: usize = 30;
const EMBD: usize = 576;
const FF: usize = 1536;
const HEADS: usize = 9;
const KV_HEADS: usize = 3;
const HEAD: usize = 64;
const VOCAB: usize = 49_152;
const RANK: usize = 8;
const ALPHA: f64 = 16.0;

/// `x W^T` for a weight that does not learn.
struct Frozen(Tensor);

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, n_in) = layout.shape().dims2()?;
        let n_out = self.0.dim(0)?;
        let (weight, weight_layout) = self.0.storage_and_layout();
        let Storage::Cpu(weight) = &*weight else {
            candle_core::bail!("only on the CPU")
        };
        let turned = weight_layout.transpose(0, 1)?;
        let y = x.matmul(weight, (1, rows, n_out, n_in), layout, &turned)?;
        Ok((y, Shape::from((rows, n_out))))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, d: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(d.matmul(&self.0)?))
    }
}

fn weight(n_out: usize, n_in: usize) -> Result<Tensor> {
    Tensor::randn(0_f32, 0.02, (n_out, n_in), &Device::Cpu)
}

fn product(x: &Tensor, weight: &Tensor, frozen: bool) -> Result<Tensor> {
    match frozen {
        true => x.apply_op1(Frozen(weight.clone())),
        false => x.matmul(&weight.t()?),
    }
}

struct Linear {
    weight: Tensor,
    a: Var,
    b: Var,
}

impl Linear {
    fn new(n_in: usize, n_out: usize) -> Result<Self> {
        Ok(Self {
            weight: weight(n_out, n_in)?,
            a: Var::randn(0_f32, 0.02, (RANK, n_in), &Device::Cpu)?,
            b: Var::zeros((n_out, RANK), DType::F32, &Device::Cpu)?,
        })
    }

    fn forward(&self, x: &Tensor, frozen: bool) -> Result<Tensor> {
        let inner = x.matmul(&self.a.as_tensor().t()?)?;
        let added = inner.matmul(&self.b.as_tensor().t()?)?;
        product(x, &self.weight, frozen)? + (added * (ALPHA / RANK as f64))?
    }
}

struct Layer {
    norms: [Tensor; 2],
    qkvo: [Linear; 4],
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// Where and how a layer computes.
struct Place<'a> {
    n: usize,
    len: usize,
    cos: &'a Tensor,
    sin: &'a Tensor,
    mask: &'a Tensor,
    frozen: bool,
}

impl Layer {
    fn new() -> Result<Self> {
        let norm = || Tensor::ones(EMBD, DType::F32, &Device::Cpu);
        Ok(Self {
            norms: [norm()?, norm()?],
            qkvo: [
                Linear::new(EMBD, EMBD)?,
                Linear::new(EMBD, KV_HEADS * HEAD)?,
                Linear::new(EMBD, KV_HEADS * HEAD)?,
                Linear::new(EMBD, EMBD)?,
            ],
            gate: Linear::new(EMBD, FF)?,
            up: Linear::new(EMBD, FF)?,
            down: Linear::new(FF, EMBD)?,
        })
    }

    fn vars(&self) -> impl Iterator<Item = &Linear> {
        self.qkvo.iter().chain([&self.gate, &self.up, &self.down])
    }

    /// `x` in rows of all tokens.
    fn forward(&self, x: &Tensor, at: &Place) -> Result<Tensor> {
        let normed = norm(x, &self.norms[0])?;
        let [q, k, v, o] = &self.qkvo;
        let heads = |linear: &Linear, n: usize| {
            let y = linear.forward(&normed, at.frozen)?;
            y.reshape((at.n, at.len, n, HEAD))?.transpose(1, 2)?.contiguous()
        };
        let shared = |x: Tensor| {
            let all = (at.n, KV_HEADS, HEADS / KV_HEADS, at.len, HEAD);
            let x = x.unsqueeze(2)?.broadcast_as(all)?;
            x.reshape((at.n, HEADS, at.len, HEAD))
        };
        let q = rotate(&heads(q, HEADS)?, at)?;
        let k = shared(rotate(&heads(k, KV_HEADS)?, at)?)?;
        let v = shared(heads(v, KV_HEADS)?)?;
        let scores = (q.matmul(&k.t()?)? * (1.0 / (HEAD as f64).sqrt()))?;
        let weights = ops::softmax(&scores.broadcast_add(at.mask)?, D::Minus1)?;
        let mixed = weights.matmul(&v)?.transpose(1, 2)?.contiguous()?;
        let mixed = mixed.reshape((at.n * at.len, EMBD))?;
        let x = (x + o.forward(&mixed, at.frozen)?)?;
        let normed = norm(&x, &self.norms[1])?;
        let gate = ops::silu(&self.gate.forward(&normed, at.frozen)?)?;
        let gated = (gate * self.up.forward(&normed, at.frozen)?)?;
        &x + self.down.forward(&gated, at.frozen)?
    }
}

fn norm(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let size = (x.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?.sqrt()?;
    x.broadcast_div(&size)?.broadcast_mul(weight)
}

fn rotate(x: &Tensor, at: &Place) -> Result<Tensor> {
    let half = HEAD / 2;
    let (a, b) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let turned = |x: &Tensor, by: &Tensor| x.broadcast_mul(by);
    let left = (turned(&a, at.cos)? - turned(&b, at.sin)?)?;
    let right = (turned(&a, at.sin)? + turned(&b, at.cos)?)?;
    Tensor::cat(&[&left, &right], D::Minus1)
}

fn number(arguments: &[String], at: usize) -> usize {
    let text = arguments.get(at).map_or("", String::as_str);
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [steps, n, len, scored] = [0, 1, 2, 3].map(|at| number(&arguments, at));
    let frozen = arguments.get(4).is_some_and(|word| word == "frozen");
    let device = Device::Cpu;
    let embedding = weight(VOCAB, EMBD)?;
    let layers = (0..LAYERS).map(|_| Layer::new()).collect::<Result<Vec<_>>>()?;
    let vars = layers.iter().flat_map(Layer::vars);
    let vars = vars.flat_map(|linear| [linear.a.clone(), linear.b.clone()]).collect();
    let mut optimizer = AdamW::new(vars, ParamsAdamW { lr: 4e-4, weight_decay: 0.0, ..ParamsAdamW::default() })?;
    let angles: Vec<f32> = (0..len * HEAD / 2)
        .map(|i| (i / (HEAD / 2)) as f32 * 100_000_f32.powf(-((i % (HEAD / 2)) as f32) * 2.0 / HEAD as f32))
        .collect();
    let angles = Tensor::from_vec(angles, (len, HEAD / 2), &device)?;
    let mask: Vec<f32> = (0..len * len)
        .map(|i| if i % len > i / len { f32::NEG_INFINITY } else { 0.0 })
        .collect();
    let place = Place {
        n,
        len,
        cos: &angles.cos()?,
        sin: &angles.sin()?,
        mask: &Tensor::from_vec(mask, (len, len), &device)?,
        frozen,
    };
    let tokens: Vec<u32> = (0..n * len).map(|i| (i * 7919 % VOCAB) as u32).collect();
    let rows: Vec<u32> = (0..scored).map(|i| (i * (n * len - 1) / scored) as u32).collect();
    let targets: Vec<u32> = rows.iter().map(|&row| tokens[row as usize + 1]).collect();
    let tokens = Tensor::new(tokens, &device)?;
    let (rows, targets) = (Tensor::new(rows, &device)?, Tensor::new(targets, &device)?);
    for step in 0..steps {
        let start = Instant::now();
        let mut x = embedding.index_select(&tokens, 0)?;
        for layer in &layers {
            x = layer.forward(&x, &place)?;
        }
        let chosen = norm(&x.index_select(&rows, 0)?, &layers[0].norms[0])?;
        let logits = product(&chosen, &embedding, frozen)?;
        let loss = loss::cross_entropy(&logits, &targets)?;
        optimizer.backward_step(&loss)?;
        println!("{step} {:.4} {:.3}", loss.to_scalar::<f32>()?, start.elapsed().as_secs_f64());
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find(|line| line.starts_with("VmHWM"));
        println!("{}", peak.unwrap_or(""));
    }
    Ok(())
}
