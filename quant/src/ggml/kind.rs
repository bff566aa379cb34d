//! The types a GGUF tensor can have, and their sizes. A table of our own instead of calls into
//! ggml, so that reading a file touches no C; a test compares it with the linked ggml.

use std::fmt;

macro_rules! ggml_types {
    ($($variant:ident = $id:literal, $block:literal, $bytes:literal, $doc:literal;)*) => {
        /// A ggml tensor type. Discriminants are ggml's type numbers, as stored in GGUF files.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(non_camel_case_types)] // the names under which these formats are known
        #[repr(u32)]
        pub enum GgmlType {
            $(#[doc = $doc] $variant = $id,)*
        }

        impl GgmlType {
            /// Every type, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The type with ggml's number `id`; `None` for numbers unknown or withdrawn.
            pub fn from_id(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The usual name, such as `Q4_K` or `F16`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }

            /// How many values a block holds; 1 for plain types. A row is a multiple of it.
            pub fn block_size(self) -> usize {
                match self {
                    $(Self::$variant => $block,)*
                }
            }

            /// How many bytes a block takes.
            pub fn block_bytes(self) -> usize {
                match self {
                    $(Self::$variant => $bytes,)*
                }
            }
        }
    };
}

ggml_types! {
    F32 = 0, 1, 4, "32-bit float.";
    F16 = 1, 1, 2, "16-bit float.";
    Q4_0 = 2, 32, 18, "Blocks of 32 values in 18 bytes.";
    Q4_1 = 3, 32, 20, "Blocks of 32 values in 20 bytes.";
    Q5_0 = 6, 32, 22, "Blocks of 32 values in 22 bytes.";
    Q5_1 = 7, 32, 24, "Blocks of 32 values in 24 bytes.";
    Q8_0 = 8, 32, 34, "Blocks of 32 values in 34 bytes.";
    Q8_1 = 9, 32, 36, "Blocks of 32 values in 36 bytes.";
    Q2_K = 10, 256, 84, "Blocks of 256 values in 84 bytes.";
    Q3_K = 11, 256, 110, "Blocks of 256 values in 110 bytes.";
    Q4_K = 12, 256, 144, "Blocks of 256 values in 144 bytes.";
    Q5_K = 13, 256, 176, "Blocks of 256 values in 176 bytes.";
    Q6_K = 14, 256, 210, "Blocks of 256 values in 210 bytes.";
    Q8_K = 15, 256, 292, "Blocks of 256 values in 292 bytes.";
    IQ2_XXS = 16, 256, 66, "Blocks of 256 values in 66 bytes.";
    IQ2_XS = 17, 256, 74, "Blocks of 256 values in 74 bytes.";
    IQ3_XXS = 18, 256, 98, "Blocks of 256 values in 98 bytes.";
    IQ1_S = 19, 256, 50, "Blocks of 256 values in 50 bytes.";
    IQ4_NL = 20, 32, 18, "Blocks of 32 values in 18 bytes.";
    IQ3_S = 21, 256, 110, "Blocks of 256 values in 110 bytes.";
    IQ2_S = 22, 256, 82, "Blocks of 256 values in 82 bytes.";
    IQ4_XS = 23, 256, 136, "Blocks of 256 values in 136 bytes.";
    I8 = 24, 1, 1, "8-bit integer.";
    I16 = 25, 1, 2, "16-bit integer.";
    I32 = 26, 1, 4, "32-bit integer.";
    I64 = 27, 1, 8, "64-bit integer.";
    F64 = 28, 1, 8, "64-bit float.";
    IQ1_M = 29, 256, 56, "Blocks of 256 values in 56 bytes.";
    BF16 = 30, 1, 2, "Brain float: the upper half of an `F32`.";
    TQ1_0 = 34, 256, 54, "Blocks of 256 values in 54 bytes.";
    TQ2_0 = 35, 256, 66, "Blocks of 256 values in 66 bytes.";
    MXFP4 = 39, 32, 17, "Blocks of 32 values in 17 bytes.";
    NVFP4 = 40, 64, 36, "Blocks of 64 values in 36 bytes.";
    Q1_0 = 41, 128, 18, "Blocks of 128 values in 18 bytes.";
    Q2_0 = 42, 64, 18, "Blocks of 64 values in 18 bytes.";
}

impl GgmlType {
    /// ggml's number for this type.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// The type called `name`, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|ty| ty.name().eq_ignore_ascii_case(name))
    }

    /// Storage per value in bits, scales included.
    pub fn bits_per_weight(self) -> f64 {
        self.block_bytes() as f64 * 8.0 / self.block_size() as f64
    }

    /// Bytes of `n` values; `None` where `n` is not a whole number of blocks or the size overflows.
    pub fn bytes_for(self, n: u64) -> Option<u64> {
        let block = self.block_size() as u64;
        if !n.is_multiple_of(block) {
            return None;
        }
        (n / block).checked_mul(self.block_bytes() as u64)
    }

    /// Whether values are packed into blocks with shared scales.
    pub fn is_quantized(self) -> bool {
        self.block_size() > 1
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for GgmlType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
