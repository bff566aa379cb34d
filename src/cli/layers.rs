//! The table of an adapter's layers: how much each is changed, and which stand out.

use std::io::Write;

use unforget::registry::AdapterFile;

use super::output;

/// Prints the table and what is suspicious.
pub fn print(out: &mut dyn Write, file: &AdapterFile) -> std::io::Result<()> {
    let rows: Vec<_> = file
        .stats
        .layers
        .iter()
        .map(|layer| {
            vec![
                layer.name.clone(),
                format!("{:.3}", layer.delta_norm),
                format!("{:.2}", layer.weight_norm),
                format!("{:.2} %", 100.0 * layer.relative),
                layer
                    .effective_rank
                    .map_or("-".to_owned(), |rank| format!("{rank:.1}")),
                format!("{:.1}", layer.z),
                if layer.outlier {
                    "stands out".to_owned()
                } else {
                    String::new()
                },
            ]
        })
        .collect();
    output::table(
        out,
        &["layer", "delta", "weight", "change", "eff. rank", "z", ""],
        &rows,
    )?;
    for finding in &file.findings {
        writeln!(out, "suspicious   {finding}")?;
    }
    Ok(())
}
