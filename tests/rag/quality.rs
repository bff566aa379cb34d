//! Search over the demo documents finds what it should. The toy embedder knows words only, so this is a floor under
//! chunking, keywords and fusion together; MiniLM's figures come from `unforget docs eval`.

use std::path::Path;

use unforget::rag::{SearchMode, cite};

use crate::toy::{Place, Toy, add, pointed_at, search_by};

/// Question, file, and words that the passage has to hold.
const QUESTIONS: [(&str, &str, &str); 14] = [
    (
        "Who was named Super Bowl MVP?",
        "super-bowl-50.md",
        "Von Miller was named Super Bowl MVP",
    ),
    (
        "Who sang the national anthem?",
        "super-bowl-50.md",
        "Lady Gaga",
    ),
    (
        "What base rate did CBS set for a 30-second advertisement?",
        "super-bowl-50.md",
        "$5,000,000",
    ),
    (
        "Where was Maria Skłodowska-Curie born?",
        "warsaw.md",
        "Maria Skłodowska-Curie",
    ),
    (
        "What is the mayor of Warsaw called?",
        "warsaw.md",
        "is called President",
    ),
    (
        "When was the first stock exchange established?",
        "warsaw.md",
        "1817",
    ),
    (
        "What nationality was Nikola Tesla?",
        "nikola-tesla.md",
        "Serbian American",
    ),
    (
        "Who won the bid to light the World's Columbian Exposition?",
        "nikola-tesla.md",
        "George Westinghouse",
    ),
    (
        "Is oxygen more soluble in water than nitrogen?",
        "oxygen.md",
        "more soluble in water",
    ),
    (
        "What is the most abundant chemical element by mass?",
        "oxygen.md",
        "most abundant chemical element",
    ),
    (
        "What was the first commercial steam-powered device?",
        "steam-engine.md",
        "water pump",
    ),
    (
        "How many insect species live in the rainforest?",
        "amazon-rainforest.txt",
        "2.5 million insect species",
    ),
    ("When was Temüjin born?", "genghis-khan.txt", "1162"),
    (
        "What code governed the Mongol Empire?",
        "genghis-khan.txt",
        "Yassa",
    ),
];

#[test]
fn demo_documents_answer_their_questions() {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/documents");
    let (place, mut toy) = (Place::new(), Toy::named("wide", 1024));
    let mut notes = place.open(&toy);
    let report = add(&mut notes, &[documents], &mut toy).expect("adds");
    assert!(report.skipped.is_empty() && report.added >= 6, "{report:?}");
    assert!(notes.verify().expect("verifies").ok);
    for (mode, first_at_least) in [
        (SearchMode::Hybrid, 12),
        (SearchMode::Keyword, 12),
        (SearchMode::Dense, 9),
    ] {
        let mut first = 0;
        let mut missing = Vec::new();
        for (question, file, words) in QUESTIONS {
            let hits = search_by(mode, &mut notes, question, &mut toy);
            let holds =
                |hit: &unforget::rag::Hit| hit.path.ends_with(file) && hit.text.contains(words);
            first += usize::from(hits.first().is_some_and(holds));
            if !hits.iter().any(holds) {
                missing.push(question);
            }
            for hit in &hits {
                assert_eq!(pointed_at(hit), hit.text);
            }
        }
        assert!(
            first >= first_at_least,
            "{mode:?}: {first} of {} first",
            QUESTIONS.len()
        );
        assert!(
            missing.is_empty() || mode == SearchMode::Dense,
            "{mode:?}: {missing:?}"
        );
    }
}

/// From the question to the bytes in the file that support the answer.
#[test]
fn an_answer_is_cited_to_the_sentence() {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/documents");
    let (place, mut toy) = (Place::new(), Toy::named("wide", 1024));
    let mut notes = place.open(&toy);
    add(&mut notes, &[documents], &mut toy).expect("adds");
    let question = "Who was named Super Bowl MVP?";
    let hits = search_by(SearchMode::Hybrid, &mut notes, question, &mut toy);
    let count = |text: &str| text.split_whitespace().count();
    let prompt = unforget::rag::build_prompt(
        question,
        &hits,
        unforget::rag::AnswerStyle::default(),
        400,
        &count,
    );
    let cited = cite("The Super Bowl 50 MVP was Von Miller.", &prompt.passages);
    assert!(cited.grounded, "{cited:?}");
    let citation = &cited.citations[0];
    assert!(
        citation
            .text
            .starts_with("Denver linebacker Von Miller was named Super Bowl MVP"),
        "{citation:?}"
    );
    let file = std::fs::read(&citation.path).expect("reads");
    assert_eq!(
        &file[citation.start..citation.end],
        citation.text.as_bytes()
    );
}
