//! The chat: `unforget run` without a prompt. Each stack of adapters has a session that keeps what it has computed, so
//! a turn computes only what is new, also after going back to adapters used before.

use std::process::ExitCode;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use unforget::collections;
use unforget::engine::{
    AdapterStack, ChatMessage, Demand, GenerateOptions, MemoryNeeds, PoolLimits, SessionPool,
};
use unforget::rag::{self, AskOptions, Collection, EngineEmbedder};
use unforget::registry::Registry;
use unforget::{Error, Result};

use super::answer::summary;
use super::memory::{self, LimitArgs};
use super::options::{GenerateArgs, ModelArgs, SessionArgs};
use super::prefix_cache::CacheArgs;
use super::resolve::{self, AdapterRequest, Resolved};
use super::{Context, ask, interrupt, output};

const HELP: &str = "\
/adapter              show the adapters in use
/adapter NAME[=SCALE] add one, or change its scale; NAME=SCALE:lines[:FIRST] rises with depth
/adapter -NAME        take one off; /adapter none takes off all
/scale NAME SCALE     change the scale of one in use
/docs                 show the collection in use
/docs NAME            answer from a collection; /docs none stops it
/clear                forget the conversation
/exit                 leave (also Ctrl-D)
Ctrl-C stops an answer.";

/// What `unforget run` hands over.
pub struct Args {
    pub docs: Option<String>,
    pub system: Option<String>,
    pub model: ModelArgs,
    pub session: SessionArgs,
    pub limit: LimitArgs,
    pub cache: CacheArgs,
    pub generate: GenerateArgs,
}

/// A line that the person typed.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Say(&'a str),
    Help,
    Adapter(&'a str),
    Scale(&'a str),
    Docs(&'a str),
    Clear,
    Exit,
    Unknown(&'a str),
}

fn parse(line: &str) -> Line<'_> {
    let line = line.trim();
    let Some(command) = line.strip_prefix('/') else {
        return Line::Say(line);
    };
    let (name, rest) = command
        .split_once(char::is_whitespace)
        .unwrap_or((command, ""));
    let rest = rest.trim();
    match name {
        "help" | "?" => Line::Help,
        "adapter" => Line::Adapter(rest),
        "scale" => Line::Scale(rest),
        "docs" => Line::Docs(rest),
        "clear" => Line::Clear,
        "exit" | "quit" => Line::Exit,
        other => Line::Unknown(other),
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    let mut chat = Chat::open(args, context)?;
    let mut editor = DefaultEditor::new().map_err(terminal_error)?;
    output::note(&format!(
        "{} is ready; /help lists the commands",
        chat.resolved.model.name()
    ));
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            // Ctrl-C at the prompt drops the line, as in a shell.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(terminal_error(error)),
        };
        // History is a convenience: a line that cannot be kept is no reason to stop.
        let _ = editor.add_history_entry(&line);
        if matches!(parse(&line), Line::Exit) {
            return Ok(ExitCode::SUCCESS);
        }
        match chat.take(&line) {
            Ok(()) => {}
            Err(error @ Error::Io(_)) => return Err(error),
            // A wrong name or a full context is no reason to lose the conversation.
            Err(error) => output::print_error(&error),
        }
    }
}

fn terminal_error(error: ReadlineError) -> Error {
    Error::Io(std::io::Error::other(error))
}

struct Documents {
    name: String,
    collection: Collection,
    embedder: EngineEmbedder,
}

struct Chat<'a> {
    context: &'a Context,
    registry: Registry,
    resolved: Resolved,
    sessions: SessionPool,
    args: Args,
    options: GenerateOptions,
    messages: Vec<ChatMessage>,
    documents: Option<Documents>,
}

impl<'a> Chat<'a> {
    fn open(args: Args, context: &'a Context) -> Result<Self> {
        let asked = args.cache.add_to(args.session.resolve(), &context.home);
        let has_documents = args.docs.is_some();
        let demand = |needs: &MemoryNeeds, registry: &Registry| {
            let demand = Demand::of_session(&asked, needs.default_n_ctx());
            let beside_bytes = match has_documents {
                true => resolve::memory_of_search(registry, None)?,
                false => 0,
            };
            Ok(Demand {
                beside_bytes,
                ..demand
            })
        };
        let (resolved, fitted) =
            memory::open_within(&args.model, &args.limit, &context.home, demand)?;
        let (sizes, limits) = match fitted {
            // One session is what was counted.
            Some(fitted) => (
                fitted.within(asked),
                PoolLimits {
                    sessions: 1,
                    ..PoolLimits::default()
                },
            ),
            None => (asked, PoolLimits::default()),
        };
        let mut sessions = SessionPool::new(&resolved.model, sizes, limits)?;
        // Memory that cannot be had is better known now than after the first line.
        sessions.session(&resolved.stack)?;
        let mut chat = Self {
            context,
            registry: Registry::open(&context.home)?,
            options: args.generate.resolve()?,
            resolved,
            sessions,
            messages: Vec::new(),
            documents: None,
            args,
        };
        chat.clear();
        if let Some(name) = chat.args.docs.clone() {
            chat.use_documents(&name)?;
        }
        Ok(chat)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        match parse(line) {
            Line::Say("") | Line::Exit => Ok(()),
            Line::Say(text) => self.say(text),
            Line::Help => {
                output::note(HELP);
                Ok(())
            }
            Line::Clear => {
                self.clear();
                Ok(())
            }
            Line::Adapter(text) => self.adapter(text),
            Line::Scale(text) => self.scale(text),
            Line::Docs(text) => self.docs(text),
            Line::Unknown(name) => {
                output::note(&format!("unknown command /{name}; /help lists them"));
                Ok(())
            }
        }
    }

    fn clear(&mut self) {
        self.messages = self
            .args
            .system
            .clone()
            .map(ChatMessage::system)
            .into_iter()
            .collect();
    }

    fn say(&mut self, text: &str) -> Result<()> {
        // A Ctrl-C that stopped the last answer is not meant for this one.
        interrupt::token().reset();
        if self.documents.is_some() {
            return self.ask(text);
        }
        self.messages.push(ChatMessage::user(text));
        match self.answer() {
            Ok(answer) => {
                self.messages.push(ChatMessage::assistant(answer));
                Ok(())
            }
            Err(error) => {
                self.messages.pop();
                Err(error)
            }
        }
    }

    fn answer(&mut self) -> Result<String> {
        let model = &self.resolved.model;
        let tokens = model.tokenize_chat(&self.messages)?;
        let session = self.sessions.session(&self.resolved.stack)?;
        let mut generation = session.generate(&tokens, &self.options)?;
        for piece in &mut generation {
            self.context.output.piece(&piece?)?;
        }
        let outcome = generation.finish();
        self.context.output.piece("\n")?;
        output::note(&summary(&outcome));
        Ok(outcome.text)
    }

    fn ask(&mut self, question: &str) -> Result<()> {
        let Some(documents) = &mut self.documents else {
            return Ok(());
        };
        let options = AskOptions {
            generate: self.options.clone(),
            ..AskOptions::default()
        };
        let answer = rag::ask(
            question,
            &mut documents.collection,
            &mut documents.embedder,
            self.sessions.session(&self.resolved.stack)?,
            &options,
        )?;
        self.context
            .output
            .result(&answer, |out| ask::print(out, &answer))?;
        output::note(&summary(&answer.outcome));
        Ok(())
    }

    fn adapter(&mut self, text: &str) -> Result<()> {
        match text {
            "" => {
                self.show_adapters();
                Ok(())
            }
            "none" => self.set_stack(Vec::new()),
            _ => match text.strip_prefix('-') {
                Some(name) => {
                    let kept = self.stack_without(name);
                    self.set_stack(kept)
                }
                None => self.add_adapter(text),
            },
        }
    }

    fn scale(&mut self, text: &str) -> Result<()> {
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [name, scale] if self.has_adapter(name) => self.add_adapter(&format!("{name}={scale}")),
            [name, _] => Err(Error::UnknownName {
                what: "adapter in use",
                name: name.to_owned(),
                nearest: None,
            }),
            _ => {
                output::note("/scale takes the name of an adapter in use and a number");
                Ok(())
            }
        }
    }

    fn add_adapter(&mut self, text: &str) -> Result<()> {
        let request = AdapterRequest::parse(text)?;
        let (adapter, scale, trust) = resolve::open_adapter(
            &request,
            self.args.model.force,
            &self.resolved.model,
            &self.registry,
        )?;
        let mut entries = self.stack_without(adapter.name());
        entries.push(((adapter, scale), trust));
        self.set_stack(entries)
    }

    fn has_adapter(&self, name: &str) -> bool {
        self.resolved
            .stack
            .iter()
            .any(|(adapter, _)| adapter.name() == name)
    }

    fn stack_without(&self, name: &str) -> Vec<StackEntry> {
        self.resolved
            .stack
            .iter()
            .map(|(adapter, scale)| (adapter.clone(), scale))
            .zip(self.resolved.trust.iter().copied())
            .filter(|((adapter, _), _)| adapter.name() != name)
            .collect()
    }

    fn set_stack(&mut self, entries: Vec<StackEntry>) -> Result<()> {
        let mut stack = AdapterStack::base();
        let mut trusts = Vec::new();
        for ((adapter, scale), trust) in entries {
            stack.push(adapter, scale)?;
            trusts.push(trust);
        }
        self.sessions.session(&stack)?;
        self.resolved.stack = stack;
        self.resolved.trust = trusts;
        self.show_adapters();
        Ok(())
    }

    fn show_adapters(&self) {
        if self.resolved.stack.is_empty() {
            output::note("no adapter: the base alone");
        }
        for ((adapter, scale), trust) in self.resolved.stack.iter().zip(&self.resolved.trust) {
            let state = trust.state;
            output::note(&format!(
                "{} at scale {scale}, {} ({state})",
                adapter.name(),
                adapter.profile()
            ));
        }
    }

    fn docs(&mut self, name: &str) -> Result<()> {
        match name {
            "" => {}
            "none" => self.documents = None,
            name => self.use_documents(name)?,
        }
        output::note(&match &self.documents {
            Some(documents) => format!("answering from collection '{}'", documents.name),
            None => "no documents: the model answers by itself".to_owned(),
        });
        Ok(())
    }

    fn use_documents(&mut self, name: &str) -> Result<()> {
        let is_counted = self.args.docs.is_some() || self.args.limit.memory_limit.is_none();
        if !is_counted {
            return Err(Error::InvalidArgument {
                what: "/docs",
                value: name.to_owned(),
                expected: "--docs at the start, where memory is limited: an embedder takes some"
                    .to_owned(),
            });
        }
        self.documents = Some(Documents {
            name: name.to_owned(),
            collection: collections::open(&self.context.home, name)?,
            embedder: resolve::open_embedder(
                &self.registry,
                self.args.model.gpu_layers.beside(),
                &self.args.session.resolve(),
            )?,
        });
        Ok(())
    }
}

type StackEntry = ((unforget::engine::Adapter, f32), resolve::Trust);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_text() {
        assert_eq!(parse("  hello /there "), Line::Say("hello /there"));
        assert_eq!(parse("/adapter a=0.5 "), Line::Adapter("a=0.5"));
        assert_eq!(parse("/scale a 2"), Line::Scale("a 2"));
        assert_eq!(parse("/exit"), Line::Exit);
        assert_eq!(parse("/wat now"), Line::Unknown("wat"));
    }
}
