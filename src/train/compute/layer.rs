//! A layer of the transformer: attention and a feed-forward network, each behind a norm and added to what came in; in
//! some architectures normed once more before that.

use std::borrow::Cow;

use super::attention::{self, Qkv};
use super::base::LayerWeights;
use super::linear::{self, Backward, Output};
use super::lora::{Lora, Target};
use super::norm;
use super::pack::Pack;
use super::rope::{Rope, Turn};
use super::shape::Shape;

/// A layer in its surroundings.
pub(super) struct Layer<'a> {
    pub(super) index: usize,
    pub(super) shape: &'a Shape,
    pub(super) weights: &'a LayerWeights,
    pub(super) lora: Option<&'a Lora>,
    pub(super) rope: &'a Rope,
    pub(super) pack: &'a Pack,
}

/// What the backward pass needs of the forward pass. What is cheap to compute again is not kept.
pub(super) struct Saved {
    x: Vec<f32>,
    /// Queries and keys before their norms, where the architecture has such norms.
    unnormed: Option<(Vec<f32>, Vec<f32>)>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    /// What attention and feed-forward network add, before the norms that some architectures have there.
    projected: Option<Vec<f32>>,
    fed: Option<Vec<f32>>,
    middle: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// `A x` of each linear layer.
    inner: [Vec<f32>; Target::ALL.len()],
}

impl Layer<'_> {
    /// The layer's result for `x`, and what its backward pass needs.
    pub(super) fn forward(&self, x: Vec<f32>) -> (Vec<f32>, Saved) {
        let epsilon = self.shape.epsilon;
        let mut inner: [Vec<f32>; Target::ALL.len()] = Default::default();
        let mut linear = |target: Target, x: &[f32]| {
            let Output { y, inner: kept } = self.linear(target, x);
            inner[target as usize] = kept;
            y
        };
        let normed = norm::forward(&x, &self.weights.attention_norm, epsilon);
        let q = linear(Target::QProj, &normed);
        let k = linear(Target::KProj, &normed);
        let v = linear(Target::VProj, &normed);
        drop(normed);
        let (mut q, mut k, unnormed) = self.norm_heads(q, k);
        self.turn(&mut q, &mut k, Turn::Forward);
        let qkv = Qkv {
            q: &q,
            k: &k,
            v: &v,
        };
        let attended = attention::forward(self.shape, self.pack, qkv);
        let post = self.weights.attention_post_norm.as_deref();
        let (mut middle, projected) = self.post_norm(post, linear(Target::OProj, &attended));
        add(&mut middle, &x);
        let normed = norm::forward(&middle, &self.weights.feed_forward_norm, epsilon);
        let gate = linear(Target::GateProj, &normed);
        let up = linear(Target::UpProj, &normed);
        let gated = self.shape.architecture.gate().forward(&gate, &up);
        let post = self.weights.feed_forward_post_norm.as_deref();
        let (mut y, fed) = self.post_norm(post, linear(Target::DownProj, &gated));
        add(&mut y, &middle);
        let saved = Saved {
            x,
            unnormed,
            q,
            k,
            v,
            attended,
            projected,
            fed,
            middle,
            gate,
            up,
            inner,
        };
        (y, saved)
    }

    /// From the gradient of the result to the one of `x`. Those of A and B are added to `gradients`.
    pub(super) fn backward(
        &self,
        saved: &Saved,
        mut d: Vec<f32>,
        gradients: &mut [f32],
    ) -> Vec<f32> {
        let weights = self.weights;
        let epsilon = self.shape.epsilon;
        let mut linear = |target: Target, x: &[f32], dy: &[f32], dx: &mut [f32]| {
            self.linear_backward(target, saved, x, dy, dx, gradients);
        };

        let mut d_gated = vec![0.0; saved.gate.len()];
        let gate = self.shape.architecture.gate();
        let post = weights.feed_forward_post_norm.as_deref();
        linear(
            Target::DownProj,
            &gate.forward(&saved.gate, &saved.up),
            &self.post_norm_backward(post, saved.fed.as_deref(), &d),
            &mut d_gated,
        );
        let (d_gate, d_up) = gate.backward(&saved.gate, &saved.up, &d_gated);
        let normed = norm::forward(&saved.middle, &weights.feed_forward_norm, epsilon);
        let mut d_normed = vec![0.0; normed.len()];
        linear(Target::GateProj, &normed, &d_gate, &mut d_normed);
        linear(Target::UpProj, &normed, &d_up, &mut d_normed);
        norm::backward(
            &mut d,
            &d_normed,
            &saved.middle,
            &weights.feed_forward_norm,
            epsilon,
        );

        let mut d_attended = vec![0.0; saved.attended.len()];
        let post = weights.attention_post_norm.as_deref();
        let d_projected = self.post_norm_backward(post, saved.projected.as_deref(), &d);
        linear(
            Target::OProj,
            &saved.attended,
            &d_projected,
            &mut d_attended,
        );
        drop(d_projected);
        let qkv = Qkv {
            q: &saved.q,
            k: &saved.k,
            v: &saved.v,
        };
        let mut d_qkv = attention::backward(self.shape, self.pack, qkv, &d_attended);
        self.turn(&mut d_qkv.q, &mut d_qkv.k, Turn::Back);
        self.norm_heads_backward(saved, &mut d_qkv);
        let normed = norm::forward(&saved.x, &weights.attention_norm, epsilon);
        d_normed.fill(0.0);
        linear(Target::QProj, &normed, &d_qkv.q, &mut d_normed);
        linear(Target::KProj, &normed, &d_qkv.k, &mut d_normed);
        linear(Target::VProj, &normed, &d_qkv.v, &mut d_normed);
        norm::backward(
            &mut d,
            &d_normed,
            &saved.x,
            &weights.attention_norm,
            epsilon,
        );
        d
    }

    fn linear(&self, target: Target, x: &[f32]) -> Output {
        let factors = self.lora.and_then(|lora| lora.of(self.index, target));
        linear::forward(self.weights.linear(target), factors, x)
    }

    fn linear_backward(
        &self,
        target: Target,
        saved: &Saved,
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        gradients: &mut [f32],
    ) {
        Backward {
            weight: self.weights.linear(target),
            factors: self.lora.and_then(|lora| lora.of(self.index, target)),
            x,
            inner: &saved.inner[target as usize],
            dy,
        }
        .run(
            dx,
            self.lora
                .and_then(|lora| lora.split(gradients, self.index, target)),
        );
    }

    fn turn(&self, q: &mut [f32], k: &mut [f32], turn: Turn) {
        let positions = self.pack.positions();
        self.rope.turn(q, self.shape.n_query(), positions, turn);
        self.rope.turn(k, self.shape.n_key(), positions, turn);
    }

    /// Norms what is added where the architecture does, and keeps what it was.
    fn post_norm(&self, weight: Option<&[f32]>, x: Vec<f32>) -> (Vec<f32>, Option<Vec<f32>>) {
        match weight {
            Some(weight) => (norm::forward(&x, weight, self.shape.epsilon), Some(x)),
            None => (x, None),
        }
    }

    fn post_norm_backward<'d>(
        &self,
        weight: Option<&[f32]>,
        x: Option<&[f32]>,
        d: &'d [f32],
    ) -> Cow<'d, [f32]> {
        let (Some(weight), Some(x)) = (weight, x) else {
            return Cow::Borrowed(d);
        };
        let mut dx = vec![0.0; d.len()];
        norm::backward(&mut dx, d, x, weight, self.shape.epsilon);
        Cow::Owned(dx)
    }

    /// Norms each head of q and k where the architecture does, and keeps what they were.
    #[allow(clippy::type_complexity)] // q, k, and both again
    fn norm_heads(
        &self,
        q: Vec<f32>,
        k: Vec<f32>,
    ) -> (Vec<f32>, Vec<f32>, Option<(Vec<f32>, Vec<f32>)>) {
        match (&self.weights.query_norm, &self.weights.key_norm) {
            (Some(query), Some(key)) => {
                let epsilon = self.shape.epsilon;
                let normed_q = norm::forward(&q, query, epsilon);
                let normed_k = norm::forward(&k, key, epsilon);
                (normed_q, normed_k, Some((q, k)))
            }
            _ => (q, k, None),
        }
    }

    fn norm_heads_backward(&self, saved: &Saved, d: &mut attention::Gradients) {
        if let (Some((q, k)), Some(query), Some(key)) = (
            &saved.unnormed,
            &self.weights.query_norm,
            &self.weights.key_norm,
        ) {
            let epsilon = self.shape.epsilon;
            for (d, x, weight) in [(&mut d.q, q, query), (&mut d.k, k, key)] {
                let mut dx = vec![0.0; x.len()];
                norm::backward(&mut dx, d, x, weight, epsilon);
                *d = dx;
            }
        }
    }
}

impl Saved {
    /// The input alone, from which all else can be computed again.
    pub(super) fn into_input(self) -> Vec<f32> {
        self.x
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
