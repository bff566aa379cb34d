//! CSV and JSON lines: one record a chunk, its values named, with the bytes each came from.

use std::ops::Range;
use std::path::Path;

use csv_core::{ReadFieldResult, Reader, ReaderBuilder};
use serde_json::Value;

use super::parsed::Extracted;

/// Depth of JSON that is spelt out; below it a value is shown as JSON.
const MAX_DEPTH: usize = 8;

/// The delimiter of a table, by its ending.
pub(super) fn delimiter(path: &Path) -> u8 {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some(ending) if ending.eq_ignore_ascii_case("tsv") => b'\t',
        _ => b',',
    }
}

/// Rows as `name: value` lines, named by the first row.
pub(super) fn csv(source: &str, delimiter: u8) -> Extracted {
    let mut out = Extracted::default();
    let mut names: Option<Vec<String>> = None;
    for row in rows(source, delimiter) {
        if row.iter().all(|field| field.value.trim().is_empty()) {
            continue;
        }
        let Some(names) = &names else {
            names = Some(row.into_iter().map(|field| field.value).collect());
            continue;
        };
        let start = begin(&mut out);
        for (at, field) in row.iter().enumerate() {
            let value = field.value.trim();
            if value.is_empty() {
                continue;
            }
            if out.text.len() > start {
                out.text.push('\n');
            }
            if let Some(name) = names
                .get(at)
                .map(|name| name.trim())
                .filter(|n| !n.is_empty())
            {
                out.text.push_str(name);
                out.text.push_str(": ");
            }
            let text = out.text.len();
            out.text.push_str(value);
            let raw = source.get(field.source.clone()).unwrap_or("");
            match raw.find(value) {
                Some(lead) => out.map.copied(text, field.source.start + lead, value.len()),
                None => out.map.unit(text..text + value.len(), field.source.clone()),
            }
        }
        finish(&mut out, start);
    }
    // A table of one row has no names: it is its only record.
    if let (true, Some(names)) = (out.records.is_empty(), names) {
        let start = begin(&mut out);
        let text = names.join(", ");
        out.map.unit(0..text.len(), 0..source.len());
        out.text = text;
        finish(&mut out, start);
    }
    out
}

struct Field {
    value: String,
    source: Range<usize>,
}

/// The fields of every row, with their bytes.
fn rows(source: &str, delimiter: u8) -> Vec<Vec<Field>> {
    let mut reader: Reader = ReaderBuilder::new().delimiter(delimiter).build();
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    let mut value = Vec::new();
    let mut buffer = [0u8; 4096];
    let (mut at, mut begun) = (0, 0);
    loop {
        let input = source.as_bytes().get(at..).unwrap_or(&[]);
        let (result, read, written) = reader.read_field(input, &mut buffer);
        at += read;
        value.extend_from_slice(buffer.get(..written).unwrap_or(&[]));
        match result {
            ReadFieldResult::Field { record_end } => {
                row.push(Field {
                    value: String::from_utf8_lossy(&std::mem::take(&mut value)).into_owned(),
                    source: begun..at,
                });
                begun = at;
                if record_end {
                    rows.push(std::mem::take(&mut row));
                }
            }
            ReadFieldResult::End => return rows,
            ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
        }
    }
}

/// One record a line: `path.to.key: value` lines. A line that is no JSON is a record as it stands.
pub(super) fn jsonl(source: &str) -> Extracted {
    let mut out = Extracted::default();
    let mut at = 0;
    for raw in source.split_inclusive('\n') {
        let line = raw.trim();
        let lead = at + raw.len() - raw.trim_start().len();
        at += raw.len();
        if line.is_empty() {
            continue;
        }
        let start = begin(&mut out);
        let parsed: Option<Value> = serde_json::from_str(line).ok();
        match parsed {
            Some(value @ (Value::Object(_) | Value::Array(_))) => {
                let mut text = String::new();
                spell("", &value, 0, &mut text);
                let text = text.trim_end();
                out.text.push_str(text);
                out.map
                    .unit(start..start + text.len(), lead..lead + line.len());
            }
            _ => {
                out.text.push_str(line);
                out.map.copied(start, lead, line.len());
            }
        }
        finish(&mut out, start);
    }
    out
}

fn spell(name: &str, value: &Value, depth: usize, out: &mut String) {
    let inside = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    match value {
        Value::Null => {}
        Value::Object(fields) if depth < MAX_DEPTH => {
            for (key, value) in fields {
                spell(&inside(key), value, depth + 1, out);
            }
        }
        Value::Array(items) if depth < MAX_DEPTH => {
            for item in items {
                spell(name, item, depth + 1, out);
            }
        }
        value => {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if !name.is_empty() {
                out.push_str(name);
                out.push_str(": ");
            }
            out.push_str(&text);
            out.push('\n');
        }
    }
}

fn begin(out: &mut Extracted) -> usize {
    if !out.text.is_empty() {
        out.text.push_str("\n\n");
    }
    out.text.len()
}

fn finish(out: &mut Extracted, start: usize) {
    if out.text.len() > start {
        out.records.push(start..out.text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_and_point_at_their_bytes() {
        let source = "name,city\r\nAda,\"Ber, lin\"\r\n\r\n\"Bo \"\"B\"\"\",\n";
        let table = csv(source, b',');
        let records: Vec<&str> = table
            .records
            .iter()
            .map(|r| &table.text[r.clone()])
            .collect();
        assert_eq!(records, ["name: Ada\ncity: Ber, lin", "name: Bo \"B\""]);
        let at = table.text.find("Ber, lin").expect("is there");
        assert_eq!(&source[table.map.source(at..at + 8)], "Ber, lin");
        assert_eq!(
            &source[table.map.source(table.records[0].clone())],
            "Ada,\"Ber, lin"
        );
        assert_eq!(csv("only,names\n", b',').records.len(), 1);
    }

    #[test]
    fn lines_of_json_are_spelt_out() {
        let source = "{\"a\": 1, \"b\": {\"c\": [\"x\", \"y\"]}}\n\nnot json\n";
        let table = jsonl(source);
        let records: Vec<&str> = table
            .records
            .iter()
            .map(|r| &table.text[r.clone()])
            .collect();
        assert_eq!(records, ["a: 1\nb.c: x\nb.c: y", "not json"]);
        let bytes = table.map.source(table.records[1].clone());
        assert_eq!(&source[bytes], "not json");
    }
}
