//! `unforget serve`: OpenAI's API on this machine.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use unforget::engine::{MemoryNeeds, SchedulerOptions};
use unforget::registry::Registry;
use unforget::serve::{App, Limits, ServeOptions, Server};
use unforget::{Error, Result};

use super::memory::{self, LimitArgs, MemoryLimit};
use super::options::ModelArgs;
use super::{Context, interrupt, output, resolve};

/// Serve OpenAI's API on this machine, with adapters and documents in every request
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    unforget serve                                      at http://127.0.0.1:8080, for this machine alone\n  \
    unforget serve -m smollm2 --port 9000 --parallel 8\n  \
    UNFORGET_API_KEY=.. unforget serve --host 0.0.0.0   for others too, who need the key\n  \
    unforget serve --lora-dir ./loras                   adapters may be loaded from there by request\n\n  \
    curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n    \
      -d '{\"model\": \"smollm2::triage\", \"messages\": [{\"role\": \"user\", \"content\": \"My invoice is wrong.\"}]}'\n\n\
    Adapters are chosen by each request: in the model's name, with `adapter`, or with `lora`. Documents come with\n\
    `documents: {\"collection\": NAME}`. The API is described at /openapi.json.\n\
    Ctrl-C lets answers that are under way finish; a second one ends at once.")]
pub struct Args {
    /// Address to listen at; any but this machine's own needs --api-key
    #[arg(
        long,
        env = "UNFORGET_HOST",
        default_value = "127.0.0.1",
        value_name = "HOST"
    )]
    host: String,

    /// Port; 0 takes any free one, which the ready line names
    #[arg(
        long,
        env = "UNFORGET_PORT",
        default_value_t = 8080,
        value_name = "PORT"
    )]
    port: u16,

    /// Key that clients have to send as `Authorization: Bearer KEY`
    #[arg(
        long,
        env = "UNFORGET_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    api_key: Option<String>,

    /// Name that clients may use for this host, besides localhost; repeat it for several
    #[arg(
        long = "allow-host",
        env = "UNFORGET_ALLOW_HOST",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    allowed_hosts: Vec<String>,

    /// Folder from which adapters may be loaded by request; off without it
    #[arg(long = "lora-dir", env = "UNFORGET_LORA_DIR", value_name = "DIR")]
    lora_folder: Option<PathBuf>,

    /// Jinja chat template to use in place of the model's own
    #[arg(long, env = "UNFORGET_CHAT_TEMPLATE", value_name = "FILE")]
    chat_template: Option<PathBuf>,

    /// Requests that are computed together under one stack of adapters
    #[arg(long, visible_alias = "np", env = "UNFORGET_PARALLEL", default_value_t = 16, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=128))]
    parallel: u32,

    /// Requests that are computed or wait; more are answered with 429
    #[arg(
        long,
        env = "UNFORGET_MAX_REQUESTS",
        default_value_t = 64,
        value_name = "N"
    )]
    max_requests: usize,

    /// Connections at once
    #[arg(
        long,
        env = "UNFORGET_MAX_CONNECTIONS",
        default_value_t = 1024,
        value_name = "N"
    )]
    max_connections: usize,

    /// Seconds that a whole answer may take
    #[arg(
        long,
        env = "UNFORGET_TIMEOUT",
        default_value_t = 600,
        value_name = "SECONDS"
    )]
    timeout: u64,

    /// Tokens of KV cache for one stack of adapters [default: 512 for each parallel request]
    #[arg(long, env = "UNFORGET_KV_TOKENS", value_name = "N")]
    kv_tokens: Option<u32>,

    /// Stacks of adapters that have their own KV cache at once
    #[arg(
        long,
        env = "UNFORGET_MAX_STACKS",
        default_value_t = 4,
        value_name = "N"
    )]
    max_stacks: usize,

    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: super::options::SessionArgs,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    cache: super::prefix_cache::CacheArgs,
}

/// What `--json` prints when the server is ready.
#[derive(Serialize)]
struct Ready {
    address: String,
    url: String,
    model: String,
    pid: u32,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    if let Some(adapter) = args.model.adapters.first() {
        return Err(Error::InvalidArgument {
            what: "--adapter",
            value: adapter.clone(),
            expected: "none: each request names its adapters".to_owned(),
        });
    }
    let mut options = options(&args, context)?;
    let demand = |needs: &MemoryNeeds, registry: &Registry| {
        // Whoever has no embedder asks for no documents.
        let beside_bytes = match resolve::memory_of_search(registry, None) {
            Err(Error::NothingInstalled { .. }) => 0,
            bytes => bytes?,
        };
        Ok(options.scheduler.demand(needs, beside_bytes))
    };
    let (resolved, fitted) = memory::open_within(&args.model, &args.limit, &context.home, demand)?;
    if let (Some(fitted), Some(MemoryLimit(limit))) = (fitted, args.limit.memory_limit) {
        options.scheduler = options.scheduler.within(limit, &fitted);
    }
    let model = resolved.model;
    let name = model.name().to_owned();
    let server = Server::bind(App::new(model, context.home.clone(), options)?)?;
    let address = server.address();
    let ready = Ready {
        address: address.to_string(),
        url: format!("http://{address}"),
        model: name,
        pid: std::process::id(),
    };
    if context.output.is_json() {
        context.output.result(&ready, |_| Ok(()))?;
    }
    output::note(&format!("ready: {} serves {}", ready.url, ready.model));
    server.run(&interrupt::token())?;
    output::note("stopped");
    Ok(ExitCode::SUCCESS)
}

fn options(args: &Args, context: &Context) -> Result<ServeOptions> {
    let session = args.cache.add_to(args.session.resolve(), &context.home);
    Ok(ServeOptions {
        address: address(&args.host, args.port)?,
        api_key: args.api_key.clone(),
        allowed_hosts: args.allowed_hosts.clone(),
        lora_folder: args.lora_folder.clone(),
        force: args.model.force,
        chat_template: args
            .chat_template
            .as_ref()
            .map(fs_err::read_to_string)
            .transpose()?,
        limits: Limits {
            max_requests: args.max_requests.max(1),
            max_connections: args.max_connections.max(1),
            timeout: Duration::from_secs(args.timeout.max(1)),
        },
        scheduler: SchedulerOptions {
            session,
            n_parallel: args.parallel,
            n_cells: args.kv_tokens,
            max_stacks: args.max_stacks.max(1),
            ..SchedulerOptions::default()
        },
    })
}

fn address(host: &str, port: u16) -> Result<SocketAddr> {
    let fail = |reason: String| Error::InvalidArgument {
        what: "--host",
        value: host.to_owned(),
        expected: format!("an address of this machine, such as 127.0.0.1{reason}"),
    };
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let mut found = (host, port)
        .to_socket_addrs()
        .map_err(|error| fail(format!(" ({error})")))?;
    found.next().ok_or_else(|| fail(String::new()))
}
