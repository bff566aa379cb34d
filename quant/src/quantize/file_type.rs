//! llama.cpp's file types: their names, their numbers in `general.file_type`, and the type that
//! most weights of such a file have (`llama.h`, `llama_ftype_get_default_type`).

use std::fmt;
use std::str::FromStr;

use crate::ggml::GgmlType;

macro_rules! file_types {
    ($($name:ident = $id:literal, $base:ident;)*) => {
        /// What llama-quantize calls a type: a block type, or a mix of several under one name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types)] // the names under which they are known
        pub enum FileType {
            $(#[doc = concat!("Mostly ", stringify!($base), ".")] $name,)*
        }

        impl FileType {
            /// Every file type.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// llama.cpp's name, such as `Q4_K_M`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// llama.cpp's number, as in `general.file_type`.
            pub fn id(self) -> u32 {
                match self { $(Self::$name => $id,)* }
            }

            /// The type that most weights get.
            pub fn base(self) -> GgmlType {
                match self { $(Self::$name => GgmlType::$base,)* }
            }
        }
    };
}

file_types! {
    F32 = 0, F32;
    F16 = 1, F16;
    BF16 = 32, BF16;
    Q4_0 = 2, Q4_0;
    Q4_1 = 3, Q4_1;
    Q5_0 = 8, Q5_0;
    Q5_1 = 9, Q5_1;
    Q8_0 = 7, Q8_0;
    Q2_K = 10, Q2_K;
    Q2_K_S = 21, Q2_K;
    Q3_K_S = 11, Q3_K;
    Q3_K_M = 12, Q3_K;
    Q3_K_L = 13, Q3_K;
    Q4_K_S = 14, Q4_K;
    Q4_K_M = 15, Q4_K;
    Q5_K_S = 16, Q5_K;
    Q5_K_M = 17, Q5_K;
    Q6_K = 18, Q6_K;
    IQ1_S = 24, IQ1_S;
    IQ1_M = 31, IQ1_M;
    IQ2_XXS = 19, IQ2_XXS;
    IQ2_XS = 20, IQ2_XS;
    IQ2_S = 28, IQ2_XS;
    IQ2_M = 29, IQ2_S;
    IQ3_XXS = 23, IQ3_XXS;
    IQ3_XS = 22, IQ3_S;
    IQ3_S = 26, IQ3_S;
    IQ3_M = 27, IQ3_S;
    IQ4_NL = 25, IQ4_NL;
    IQ4_XS = 30, IQ4_XS;
    TQ1_0 = 36, TQ1_0;
    TQ2_0 = 37, TQ2_0;
    MXFP4_MOE = 38, MXFP4;
    Q1_0 = 40, Q1_0;
    Q2_0 = 41, Q2_0;
}

impl FromStr for FileType {
    type Err = String;

    /// In upper or lower case; `Q3_K`, `Q4_K` and `Q5_K` mean the medium mix, as in llama-quantize.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = match text.to_ascii_uppercase().as_str() {
            "Q3_K" => "Q3_K_M".to_owned(),
            "Q4_K" => "Q4_K_M".to_owned(),
            "Q5_K" => "Q5_K_M".to_owned(),
            "MXFP4" => "MXFP4_MOE".to_owned(),
            other => other.to_owned(),
        };
        let found = Self::ALL.iter().find(|ty| ty.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|ty| ty.name()).collect();
            format!("one of {}", names.join(", "))
        })
    }
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for FileType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
