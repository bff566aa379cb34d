//! Products of packed weights (Q4_1, or Q8_0) with vectors, by AVX-512 VNNI: a vector instruction multiplies four codes of each of
//! sixteen rows with four numbers of the input.
//!
//! As in ggml, the input is rounded to eight bits in blocks of 32 with a scale each: x ≈ d·y. Of a block,
//! `sum (scale·code + minimum)·d·y = scale·d·sum(code·y) + minimum·d·sum(y)`; both sums are whole numbers, exactly.

use std::arch::x86_64::{
    __m128i, __m512, __m512i, _mm_storeu_si128, _mm256_loadu_si256, _mm512_abs_ps,
    _mm512_add_epi32, _mm512_and_si512, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtph_ps,
    _mm512_cvtps_epi32, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_add_epi32, _mm512_reduce_max_ps, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16,
    _mm512_storeu_ps,
};

use super::pack::{BLOCK, Group, ROWS};

/// Whether this processor has the instructions.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
}

/// A block of sixteen rows, as the kernel multiplies it: each value is `scale * code + minimum`.
pub(super) trait Sixteen {
    /// The codes as bytes: four numbers of each row a vector, in the order of the values.
    ///
    /// # Safety
    ///
    /// The processor has what [`is_supported`] asks for.
    unsafe fn codes(&self) -> [__m512i; 8];

    /// One of each a row.
    ///
    /// # Safety
    ///
    /// The processor has what [`is_supported`] asks for.
    unsafe fn scales_and_minimums(&self) -> (__m512, __m512);
}

/// A block of an input, rounded.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Rounded {
    codes: [i8; BLOCK],
    /// What a code of 1 stands for.
    scale: f32,
    /// Sum of the codes, times the scale.
    sum: f32,
}

#[cfg(test)]
impl Rounded {
    pub(super) const ZERO: Self = Self {
        codes: [0; BLOCK],
        scale: 0.0,
        sum: 0.0,
    };

    /// The numbers that the codes stand for.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        let scale = f64::from(self.scale);
        self.codes.iter().map(move |&code| f64::from(code) * scale)
    }
}

impl Rounded {
    /// Rounds a block of an input, to whole numbers from -127 to 127, to the nearest and of two as near to the even.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn of(values: &[f32; BLOCK]) -> Self {
        // SAFETY: a block is two vectors.
        let (low, high) = unsafe {
            let first = values.as_ptr();
            (_mm512_loadu_ps(first), _mm512_loadu_ps(first.add(16)))
        };
        let sizes = _mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high));
        let largest = _mm512_reduce_max_ps(sizes);
        let scale = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let inverse = _mm512_set1_ps(inverse);
        let low = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
        let high = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
        let sum = _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
        let mut codes = [0_i8; BLOCK];
        // SAFETY: a block of codes is two vectors of sixteen bytes.
        unsafe {
            let first = codes.as_mut_ptr().cast::<__m128i>();
            _mm_storeu_si128(first, _mm512_cvtepi32_epi8(low));
            _mm_storeu_si128(first.add(1), _mm512_cvtepi32_epi8(high));
        }
        Self {
            codes,
            scale,
            sum: scale * sum as f32,
        }
    }
}

/// Rounds an input, block by block.
///
/// # Safety
///
/// The processor has what [`is_supported`] asks for.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn round(values: &[f32], rounded: &mut [Rounded]) {
    for (block, rounded) in values.as_chunks().0.iter().zip(rounded) {
        *rounded = Rounded::of(block);
    }
}

/// Inputs that are multiplied at once: as many as there are registers for, beside a block of weights.
pub(super) const INPUTS: usize = 8;

/// The products of sixteen rows with inputs: `out[i]` gets one number a row for `inputs[i]`. Each input's numbers are the
/// same whatever it is computed together with.
///
/// # Safety
///
/// The processor has what [`is_supported`] asks for. There are at most [`INPUTS`] inputs, as many `out`s; every input has
/// as many blocks as `groups`, and every `out` points to room for [`ROWS`] numbers that nobody else uses.
pub(super) unsafe fn products<G: Sixteen>(groups: &[G], inputs: &[&[Rounded]], out: &[*mut f32]) {
    // SAFETY: as asked of the caller; the number of inputs is the constant.
    unsafe {
        match inputs.len() {
            8 => tile::<G, 8>(groups, inputs, out),
            7 => tile::<G, 7>(groups, inputs, out),
            6 => tile::<G, 6>(groups, inputs, out),
            5 => tile::<G, 5>(groups, inputs, out),
            4 => tile::<G, 4>(groups, inputs, out),
            3 => tile::<G, 3>(groups, inputs, out),
            2 => tile::<G, 2>(groups, inputs, out),
            _ => tile::<G, 1>(groups, inputs, out),
        }
    }
}

/// # Safety
///
/// As [`products`], with `N` inputs.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn tile<G: Sixteen, const N: usize>(groups: &[G], inputs: &[&[Rounded]], out: &[*mut f32]) {
    let mut sums = [_mm512_setzero_ps(); N];
    for (at, group) in groups.iter().enumerate() {
        // SAFETY: as asked of the caller.
        let (codes, (scales, minimums)) = unsafe { (group.codes(), group.scales_and_minimums()) };
        for (sum, input) in sums.iter_mut().zip(inputs) {
            // SAFETY: every input has as many blocks as there are groups.
            let block = unsafe { input.get_unchecked(at) };
            let products = _mm512_cvtepi32_ps(dot(&codes, &block.codes));
            let scale = _mm512_mul_ps(scales, _mm512_set1_ps(block.scale));
            *sum = _mm512_fmadd_ps(products, scale, *sum);
            *sum = _mm512_fmadd_ps(minimums, _mm512_set1_ps(block.sum), *sum);
        }
    }
    for (sum, out) in sums.iter().zip(out) {
        // SAFETY: `out` has room for the sixteen numbers.
        unsafe { _mm512_storeu_ps(*out, *sum) };
    }
}

impl Sixteen for Group {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn codes(&self) -> [__m512i; 8] {
        let low = _mm512_set1_epi8(0x0f);
        let mut codes = [_mm512_setzero_si512(); 8];
        for (part, bytes) in self.codes.iter().enumerate() {
            // SAFETY: a part is 64 bytes.
            let both = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
            codes[part] = _mm512_and_si512(both, low);
            codes[part + 4] = _mm512_and_si512(_mm512_srli_epi16::<4>(both), low);
        }
        codes
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn scales_and_minimums(&self) -> (__m512, __m512) {
        (halves(&self.scales), halves(&self.minimums))
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn halves(numbers: &[u16; ROWS]) -> __m512 {
    // SAFETY: sixteen numbers of two bytes are 32 bytes.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) })
}

/// Sums of codes times input, one a row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot(codes: &[__m512i; 8], input: &[i8; BLOCK]) -> __m512i {
    // Two sums, so that one addition need not wait for the other.
    let mut sums = [_mm512_setzero_si512(); 2];
    for (part, codes) in codes.iter().enumerate() {
        // SAFETY: the four bytes are among the input's.
        let four = unsafe { input.as_ptr().add(4 * part).cast::<i32>().read_unaligned() };
        let four = _mm512_set1_epi32(four);
        let sum = &mut sums[part % 2];
        *sum = _mm512_dpbusd_epi32(*sum, *codes, four);
    }
    _mm512_add_epi32(sums[0], sums[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pack::{BLOCK_BYTES, pack};
    use super::*;

    /// Rows of Q4_1 by ggml's definition, and their values.
    fn row(blocks: &[(f32, f32, [u8; 16])]) -> (Vec<u8>, Vec<f64>) {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for (scale, minimum, codes) in blocks {
            let (scale, minimum) = (half::f16::from_f32(*scale), half::f16::from_f32(*minimum));
            bytes.extend(scale.to_le_bytes());
            bytes.extend(minimum.to_le_bytes());
            bytes.extend(codes);
            let value = |code: u8| scale.to_f64() * f64::from(code) + minimum.to_f64();
            values.extend(codes.iter().map(|code| value(code & 15)));
            values.extend(codes.iter().map(|code| value(code >> 4)));
        }
        (bytes, values)
    }

    fn multiply(groups: &[Group], inputs: &[&[Rounded]]) -> Vec<[f32; ROWS]> {
        let mut out = vec![[0.0; ROWS]; inputs.len()];
        let places: Vec<*mut f32> = out.iter_mut().map(|out| out.as_mut_ptr()).collect();
        // SAFETY: the caller has asked for the instructions; each place has room for sixteen numbers.
        unsafe { products(groups, inputs, &places) };
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn products_are_those_of_the_definition_and_do_not_depend_on_company(
            weights in prop::collection::vec(
                prop::collection::vec((-0.3f32..0.3, -2f32..2.0, any::<[u8; 16]>()), 3), ROWS),
            inputs in prop::collection::vec(prop::collection::vec(-8f32..8.0, 3 * BLOCK), 1..=INPUTS),
        ) {
            if !is_supported() {
                return Ok(());
            }
            let (rows, values): (Vec<_>, Vec<_>) = weights.iter().map(|blocks| row(blocks)).unzip();
            let zero = Group { scales: [0; ROWS], minimums: [0; ROWS], codes: [[0; 64]; 4] };
            let mut groups = [zero; 3];
            pack(&rows.concat(), 3 * BLOCK, &mut groups);
            let rounded: Vec<Vec<Rounded>> = inputs.iter().map(|input| {
                let mut rounded = vec![Rounded::ZERO; 3];
                // SAFETY: the instructions are there.
                unsafe { round(input, &mut rounded) };
                rounded
            }).collect();
            let refs: Vec<&[Rounded]> = rounded.iter().map(Vec::as_slice).collect();
            let found = multiply(&groups, &refs);
            for (i, input) in rounded.iter().enumerate() {
                let alone = multiply(&groups, &refs[i..=i]);
                prop_assert_eq!(alone[0], found[i], "alone and together");
                for (r, values) in values.iter().enumerate() {
                    let taken = input.iter().flat_map(Rounded::values);
                    let (mut sum, mut size) = (0.0, 0.0);
                    for (w, x) in values.iter().zip(taken) {
                        sum += w * x;
                        size += (w * x).abs();
                    }
                    let error = (f64::from(found[i][r]) - sum).abs();
                    prop_assert!(error <= 2e-6 * size + 1e-6, "row {}: {} not {}", r, found[i][r], sum);
                }
                for (block, exact) in input.iter().zip(inputs[i].chunks(BLOCK)) {
                    for (code, x) in block.codes.iter().zip(exact) {
                        let error = (f32::from(*code) * block.scale - x).abs();
                        prop_assert!(error <= 0.51 * block.scale, "rounded to the nearest");
                    }
                }
            }
            prop_assert_eq!(rows[0].len(), 3 * BLOCK_BYTES);
        }
    }

    #[test]
    fn an_input_of_zeros_gives_zeros() {
        if !is_supported() {
            return;
        }
        let mut rounded = [Rounded {
            codes: [1; BLOCK],
            scale: 1.0,
            sum: 1.0,
        }];
        // SAFETY: the instructions are there.
        unsafe { round(&[0.0; BLOCK], &mut rounded) };
        assert_eq!(
            (rounded[0].codes, rounded[0].scale, rounded[0].sum),
            ([0; BLOCK], 0.0, 0.0)
        );
    }
}
