//! Values to and from ggml blocks, by the kernels ggml itself uses.

use super::{Blocks, GgmlType};
use crate::{Error, Result};

fn refuse(ty: GgmlType, reason: impl Into<String>) -> Error {
    Error::Convert {
        ty,
        reason: reason.into(),
    }
}

/// The `n` values stored in `bytes` as `ty`.
///
/// # Errors
///
/// [`Error::Convert`] where `bytes` is not exactly `n` values of `ty`, or `ty` cannot be read as
/// numbers (integers, and the formats ggml only uses between its own kernels).
pub fn dequantize(ty: GgmlType, bytes: &[u8], n: usize) -> Result<Vec<f32>> {
    // Asked before memory is: `n` may come from a file.
    check_bytes(ty, bytes, n)?;
    let mut values = vec![0.0; n];
    dequantize_into(ty, bytes, &mut values)?;
    Ok(values)
}

fn check_bytes(ty: GgmlType, bytes: &[u8], n: usize) -> Result<()> {
    let expected = ty.bytes_for(n as u64).ok_or_else(|| {
        let block = ty.block_size();
        refuse(ty, format!("{n} values are not whole blocks of {block}"))
    })?;
    if bytes.len() as u64 != expected {
        let found = bytes.len();
        return Err(refuse(
            ty,
            format!("{n} values take {expected} bytes, got {found}"),
        ));
    }
    Ok(())
}

/// Fills `values` with what is stored in `bytes` as `ty`: [`dequantize`] without allocating.
///
/// # Errors
///
/// As [`dequantize`].
pub fn dequantize_into(ty: GgmlType, bytes: &[u8], values: &mut [f32]) -> Result<()> {
    check_bytes(ty, bytes, values.len())?;
    match ty {
        GgmlType::F32 => decode(bytes, values, f32::from_le_bytes),
        GgmlType::F16 => decode(bytes, values, |b| half::f16::from_le_bytes(b).to_f32()),
        GgmlType::BF16 => decode(bytes, values, |b| half::bf16::from_le_bytes(b).to_f32()),
        _ if ty.is_quantized() => dequantize_blocks(ty, bytes, values)?,
        _ => return Err(refuse(ty, "it is not a weight format")),
    }
    Ok(())
}

fn decode<const N: usize>(bytes: &[u8], values: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    for (bytes, out) in bytes.as_chunks().0.iter().zip(values) {
        *out = value(*bytes);
    }
}

fn dequantize_blocks(ty: GgmlType, bytes: &[u8], values: &mut [f32]) -> Result<()> {
    // SAFETY: `ty.id()` is below GGML_TYPE_COUNT (compared in a test), and ggml returns a pointer
    // into its static table of traits for each such number.
    let traits = unsafe { &*ggml_sys::ggml_get_type_traits(ty.id() as ggml_sys::ggml_type) };
    let to_float = traits
        .to_float
        .ok_or_else(|| refuse(ty, "ggml only uses it between its own kernels"))?;
    let aligned;
    let source = if (bytes.as_ptr() as usize).is_multiple_of(align_of::<u32>()) {
        bytes.as_ptr()
    } else {
        aligned = to_aligned(bytes);
        aligned.as_ptr().cast()
    };
    let n = values.len();
    let count = i64::try_from(n).map_err(|_| refuse(ty, format!("{n} values are too many")))?;
    // SAFETY: `source` points at `bytes.len()` bytes, which the caller checked to be exactly the
    // blocks of `n` values, aligned as ggml's block structs ask (their widest field is 4 bytes);
    // `values` has room for `n` floats; the kernel keeps neither pointer.
    unsafe { to_float(source.cast(), values.as_mut_ptr(), count) };
    Ok(())
}

fn to_aligned(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_ne_bytes(word)
        })
        .collect()
}

/// `values`, rows of `n_per_row`, as `ty`, without an importance matrix.
///
/// # Errors
///
/// [`Error::Convert`] where the rows are not whole, a row is not a multiple of the block size, a
/// value is not finite, or `ty` cannot be made: integers, and the types ggml refuses to quantize
/// without an importance matrix.
pub fn quantize(ty: GgmlType, values: &[f32], n_per_row: usize) -> Result<Vec<u8>> {
    let mut blocks = Blocks::new();
    quantize_into(ty, values, n_per_row, None, &mut blocks)?;
    Ok(blocks.bytes().to_vec())
}

/// Fills `blocks` with `values`, rows of `n_per_row`, as `ty`. `importance` weighs the columns of a
/// row: the mean square of what each is multiplied with.
///
/// # Errors
///
/// As [`quantize`], and where `importance` has not one finite weight a column.
pub fn quantize_into(
    ty: GgmlType,
    values: &[f32],
    n_per_row: usize,
    importance: Option<&[f32]>,
    blocks: &mut Blocks,
) -> Result<()> {
    let block = ty.block_size();
    if n_per_row == 0 || values.is_empty() || !values.len().is_multiple_of(n_per_row) {
        let n = values.len();
        return Err(refuse(
            ty,
            format!("{n} values are not whole rows of {n_per_row}"),
        ));
    }
    if !n_per_row.is_multiple_of(block) {
        return Err(refuse(
            ty,
            format!("rows of {n_per_row} values are not whole blocks of {block}; use F16 or Q8_0"),
        ));
    }
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        let value = values[at];
        return Err(refuse(ty, format!("value {at} is {value}")));
    }
    if let Some(weights) = importance
        && (weights.len() != n_per_row || !weights.iter().all(|w| w.is_finite() && *w >= 0.0))
    {
        let n = weights.len();
        return Err(refuse(
            ty,
            format!("the importance matrix has {n} weights, not {n_per_row} that are 0 or more"),
        ));
    }
    let size = ty
        .bytes_for(values.len() as u64)
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| refuse(ty, format!("{} values are too many", values.len())))?;
    blocks.resize(size);
    match ty {
        GgmlType::F32 => encode(values, blocks.bytes_mut(), f32::to_le_bytes),
        GgmlType::F16 => {
            if let Some(value) = values
                .iter()
                .find(|v| half::f16::from_f32(**v).is_infinite())
            {
                return Err(refuse(
                    ty,
                    format!("{value} is beyond its largest number, 65504; use F32 or BF16"),
                ));
            }
            encode(values, blocks.bytes_mut(), |v| {
                half::f16::from_f32(v).to_le_bytes()
            });
        }
        GgmlType::BF16 => encode(values, blocks.bytes_mut(), |v| {
            half::bf16::from_f32(v).to_le_bytes()
        }),
        _ => quantize_blocks(ty, values, n_per_row, importance, blocks)?,
    }
    Ok(())
}

fn encode<const N: usize>(values: &[f32], bytes: &mut [u8], value: impl Fn(f32) -> [u8; N]) {
    for (out, v) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
        *out = value(*v);
    }
}

/// Whether ggml makes `ty` only with an importance matrix.
pub fn needs_importance(ty: GgmlType) -> bool {
    // SAFETY: a pure function of a type number that ggml knows.
    unsafe { ggml_sys::ggml_quantize_requires_imatrix(ty.id() as ggml_sys::ggml_type) }
}

/// Whether weights can be stored as `ty`: not integers, and not what ggml only uses within.
pub fn is_storage(ty: GgmlType) -> bool {
    match ty {
        GgmlType::F32 | GgmlType::F16 | GgmlType::BF16 => true,
        GgmlType::Q8_1 | GgmlType::Q8_K => false,
        _ => ty.is_quantized(),
    }
}

fn quantize_blocks(
    ty: GgmlType,
    values: &[f32],
    n_per_row: usize,
    importance: Option<&[f32]>,
    blocks: &mut Blocks,
) -> Result<()> {
    if !is_storage(ty) {
        return Err(refuse(ty, "it is not a storage format for weights"));
    }
    if importance.is_none() && needs_importance(ty) {
        return Err(refuse(
            ty,
            "it needs an importance matrix; use IQ4_NL, Q4_0 or Q8_0",
        ));
    }
    let too_many = || refuse(ty, format!("{} values are too many", values.len()));
    let n_rows = i64::try_from(values.len() / n_per_row).map_err(|_| too_many())?;
    let row = i64::try_from(n_per_row).map_err(|_| too_many())?;
    let size = blocks.bytes().len();
    // SAFETY: `values` holds `n_rows * n_per_row` floats and `blocks` was sized for their blocks,
    // aligned to 4 bytes, the widest field of ggml's block structs; `importance` is null or has a
    // weight for each column; rows are whole blocks and `ty` is one that ggml_quantize_chunk
    // handles with what is given, so none of its assertions can fail. First use initializes ggml's
    // tables under its own lock.
    let written = unsafe {
        ggml_sys::ggml_quantize_chunk(
            ty.id() as ggml_sys::ggml_type,
            values.as_ptr(),
            blocks.bytes_mut().as_mut_ptr().cast(),
            0,
            n_rows,
            row,
            importance.map_or(std::ptr::null(), <[f32]>::as_ptr),
        )
    };
    if written != size {
        return Err(refuse(
            ty,
            format!("ggml wrote {written} bytes instead of {size}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_the_linked_ggmls() {
        for id in 0..ggml_sys::GGML_TYPE_COUNT {
            // SAFETY: ggml has a static entry for each number below GGML_TYPE_COUNT.
            let traits = unsafe { &*ggml_sys::ggml_get_type_traits(id) };
            let Some(ty) = GgmlType::from_id(id) else {
                assert_eq!(traits.blck_size, 0, "type {id} is missing");
                continue;
            };
            // SAFETY: names in that table are static C strings.
            let name = unsafe { CStr::from_ptr(traits.type_name) };
            assert_eq!(GgmlType::from_name(name.to_str().unwrap()), Some(ty));
            assert_eq!(ty.block_size() as i64, traits.blck_size, "{ty}");
            assert_eq!(ty.block_bytes(), traits.type_size, "{ty}");
            assert_eq!(ty.is_quantized(), traits.is_quantized, "{ty}");
        }
        assert_eq!(GgmlType::from_id(ggml_sys::GGML_TYPE_COUNT), None);
    }

    /// A wave, so that blocks differ from each other.
    fn wave(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    #[test]
    fn every_type_converts_or_says_why_not() {
        let values = wave(512);
        // ggml searches its grids for 1 and 2 bit types for many seconds at their first use.
        let slow = [GgmlType::IQ1_M, GgmlType::IQ2_S];
        for &ty in GgmlType::ALL.iter().filter(|ty| !slow.contains(ty)) {
            match quantize(ty, &values, 256) {
                Ok(bytes) => {
                    assert_eq!(Some(bytes.len() as u64), ty.bytes_for(512));
                    let back = dequantize(ty, &bytes, 512).unwrap();
                    let error: f32 = back.iter().zip(&values).map(|(a, b)| (a - b).powi(2)).sum();
                    let relative = (error / values.iter().map(|v| v * v).sum::<f32>()).sqrt();
                    // One bit keeps little more than the sign: 0.43 is the best it can do here.
                    let bound = match ty.bits_per_weight() {
                        bits if bits >= 8.0 => 0.01,
                        bits if bits >= 4.0 => 0.2,
                        bits if bits >= 2.5 => 0.3,
                        _ => 0.8,
                    };
                    assert!(relative < bound, "{ty}: {relative}");
                }
                Err(Error::Convert { ty: named, .. }) => assert_eq!(named, ty),
                Err(other) => panic!("{ty}: {other}"),
            }
        }
    }

    #[test]
    fn types_that_need_an_importance_matrix_are_refused() {
        for ty in [GgmlType::IQ2_XXS, GgmlType::IQ2_XS, GgmlType::IQ1_S] {
            let message = quantize(ty, &wave(256), 256).unwrap_err().to_string();
            assert!(message.contains("importance matrix"), "{message}");
        }
    }

    #[test]
    fn q8_0_matches_its_definition() {
        // ggml's definition: scale = max|x| / 127 as F16, then rounded integers.
        let values = wave(32);
        let bytes = quantize(GgmlType::Q8_0, &values, 32).unwrap();
        let max = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let scale = half::f16::from_f32(max / 127.0);
        assert_eq!(bytes[..2], scale.to_le_bytes());
        for (value, code) in values.iter().zip(&bytes[2..]) {
            assert_eq!((value / (max / 127.0)).round() as i8, *code as i8);
        }
    }

    #[test]
    fn bad_sizes_and_values_are_errors() {
        assert!(quantize(GgmlType::Q4_0, &wave(33), 33).is_err());
        assert!(quantize(GgmlType::F32, &wave(33), 2).is_err());
        assert!(quantize(GgmlType::F32, &[], 1).is_err());
        assert!(quantize(GgmlType::F32, &[1.0], 0).is_err());
        assert!(quantize(GgmlType::Q8_0, &[f32::NAN; 32], 32).is_err());
        assert!(quantize(GgmlType::F16, &[70000.0], 1).is_err());
        assert!(dequantize(GgmlType::Q8_0, &[0; 33], 32).is_err());
        assert!(dequantize(GgmlType::Q8_0, &[0; 34], 31).is_err());
        assert!(dequantize(GgmlType::I32, &[0; 4], 1).is_err());
        assert!(dequantize(GgmlType::Q8_K, &[0; 292], 256).is_err());
    }

    #[test]
    fn unaligned_bytes_decode_the_same() {
        let values = wave(256);
        let bytes = quantize(GgmlType::Q4_K, &values, 256).unwrap();
        let mut shifted = vec![0];
        shifted.extend(&bytes);
        assert_eq!(
            dequantize(GgmlType::Q4_K, &bytes, 256).unwrap(),
            dequantize(GgmlType::Q4_K, &shifted[1..], 256).unwrap()
        );
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panicking(
            ty in proptest::sample::select(GgmlType::ALL),
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            n in 0..600_usize,
        ) {
            let _ = dequantize(ty, &bytes, n);
            let whole = bytes.len() / ty.block_bytes();
            let exact = &bytes[..whole * ty.block_bytes()];
            let _ = dequantize(ty, exact, whole * ty.block_size());
        }
    }
}
