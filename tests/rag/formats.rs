//! Each format through files, database and search: what is found, and where it says it is.

use std::io::Write;

use unforget::rag::{Hit, Span};

use crate::toy::{Place, Toy, search};

fn bytes_of(hit: &Hit) -> Vec<u8> {
    std::fs::read(&hit.path).expect("reads")[hit.start..hit.end].to_vec()
}

fn first(place: &Place, toy: &mut Toy, query: &str) -> Hit {
    let mut notes = place.open(toy);
    let report = place.add(&mut notes, toy);
    assert_eq!(report.skipped, [], "nothing is skipped");
    let checked = notes.verify().expect("verifies");
    assert!(checked.ok && checked.stale.is_empty(), "{checked:?}");
    search(&mut notes, query, toy).swap_remove(0)
}

#[test]
fn html_points_at_its_source() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let page = "<!doctype html><title>x</title>\n<h1>Birds</h1>\n<p>Herons &amp; storks <b>stand</b>\nin water.</p>\n<h2>Trees</h2><p>Birches have white bark.</p>";
    place.write("a.html", page);
    let hit = first(&place, &mut toy, "herons storks stand");
    assert!(
        hit.text.contains("Herons & storks stand in water."),
        "{hit:?}"
    );
    let source = String::from_utf8(bytes_of(&hit)).expect("text");
    assert!(
        source.contains("Herons &amp; storks <b>stand</b>"),
        "{source}"
    );
    assert!(!source.contains("<title>"), "{source}");
    assert_eq!(
        (hit.position.span, hit.position.line),
        (Span::Covering, Some(2))
    );
    assert_eq!(hit.heading, "Birds");
}

#[test]
fn plain_text_knows_its_line() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write(
        "a.md",
        "# A\n\nIntroduction.\n\n# B\n\nHerons stand in shallow water.\n"
            .replace("Introduction.", &"Words go on. ".repeat(80)),
    );
    let hit = first(&place, &mut toy, "herons shallow");
    assert_eq!(hit.position.span, Span::Exact);
    let file = std::fs::read_to_string(&hit.path).expect("reads");
    let line = file[..hit.start].matches('\n').count() + 1;
    assert_eq!(hit.position.line, u32::try_from(line).ok());
}

#[test]
fn legacy_encodings_point_at_their_bytes() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write(
        "latin.txt",
        b"Der Fischreiher steht im seichten Wasser. Er f\xe4ngt Fr\xf6sche, gr\xfc\xdft niemanden.",
    );
    let mut utf16 = vec![0xff, 0xfe];
    "Ptaki.\n\nŻuraw tańczy na łące."
        .encode_utf16()
        .for_each(|unit| utf16.extend(unit.to_le_bytes()));
    place.write("wide.txt", utf16);
    let hit = first(&place, &mut toy, "fischreiher wasser");
    assert!(hit.text.contains("fängt Frösche, grüßt"), "{hit:?}");
    assert!(bytes_of(&hit).ends_with(b"gr\xfc\xdft niemanden."));
    assert_eq!(hit.position.span, Span::Covering);
    let hit = first(&place, &mut toy, "żuraw tańczy");
    assert!(hit.text.contains("Żuraw tańczy na łące."), "{hit:?}");
    let units: Vec<u16> = bytes_of(&hit)
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    assert_eq!(
        String::from_utf16(&units).expect("whole characters"),
        hit.text
    );
    let notes = place.open(&toy);
    let encodings: Vec<String> = notes
        .documents()
        .expect("lists")
        .into_iter()
        .map(|d| d.encoding)
        .collect();
    assert_eq!(encodings, ["windows-1252", "UTF-16LE"]);
}

#[test]
fn rows_are_found_one_by_one() {
    let (place, mut toy) = (Place::new(), Toy::new());
    place.write(
        "people.csv",
        "name,city,note\r\nAda,Berlin,\"likes herons,\r\nand storks\"\r\nBob,Oslo,likes salmon\r\n",
    );
    place.write("log.jsonl", "{\"event\": \"heron seen\", \"where\": {\"lake\": \"Müritz\"}}\n{\"event\": \"salmon caught\"}\n");
    let hit = first(&place, &mut toy, "which city likes salmon Oslo");
    assert_eq!(hit.text, "name: Bob\ncity: Oslo\nnote: likes salmon");
    assert_eq!(bytes_of(&hit), b"Bob,Oslo,likes salmon");
    assert_eq!(hit.position.line, Some(4));
    let hit = first(&place, &mut toy, "event heron seen where lake Müritz");
    assert_eq!(hit.text, "event: heron seen\nwhere.lake: Müritz");
    assert!(bytes_of(&hit).starts_with(b"{\"event\": \"heron seen\""));
    assert_eq!(
        (hit.position.line, hit.position.span),
        (Some(1), Span::Covering)
    );
}

#[test]
fn code_is_found_under_its_definitions() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let body = "        let water = shallow(); // waits and waits for fish\n".repeat(14);
    let code = format!(
        "impl Heron {{\n    fn stand(&self) {{\n{body}    }}\n\n    fn catch(&self) -> Salmon {{\n{body}        Salmon::caught()\n    }}\n}}\n"
    );
    place.write("heron.rs", code);
    let hit = first(&place, &mut toy, "catch Salmon caught");
    assert!(hit.heading.starts_with("impl Heron > fn catch"), "{hit:?}");
    assert_eq!(
        (bytes_of(&hit), hit.position.span),
        (hit.text.clone().into_bytes(), Span::Exact)
    );
}

/// A PDF of one page for each text, uncompressed.
pub fn pdf(pages: &[&str]) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: Vec<String> = (0..pages.len())
        .map(|n| format!("{} 0 R", 4 + 2 * n))
        .collect();
    objects.push(format!(
        "<< /Type /Pages /Kids [{}] /Count {} >>",
        kids.join(" "),
        pages.len()
    ));
    objects.push(
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    );
    for (n, text) in pages.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * n
        ));
        let stream = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
        objects.push(format!(
            "<< /Length {} >>\nstream\n{stream}\nendstream",
            stream.len()
        ));
    }
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", n + 1).expect("writes");
    }
    let xref = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).expect("writes");
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").expect("writes");
    }
    write!(
        file,
        "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n",
        objects.len() + 1
    )
    .expect("writes");
    file
}

#[test]
fn a_pdf_names_the_page() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let long = "Herons stand in shallow water and wait for fish. ".repeat(16);
    place.write(
        "birds.pdf",
        pdf(&[&long, "Storks nest on chimneys of old houses."]),
    );
    let hit = first(&place, &mut toy, "storks chimneys houses");
    assert!(hit.text.contains("Storks nest on chimneys"), "{hit:?}");
    assert_eq!(
        (hit.position.page, hit.position.span),
        (Some(2), Span::Extracted)
    );
}

/// A DOCX whose document is `xml`.
pub fn docx(xml: &[u8]) -> Vec<u8> {
    let mut package = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    package
        .start_file("word/document.xml", options)
        .expect("begins");
    package.write_all(xml).expect("writes");
    package.finish().expect("ends").into_inner()
}

#[test]
fn a_docx_names_heading_and_paragraph() {
    let (place, mut toy) = (Place::new(), Toy::new());
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="w"><w:body>
        <w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Birds</w:t></w:r></w:p>
        <w:p><w:r><w:t xml:space="preserve">Herons &amp; </w:t></w:r><w:r><w:t>storks stand.</w:t></w:r></w:p>
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>one</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>two</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
        </w:body></w:document>"#;
    place.write("a.docx", docx(xml.as_bytes()));
    let hit = first(&place, &mut toy, "herons storks");
    assert_eq!(hit.text, "Birds\n\nHerons & storks stand.\n\none | two");
    assert_eq!(
        (hit.heading.as_str(), hit.position.line),
        ("Birds", Some(1))
    );
    assert_eq!(hit.position.span, Span::Extracted);
}
