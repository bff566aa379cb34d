//! The steps of attention, by AVX-512.

use std::arch::x86_64::{
    __m512, __m512i, _mm256_loadu_si256, _mm512_add_ps, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_mul_ps,
    _mm512_reduce_max_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4,
    _mm512_storeu_ps, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};

use super::Memory;
use super::shape::{SPAN, Shape, TILE, TILES};

/// In place of the factor of a tile of which a row sees no cell: all are other sequences' or later. A factor is never less
/// than 0. Where many sequences share a cache, most tiles are that to most rows.
const UNSEEN: f32 = f32::NEG_INFINITY;

/// Numbers of a value that are summed at a time: a cache line of half precision.
pub(super) const VALUES: usize = 32;

/// Numbers in a vector.
const LANES: usize = 16;

/// Vectors in a tile's row of scores.
const VECTORS: usize = TILE / LANES;

/// Rows whose scores are computed at once: four vectors each, beside four of keys.
const ROWS: usize = 4;

/// Rows whose values are summed at once, two vectors each.
const SUMMED: usize = 8;

unsafe extern "C" {
    /// `y = exp(x - max)`, and their sum (`vec.h`): llama.cpp's own, so that the numbers are its.
    fn ggml_vec_soft_max_f32(n: i32, y: *mut f32, x: *const f32, max: f32) -> f64;
}

/// The scores of all rows of a head of keys with a tile of cells, and the largest of each row: [`UNSEEN`] where it sees none
/// of them, and then there may be no scores.
///
/// # Safety
///
/// The processor has AVX-512; the shape is of an allocated node, the memory its own, and no other thread has this unit.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn scores(
    shape: &Shape,
    memory: &Memory,
    kv_head: usize,
    first: usize,
    tile: usize,
) {
    // SAFETY: as asked of the caller.
    unsafe {
        let cell = first + tile * TILE;
        let n_rows = shape.rows_of_head();
        let base = kv_head * n_rows;
        let mut is_turned = false;
        for row in (0..n_rows).step_by(ROWS) {
            let n = ROWS.min(n_rows - row);
            let mut tokens = row / shape.group..=(row + n - 1) / shape.group;
            if !tokens.any(|token| shape.sees(token, cell)) {
                for i in 0..n {
                    *memory.tiles.add((base + row + i) * TILES + tile) = UNSEEN;
                }
                continue;
            }
            if !is_turned {
                turn(shape, memory.keys, kv_head, cell);
                is_turned = true;
            }
            let queries = [0, 1, 2, 3].map(|i| shape.query(kv_head, row + i.min(n - 1)));
            let products = products(memory.keys, shape.n_keys, queries);
            for (i, products) in products.iter().enumerate().take(n) {
                let mask = shape.mask((row + i) / shape.group, cell);
                let out = memory.scores.add((base + row + i) * SPAN + tile * TILE);
                let mut largest = _mm512_set1_ps(f32::NEG_INFINITY);
                for (part, &product) in products.iter().enumerate() {
                    let scaled = _mm512_mul_ps(product, _mm512_set1_ps(shape.scale));
                    let score = _mm512_add_ps(scaled, halves(mask.add(part * LANES)));
                    largest = _mm512_max_ps(largest, score);
                    _mm512_storeu_ps(out.add(part * LANES), score);
                }
                *memory.tiles.add((base + row + i) * TILES + tile) = _mm512_reduce_max_ps(largest);
            }
        }
    }
}

/// Products of four rows with the keys of a tile: number by number, as the order of llama.cpp's sums has it.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn products(
    keys: *const f32,
    n_keys: usize,
    queries: [*const f32; ROWS],
) -> [[__m512; VECTORS]; ROWS] {
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
    for i in 0..n_keys {
        // SAFETY: a query has `n_keys` numbers, and the turned tile as many rows.
        unsafe {
            let keys: [__m512; VECTORS] =
                [0, 1, 2, 3].map(|part| _mm512_loadu_ps(keys.add(i * TILE + part * LANES)));
            for (sums, query) in sums.iter_mut().zip(queries) {
                let number = _mm512_set1_ps(*query.add(i));
                for (sum, keys) in sums.iter_mut().zip(keys) {
                    *sum = _mm512_fmadd_ps(keys, number, *sum);
                }
            }
        }
    }
    sums
}

/// Writes the keys of a tile number by number: all first numbers, then all second ones.
#[target_feature(enable = "avx512f")]
unsafe fn turn(shape: &Shape, out: *mut f32, kv_head: usize, cell: usize) {
    for number in (0..shape.n_keys).step_by(LANES) {
        for part in 0..VECTORS {
            let mut block = [_mm512_setzero_ps(); LANES];
            for (i, row) in block.iter_mut().enumerate() {
                let key = shape.key(kv_head, cell + part * LANES + i);
                // SAFETY: the cell is there and has `n_keys` numbers, a multiple of a vector's.
                *row = unsafe { halves(key.add(number)) };
            }
            for (i, row) in transpose(block).into_iter().enumerate() {
                // SAFETY: the tile has `n_keys` rows of cells.
                unsafe { _mm512_storeu_ps(out.add((number + i) * TILE + part * LANES), row) };
            }
        }
    }
}

/// Rows to columns: pairs of numbers, pairs of pairs, then quarters of vectors.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: [__m512; 16]) -> [__m512; 16] {
    let rows = rows.map(|row| _mm512_castps_si512(row));
    let mut pairs = rows;
    for i in (0..16).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    // `fours[4 * q + c]`: of rows 4q to 4q + 3, column c of each quarter.
    let mut fours = pairs;
    for q in (0..16).step_by(4) {
        fours[q] = _mm512_unpacklo_epi64(pairs[q], pairs[q + 2]);
        fours[q + 1] = _mm512_unpackhi_epi64(pairs[q], pairs[q + 2]);
        fours[q + 2] = _mm512_unpacklo_epi64(pairs[q + 1], pairs[q + 3]);
        fours[q + 3] = _mm512_unpackhi_epi64(pairs[q + 1], pairs[q + 3]);
    }
    let float = |vector: __m512i| _mm512_castsi512_ps(vector);
    let mut columns = [_mm512_setzero_ps(); 16];
    for c in 0..4 {
        let [a, b, d, e] = [0, 4, 8, 12].map(|q| float(fours[q + c]));
        // Quarters 0 and 2, then 1 and 3, of the upper and of the lower rows.
        let (ab_even, ab_odd) = (
            _mm512_shuffle_f32x4::<0x88>(a, b),
            _mm512_shuffle_f32x4::<0xdd>(a, b),
        );
        let (de_even, de_odd) = (
            _mm512_shuffle_f32x4::<0x88>(d, e),
            _mm512_shuffle_f32x4::<0xdd>(d, e),
        );
        columns[c] = _mm512_shuffle_f32x4::<0x88>(ab_even, de_even);
        columns[c + 8] = _mm512_shuffle_f32x4::<0xdd>(ab_even, de_even);
        columns[c + 4] = _mm512_shuffle_f32x4::<0x88>(ab_odd, de_odd);
        columns[c + 12] = _mm512_shuffle_f32x4::<0xdd>(ab_odd, de_odd);
    }
    columns
}

/// A row's scores become exponentials; each tile's largest score becomes what the sums are to be scaled by before it.
///
/// # Safety
///
/// The memory is of an allocated node whose scores are there, and no other thread has this row.
pub(super) unsafe fn exponentials(memory: &Memory, row: usize, n_tiles: usize) {
    // SAFETY: as asked of the caller.
    unsafe {
        let (largest, sum) = (memory.running.add(2 * row), memory.running.add(2 * row + 1));
        for tile in 0..n_tiles {
            let scores = memory.scores.add(row * SPAN + tile * TILE);
            let of_tile = memory.tiles.add(row * TILES + tile);
            if *of_tile == UNSEEN {
                std::ptr::write_bytes(scores, 0, TILE);
                continue;
            }
            let mut factor = 1.0;
            if *of_tile > *largest {
                factor = (*largest - *of_tile).exp();
                *sum *= factor;
                *largest = *of_tile;
            }
            *of_tile = factor;
            let more = ggml_vec_soft_max_f32(TILE as i32, scores, scores, *largest);
            *sum = (f64::from(*sum) + more) as f32;
        }
    }
}

/// Rows and numbers of a part of the sums.
fn part_of(shape: &Shape, part: usize) -> (usize, usize) {
    let parts = shape.n_values / VALUES;
    (part / parts, part % parts * VALUES)
}

/// # Safety
///
/// As [`add_values`].
pub(super) unsafe fn clear_sums(shape: &Shape, memory: &Memory, part: usize) {
    let (kv_head, number) = part_of(shape, part);
    for row in 0..shape.rows_of_head() {
        let row = kv_head * shape.rows_of_head() + row;
        // SAFETY: as asked of the caller.
        unsafe { std::ptr::write_bytes(memory.sums.add(row * shape.n_values + number), 0, VALUES) };
    }
}

/// Adds a span's values, each by its exponential, to a part of every row's sums.
///
/// # Safety
///
/// The processor has AVX-512; the memory is of this node, whose exponentials are there, and no other thread has this part.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn add_values(
    shape: &Shape,
    memory: &Memory,
    part: usize,
    first: usize,
    n_tiles: usize,
) {
    let (kv_head, number) = part_of(shape, part);
    let n_rows = shape.rows_of_head();
    for row in (0..n_rows).step_by(SUMMED) {
        let span = Span {
            first,
            n_tiles,
            kv_head,
            number,
            row: kv_head * n_rows + row,
        };
        // SAFETY: as asked of the caller; the number of rows is the constant.
        unsafe {
            match n_rows - row {
                1 => add_to::<1>(shape, memory, &span),
                2 => add_to::<2>(shape, memory, &span),
                3 => add_to::<3>(shape, memory, &span),
                4 => add_to::<4>(shape, memory, &span),
                5 => add_to::<5>(shape, memory, &span),
                6 => add_to::<6>(shape, memory, &span),
                7 => add_to::<7>(shape, memory, &span),
                _ => add_to::<SUMMED>(shape, memory, &span),
            }
        }
    }
}

/// Which values are added to which rows.
struct Span {
    first: usize,
    n_tiles: usize,
    kv_head: usize,
    number: usize,
    row: usize,
}

#[target_feature(enable = "avx512f")]
unsafe fn add_to<const N: usize>(shape: &Shape, memory: &Memory, span: &Span) {
    // SAFETY: as for `add_values`, and the rows are there.
    unsafe {
        let place = |i: usize| {
            memory
                .sums
                .add((span.row + i) * shape.n_values + span.number)
        };
        let mut sums = [[_mm512_setzero_ps(); 2]; N];
        for (i, sums) in sums.iter_mut().enumerate() {
            *sums = [
                _mm512_loadu_ps(place(i)),
                _mm512_loadu_ps(place(i).add(LANES)),
            ];
        }
        for tile in 0..span.n_tiles {
            let mut factors = [UNSEEN; N];
            for (i, factor) in factors.iter_mut().enumerate() {
                *factor = *memory.tiles.add((span.row + i) * TILES + tile);
            }
            if factors == [UNSEEN; N] {
                continue;
            }
            for (sums, factor) in sums.iter_mut().zip(factors) {
                let factor = if factor == UNSEEN { 1.0 } else { factor };
                *sums = sums.map(|sum| _mm512_mul_ps(sum, _mm512_set1_ps(factor)));
            }
            for cell in 0..TILE {
                let at = tile * TILE + cell;
                let value = shape.value(span.kv_head, span.first + at).add(span.number);
                let value = [halves(value), halves(value.add(LANES))];
                for (i, sums) in sums.iter_mut().enumerate() {
                    let weight = _mm512_set1_ps(*memory.scores.add((span.row + i) * SPAN + at));
                    sums[0] = _mm512_fmadd_ps(value[0], weight, sums[0]);
                    sums[1] = _mm512_fmadd_ps(value[1], weight, sums[1]);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            _mm512_storeu_ps(place(i), sums[0]);
            _mm512_storeu_ps(place(i).add(LANES), sums[1]);
        }
    }
}

/// Divides a part of the sums by the sum of the exponentials: the result.
///
/// # Safety
///
/// As [`add_values`], after the last span.
pub(super) unsafe fn finish(shape: &Shape, memory: &Memory, part: usize) {
    let (kv_head, number) = part_of(shape, part);
    for at in 0..shape.rows_of_head() {
        let row = kv_head * shape.rows_of_head() + at;
        // SAFETY: as asked of the caller.
        unsafe {
            let sum = *memory.running.add(2 * row + 1);
            let inverse = if sum == 0.0 { 0.0 } else { 1.0 / sum };
            let sums = memory.sums.add(row * shape.n_values + number);
            let out = shape.result(kv_head, at).add(number);
            for i in 0..VALUES {
                *out.add(i) = *sums.add(i) * inverse;
            }
        }
    }
}

/// Sixteen numbers of half precision.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn halves(numbers: *const u16) -> __m512 {
    // SAFETY: the caller has as many numbers.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(numbers.cast())) }
}
