//! A batch: the tokens of one step, with their positions, sequences and which of them give output.

use llama_cpp_2::token::LlamaToken;
use llama_cpp_sys_2 as sys;

/// Tokens for one call of [`super::Context::decode`].
///
/// The vectors are what `llama_batch` points at; they always have the same length.
#[derive(Debug, Default)]
pub struct Batch {
    tokens: Vec<sys::llama_token>,
    positions: Vec<sys::llama_pos>,
    sequences: Vec<sys::llama_seq_id>,
    outputs: Vec<i8>,
    // Rebuilt for each call, kept to save the allocation.
    n_sequences: Vec<i32>,
    sequence_pointers: Vec<*mut sys::llama_seq_id>,
}

// SAFETY: the pointers are into `sequences`, are written at the start of each use, and are read only during it.
unsafe impl Send for Batch {}

impl Batch {
    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.positions.clear();
        self.sequences.clear();
        self.outputs.clear();
    }

    /// Adds a token of `sequence` at `position`; `output` asks for its logits.
    pub fn push(&mut self, token: LlamaToken, position: usize, sequence: u32, output: bool) {
        self.tokens.push(token.0);
        self.positions.push(saturate(position));
        self.sequences.push(saturate(sequence as usize));
        self.outputs.push(i8::from(output));
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The C view. It borrows this batch: use it before the batch changes.
    pub(super) fn as_raw(&mut self) -> sys::llama_batch {
        self.n_sequences.clear();
        self.n_sequences.resize(self.tokens.len(), 1);
        self.sequence_pointers.clear();
        self.sequence_pointers
            .extend(self.sequences.iter_mut().map(std::ptr::from_mut));
        sys::llama_batch {
            n_tokens: saturate(self.tokens.len()),
            token: self.tokens.as_mut_ptr(),
            embd: std::ptr::null_mut(),
            pos: self.positions.as_mut_ptr(),
            n_seq_id: self.n_sequences.as_mut_ptr(),
            seq_id: self.sequence_pointers.as_mut_ptr(),
            logits: self.outputs.as_mut_ptr(),
        }
    }
}

/// Positions and counts are bounded by `n_ctx`, far below `i32::MAX`; a larger one is refused by the context.
fn saturate(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
