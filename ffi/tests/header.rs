//! The committed header says what the source says.

use std::path::Path;

/// Set to write the header instead of comparing it; `make header` does.
const WRITE: &str = "UNFORGET_WRITE_HEADER";

#[test]
fn the_header_is_up_to_date() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("include/unforget.h");
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_crate(root)
        .with_config(cbindgen::Config::from_root_or_default(root))
        .generate()?
        .write(&mut made);
    let made = String::from_utf8(made)?;
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, made)?;
        return Ok(());
    }
    let committed = std::fs::read_to_string(&path)?;
    assert!(
        committed == made,
        "include/unforget.h is out of date; run `make header` and commit it"
    );
    Ok(())
}
