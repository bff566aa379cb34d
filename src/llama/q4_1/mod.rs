//! Fast products for models in Q4_1, which llama.cpp has none for on x86: its other 4-bit types are put into an order that
//! suits vector instructions when a model is loaded; this one is not, and runs at a third of their speed.
//!
//! `pack` puts the same numbers into such an order, `kernel` multiplies, `plug` adds both to llama.cpp's CPU backend as
//! one of its *extra buffer types*. A model that is opened as mapped does not use them.

mod kernel;
mod pack;
mod plug;

pub(super) use plug::plug_in;
