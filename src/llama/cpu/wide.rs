//! Q8_0 weights in an order for the kernel, as `pack` has it for Q4_1: sixteen rows side by side, the same numbers and as
//! many bytes. The largest matrix of many a small model, the one that makes logits, is stored so.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_si512,
};

use super::kernel::{Sixteen, halves};
use super::pack::{ROWS, side_by_side};

/// Bytes of a block: a scale in half precision, then 32 codes of eight bits with a sign.
pub(super) const BLOCK_BYTES: usize = 34;
/// What is added to a code, so that it has no sign: the instruction multiplies bytes without a sign with bytes that have
/// one.
const OFFSET: u8 = 128;

/// The same block of sixteen rows. A value is `scale * (code - 128)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct WideGroup {
    /// In half precision, one a row.
    scales: [u16; ROWS],
    /// Codes, in eight parts: part `p` holds codes `4p..4p+4` of each row in turn.
    codes: [[u8; 4 * ROWS]; 8],
}

const _: () = assert!(size_of::<WideGroup>() == ROWS * BLOCK_BYTES);

/// Packs `rows`, whole rows of Q8_0 one after the other, into `groups`: of sixteen rows their first block, their second,
/// and so on.
pub(super) fn pack(rows: &[u8], n_columns: usize, groups: &mut [WideGroup]) {
    side_by_side::<BLOCK_BYTES, _>(rows, n_columns, groups, |group, row, block| {
        group.scales[row] = u16::from_le_bytes([block[0], block[1]]);
        for (codes, part) in block[2..].chunks_exact(4).zip(&mut group.codes) {
            for (code, place) in codes.iter().zip(&mut part[4 * row..4 * row + 4]) {
                *place = code.wrapping_add(OFFSET);
            }
        }
    });
}

impl Sixteen for WideGroup {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn codes(&self) -> [__m512i; 8] {
        let mut codes = [_mm512_setzero_si512(); 8];
        for (codes, bytes) in codes.iter_mut().zip(&self.codes) {
            // SAFETY: a part is 64 bytes.
            *codes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        }
        codes
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn scales_and_minimums(&self) -> (__m512, __m512) {
        let scales = halves(&self.scales);
        let offset = _mm512_set1_ps(-f32::from(OFFSET));
        (scales, _mm512_mul_ps(scales, offset))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::kernel::{Rounded, is_supported, products, round};
    use super::super::pack::BLOCK;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn products_are_those_of_the_definition(
            weights in prop::collection::vec(
                prop::collection::vec((-0.3f32..0.3, any::<[i8; BLOCK]>()), 2), ROWS),
            input in prop::collection::vec(-8f32..8.0, 2 * BLOCK),
        ) {
            if !is_supported() {
                return Ok(());
            }
            let (mut bytes, mut values) = (Vec::new(), Vec::new());
            for (scale, codes) in weights.iter().flatten() {
                let scale = half::f16::from_f32(*scale);
                bytes.extend(scale.to_le_bytes());
                bytes.extend(codes.map(|code| code as u8));
                values.extend(codes.map(|code| scale.to_f64() * f64::from(code)));
            }
            let zero = WideGroup { scales: [0; ROWS], codes: [[0; 64]; 8] };
            let mut groups = [zero; 2];
            pack(&bytes, 2 * BLOCK, &mut groups);
            let mut rounded = [Rounded::ZERO; 2];
            let mut out = [0_f32; ROWS];
            // SAFETY: the instructions are there; the place has room for sixteen numbers.
            unsafe {
                round(&input, &mut rounded);
                products(&groups, &[&rounded], &[out.as_mut_ptr()]);
            }
            for (found, values) in out.iter().zip(values.chunks(2 * BLOCK)) {
                let taken = rounded.iter().flat_map(Rounded::values);
                let (mut sum, mut size) = (0.0, 0.0);
                for (w, x) in values.iter().zip(taken) {
                    sum += w * x;
                    size += (w * x).abs();
                }
                // The offset is taken out again: what is left of rounding is of the size of 128 scales.
                let error = (f64::from(*found) - sum).abs();
                prop_assert!(error <= 1e-5 * size + 1e-3, "{} not {}", found, sum);
            }
        }
    }
}
