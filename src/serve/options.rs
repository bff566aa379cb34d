//! How a server is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::limits::Limits;
use crate::engine::SchedulerOptions;
use crate::error::{Error, Result};

/// Port where none is given: llama-server's, so that clients find it.
const DEFAULT_PORT: u16 = 8080;

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where to listen; port 0 takes any free one.
    pub address: SocketAddr,
    /// What clients have to send as `Authorization: Bearer`. Needed for any address but loopback.
    pub api_key: Option<String>,
    /// Names that the `Host` header may give besides those of this machine's loopback.
    pub allowed_hosts: Vec<String>,
    /// Folder from which adapters may be loaded by request; without one that is off.
    pub lora_folder: Option<PathBuf>,
    /// Whether adapters may be used against what the guard says.
    pub force: bool,
    /// Jinja source to use in place of the model's own chat template.
    pub chat_template: Option<String>,
    /// What is refused.
    pub limits: Limits,
    /// How much is computed at once.
    pub scheduler: SchedulerOptions,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
            api_key: None,
            allowed_hosts: Vec::new(),
            lora_folder: None,
            force: false,
            chat_template: None,
            limits: Limits::default(),
            scheduler: SchedulerOptions::default(),
        }
    }
}

impl ServeOptions {
    /// Fails for an address that others can reach while nothing keeps them out.
    pub(super) fn check(&self) -> Result<()> {
        let key = self.api_key.as_deref();
        if key.is_some_and(|key| key.is_empty() || !key.is_ascii()) {
            return Err(Error::InvalidArgument {
                what: "--api-key",
                value: String::new(),
                expected: "at least one ASCII character".to_owned(),
            });
        }
        if !self.address.ip().is_loopback() && key.is_none() {
            return Err(Error::InvalidArgument {
                what: "--host",
                value: self.address.ip().to_string(),
                expected: "127.0.0.1 or ::1, or else an API key (--api-key), since others could use this model, these \
                           adapters and these documents"
                    .to_owned(),
            });
        }
        Ok(())
    }
}
