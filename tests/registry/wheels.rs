//! Wheels made for tests, in a folder that pip is pointed to.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use zip::write::{SimpleFileOptions, ZipWriter};

/// Writes the wheel of `name` 1.0 with these members, and says its path.
pub fn wheel(folder: &Path, name: &str, members: &[(&str, &[u8])]) -> PathBuf {
    let module = name.replace('-', "_");
    let path = folder.join(format!("{module}-1.0-py3-none-any.whl"));
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    let info = format!("{module}-1.0.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    let tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let standard = [
        (format!("{info}/METADATA"), metadata.into_bytes()),
        (format!("{info}/WHEEL"), tags.as_bytes().to_vec()),
        (format!("{info}/RECORD"), Vec::new()),
    ];
    let members = members
        .iter()
        .map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec()));
    for (path, bytes) in members.chain(standard) {
        zip.start_file(path, SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

/// The catalog's source for a member of such a wheel.
pub fn member(wheel: &Path, name: &str, path: &str) -> String {
    let bytes = std::fs::metadata(wheel).unwrap().len();
    format!("{{ package = \"{name}==1.0\", bytes = {bytes}, member = \"{path}\" }}")
}
