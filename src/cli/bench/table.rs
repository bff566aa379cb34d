//! Results in llama-bench's output formats.

use std::io::Write;

use serde_json::Value;
use unforget::Result;
use unforget::engine::Percentiles;

use super::{Format, Quantity, Report, Row, output};

/// Columns of flat formats, and what SQL calls their type: llama-bench's in its order, then ours.
const COLUMNS: [(&str, &str); 44] = [
    ("build_commit", "TEXT"),
    ("build_number", "INTEGER"),
    ("cpu_info", "TEXT"),
    ("gpu_info", "TEXT"),
    ("backends", "TEXT"),
    ("model_filename", "TEXT"),
    ("model_type", "TEXT"),
    ("model_size", "INTEGER"),
    ("model_n_params", "INTEGER"),
    ("n_batch", "INTEGER"),
    ("n_ubatch", "INTEGER"),
    ("n_threads", "INTEGER"),
    ("cpu_mask", "TEXT"),
    ("cpu_strict", "INTEGER"),
    ("poll", "INTEGER"),
    ("type_k", "TEXT"),
    ("type_v", "TEXT"),
    ("n_gpu_layers", "TEXT"),
    ("n_cpu_moe", "INTEGER"),
    ("split_mode", "TEXT"),
    ("main_gpu", "INTEGER"),
    ("no_kv_offload", "INTEGER"),
    ("flash_attn", "INTEGER"),
    ("devices", "TEXT"),
    ("tensor_split", "TEXT"),
    ("tensor_buft_overrides", "TEXT"),
    ("load_mode", "TEXT"),
    ("lazy_mode", "TEXT"),
    ("embeddings", "INTEGER"),
    ("no_op_offload", "INTEGER"),
    ("no_host", "INTEGER"),
    ("repack", "INTEGER"),
    ("fit_target", "INTEGER"),
    ("fit_min_ctx", "INTEGER"),
    ("n_prompt", "INTEGER"),
    ("n_gen", "INTEGER"),
    ("n_depth", "INTEGER"),
    ("test_time", "TEXT"),
    ("avg_ns", "INTEGER"),
    ("stddev_ns", "INTEGER"),
    ("avg_ts", "REAL"),
    ("stddev_ts", "REAL"),
    ("adapter_mode", "TEXT"),
    ("peak_rss_bytes", "INTEGER"),
];

pub(super) fn print(out: &mut dyn Write, report: &Report, format: Format) -> Result<()> {
    let rows = &report.results;
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, rows).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
        Format::Jsonl => {
            for row in rows {
                serde_json::to_writer(&mut *out, row).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
        }
        Format::Csv => {
            writeln!(out, "{}", names().join(","))?;
            for row in rows {
                writeln!(out, "{}", cells(row, |text| quoted(text, '"'))?.join(","))?;
            }
        }
        Format::Sql => sql(out, rows)?,
        Format::Md => markdown(out, report)?,
        Format::Html => out.write_all(super::html::render(report).as_bytes())?,
    }
    Ok(())
}

fn names() -> Vec<&'static str> {
    COLUMNS.iter().map(|(name, _)| *name).collect()
}

/// A row's cells in the order of the columns; texts as `quote` writes them.
fn cells(row: &Row, quote: impl Fn(&str) -> String) -> Result<Vec<String>> {
    let row = serde_json::to_value(row).map_err(std::io::Error::from)?;
    let cell = |(name, _): &(&str, &str)| match &row[name] {
        Value::String(text) => quote(text),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        other => other.to_string(),
    };
    Ok(COLUMNS.iter().map(cell).collect())
}

/// The text between marks, those in it doubled.
fn quoted(text: &str, mark: char) -> String {
    let doubled: String = [mark, mark].iter().collect();
    format!("{mark}{}{mark}", text.replace(mark, &doubled))
}

fn sql(out: &mut dyn Write, rows: &[Row]) -> Result<()> {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|(name, kind)| format!("  {name} {kind}"))
        .collect();
    writeln!(
        out,
        "CREATE TABLE IF NOT EXISTS llama_bench (\n{}\n);\n",
        columns.join(",\n")
    )?;
    for row in rows {
        let cells = cells(row, |text| quoted(text, '\''))?;
        writeln!(
            out,
            "INSERT INTO llama_bench ({}) VALUES ({});",
            names().join(", "),
            cells.join(", ")
        )?;
    }
    Ok(())
}

fn markdown(out: &mut dyn Write, report: &Report) -> std::io::Result<()> {
    writeln!(
        out,
        "| model | size | params | threads | adapters | test | tokens/s | ms to first token | ms a token (p50, p90, p99) |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---|---:|---:|---:|---:|")?;
    for row in &report.results {
        let adapters = match row.adapters.len() {
            0 => row.adapter_mode.to_owned(),
            n => format!("{n} at run time"),
        };
        let (first, each) = (row.result.ttft_ms, row.result.tpot_ms);
        let first = first.map_or_else(String::new, |ms| format!("{:.1}", ms.p50));
        let each = each.map_or_else(String::new, |Percentiles { p50, p90, p99 }| {
            format!("{p50:.2}, {p90:.2}, {p99:.2}")
        });
        writeln!(
            out,
            "| {} | {} | {:.1} M | {} | {adapters} | {} | {:.2} ± {:.2} | {first} | {each} |",
            row.setup.model_type,
            output::megabytes(row.setup.model_size),
            row.setup.model_n_params as f64 / 1e6,
            row.setup.n_threads,
            row.test.name(),
            row.result.avg_ts,
            row.result.stddev_ts
        )?;
    }
    if !report.more.is_empty() {
        writeln!(out, "\n| ms | p50 | p90 | p99 |\n|---|---:|---:|---:|")?;
    }
    for Quantity { what, ms, .. } in &report.more {
        writeln!(
            out,
            "| {what} | {:.2} | {:.2} | {:.2} |",
            ms.p50, ms.p90, ms.p99
        )?;
    }
    report.memory.print(out)?;
    if !report.comparison.is_empty() {
        writeln!(
            out,
            "\n| test | before | now | ratio | p | |\n|---|---:|---:|---:|---:|---|"
        )?;
    }
    for row in &report.comparison {
        writeln!(
            out,
            "| {} | {:.2} | {:.2} | {:.3} | {:.4} | {} |",
            row.test,
            row.before_ts,
            row.now_ts,
            row.ratio,
            row.p_value,
            row.verdict()
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_texts_are_doubled() {
        assert_eq!(quoted("a\"b", '"'), "\"a\"\"b\"");
        assert_eq!(quoted("it's", '\''), "'it''s'");
    }
}
