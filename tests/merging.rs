//! Merged models compute what the adapter computes at run time.

mod common;

use std::path::Path;

use unforget::Result;
use unforget::engine::{
    Adapter, AdapterStack, CancelToken, ChatMessage, ContentHash, Model, ModelOptions, Session,
    SessionOptions,
};
use unforget::rewrite::{
    MergeAdapter, MergeRequest, QuantizeRequest, RewriteOptions, merge_adapters, quantize_file,
};
use unforget_quant::gguf::Gguf;
use unforget_quant::lora;

fn logits(path: &Path, adapter: Option<(&Path, f32)>) -> Result<Vec<f32>> {
    let model = Model::open(path, ModelOptions::default())?;
    let mut session = Session::new(
        &model,
        &SessionOptions {
            n_ctx: Some(256),
            ..SessionOptions::default()
        },
    )?;
    if let Some((path, scale)) = adapter {
        let mut stack = AdapterStack::base();
        stack.push(Adapter::load(&model, path, "adapter")?, scale)?;
        session.set_adapters(stack)?;
    }
    let text = "Triage this support ticket.\n\nMy invoice 13335 shows $670.69 twice!";
    let prompt = model.chat_template()?.render(&[ChatMessage::user(text)])?;
    session.prefill(&model.tokenize_prompt(&prompt)?, &CancelToken::default())?;
    Ok(session.logits().expect("logits").to_vec())
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn a_merged_model_computes_what_the_adapter_does() -> Result<()> {
    const SCALE: f32 = 0.75;
    let folder = tempfile::tempdir()?;
    let cancel = CancelToken::default();
    let options = RewriteOptions {
        n_threads: 2,
        cancel: &cancel,
        progress: None,
    };
    let adapter = folder.path().join("adapter.gguf");
    let peft = common::repository().join("models/adapters/triage-careless");
    lora::convert_peft(&peft, &Gguf::open(&common::base_file())?, &adapter)?;
    // The same F32 base for both, so that only the adapter's way differs.
    let plain = folder.path().join("plain.gguf");
    let to_f32 = QuantizeRequest {
        file_type: "F32",
        pure: false,
        allow_requantize: true,
        importance: None,
    };
    quantize_file(&common::base_file(), &plain, &to_f32, options)?;
    let merged = folder.path().join("merged.gguf");
    let request = MergeRequest {
        method: "linear",
        density: 1.0,
        seed: 0,
        file_type: None,
    };
    let report = merge_adapters(
        &plain,
        ContentHash::of_file(&plain)?,
        &[MergeAdapter {
            path: &adapter,
            scale: SCALE,
        }],
        &merged,
        &request,
        options,
    )?;
    assert_eq!(report.n_merged, 210);
    let base = logits(&plain, None)?;
    let adapted = logits(&plain, Some((&adapter, SCALE)))?;
    let found = logits(&merged, None)?;
    let effect = largest_difference(&base, &adapted);
    let error = largest_difference(&adapted, &found);
    assert!(
        effect > 5.0,
        "the adapter should move the logits, by {effect}"
    );
    // Both in F32, in another order; half-precision KV is the largest source of rounding.
    assert!(error < 0.05, "logits differ by {error}, of {effect}");
    Ok(())
}
