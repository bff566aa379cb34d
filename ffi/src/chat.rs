//! The messages of a chat: a builder.

use std::ffi::c_char;

use unforget::engine::{ChatMessage, Role};

use crate::boundary::call;
use crate::handle::{edit, free, give};
use crate::out::Out;
use crate::status::uf_status;
use crate::text;

/// For uf_chat_add: instructions for the whole chat; first, if there are any.
pub const UF_ROLE_SYSTEM: u32 = 0;
/// For uf_chat_add: what the person says.
pub const UF_ROLE_USER: u32 = 1;
/// For uf_chat_add: what the model said.
pub const UF_ROLE_ASSISTANT: u32 = 2;

/// Most messages of a chat: more than fit into any context.
const MAX_MESSAGES: usize = 100_000;

/// The messages of a chat, oldest first. Opaque; used by one thread at a time.
pub struct uf_chat {
    pub(crate) messages: Vec<ChatMessage>,
}

/// Makes a chat without messages.
///
/// out: gets it. The caller owns it and releases it with uf_chat_free.
/// Threads: any.
/// UF_USAGE: `out` is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_chat_new(out: *mut *mut uf_chat) -> uf_status {
    call(|| {
        // SAFETY: the header's rules.
        let out = unsafe { Out::new("out", out) }?;
        out.write(give(uf_chat {
            messages: Vec::new(),
        }));
        Ok(())
    })
}

/// Adds a message.
///
/// role: one of UF_ROLE_.
/// content: UTF-8, `content_len` bytes (at most 16 MiB), copied.
///
/// UF_USAGE: a pointer is null, `role` is unknown, the content is empty, too long or not UTF-8, or there are 100,000
/// messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_chat_add(
    chat: *mut uf_chat,
    role: u32,
    content: *const c_char,
    content_len: usize,
) -> uf_status {
    let change = |chat: &mut uf_chat| {
        // SAFETY: the header's rules.
        let content = unsafe { text::long("content", content, content_len) }?.to_owned();
        let role = match role {
            UF_ROLE_SYSTEM => Role::System,
            UF_ROLE_USER => Role::User,
            UF_ROLE_ASSISTANT => Role::Assistant,
            _ => return Err(text::unknown("role", role, "one of UF_ROLE_")),
        };
        if chat.messages.len() >= MAX_MESSAGES {
            let n = chat.messages.len().to_string();
            return Err(text::invalid("chat", n, "fewer messages; begin another"));
        }
        chat.messages.push(ChatMessage { role, content });
        Ok(())
    };
    // SAFETY: the header's rules.
    unsafe { edit("chat", chat, change) }
}

/// Releases a chat. Null is allowed and does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uf_chat_free(chat: *mut uf_chat) {
    // SAFETY: the header's rules.
    unsafe { free(chat) }
}
