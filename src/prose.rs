//! Natural text that ships with the program: what the distance between two files of a model is measured on.

/// About 16,000 tokens of encyclopedic English; `models/suites/README.md` says where it is from.
pub const PROSE: &str = include_str!("../models/suites/prose.txt");

/// Tokens of a window: long enough for most of what a next token depends on, short enough to be cheap.
pub const WINDOW: usize = 256;
