//! Random adapters as PEFT saves them, and what PEFT says that they add to a model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use unforget_quant::ggml::{GgmlType, dequantize, quantize};

use super::tiny::{Model, Noise};

/// What an adapter is made of.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub rank: usize,
    pub alpha: f64,
    pub rslora: bool,
    /// Rank of every `k_proj`.
    pub rank_of_k: Option<usize>,
    /// Alpha of `down_proj` of layer 1.
    pub alpha_of_down: Option<f64>,
    /// F32, F16 or BF16.
    pub dtype: GgmlType,
    /// In how many files the tensors are.
    pub shards: usize,
    /// Adapt this module, by its name in the model?
    pub targets: fn(&str) -> bool,
    pub seed: u64,
}

impl Recipe {
    pub fn plain(targets: fn(&str) -> bool) -> Self {
        Self {
            rank: 4,
            alpha: 8.0,
            rslora: false,
            rank_of_k: None,
            alpha_of_down: None,
            dtype: GgmlType::F32,
            shards: 1,
            targets,
            seed: 7,
        }
    }

    fn rank_of(&self, module: &str) -> usize {
        match self.rank_of_k {
            Some(rank) if module.ends_with("k_proj") => rank,
            _ => self.rank,
        }
    }

    fn scaling_of(&self, module: &str) -> f64 {
        let alpha = match self.alpha_of_down {
            Some(alpha) if module == "layers.1.mlp.down_proj" => alpha,
            _ => self.alpha,
        };
        let rank = self.rank_of(module) as f64;
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

struct Tensor {
    shape: [usize; 2],
    bytes: Vec<u8>,
}

/// Writes the adapter into a folder and returns the model with `W + scaling * B A` for weights.
pub fn write(folder: &Path, model: &Model, recipe: &Recipe) -> (PathBuf, Model) {
    let mut noise = Noise::new(recipe.seed);
    let mut tensors = BTreeMap::new();
    let mut adapted = model.clone();
    for (module, matrix) in &mut adapted.weights {
        if matrix.cols == 1 || !(recipe.targets)(module) {
            continue;
        }
        let (rank, scaling) = (recipe.rank_of(module), recipe.scaling_of(module));
        let is_embedding = module == "embed_tokens";
        let (n_out, n_in) = (matrix.rows(), matrix.cols);
        // For an embedding PEFT sees tokens as inputs and values as outputs.
        let (a_cols, b_rows) = if is_embedding {
            (n_out, n_in)
        } else {
            (n_in, n_out)
        };
        let mut stored = |rows: usize, cols: usize| {
            let values = noise.many(rows * cols, 0.3);
            let bytes = quantize(recipe.dtype, &values, cols).expect("a plain type");
            let values = dequantize(recipe.dtype, &bytes, rows * cols).expect("a plain type");
            (
                values,
                Tensor {
                    shape: [rows, cols],
                    bytes,
                },
            )
        };
        let (a, a_tensor) = stored(rank, a_cols);
        let (b, b_tensor) = stored(b_rows, rank);
        for row in 0..n_out {
            for col in 0..n_in {
                // `B A` of a linear layer; `(B A)` transposed of an embedding.
                let (i, j) = if is_embedding { (col, row) } else { (row, col) };
                let sum: f64 = (0..rank)
                    .map(|r| f64::from(b[i * rank + r]) * f64::from(a[r * a_cols + j]))
                    .sum();
                let value = &mut matrix.values[row * n_in + col];
                *value = (f64::from(*value) + scaling * sum) as f32;
            }
        }
        let path = if module == "lm_head" {
            module.clone()
        } else {
            format!("model.{module}")
        };
        let factor = |part: &str| match is_embedding {
            true => format!("base_model.model.{path}.lora_embedding_{part}"),
            false => format!("base_model.model.{path}.lora_{part}.weight"),
        };
        tensors.insert(factor("A"), a_tensor);
        tensors.insert(factor("B"), b_tensor);
    }
    let peft = folder.join("peft");
    std::fs::create_dir_all(&peft).expect("a folder");
    std::fs::write(peft.join("adapter_config.json"), config(recipe).to_string()).expect("a file");
    write_tensors(&peft, &tensors, recipe);
    (peft, adapted)
}

fn config(recipe: &Recipe) -> serde_json::Value {
    let ranks: BTreeMap<_, _> = recipe
        .rank_of_k
        .map(|rank| ("k_proj", rank))
        .into_iter()
        .collect();
    let alphas: BTreeMap<_, _> = recipe
        .alpha_of_down
        .map(|alpha| (r"^model\.layers\.1\.mlp\.down_proj", alpha))
        .into_iter()
        .collect();
    json!({
        "peft_type": "LORA",
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "use_rslora": recipe.rslora,
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "bias": "none",
    })
}

fn write_tensors(folder: &Path, tensors: &BTreeMap<String, Tensor>, recipe: &Recipe) {
    if recipe.shards == 1 {
        let all: Vec<_> = tensors.iter().collect();
        return write_safetensors(
            &folder.join("adapter_model.safetensors"),
            &all,
            recipe.dtype,
        );
    }
    let mut map = BTreeMap::new();
    for shard in 0..recipe.shards {
        let file = format!(
            "adapter_model-{:05}-of-{:05}.safetensors",
            shard + 1,
            recipe.shards
        );
        let part: Vec<_> = tensors.iter().skip(shard).step_by(recipe.shards).collect();
        write_safetensors(&folder.join(&file), &part, recipe.dtype);
        map.extend(part.iter().map(|(name, _)| ((*name).clone(), file.clone())));
    }
    let index = json!({ "metadata": {}, "weight_map": map });
    std::fs::write(
        folder.join("adapter_model.safetensors.index.json"),
        index.to_string(),
    )
    .expect("a file");
}

/// The format is simple: the length of a JSON header, the header, the bytes.
fn write_safetensors(path: &Path, tensors: &[(&String, &Tensor)], dtype: GgmlType) {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let start = data.len();
        data.extend_from_slice(&tensor.bytes);
        let entry = json!({ "dtype": dtype.name(), "shape": tensor.shape, "data_offsets": [start, data.len()] });
        header.insert((*name).clone(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).expect("a file");
}
