//! The transformer, forward and backward, in plain Rust.
//!
//! The base is frozen and only the factors of the adapter learn, so the backward pass is short and fixed: it is written
//! out by hand, without a graph. Everything is `f32`. Matrices are row-major slices with a row for each token; the tokens
//! of several sequences lie one after the other in a [`Pack`] and share the large products, only attention keeps them
//! apart.

mod attention;
mod base;
mod exp;
mod feed_forward;
mod head;
mod layer;
mod linear;
mod lora;
mod loss;
mod matmul;
mod norm;
mod pack;
mod reduce;
mod rope;
mod shape;
mod transformer;

pub use base::Base;
pub use head::{Aim, Scored};
pub use lora::{Lora, Target};
pub use loss::Likely;
pub use pack::Pack;
pub use shape::{Architecture, Shape};
pub use transformer::{Keep, Trace, Transformer};
