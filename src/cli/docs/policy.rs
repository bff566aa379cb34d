//! `unforget docs policy`: what a collection may be used for.

use std::path::PathBuf;

use serde::Serialize;
use unforget::Result;
use unforget::collections;
use unforget::rag::Policy;

use super::CollectionArgs;
use crate::cli::Context;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget docs policy --to work                    show the policy of a collection\n  \
    unforget docs policy --to work --set policy.toml  make a file its policy\n  \
    unforget docs policy --check policy.toml          say what is wrong with a file\n\n\
A policy, all of it optional but the version:\n\n  \
    version = 1\n  \
    [sources]                        # patterns match the end of a path, or all of it\n  \
    allow = [\"handbook/**\", \"*.md\"]\n  \
    deny = [\"drafts/**\"]\n  \
    [freshness]\n  \
    max_age_days = 365\n  \
    newest_version_wins = true       # of rules-v1.md and rules-v2.md, only the second\n  \
    [[disclaimer]]\n  \
    text = \"This is no legal advice.\"\n  \
    topics = [\"contract\"]            # without topics: under every answer\n  \
    [[refuse]]\n  \
    topics = [\"salary\", \"what a colleague earns\"]\n  \
    reply = \"Please ask the personnel office.\"\n  \
    similarity = 0.45                # how near in meaning a question has to be")]
pub struct Args {
    #[command(flatten)]
    collection: CollectionArgs,

    /// Check this file and make it the collection's policy
    #[arg(long, value_name = "FILE", conflicts_with_all = ["remove", "check"])]
    set: Option<PathBuf>,

    /// Take the policy away
    #[arg(long, conflicts_with = "check")]
    remove: bool,

    /// Check this file and change nothing
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    path: Option<PathBuf>,
    rules: serde_json::Map<String, serde_json::Value>,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let policy = match args.check {
        Some(file) => Some(Policy::read(&file)?),
        None => {
            let collection = collections::open(&context.home, &args.collection.collection)?;
            if args.remove {
                collection.drop_policy()?;
            }
            match args.set {
                Some(file) => Some(collection.adopt_policy(&file)?),
                None => collection.policy()?,
            }
        }
    };
    let rules = policy.iter().flat_map(Policy::rules);
    let report = Report {
        rules: rules.map(|(kind, n)| (kind.to_owned(), n.into())).collect(),
        path: policy.as_ref().map(|policy| policy.path().to_owned()),
    };
    context.output.result(&report, |out| match &policy {
        None => writeln!(
            out,
            "no policy: every document may be quoted, and every question is answered"
        ),
        Some(policy) => {
            writeln!(out, "{}", policy.path().display())?;
            policy
                .rules()
                .iter()
                .try_for_each(|(kind, n)| writeln!(out, "  {kind}: {n}"))
        }
    })
}
