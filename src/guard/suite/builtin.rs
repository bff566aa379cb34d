//! The suites that are part of the program, from `models/suites/`.

macro_rules! suite {
    ($name:literal, $ending:literal) => {
        (
            $name,
            include_str!(concat!("../../../models/suites/", $name, $ending)),
        )
    };
}

/// Groups, the telling ones first: careless tuning shows in free answers before it shows anywhere else.
pub const GROUPS: [(&str, &str); 9] = [
    suite!("general_prompts", ".jsonl"),
    suite!("facts_cloze", ".jsonl"),
    suite!("arithmetic", ".jsonl"),
    suite!("world_knowledge", ".jsonl"),
    suite!("commonsense", ".jsonl"),
    suite!("reasoning", ".jsonl"),
    suite!("language", ".jsonl"),
    suite!("safety_honesty", ".jsonl"),
    suite!("code_format", ".jsonl"),
];

/// Natural texts.
pub const TEXTS: [(&str, &str); 1] = [suite!("prose", ".txt")];
