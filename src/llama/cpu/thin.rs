//! Thin matrices, as adapters have them: products of their rows, read as they are stored.

use std::arch::x86_64::{
    __m256, __m512, _mm_loadu_si128, _mm256_add_ps, _mm256_cvtph_ps, _mm256_fmadd_ps,
    _mm256_hadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_permute2f128_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps, _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_reduce_add_ps, _mm512_setzero_ps,
};

use half::f16;
use llama_cpp_sys_2 as sys;

use super::node::count;

/// Rows that are multiplied together.
pub(super) const TOGETHER: usize = 8;

/// Whether rows of this type are read here.
pub(super) fn can_read(ty: sys::ggml_type) -> bool {
    ty == sys::GGML_TYPE_F16 || ty == sys::GGML_TYPE_F32
}

/// Consecutive rows of a matrix.
#[derive(Clone, Copy)]
pub(super) enum Rows {
    F16 {
        first: *const f16,
        stride: usize,
        columns: usize,
        n: usize,
    },
    F32 {
        first: *const f32,
        stride: usize,
        columns: usize,
        n: usize,
    },
}

impl Rows {
    /// `n` rows from `first` on.
    ///
    /// # Safety
    ///
    /// The matrix is allocated, of a type that [`can_read`], and has these rows; it stays while they are used.
    pub(super) unsafe fn new(matrix: &sys::ggml_tensor, first: usize, n: usize) -> Self {
        let columns = count(matrix.ne[0]);
        let bytes = matrix.data.cast_const().cast::<u8>();
        // SAFETY: the row is there, as asked of the caller.
        let start = unsafe { bytes.add(first * matrix.nb[1]) };
        match matrix.type_ {
            sys::GGML_TYPE_F16 => Self::F16 {
                first: start.cast(),
                stride: matrix.nb[1] / size_of::<f16>(),
                columns,
                n,
            },
            _ => Self::F32 {
                first: start.cast(),
                stride: matrix.nb[1] / size_of::<f32>(),
                columns,
                n,
            },
        }
    }

    /// The first row times `input`.
    ///
    /// # Safety
    ///
    /// The processor has AVX-512; `input` has a number a column.
    pub(super) unsafe fn dot(self, input: &[f32]) -> f32 {
        // SAFETY: as asked of the caller and of `new`.
        unsafe {
            match self {
                Self::F16 { first, columns, .. } => dot(columns, input.as_ptr(), Halves(first)),
                Self::F32 { first, columns, .. } => dot(columns, input.as_ptr(), Singles(first)),
            }
        }
    }

    /// `out[r] = product[r] + scale * (row r · input)`, for every row.
    ///
    /// # Safety
    ///
    /// As [`Self::dot`]; `product` and `out` have a number a row, and may be the same.
    pub(super) unsafe fn add_products(
        self,
        input: &[f32],
        scale: f32,
        product: *const f32,
        out: *mut f32,
    ) {
        // SAFETY: as asked of the caller and of `new`.
        unsafe {
            match self {
                Self::F16 {
                    first,
                    stride,
                    columns,
                    n,
                } => add(
                    |row| Halves(first.add(row * stride)),
                    (columns, n),
                    input.as_ptr(),
                    scale,
                    product,
                    out,
                ),
                Self::F32 {
                    first,
                    stride,
                    columns,
                    n,
                } => add(
                    |row| Singles(first.add(row * stride)),
                    (columns, n),
                    input.as_ptr(),
                    scale,
                    product,
                    out,
                ),
            }
        }
    }
}

/// Numbers that are read in vectors.
trait Numbers: Copy {
    unsafe fn sixteen(self, at: usize) -> __m512;
    unsafe fn eight(self, at: usize) -> __m256;
    unsafe fn one(self, at: usize) -> f32;
}

#[derive(Clone, Copy)]
struct Halves(*const f16);

#[derive(Clone, Copy)]
struct Singles(*const f32);

impl Numbers for Halves {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn sixteen(self, at: usize) -> __m512 {
        // SAFETY: the caller has so many numbers.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(self.0.add(at).cast())) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,f16c")]
    unsafe fn eight(self, at: usize) -> __m256 {
        // SAFETY: the caller has so many numbers.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(self.0.add(at).cast())) }
    }

    #[inline]
    unsafe fn one(self, at: usize) -> f32 {
        // SAFETY: the caller has so many numbers.
        unsafe { self.0.add(at).read_unaligned() }.to_f32()
    }
}

impl Numbers for Singles {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn sixteen(self, at: usize) -> __m512 {
        // SAFETY: the caller has so many numbers.
        unsafe { _mm512_loadu_ps(self.0.add(at)) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn eight(self, at: usize) -> __m256 {
        // SAFETY: the caller has so many numbers.
        unsafe { _mm256_loadu_ps(self.0.add(at)) }
    }

    #[inline]
    unsafe fn one(self, at: usize) -> f32 {
        // SAFETY: the caller has so many numbers.
        unsafe { *self.0.add(at) }
    }
}

#[target_feature(enable = "avx512f,f16c")]
unsafe fn dot(n: usize, input: *const f32, row: impl Numbers) -> f32 {
    // SAFETY: both have `n` numbers, as asked of the caller.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); 2];
        let whole = n / 16;
        for i in 0..whole {
            let sum = &mut sums[i % 2];
            *sum = _mm512_fmadd_ps(
                row.sixteen(16 * i),
                _mm512_loadu_ps(input.add(16 * i)),
                *sum,
            );
        }
        let rest: f32 = (16 * whole..n).map(|i| row.one(i) * *input.add(i)).sum();
        _mm512_reduce_add_ps(sums[0]) + _mm512_reduce_add_ps(sums[1]) + rest
    }
}

/// Eight rows at a time: eight products of vectors become one vector of eight sums.
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn add<R: Numbers>(
    row: impl Fn(usize) -> R,
    (columns, n): (usize, usize),
    input: *const f32,
    scale: f32,
    product: *const f32,
    out: *mut f32,
) {
    // SAFETY: rows, input and results are as long as asked of the caller.
    unsafe {
        let (whole, eights) = (columns / 8, n / TOGETHER);
        let factor = _mm256_set1_ps(scale);
        for first in (0..8 * eights).step_by(8) {
            let mut sums = [_mm256_setzero_ps(); 8];
            for part in 0..whole {
                let numbers = _mm256_loadu_ps(input.add(8 * part));
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = _mm256_fmadd_ps(row(first + i).eight(8 * part), numbers, *sum);
                }
            }
            let mut total = sum_each(sums);
            if 8 * whole < columns {
                let mut rest = [0_f32; 8];
                for (i, rest) in rest.iter_mut().enumerate() {
                    *rest = (8 * whole..columns)
                        .map(|k| row(first + i).one(k) * *input.add(k))
                        .sum();
                }
                total = _mm256_add_ps(total, _mm256_loadu_ps(rest.as_ptr()));
            }
            let before = _mm256_loadu_ps(product.add(first));
            _mm256_storeu_ps(out.add(first), _mm256_fmadd_ps(total, factor, before));
        }
        for r in 8 * eights..n {
            let sum: f32 = (0..columns).map(|k| row(r).one(k) * *input.add(k)).sum();
            *out.add(r) = *product.add(r) + scale * sum;
        }
    }
}

/// The sum of each vector, in order.
#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn sum_each(v: [__m256; 8]) -> __m256 {
    let pairs = |a: usize| _mm256_hadd_ps(v[a], v[a + 1]);
    let (low, high) = (
        _mm256_hadd_ps(pairs(0), pairs(2)),
        _mm256_hadd_ps(pairs(4), pairs(6)),
    );
    // Each half of `low` has sums over half of a vector.
    _mm256_add_ps(
        _mm256_permute2f128_ps::<0x20>(low, high),
        _mm256_permute2f128_ps::<0x31>(low, high),
    )
}
