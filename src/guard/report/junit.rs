//! JUnit XML, which every pipeline reads: a test case for each rule.
//!
//! A blocking rule that failed is a failure, an undecided one an error; what is not judged is skipped. A rule that only
//! warns passes and says so.

use super::super::budget::Action;
use super::super::certificate::Certificate;
use super::super::verdict::{GroupResult, Verdict};
use super::escape::xml;
use super::{ruled, seal, subject};

/// The report as JUnit XML.
#[must_use]
pub fn render(certificate: &Certificate) -> String {
    let body = certificate.body();
    let outcome = &body.outcome;
    let cases: Vec<Case> = ruled(body).into_iter().map(Case::of).collect();
    let count = |is: fn(&Case) -> bool| cases.iter().filter(|case| is(case)).count();
    // The verdict itself is a case: it may be open without any rule being so.
    let whole = Case {
        group: "guard".to_owned(),
        name: "verdict".to_owned(),
        state: state(Some(outcome.verdict), Action::Block),
        reason: outcome.reason.clone(),
    };
    let failures =
        count(|case| case.state == State::Failed) + usize::from(whole.state == State::Failed);
    let errors = count(|case| case.state == State::Open) + usize::from(whole.state == State::Open);
    let skipped = count(|case| case.state == State::Skipped);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" \
         errors=\"{errors}\" skipped=\"{skipped}\" time=\"{:.3}\" timestamp=\"{}\">\n",
        xml(&subject(body)),
        cases.len() + 1,
        outcome.seconds,
        xml(body.created.trim_end_matches('Z')),
    );
    for case in [whole].iter().chain(&cases) {
        text.push_str(&case.render());
    }
    text.push_str(&format!(
        "  <system-out>{}</system-out>\n</testsuite>\n",
        xml(&seal(certificate))
    ));
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Passed,
    Warned,
    Failed,
    Open,
    Skipped,
}

struct Case {
    group: String,
    name: String,
    state: State,
    reason: String,
}

const fn state(verdict: Option<Verdict>, action: Action) -> State {
    match (verdict, action) {
        (None, _) => State::Skipped,
        (Some(Verdict::Pass), _) => State::Passed,
        (Some(Verdict::Fail), Action::Block) => State::Failed,
        (Some(Verdict::Undecided), Action::Block) => State::Open,
        (Some(_), _) => State::Warned,
    }
}

impl Case {
    fn of(row: &GroupResult) -> Self {
        Self {
            group: row.title(),
            name: row.metric.to_string(),
            state: state(row.verdict, row.action),
            reason: row.reason.clone(),
        }
    }

    fn render(&self) -> String {
        let reason = xml(&self.reason);
        let inside = match self.state {
            State::Passed => format!("<system-out>{reason}</system-out>"),
            State::Warned => format!("<system-out>warning: {reason}</system-out>"),
            State::Failed => format!("<failure message=\"{reason}\"/>"),
            State::Open => format!("<error message=\"{reason}\"/>"),
            State::Skipped => format!("<skipped message=\"{reason}\"/>"),
        };
        let (group, name) = (xml(&self.group), xml(&self.name));
        format!("  <testcase classname=\"{group}\" name=\"{name}\">{inside}</testcase>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn counts_and_cases_agree() {
        let text = render(&Certificate::seal(&sample::body(), None).unwrap());
        let count = |word: &str| text.matches(word).count().to_string();
        let attribute = |name: &str| {
            let after = text.split_once(&format!(" {name}=\"")).unwrap().1;
            after.split_once('"').unwrap().0.to_owned()
        };
        assert_eq!(attribute("tests"), count("<testcase "));
        assert_eq!(attribute("failures"), count("<failure "));
        assert_eq!(attribute("errors"), count("<error "));
        assert_eq!(attribute("skipped"), count("<skipped "));
        assert_eq!(attribute("failures"), "4");
        assert_eq!(attribute("skipped"), "1");
        assert!(!text.contains("<script"), "{text}");
    }

    #[test]
    fn an_open_verdict_is_an_error_never_a_pass() {
        let mut body = sample::body();
        body.outcome.groups.clear();
        body.outcome.verdict = Verdict::Undecided;
        let text = render(&Certificate::seal(&body, None).unwrap());
        assert!(
            text.contains("tests=\"1\" failures=\"0\" errors=\"1\""),
            "{text}"
        );
    }
}
