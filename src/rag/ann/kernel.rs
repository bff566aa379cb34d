//! Inner products of int8 codes, by whatever instructions the processor has.
//!
//! A stored code is a `u8`, the number plus 128; a query's is an `i8`. All kernels add the same whole numbers, so that
//! they return the same sums and a walk takes the same way on every machine. The unsigned side is what AVX-512 VNNI
//! multiplies; what the offset adds, 128 times the sum of the query, is taken off again at the end.

/// Length of a stored row is a multiple of this, a cache line: no kernel has a remainder to treat.
pub(super) const LANE: usize = 64;

/// Nodes ahead of the one that is being scored whose rows are asked for: all neighbours of a node. Into the second cache,
/// which keeps more lines in flight than the first: with 4 of them and the first cache a walk was a fifth slower.
const AHEAD: usize = 32;

/// What a stored code is more than its number.
pub(super) const OFFSET: u8 = 128;

/// A query in codes, as long as a stored row.
#[derive(Debug, Clone, Default)]
pub(super) struct QueryCodes {
    codes: Vec<i8>,
    /// What the offset of the stored codes adds to every sum.
    excess: i32,
}

impl QueryCodes {
    /// Takes the codes over; they are followed by zeros up to a multiple of [`LANE`].
    pub fn set(&mut self, codes: impl Iterator<Item = i8>) {
        self.codes.clear();
        self.codes.extend(codes);
        self.codes
            .resize(self.codes.len().next_multiple_of(LANE), 0);
        let sum: i32 = self.codes.iter().map(|&code| i32::from(code)).sum();
        self.excess = sum * i32::from(OFFSET);
    }

    /// A stored row as a query.
    pub fn set_row(&mut self, row: &[u8]) {
        self.set(row.iter().map(|&code| (code ^ OFFSET).cast_signed()));
    }
}

/// Which instructions to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    /// AVX-512 with its instruction for int8 products.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON, which every 64-bit ARM has.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Whatever the compiler makes of plain code.
    Scalar,
}

/// Rows of codes, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub codes: &'a [u8],
    /// Bytes of a row, a multiple of [`LANE`].
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// The row of `node`; empty where there is none.
    #[inline]
    pub fn row(self, node: u32) -> &'a [u8] {
        let start = node as usize * self.stride;
        self.codes.get(start..start + self.stride).unwrap_or(&[])
    }
}

impl Kernel {
    /// What this processor has, fastest first.
    pub fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                kernels.push(Self::Vnni);
            }
            if is_x86_feature_detected!("avx2") {
                kernels.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        kernels.push(Self::Neon);
        kernels.push(Self::Scalar);
        kernels
    }

    /// The fastest that this processor has.
    pub fn best() -> Self {
        static BEST: std::sync::OnceLock<Kernel> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| Self::available().first().copied().unwrap_or(Self::Scalar))
    }

    /// Sets `scores` to the inner products of `query` and the rows of `nodes`.
    #[inline]
    pub fn score(self, rows: Rows<'_>, nodes: &[u32], query: &QueryCodes, scores: &mut Vec<i32>) {
        scores.clear();
        match self {
            // SAFETY: a kernel is only made by `available`, which asked the processor for its instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { vnni::score(rows, nodes, query, scores) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::score(rows, nodes, query, scores) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Self::Neon => unsafe { neon::score(rows, nodes, query, scores) },
            Self::Scalar => scalar::score(rows, nodes, query, scores),
        }
    }

    /// Whether the inner products of `row` and all `queries` are below `bar`.
    #[inline]
    pub fn all_below(self, row: &[u8], queries: &[QueryCodes], bar: i32) -> bool {
        match self {
            // SAFETY: a kernel is only made by `available`, which asked the processor for its instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { vnni::all_below(row, queries, bar) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::all_below(row, queries, bar) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Self::Neon => unsafe { neon::all_below(row, queries, bar) },
            Self::Scalar => scalar::all_below(row, queries, bar),
        }
    }
}

/// Asks for the cache lines of a row before they are needed.
#[inline(always)]
pub(super) fn prefetch(row: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.iter().step_by(LANE) {
        // SAFETY: a hint about an address that is inside of the row; it reads nothing.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(line).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

/// The two loops, compiled anew around each `dot`, so that it is inlined with its instructions. `EXCESS` is 1
/// where `dot` takes stored codes as they are, 0 where it takes the offset off first.
macro_rules! loops {
    ($($attribute:meta)?) => {
        $(#[$attribute])?
        pub fn score(rows: Rows<'_>, nodes: &[u32], query: &QueryCodes, scores: &mut Vec<i32>) {
            for &node in nodes.iter().take(AHEAD) {
                prefetch(rows.row(node));
            }
            for (at, &node) in nodes.iter().enumerate() {
                if let Some(&next) = nodes.get(at + AHEAD) {
                    prefetch(rows.row(next));
                }
                scores.push(dot(rows.row(node), &query.codes) - EXCESS * query.excess);
            }
        }

        $(#[$attribute])?
        pub fn all_below(row: &[u8], queries: &[QueryCodes], bar: i32) -> bool {
            queries
                .iter()
                .all(|query| dot(row, &query.codes) - EXCESS * query.excess < bar)
        }
    };
}

mod scalar {
    use super::{AHEAD, QueryCodes, Rows, prefetch};

    const EXCESS: i32 = 1;

    #[inline]
    fn dot(row: &[u8], query: &[i8]) -> i32 {
        let products = row.iter().zip(query);
        products.map(|(&x, &q)| i32::from(x) * i32::from(q)).sum()
    }

    loops!();
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::{
        _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32,
        _mm512_setzero_si512,
    };

    use super::{AHEAD, LANE, QueryCodes, Rows, prefetch};

    const EXCESS: i32 = 1;

    /// The four products of a lane are added without saturation: at most 4 * 255 * 127.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn dot(row: &[u8], query: &[i8]) -> i32 {
        // Two sums, since one waits for its own last addition.
        let mut sums = [_mm512_setzero_si512(); 2];
        let (row, _) = row.as_chunks::<LANE>();
        let (query, _) = query.as_chunks::<LANE>();
        for (at, (row, query)) in row.iter().zip(query).enumerate() {
            // SAFETY: both are 64 bytes, and the load asks for no alignment.
            let (row, query) = unsafe {
                (
                    _mm512_loadu_si512(row.as_ptr().cast()),
                    _mm512_loadu_si512(query.as_ptr().cast()),
                )
            };
            sums[at % 2] = _mm512_dpbusd_epi32(sums[at % 2], row, query);
        }
        _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
    }

    loops!(target_feature(enable = "avx512f,avx512vnni"));
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16,
        _mm256_madd_epi16, _mm256_setzero_si256, _mm256_storeu_si256,
    };

    use super::{AHEAD, QueryCodes, Rows, prefetch};

    const EXCESS: i32 = 1;

    /// Widened to 16 bits first: the instruction for bytes would saturate.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn dot(row: &[u8], query: &[i8]) -> i32 {
        let mut sums = [_mm256_setzero_si256(); 2];
        let (row, _) = row.as_chunks::<16>();
        let (query, _) = query.as_chunks::<16>();
        for (at, (row, query)) in row.iter().zip(query).enumerate() {
            // SAFETY: both are 16 bytes, and the load asks for no alignment.
            let (row, query) = unsafe {
                (
                    _mm_loadu_si128(row.as_ptr().cast()),
                    _mm_loadu_si128(query.as_ptr().cast()),
                )
            };
            let products =
                _mm256_madd_epi16(_mm256_cvtepu8_epi16(row), _mm256_cvtepi8_epi16(query));
            sums[at % 2] = _mm256_add_epi32(sums[at % 2], products);
        }
        let mut lanes = [0i32; 8];
        // SAFETY: eight numbers of 32 bits are what is stored, and no alignment is asked for.
        unsafe {
            _mm256_storeu_si256(
                lanes.as_mut_ptr().cast::<__m256i>(),
                _mm256_add_epi32(sums[0], sums[1]),
            );
        }
        lanes.iter().sum()
    }

    loops!(target_feature(enable = "avx2"));
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::{
        vaddvq_s32, vdupq_n_s32, vdupq_n_u8, veorq_u8, vget_high_s8, vget_low_s8, vld1q_s8,
        vld1q_u8, vmull_s8, vpadalq_s16, vreinterpretq_s8_u8,
    };

    use super::{AHEAD, OFFSET, QueryCodes, Rows, prefetch};

    const EXCESS: i32 = 0;

    /// Signed by signed, which needs no extension of the instruction set.
    #[inline]
    #[target_feature(enable = "neon")]
    fn dot(row: &[u8], query: &[i8]) -> i32 {
        let mut sum = vdupq_n_s32(0);
        let (row, _) = row.as_chunks::<16>();
        let (query, _) = query.as_chunks::<16>();
        for (row, query) in row.iter().zip(query) {
            // SAFETY: both are 16 bytes, and the load asks for no alignment.
            let (row, query) = unsafe { (vld1q_u8(row.as_ptr()), vld1q_s8(query.as_ptr())) };
            let row = vreinterpretq_s8_u8(veorq_u8(row, vdupq_n_u8(OFFSET)));
            sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(row), vget_low_s8(query)));
            sum = vpadalq_s16(sum, vmull_s8(vget_high_s8(row), vget_high_s8(query)));
        }
        vaddvq_s32(sum)
    }

    loops!(target_feature(enable = "neon"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kernel, the extreme codes included, against the sum as it is defined.
    #[test]
    fn all_kernels_add_the_same_numbers() {
        let (stride, n) = (6 * LANE, 40u32);
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let mut codes: Vec<u8> = (0..stride * n as usize).map(|_| byte()).collect();
        codes[..stride].fill(u8::MAX);
        codes[stride..2 * stride].fill(0);
        let rows = Rows {
            codes: &codes,
            stride,
        };
        let random: Vec<i8> = (0..stride)
            .map(|_| byte().cast_signed().max(-127))
            .collect();
        for numbers in [random, vec![127; stride], vec![-127; stride]] {
            let mut query = QueryCodes::default();
            query.set(numbers.iter().copied());
            let defined = |node: u32| -> i32 {
                let row = rows.row(node).iter().zip(&numbers);
                row.map(|(&x, &q)| (i32::from(x) - 128) * i32::from(q))
                    .sum()
            };
            let nodes: Vec<u32> = (0..n).rev().collect();
            let expected: Vec<i32> = nodes.iter().map(|&node| defined(node)).collect();
            let highest = expected.iter().copied().max().expect("some");
            for kernel in Kernel::available() {
                let mut scores = Vec::new();
                kernel.score(rows, &nodes, &query, &mut scores);
                assert_eq!(scores, expected, "{kernel:?}");
                let queries = [query.clone()];
                let below = |bar| {
                    nodes
                        .iter()
                        .all(|&node| kernel.all_below(rows.row(node), &queries, bar))
                };
                assert!(below(highest + 1) && !below(highest));
            }
        }
    }

    #[test]
    fn a_row_makes_a_query() {
        let row: Vec<u8> = (0..=127).collect();
        let rows = Rows {
            codes: &row,
            stride: 128,
        };
        let mut query = QueryCodes::default();
        query.set_row(&row);
        let mut scores = Vec::new();
        Kernel::best().score(rows, &[0], &query, &mut scores);
        assert_eq!(scores, [(1..=128).map(|x: i32| x * x).sum::<i32>()]);
    }
}
