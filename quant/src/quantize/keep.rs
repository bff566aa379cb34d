//! Which tensors are weights worth storing in fewer bits. The rest (norms, routers, small or
//! sensitive tables) stays as it is, as in llama.cpp (`tensor_allows_quantization`).

use crate::gguf::TensorInfo;

/// Parts of names that mark a tensor to keep.
const KEPT: &[&str] = &[
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
];

/// Whether llama.cpp would store `tensor` in another type.
pub fn is_quantizable(tensor: &TensorInfo) -> bool {
    let name = tensor.name.as_str();
    // ggml counts dimensions without trailing ones.
    tensor.shape.iter().skip(1).any(|&n| n > 1)
        && name.ends_with("weight")
        && name != "position_embd.weight"
        && name != "token_types.weight"
        && crate::ggml::is_storage(tensor.ty)
        && !KEPT.iter().any(|part| name.contains(part))
}
