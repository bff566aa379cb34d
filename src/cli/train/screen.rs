//! Which texts of a replay must not be learnt from.

use unforget::Result;
use unforget::guard::check::rows_in_suite;
use unforget::guard::suite::Suite;
use unforget::rag::personal_data;
use unforget::train::Objection;

/// What is to be said against each text: it holds personal data or keys, or words that the guard measures by.
pub fn objections(suite: &Suite, texts: &[String]) -> Result<Vec<Option<Objection>>> {
    let personal = personal_data(texts.iter().map(String::as_str))?;
    let measured = rows_in_suite(suite, texts);
    let both = personal.into_iter().zip(measured);
    let objection = |(personal, measured): (std::collections::BTreeMap<_, _>, bool)| {
        if !personal.is_empty() {
            Some(Objection::Personal)
        } else {
            measured.then_some(Objection::Suite)
        }
    };
    Ok(both.map(objection).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_people_and_suites_are_seen() {
        let suite = Suite::builtin().unwrap();
        let prose = suite.texts()[0].text.split_whitespace();
        let prose: Vec<&str> = prose.skip(40).take(14).collect();
        let texts = [
            "Write to jane.roe@example.org".to_owned(),
            format!("It is said: {}.", prose.join(" ")),
            "Nothing of either kind".to_owned(),
        ];
        let found = objections(&suite, &texts).unwrap();
        assert_eq!(
            found,
            [Some(Objection::Personal), Some(Objection::Suite), None]
        );
    }
}
