//! What a file of tensors amounts to: parameters, bytes and bits per weight, in all and by type.
//! Serves GGUF and safetensors; printing is left to the command line.

use serde::Serialize;

/// Totals over the tensors of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How many tensors.
    pub n_tensors: u64,
    /// How many values they hold.
    pub n_params: u64,
    /// How many bytes these take, padding and metadata excluded.
    pub n_bytes: u64,
    /// Storage per value in bits; 0 where there are no values.
    pub bits_per_weight: f64,
    /// The same by type, most bytes first.
    pub by_type: Vec<TypeShare>,
}

/// The share of one storage type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TypeShare {
    /// The type's name, such as `Q4_1` or `BF16`.
    pub ty: String,
    /// How many tensors are of it.
    pub n_tensors: u64,
    /// How many values they hold.
    pub n_params: u64,
    /// How many bytes these take.
    pub n_bytes: u64,
}

impl Summary {
    /// Sums over `(type name, values, bytes)` of each tensor.
    pub(crate) fn of<'a>(tensors: impl Iterator<Item = (&'a str, u64, u64)>) -> Self {
        let mut by_type: Vec<TypeShare> = Vec::new();
        for (ty, n_params, n_bytes) in tensors {
            let at = by_type.iter().position(|share| share.ty == ty);
            let share = match at.and_then(|at| by_type.get_mut(at)) {
                Some(share) => share,
                None => by_type.push_mut(TypeShare {
                    ty: ty.to_owned(),
                    n_tensors: 0,
                    n_params: 0,
                    n_bytes: 0,
                }),
            };
            share.n_tensors += 1;
            share.n_params = share.n_params.saturating_add(n_params);
            share.n_bytes = share.n_bytes.saturating_add(n_bytes);
        }
        by_type.sort_by_key(|share| std::cmp::Reverse(share.n_bytes));
        let sum = |of: fn(&TypeShare) -> u64| by_type.iter().map(of).fold(0, u64::saturating_add);
        let (n_params, n_bytes) = (sum(|s| s.n_params), sum(|s| s.n_bytes));
        Self {
            n_tensors: sum(|s| s.n_tensors),
            n_params,
            n_bytes,
            bits_per_weight: n_bytes as f64 * 8.0 / n_params.max(1) as f64,
            by_type,
        }
    }
}
