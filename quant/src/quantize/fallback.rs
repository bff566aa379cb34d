//! What a tensor gets whose rows are not whole blocks of the type meant for it: llama.cpp's
//! replacements of about the same size (`tensor_type_fallback`).

use serde::Serialize;

use crate::ggml::GgmlType;

/// A tensor that got another type than the one meant for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fallback {
    /// The tensor's name.
    pub tensor: String,
    /// The length of its rows.
    pub n_per_row: u64,
    /// The type meant for it.
    pub wanted: GgmlType,
    /// The type it got.
    pub got: GgmlType,
}

/// `ty`, or what stands in for it where rows of `n_per_row` are not whole blocks.
pub fn fallback(ty: GgmlType, n_per_row: u64) -> GgmlType {
    use GgmlType as T;
    let fits = |ty: GgmlType| n_per_row.is_multiple_of(ty.block_size() as u64);
    if fits(ty) {
        return ty;
    }
    let smaller = match ty {
        T::IQ1_S
        | T::IQ1_M
        | T::IQ2_XXS
        | T::IQ2_XS
        | T::IQ2_S
        | T::IQ3_XXS
        | T::IQ3_S
        | T::IQ4_XS => T::IQ4_NL,
        // llama.cpp has none for Q1_0; the smallest type of short blocks serves as for its kin.
        T::Q1_0 | T::Q2_0 | T::Q2_K | T::Q3_K | T::TQ1_0 | T::TQ2_0 => T::Q4_0,
        T::Q4_K => T::Q5_0,
        T::Q5_K => T::Q5_1,
        T::Q6_K => T::Q8_0,
        other => other,
    };
    if fits(smaller) { smaller } else { T::F16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_do_not_fit_get_shorter_blocks_then_halves() {
        assert_eq!(fallback(GgmlType::Q4_K, 512), GgmlType::Q4_K);
        assert_eq!(fallback(GgmlType::Q4_K, 576), GgmlType::Q5_0);
        assert_eq!(fallback(GgmlType::Q6_K, 576), GgmlType::Q8_0);
        assert_eq!(fallback(GgmlType::IQ4_XS, 576), GgmlType::IQ4_NL);
        assert_eq!(fallback(GgmlType::Q8_0, 48), GgmlType::F16);
        assert_eq!(fallback(GgmlType::Q4_K, 10), GgmlType::F16);
    }
}
