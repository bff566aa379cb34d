//! Faster steps for llama.cpp's CPU backend, added from outside:
//!
//! - products of weights in Q4_1, which llama.cpp has none for on x86: its other 4-bit types are put into an order that
//!   suits vector instructions when a model is loaded; this one is not, and runs at a third of their speed. `pack` puts
//!   the same numbers into such an order, `kernel` multiplies, `product` shares the work out. A model that is opened as
//!   mapped does not use them;
//! - the same for Q8_0 (`wide`), which llama.cpp multiplies on x86 without an order of its own: a check needs a row of
//!   logits for most of its tokens, and the matrix that makes them is often in that type;
//! - attention for a few tokens, with the numbers that llama.cpp computes for many: `attention`;
//! - what adapters add to a product, in fewer steps: `delta`, over the products of `thin`.
//!
//! `plug` adds them to the backend, as one of its *extra buffer types*.

mod attention;
mod delta;
mod kernel;
mod node;
mod pack;
mod pages;
mod parts;
mod plug;
mod product;
mod thin;
mod turn;
mod wide;

pub use delta::MAX_RANK as MAX_ADAPTER_RANK;
pub use plug::has_kernels;
pub(super) use plug::plug_in;
pub(super) use turn::Turn;
