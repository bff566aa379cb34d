//! Which type each tensor gets: the mixes behind names like `Q4_K_M`. A port of the facts in
//! llama.cpp's `llama_tensor_get_type_impl`: the tensors that suffer most (values of attention, the
//! down projection, the output) get more bits, in the layers where it helps most.

use super::fallback::{Fallback, fallback};
use super::file_type::FileType;
use super::keep::is_quantizable;
use super::model::Shape;
use crate::ggml::GgmlType;
use crate::gguf::{Gguf, TensorInfo};

/// The new types of a model's tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One for each tensor, in file order.
    pub types: Vec<GgmlType>,
    /// Where rows did not fit what was meant.
    pub fallbacks: Vec<Fallback>,
}

/// What `file_type` makes of each tensor of `source`. With `pure`, every weight gets the same type.
/// Some mixes dare more where there is an importance matrix.
pub fn plan(source: &Gguf, file_type: FileType, pure: bool, has_imatrix: bool) -> Plan {
    let mut choice = Choice {
        shape: Shape::of(source),
        file_type,
        has_imatrix,
        n_attn_v: source
            .tensors()
            .iter()
            .filter(|t| Role::of(&t.name).is_values())
            .count(),
        i_attn_v: 0,
        i_down: 0,
        i_gate: 0,
        i_up: 0,
    };
    let mut plan = Plan {
        types: source.tensors().iter().map(|tensor| tensor.ty).collect(),
        fallbacks: Vec::new(),
    };
    // The counters go by layer, whatever the order in the file.
    let mut order: Vec<_> = source.tensors().iter().enumerate().collect();
    order.sort_by_key(|(_, tensor)| layer(&tensor.name).map_or(-1, |n| n as i64));
    for (at, tensor) in order {
        if !is_quantizable(tensor) {
            continue;
        }
        let base = file_type.base();
        let wanted = if pure || !base.is_quantized() {
            base
        } else {
            choice.of(tensor)
        };
        let got = fallback(wanted, tensor.n_per_row());
        if let Some(slot) = plan.types.get_mut(at) {
            *slot = got;
        }
        if got != wanted {
            plan.fallbacks.push(Fallback {
                tensor: tensor.name.clone(),
                n_per_row: tensor.n_per_row(),
                wanted,
                got,
            });
        }
    }
    plan
}

/// Whether llama.cpp refuses to store a tensor so without an importance matrix.
pub(super) fn wants_importance(name: &str, ty: GgmlType, file_type: FileType) -> bool {
    use GgmlType as T;
    if matches!(Role::of(name), Role::Embedding | Role::Output) {
        return false;
    }
    match ty {
        T::IQ3_XXS | T::IQ2_XXS | T::IQ2_XS | T::IQ2_S | T::IQ1_M | T::IQ1_S => true,
        T::Q2_K => file_type == FileType::Q2_K_S,
        _ => false,
    }
}

/// The layer number in `blk.N.`.
fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

/// What a weight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Output,
    Embedding,
    Qkv,
    KvB,
    Values,
    Keys,
    Queries,
    AttentionOutput,
    Up,
    Gate,
    Down,
    Other,
}

impl Role {
    fn of(name: &str) -> Self {
        const PARTS: &[(&str, Role)] = &[
            ("attn_qkv.weight", Role::Qkv),
            ("attn_kv_b.weight", Role::KvB),
            ("attn_v.weight", Role::Values),
            ("attn_k.weight", Role::Keys),
            ("attn_q.weight", Role::Queries),
            ("attn_output.weight", Role::AttentionOutput),
            ("ffn_up", Role::Up),
            ("ffn_gate", Role::Gate),
            ("ffn_down", Role::Down),
        ];
        match name {
            "output.weight" => Self::Output,
            "token_embd.weight" | "per_layer_token_embd.weight" => Self::Embedding,
            _ => PARTS
                .iter()
                .find(|(part, _)| name.contains(part))
                .map_or(Self::Other, |(_, role)| *role),
        }
    }

    fn is_values(self) -> bool {
        matches!(self, Self::Values | Self::Qkv | Self::KvB)
    }
}

struct Choice {
    shape: Shape,
    file_type: FileType,
    has_imatrix: bool,
    n_attn_v: usize,
    i_attn_v: usize,
    i_down: usize,
    i_gate: usize,
    i_up: usize,
}

/// The first and last eighth of the layers, and every third between.
fn more_bits(i: usize, n: usize) -> bool {
    i < n / 8 || i >= 7 * n / 8 || i.wrapping_sub(n / 8) % 3 == 2
}

/// Counts, giving the number before.
fn counted(counter: &mut usize) -> usize {
    *counter += 1;
    *counter - 1
}

impl Choice {
    fn of(&mut self, tensor: &TensorInfo) -> GgmlType {
        use FileType as F;
        let role = Role::of(&tensor.name);
        let base = self.file_type.base();
        if role == Role::Output || self.shape.is_tied && role == Role::Embedding {
            return self.output(tensor, base);
        }
        if self.file_type == F::MXFP4_MOE {
            let is_expert = tensor.shape.get(2).is_some_and(|&n| n > 1);
            return if is_expert {
                GgmlType::MXFP4
            } else {
                GgmlType::Q8_0
            };
        }
        if role == Role::Embedding {
            return self.embedding(base);
        }
        if matches!(
            self.file_type,
            F::IQ2_XXS | F::IQ2_XS | F::IQ1_S | F::IQ2_S | F::IQ2_M | F::IQ1_M
        ) {
            return self.two_bits(role, base);
        }
        match role {
            Role::Values | Role::Qkv | Role::KvB => self.values(base),
            Role::Keys if self.shape.n_experts == 8 => GgmlType::Q8_0,
            Role::Keys | Role::Queries => match self.file_type {
                F::IQ3_XS => GgmlType::IQ3_XXS,
                F::IQ3_XXS => GgmlType::IQ2_S,
                _ => base,
            },
            Role::Down => {
                let i = counted(&mut self.i_down);
                self.down(self.layer_of(tensor, i), base)
            }
            Role::AttentionOutput => self.attention_output(base),
            Role::Gate => {
                let i = counted(&mut self.i_gate);
                self.up_or_gate(self.layer_of(tensor, i), base)
            }
            Role::Up => {
                let i = counted(&mut self.i_up);
                self.up_or_gate(self.layer_of(tensor, i), base)
            }
            Role::Output | Role::Embedding | Role::Other => base,
        }
    }

    /// The layer: by name where experts make several tensors a layer.
    fn layer_of(&self, tensor: &TensorInfo, counted: usize) -> usize {
        if self.shape.n_experts > 1 {
            return layer(&tensor.name).unwrap_or(counted);
        }
        counted
    }

    fn output(&self, tensor: &TensorInfo, base: GgmlType) -> GgmlType {
        use FileType as F;
        let whole = tensor.n_per_row().is_multiple_of(base.block_size() as u64);
        match self.file_type {
            F::MXFP4_MOE => GgmlType::Q8_0,
            _ if self.shape.is_falcon || !whole => GgmlType::Q8_0,
            F::IQ2_XXS | F::IQ2_XS | F::IQ3_XXS | F::IQ1_S | F::IQ2_S | F::IQ2_M | F::IQ1_M => {
                GgmlType::Q5_K
            }
            _ if base == GgmlType::Q8_0 => base,
            _ => GgmlType::Q6_K,
        }
    }

    fn embedding(&self, base: GgmlType) -> GgmlType {
        use FileType as F;
        match self.file_type {
            F::IQ2_XXS | F::IQ2_XS | F::IQ1_S | F::IQ1_M => GgmlType::Q2_K,
            F::IQ2_S | F::IQ2_M | F::IQ3_XXS => GgmlType::IQ3_S,
            F::TQ1_0 | F::TQ2_0 | F::Q2_0 => GgmlType::Q4_K,
            _ => base,
        }
    }

    fn two_bits(&mut self, role: Role, base: GgmlType) -> GgmlType {
        use FileType as F;
        let upper = matches!(self.file_type, F::IQ2_S | F::IQ2_M);
        let spared = if upper {
            GgmlType::IQ3_S
        } else {
            GgmlType::Q2_K
        };
        match role {
            role if role.is_values() => {
                self.i_attn_v += 1;
                if self.shape.n_gqa >= 4 || self.shape.n_experts >= 4 {
                    GgmlType::Q4_K
                } else {
                    spared
                }
            }
            Role::Keys if self.shape.n_experts == 8 => GgmlType::Q4_K,
            Role::Down if counted(&mut self.i_down) < self.shape.n_layers / 8 => spared,
            Role::AttentionOutput if self.shape.n_experts == 8 => GgmlType::Q5_K,
            Role::AttentionOutput => match self.file_type {
                F::IQ1_S | F::IQ1_M => GgmlType::IQ2_XXS,
                F::IQ2_S | F::IQ2_M => GgmlType::IQ3_S,
                _ => base,
            },
            _ => base,
        }
    }

    fn values(&mut self, base: GgmlType) -> GgmlType {
        use FileType as F;
        use GgmlType as T;
        let (i, grouped) = (counted(&mut self.i_attn_v), self.shape.n_gqa >= 4);
        let mut ty = match self.file_type {
            F::Q2_K if grouped => T::Q4_K,
            F::Q2_K => T::Q3_K,
            F::Q2_K_S if grouped => T::Q4_K,
            F::IQ3_XXS if grouped => T::Q4_K,
            F::IQ3_XXS if !self.has_imatrix => T::IQ3_S,
            F::IQ3_XS | F::IQ3_S if grouped => T::Q4_K,
            F::IQ3_M => T::Q4_K,
            F::Q3_K_M if i < 2 => T::Q5_K,
            F::Q3_K_M => T::Q4_K,
            F::Q3_K_L => T::Q5_K,
            F::IQ4_NL | F::IQ4_XS if grouped => T::Q5_K,
            F::Q4_K_M | F::Q5_K_M if more_bits(i, self.n_attn_v) => T::Q6_K,
            F::Q4_K_S if i < 4 => T::Q5_K,
            _ => base,
        };
        if self.shape.is_70b && matches!(ty, T::Q3_K | T::Q4_K) {
            ty = T::Q5_K;
        }
        if self.shape.n_experts == 8 {
            T::Q8_0
        } else {
            ty
        }
    }

    fn down(&self, i: usize, base: GgmlType) -> GgmlType {
        use FileType as F;
        use GgmlType as T;
        let (n, falcon) = (self.shape.n_layers, self.shape.is_falcon);
        let early = i < n / 8;
        match self.file_type {
            F::Q2_K => T::Q3_K,
            F::Q2_K_S if early => T::Q4_K,
            F::IQ3_XXS if !self.has_imatrix => {
                if early {
                    T::Q4_K
                } else {
                    T::Q3_K
                }
            }
            F::Q3_K_M if i < n / 16 => T::Q5_K,
            F::Q3_K_M if !falcon || more_bits(i, n) => T::Q4_K,
            F::Q3_K_M => T::Q3_K,
            F::IQ3_M if early || self.shape.n_experts == 8 && more_bits(i, n) => T::Q4_K,
            F::Q3_K_L if falcon => T::Q4_K,
            F::Q3_K_L => T::Q5_K,
            F::Q4_K_M if falcon && i < n / 16 => T::Q6_K,
            F::Q4_K_M if falcon => {
                if more_bits(i, n) {
                    T::Q5_K
                } else {
                    T::Q4_K
                }
            }
            F::Q4_K_M | F::Q5_K_M if more_bits(i, n) => T::Q6_K,
            F::IQ4_NL | F::IQ4_XS if early && !self.has_imatrix => T::Q5_K,
            F::Q4_K_S if early && !falcon => T::Q5_K,
            F::Q4_0 if early && self.has_imatrix => T::Q4_1,
            F::Q5_0 if early && self.has_imatrix => T::Q5_1,
            _ => base,
        }
    }

    fn attention_output(&self, base: GgmlType) -> GgmlType {
        use FileType as F;
        use GgmlType as T;
        match self.file_type {
            F::Q3_K_L if self.shape.is_falcon => T::Q4_K,
            _ if self.shape.is_falcon => base,
            F::Q2_K
            | F::IQ3_XS
            | F::IQ3_XXS
            | F::Q3_K_S
            | F::Q3_K_M
            | F::IQ4_NL
            | F::Q4_K_S
            | F::Q4_K_M
            | F::IQ3_S
            | F::IQ3_M
            | F::IQ4_XS
                if self.shape.n_experts == 8 =>
            {
                T::Q5_K
            }
            _ if self.shape.n_experts == 8 => base,
            F::Q2_K => T::Q3_K,
            F::IQ3_XXS => T::IQ3_S,
            F::Q3_K_M | F::IQ3_M => T::Q4_K,
            F::Q3_K_L => T::Q5_K,
            _ => base,
        }
    }

    fn up_or_gate(&self, i: usize, base: GgmlType) -> GgmlType {
        let n = self.shape.n_layers;
        if self.file_type == FileType::IQ3_XS && (n / 8..7 * n / 8).contains(&i) {
            return GgmlType::IQ3_XXS;
        }
        base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bits_go_to_the_ends_and_every_third_layer() {
        let chosen: Vec<_> = (0..16).filter(|&i| more_bits(i, 16)).collect();
        assert_eq!(chosen, [0, 1, 4, 7, 10, 13, 14, 15]);
    }

    #[test]
    fn every_name_of_a_file_type_is_understood() {
        for ty in FileType::ALL {
            assert_eq!(ty.name().to_lowercase().parse(), Ok(*ty));
        }
        assert_eq!("q4_k".parse(), Ok(FileType::Q4_K_M));
        assert!("Q9_Z".parse::<FileType>().unwrap_err().contains("Q4_K_M"));
    }
}
