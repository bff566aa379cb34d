//! Answers and the bytes that support them.

use proptest::prelude::*;
use unforget::rag::{NOTHING_FOUND, Passage, cite, cite_by_meaning, relevant};

use crate::prompt::hit;
use crate::toy::Toy;

const GAME: &str = "Super Bowl 50 was played on February 7, 2016, at Levi's Stadium. The Denver Broncos defeated the \
    Carolina Panthers 24–10. Denver linebacker Von Miller was named Super Bowl MVP, recording five solo tackles.";
const CITY: &str = "Warsaw lies on the Vistula. The mayor of Warsaw is called President. Its first stock exchange was \
    established in 1817.";

fn passages() -> Vec<Passage> {
    let hits = [hit(7, 100, GAME), hit(8, 0, CITY)];
    (1..)
        .zip(hits)
        .map(|(n, hit)| Passage::new(n, hit))
        .collect()
}

#[test]
fn an_answer_without_numbers_gets_them() {
    let cited = cite("Von Miller was named the Super Bowl MVP.", &passages());
    assert_eq!(cited.text, "Von Miller was named the Super Bowl MVP. [1]");
    assert!(cited.grounded);
    let [citation] = &cited.citations[..] else {
        panic!("{cited:?}");
    };
    assert_eq!((citation.n, citation.document), (1, 7));
    assert_eq!(
        citation.text,
        &GAME[GAME.find("Denver linebacker").expect("there")..]
    );
    assert_eq!(
        &GAME[citation.start - 100..citation.end - 100],
        citation.text
    );
}

#[test]
fn each_sentence_has_its_own_source() {
    let answer =
        "The Broncos defeated the Panthers 24–10. The mayor of Warsaw is called President.";
    let cited = cite(answer, &passages());
    let expected =
        "The Broncos defeated the Panthers 24–10. [1] The mayor of Warsaw is called President. [2]";
    assert_eq!(cited.text, expected);
    assert!(cited.grounded);
    assert_eq!(
        cited.citations[1].text,
        "The mayor of Warsaw is called President."
    );
}

#[test]
fn numbers_of_the_model_are_kept_or_dropped() {
    let cited = cite(
        "Von Miller was named MVP [1]. Warsaw lies on the Vistula. [9] [2, 7]",
        &passages(),
    );
    assert_eq!(
        cited.text,
        "Von Miller was named MVP. [1] Warsaw lies on the Vistula. [2]"
    );
    assert!(cited.grounded);
    let invented = cite("The moon is made of cheese [3].", &passages());
    assert_eq!(invented.text, "The moon is made of cheese.");
    assert!(invented.citations.is_empty() && !invented.grounded);
    let wrong = cite("The moon is made of cheese [2].", &passages());
    assert_eq!(wrong.text, "The moon is made of cheese. [2]");
    assert_eq!(
        wrong.citations[0].text, CITY,
        "as the model said, but not grounded"
    );
    assert!(!wrong.grounded);
}

#[test]
fn a_wrong_number_is_not_supported() {
    for answer in [
        "The stock exchange was established in 1871.",
        "Super Bowl 50 was played on February 8, 2016.",
    ] {
        let cited = cite(answer, &passages());
        assert!(!cited.grounded && cited.citations.is_empty(), "{cited:?}");
    }
    assert!(cite("The stock exchange was established in 1817.", &passages()).grounded);
}

/// All but the name is in the passage, and the name is what matters.
#[test]
fn a_foreign_name_is_not_supported() {
    let cited = cite(
        "Linebacker Thomas Davis was named Super Bowl MVP.",
        &passages(),
    );
    assert!(!cited.grounded && cited.citations.is_empty(), "{cited:?}");
    assert!(
        cite(
            "Linebacker Von Miller was named Super Bowl MVP.",
            &passages()
        )
        .grounded
    );
    assert!(
        cite("Von Miller made 5 solo tackles.", &passages()).grounded,
        "five"
    );
}

#[test]
fn one_unsupported_sentence_is_enough() {
    let cited = cite(
        "Von Miller was named Super Bowl MVP. Elephants live in Africa.",
        &passages(),
    );
    assert_eq!(
        cited.text,
        "Von Miller was named Super Bowl MVP. [1] Elephants live in Africa."
    );
    assert!(!cited.grounded);
    assert_eq!(cited.citations.len(), 1);
}

#[test]
fn no_answer_is_not_grounded() {
    for answer in [
        "",
        "  ",
        "Yes.",
        NOTHING_FOUND,
        "Nothing in the documents answers this.",
    ] {
        let cited = cite(answer, &passages());
        assert_eq!(cited.text, answer.trim());
        assert!(!cited.grounded && cited.citations.is_empty(), "{answer}");
    }
    assert!(!cite("Von Miller was named MVP.", &[]).grounded);
}

#[test]
fn each_claim_is_scored() {
    let answer = "Von Miller was named the Super Bowl MVP. Elephants live in Africa. Yes.";
    let cited =
        cite_by_meaning(answer, &passages(), &mut Toy::named("wide", 1024)).expect("embeds");
    let [right, wrong] = &cited.claims[..] else {
        panic!("two sentences say something: {cited:?}");
    };
    assert_eq!(
        (right.passages.as_slice(), right.supported),
        (&[1][..], true)
    );
    assert_eq!(
        &cited.text[right.start..right.end],
        "Von Miller was named the Super Bowl MVP."
    );
    assert_eq!(
        &cited.text[wrong.start..wrong.end],
        "Elephants live in Africa."
    );
    assert!(!wrong.supported && wrong.passages.is_empty() && !cited.grounded);
    let cosine = |claim: &unforget::rag::Claim| claim.support.embedding.expect("a cosine");
    assert!(cosine(right) > cosine(wrong), "{cited:?}");
    assert_eq!(cite(answer, &passages()).claims[0].support.embedding, None);
}

/// Near in meaning is no excuse for a wrong number or name.
#[test]
fn meaning_does_not_overrule_a_wrong_number() {
    for answer in [
        "Its first stock exchange was established in 1871.",
        "Denver linebacker Thomas Davis was named Super Bowl MVP, recording five solo tackles.",
    ] {
        let cited =
            cite_by_meaning(answer, &passages(), &mut Toy::named("wide", 1024)).expect("embeds");
        assert!(cited.claims[0].support.embedding > Some(0.75), "{cited:?}");
        assert!(!cited.grounded, "{cited:?}");
    }
}

#[test]
fn relevance_is_the_best_cosine() {
    let mut hits = [hit(1, 0, "a"), hit(2, 0, "b")];
    (hits[0].score, hits[1].score) = (0.2, 0.4);
    assert!(relevant(&hits, 0.4) && !relevant(&hits, 0.41) && !relevant(&[], 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever a model writes: no panic, ranges inside of the passage, only numbers that exist, the same the second time.
    #[test]
    fn any_answer_is_taken(
        parts in prop::collection::vec(prop::sample::select(vec![
            "Von Miller was named MVP", "1817", "Warsaw", ". ", "! ", "[1]", "[2]", "[12]", "[1, 2]", "[", "]", "[]", "[x]", "\n",
            "\n- ", " ", "Łódź", "。", "\"", "(", ")", "the mayor", "24–10", "U.S.", "[citation needed]", "[001]",
        ]), 0..30),
    ) {
        let answer = parts.concat();
        let cited = cite(&answer, &passages());
        for citation in &cited.citations {
            let (base, text) = if citation.n == 1 { (100, GAME) } else { (0, CITY) };
            prop_assert_eq!(&text[citation.start - base..citation.end - base], &citation.text);
        }
        prop_assert!(!cited.text.contains("[12]"));
        let again = cite(&cited.text, &passages());
        prop_assert_eq!(again, cited);
    }
}
