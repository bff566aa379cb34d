//! Products of matrices: a safe face of the `gemm` crate.
//!
//! A [`View`] is a slice with a shape and strides, so a transposed matrix or some columns of a wider one cost nothing.
//! Every view is checked against its slice when it is made; the one `unsafe` call relies on that.

use gemm::Parallelism;

/// Products below this many multiplications are not worth waking a second thread for.
const SMALL: usize = 1 << 21;

/// A matrix to read.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// Rows of `cols` values.
    pub(super) fn new(data: &'a [f32], cols: usize) -> Self {
        Self::columns(data, cols, 0, cols)
    }

    /// Columns `first..first + cols` of a matrix with rows of `width` values.
    pub(super) fn columns(data: &'a [f32], width: usize, first: usize, cols: usize) -> Self {
        let rows = rows_of(data.len(), width, first, cols);
        Self {
            data: data.get(first..).unwrap_or_default(),
            rows,
            cols,
            row_stride: width,
            col_stride: 1,
        }
    }

    /// Rows and columns change places.
    pub(super) fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// A matrix to write, in rows.
pub(super) struct ViewMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> ViewMut<'a> {
    /// Rows of `cols` values.
    pub(super) fn new(data: &'a mut [f32], cols: usize) -> Self {
        Self::columns(data, cols, 0, cols)
    }

    /// Columns `first..first + cols` of a matrix with rows of `width` values.
    pub(super) fn columns(data: &'a mut [f32], width: usize, first: usize, cols: usize) -> Self {
        let rows = rows_of(data.len(), width, first, cols);
        Self {
            data: data.get_mut(first..).unwrap_or_default(),
            rows,
            cols,
            row_stride: width,
        }
    }
}

fn rows_of(len: usize, width: usize, first: usize, cols: usize) -> usize {
    assert!(
        cols > 0 && first + cols <= width && len.is_multiple_of(width),
        "{len} values are no rows of {width} with columns {first} to {}",
        first + cols
    );
    len / width
}

/// `out = factor * a b`.
pub(super) fn product(out: ViewMut, factor: f32, a: View, b: View) {
    run(out, false, factor, a, b);
}

/// `out += factor * a b`.
pub(super) fn add_product(out: ViewMut, factor: f32, a: View, b: View) {
    run(out, true, factor, a, b);
}

fn run(out: ViewMut, accumulate: bool, factor: f32, a: View, b: View) {
    let (m, n, k) = (out.rows, out.cols, a.cols);
    assert!(
        a.rows == m && b.cols == n && b.rows == k,
        "{m}x{n} is not the product of {}x{k} and {}x{}",
        a.rows,
        b.rows,
        b.cols
    );
    let threads = rayon::current_num_threads();
    let parallelism = if threads < 2 || m * n * k < SMALL {
        Parallelism::None
    } else {
        Parallelism::Rayon(threads)
    };
    let stride = |n: usize| isize::try_from(n).unwrap_or(isize::MAX);
    // SAFETY: each view was made of whole rows of its slice (`rows_of`), so every index below `rows` and `cols` stays
    // inside of it; the shapes agree, as asserted; `out` is borrowed exclusively, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.data.as_mut_ptr(),
            1,
            stride(out.row_stride),
            accumulate,
            a.data.as_ptr(),
            stride(a.col_stride),
            stride(a.row_stride),
            b.data.as_ptr(),
            stride(b.col_stride),
            stride(b.row_stride),
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_transposition_and_accumulation() {
        // [1 2 3; 4 5 6] times the last two columns of a matrix of three.
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [9.0, 1.0, 2.0, 9.0, 3.0, 4.0, 9.0, 5.0, 6.0];
        let mut out = vec![7.0; 6];
        product(
            ViewMut::columns(&mut out, 3, 1, 2),
            2.0,
            View::new(&a, 3),
            View::columns(&b, 3, 1, 2),
        );
        assert_eq!(out, [7.0, 44.0, 56.0, 7.0, 98.0, 128.0]);
        let mut square = vec![1.0; 9];
        add_product(
            ViewMut::new(&mut square, 3),
            1.0,
            View::new(&a, 3).t(),
            View::new(&a, 3),
        );
        assert_eq!(
            square,
            [18.0, 23.0, 28.0, 23.0, 30.0, 37.0, 28.0, 37.0, 46.0]
        );
    }

    #[test]
    #[should_panic(expected = "is not the product")]
    fn shapes_that_do_not_fit_are_refused() {
        let mut out = vec![0.0; 4];
        let a = [0.0; 6];
        product(
            ViewMut::new(&mut out, 2),
            1.0,
            View::new(&a, 3),
            View::new(&a, 3),
        );
    }
}
