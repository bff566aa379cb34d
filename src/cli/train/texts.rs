//! The texts that an adapter is held to.

use unforget::Result;
use unforget::engine::Model;
use unforget::guard::suite::Suite;
use unforget::train::compute::Transformer;
use unforget::train::{LeftOut, Maker, Recipe, Replay, Screen, Source};

use super::job::Job;
use super::{data, screen};
use crate::cli::{interrupt, output, progress};

/// What the base says, unless training goes without.
pub fn replay(
    job: &Job,
    model: &Model,
    transformer: &Transformer,
    recipe: &Recipe,
) -> Result<Option<Replay>> {
    if recipe.replay == 0 || recipe.kl == 0.0 {
        output::warn("training without replay: nothing holds the adapter to what the base knows");
        return Ok(None);
    }
    let mut sources = vec![Source::Prompts, Source::Openings];
    if let Some(path) = &job.args.general {
        sources.push(Source::General(data::general(path)?));
    }
    let suite = Suite::builtin()?;
    let folder = job.context.home.cache().join("replay");
    let maker = Maker {
        model,
        transformer,
        folder: &folder,
        screen: Screen {
            sha256: suite.sha256(),
            objections: &|texts| screen::objections(&suite, texts),
        },
        cancel: &interrupt::token(),
    };
    let bar = progress::items(0);
    bar.set_message("replay");
    let made = maker.replay(&sources, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let mut replay = made?;
    let n = replay.rows.len();
    replay.rows.retain(|row| row.tokens.len() <= recipe.seq_len);
    say(&replay.left_out, n, n - replay.rows.len());
    Ok(Some(replay))
}

/// What is not replayed, where there is more to it than texts that are of no use.
fn say(left_out: &LeftOut, n: usize, too_long: usize) {
    let reasons = [
        (
            left_out.personal,
            "hold what looks like personal data or keys",
        ),
        (left_out.suite, "hold words of the guard's suites"),
        (too_long, "are longer than --seq-len"),
    ];
    let said: Vec<String> = (reasons.iter())
        .filter(|(n, _)| *n > 0)
        .map(|(n, reason)| format!("{n} {reason}"))
        .collect();
    if !said.is_empty() {
        let all = n + left_out.total();
        output::note(&format!(
            "of {all} texts to replay, {}; they are left out",
            said.join(", ")
        ));
    }
}
