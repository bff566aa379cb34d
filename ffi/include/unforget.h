// unforget: local models with adapters, documents with citations, and a guard, from C.
//
// Status. Every function that can fail returns a uf_status. On success (UF_OK) its outputs are written; otherwise they
// are left alone, and uf_last_error() says what happened and what to do about it. No function prints, exits, or lets a
// panic out.
//
// Text is UTF-8, given by pointer and length in bytes, and need not end in NUL; text that is given out does not end in
// one either. A length beyond what a function allows is refused before anything is read. A path of a system whose paths
// are not UTF-8 is not supported.
//
// Handles are opaque. One is owned by whoever got it from an _open, _new or another function that says so, and is
// released by the matching _free, once; after that it must not be used. What a handle was opened on may be freed first:
// a session keeps its model alive, a collection its embedder, and so on. Builders (uf_..._options, uf_chat) are read
// during the calls that take them, may be used again and again, and may be freed afterwards.
//
// Threads. Builders are used by one thread at a time. All other handles may be used by several threads at once, but not
// during or after their _free. Calls on one session, embedder or collection wait for each other. uf_last_error() is of
// its thread.
//
// Rules, the same for every function: a pointer is null or valid for what it is for; a handle is null or came from this
// library and was not freed; memory that is read is changed by nobody meanwhile; callbacks return. Null is an error
// (UF_USAGE) unless a function says otherwise.
//
// A program in sixty lines is in examples/chat.c.

#ifndef UNFORGET_H
#define UNFORGET_H

// Made from ffi/src by `make header`; a test fails when the two differ. Do not edit.

#include <stddef.h>
#include <stdint.h>

// Version of the interface that this header declares. It rises when a function or a type changes in a way that
// breaks compiled programs; new functions and new status numbers do not raise it.
#define UF_ABI_VERSION 1

// For uf_log_set: nothing.
#define UF_LOG_OFF 0

// For uf_log_set: what failed.
#define UF_LOG_ERROR 1

// For uf_log_set: and what may be wrong.
#define UF_LOG_WARN 2

// For uf_log_set: and what happens.
#define UF_LOG_INFO 3

// For uf_log_set: and the details, the engine's among them.
#define UF_LOG_DEBUG 4

// For uf_log_set: everything.
#define UF_LOG_TRACE 5

// Layers on the GPU: all if there is a GPU, none otherwise. The default.
#define UF_GPU_LAYERS_AUTO -1

// Layers on the GPU: all; opening fails with UF_NOT_FOUND if there is no GPU.
#define UF_GPU_LAYERS_ALL -2

// For uf_model_number: length of the context that the model was trained with, in tokens.
#define UF_MODEL_N_CTX_TRAIN 0

// For uf_model_number: tokens of the vocabulary.
#define UF_MODEL_N_VOCAB 1

// For uf_model_number: parameters.
#define UF_MODEL_N_PARAMS 2

// For uf_model_number: bytes of all tensors.
#define UF_MODEL_SIZE 3

// For uf_model_number: 1 if the model embeds text, 0 if it generates text.
#define UF_MODEL_IS_EMBEDDER 4

// For uf_model_tokenize: plain text, without any tokens around it: what goes on after other text.
#define UF_TOKENIZE_TEXT 0

// For uf_model_tokenize: plain text with the tokens that the model wants around it.
#define UF_TOKENIZE_DOCUMENT 1

// For uf_model_tokenize: a rendered prompt: control tokens that are written out in it count as such. Do not use it on
// text from others.
#define UF_TOKENIZE_PROMPT 2

// For uf_chat_add: instructions for the whole chat; first, if there are any.
#define UF_ROLE_SYSTEM 0

// For uf_chat_add: what the person says.
#define UF_ROLE_USER 1

// For uf_chat_add: what the model said.
#define UF_ROLE_ASSISTANT 2

// For finish reasons: the model ended the answer, or a stop string came.
#define UF_FINISH_STOP 0

// For finish reasons: as many tokens as allowed, or as fit into the context.
#define UF_FINISH_LENGTH 1

// For finish reasons: stopped from outside.
#define UF_FINISH_CANCELLED 2

// For counts: tokens of the prompt.
#define UF_COUNT_PROMPT_TOKENS 0

// For counts: tokens of the prompt that had been computed before.
#define UF_COUNT_CACHED_TOKENS 1

// For counts: tokens of the answer.
#define UF_COUNT_COMPLETION_TOKENS 2

// For timings: checking and loading the model, in milliseconds.
#define UF_TIMING_LOAD_MS 0

// For timings: from the start to the first token, in milliseconds.
#define UF_TIMING_TTFT_MS 1

// For timings: prompt tokens computed a second.
#define UF_TIMING_PREFILL_TOKENS_PER_S 2

// For timings: tokens of the answer after the first a second, with the time that the caller took between them.
#define UF_TIMING_DECODE_TOKENS_PER_S 3

// For timings: from the start to the last token, in milliseconds.
#define UF_TIMING_TOTAL_MS 4

// For uf_collection_count: documents.
#define UF_COLLECTION_DOCUMENTS 0

// For uf_collection_count: passages that they were cut into.
#define UF_COLLECTION_PASSAGES 1

// For uf_changes_count: documents that are new.
#define UF_CHANGES_ADDED 0

// For uf_changes_count: documents whose file had changed.
#define UF_CHANGES_UPDATED 1

// For uf_changes_count: documents that are as they were.
#define UF_CHANGES_UNCHANGED 2

// For uf_changes_count: documents whose file was moved.
#define UF_CHANGES_MOVED 3

// For uf_changes_count: documents whose file is gone.
#define UF_CHANGES_REMOVED 4

// For uf_changes_count: files that were not taken.
#define UF_CHANGES_SKIPPED 5

// For uf_changes_count: passages that were written.
#define UF_CHANGES_PASSAGES 6

// For uf_search_options_set_mode: by meaning and by words, fused. The default.
#define UF_SEARCH_HYBRID 0

// For uf_search_options_set_mode: by meaning alone.
#define UF_SEARCH_DENSE 1

// For uf_search_options_set_mode: by words alone.
#define UF_SEARCH_KEYWORD 2

// For uf_passages_range: bytes of the file that are the text, byte for byte.
#define UF_SPAN_EXACT 0

// For uf_passages_range: bytes of the file that the text was made from: with markup, or in another encoding.
#define UF_SPAN_COVERING 1

// For uf_passages_range: bytes of the text that was extracted from the file, which has no such range (PDF, DOCX).
#define UF_SPAN_EXTRACTED 2

// For uf_ask_options_set_style: with a sentence of the documents, word for word. The default: a small model makes things
// up as soon as it is let go.
#define UF_STYLE_QUOTE 0

// For uf_ask_options_set_style: in the model's own words.
#define UF_STYLE_FREE 1

// For uf_answer_status: the model was asked, with passages.
#define UF_ANSWER_GIVEN 0

// For uf_answer_status: no passage is near enough to the question, or may be quoted. The model was not asked.
#define UF_ANSWER_NOT_IN_DOCUMENTS 1

// For uf_answer_status: the policy does not allow an answer. The model was not asked.
#define UF_ANSWER_REFUSED 2

// For uf_check_options_set_tier: a first look, about a minute: finds careless tuning.
#define UF_TIER_SMOKE 0

// For uf_check_options_set_tier: some minutes: enough to trust an adapter. The default.
#define UF_TIER_GATE 1

// For uf_check_options_set_tier: all items.
#define UF_TIER_CERTIFY 2

// How a call ended. The numbers are fixed and later versions only add to them: treat one that you do not know as
// UF_FAILED.
typedef enum {
    // Done; outputs are written.
    UF_OK = 0,
    // Something failed while working.
    UF_FAILED = 1,
    // The call itself is wrong, such as a null pointer or text that is not UTF-8.
    UF_USAGE = 2,
    // Rejected by the guard: an adapter costs the base more than its budget allows.
    UF_REJECTED = 3,
    // The guard could not decide; more measurements are needed.
    UF_UNDECIDED = 4,
    // A file or a name is not there, or two things are not made for each other.
    UF_NOT_FOUND = 5,
    // Stopped from outside, such as by a callback.
    UF_INTERRUPTED = 6,
    // A bug in the library. The handles of this call may be freed and should not be used for anything else.
    UF_PANIC = 7,
} uf_status;

// A LoRA adapter, loaded for one model. Opaque. Any number of threads may use it at once.
typedef struct uf_adapter uf_adapter;

// How to add documents. Opaque; used by one thread at a time.
typedef struct uf_add_options uf_add_options;

// An answer from documents. Opaque, never changed: any number of threads may use it at once.
typedef struct uf_answer uf_answer;

// How to answer from documents. Opaque; used by one thread at a time.
typedef struct uf_ask_options uf_ask_options;

// A switch that stops work. Give it to builders or to uf_embedder_open; raise it from any thread, and the work ends
// with UF_INTERRUPTED within milliseconds, prefill included. It stays raised until it is lowered, so that work which
// begins a moment later is stopped too. Opaque.
typedef struct uf_cancel uf_cancel;

// What came of uf_collection_add or uf_collection_sync. Opaque, never changed: any number of threads may use it at once.
typedef struct uf_changes uf_changes;

// The messages of a chat, oldest first. Opaque; used by one thread at a time.
typedef struct uf_chat uf_chat;

// How to check an adapter. Opaque; used by one thread at a time. Files are read when the check begins.
typedef struct uf_check_options uf_check_options;

// A collection: documents in a folder of its own, searchable. Opaque. Calls from several threads wait for each other;
// the same folder may be opened several times, also by several processes.
typedef struct uf_collection uf_collection;

// Turns text into vectors of length 1, whose dot products say how near texts are in meaning. Opaque. Calls from several
// threads wait for each other.
typedef struct uf_embedder uf_embedder;

// How to answer. Opaque; used by one thread at a time. Values out of range are refused when an answer is started.
typedef struct uf_generate_options uf_generate_options;

// A model: one GGUF file, checked and mapped. Opaque. Any number of threads may use it at once.
typedef struct uf_model uf_model;

// How to open a model. Opaque; used by one thread at a time.
typedef struct uf_model_options uf_model_options;

// Passages of documents, best or first first. Opaque, never changed: any number of threads may use it at once.
typedef struct uf_passages uf_passages;

// The report of a check: the verdict with all it rests on. Opaque, never changed: any number of threads may use it at
// once.
typedef struct uf_report uf_report;

// How to search. Opaque; used by one thread at a time.
typedef struct uf_search_options uf_search_options;

// A session: one timeline of tokens over a model, which reuses what it has computed before. Opaque. Calls from several
// threads wait for each other; for work at the same time open a session for each thread.
typedef struct uf_session uf_session;

// Sizes of a session. Opaque; used by one thread at a time.
typedef struct uf_session_options uf_session_options;

// Gets a line of the log: its level, one of UF_LOG_, and `text_len` bytes of UTF-8 without a NUL at the end, valid only
// during the call. It runs on whichever thread logs, perhaps on several at once, must return (no longjmp, no C++
// exception), and may call no function of this library but uf_last_error.
typedef void (*uf_log_callback)(uint32_t level, const char *text, size_t text_len, void *user_data);

// Gets a piece of an answer as soon as it is certain: `text_len` bytes of whole UTF-8 characters, at least one, without
// a NUL at the end. `text` is valid only during the call. `user_data` is what the call was given.
//
// Return 0 to go on, anything else to stop. It runs on the thread that made the call, and must return to it: no longjmp
// and no C++ exception may leave it. It may use any handle but those that the call was given, and must free none of
// them.
typedef int (*uf_text_callback)(const char *text, size_t text_len, void *user_data);

// Hears how far long work has come. `label` says what is at hand, the path of a file or the name of a group of items:
// `label_len` bytes without a NUL at the end, valid only during the call. `done` of `total` (bytes of files, or items)
// are behind it. `user_data` is what the call was given.
//
// Return 0 to go on, anything else to stop: the call then returns UF_INTERRUPTED. The rules of uf_text_callback hold
// here too.
typedef int (*uf_progress_callback)(const char *label,
                                    size_t label_len,
                                    uint64_t done,
                                    uint64_t total,
                                    void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What went wrong in the last call on this thread that did not return UF_OK, and what to do about it: one line of
// UTF-8, ending in NUL; empty if nothing has. Calls that succeed leave it alone.
//
// The library owns the string. It is valid until the next call on this thread that fails, or until the thread ends;
// copy it to keep it.
const char *uf_last_error(void);

// Version of the library, such as "0.1.0". The string lives as long as the library is loaded; do not free it.
const char *uf_version(void);

// The library's UF_ABI_VERSION. If it is not the header's, do not call anything else.
uint32_t uf_abi_version(void);

// Makes a switch that is not raised.
//
// out: gets it. The caller owns it and releases it with uf_cancel_free; whatever it was given to keeps it alive.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_cancel_new(uf_cancel **out);

// Raises the switch: work that has it stops.
//
// Threads: any, at any time, also in a signal handler.
// UF_USAGE: `cancel` is null.
uf_status uf_cancel_raise(const uf_cancel *cancel);

// Lowers the switch, so that it can be used again. Do that after the work that it stopped has returned.
//
// Threads: any.
// UF_USAGE: `cancel` is null.
uf_status uf_cancel_lower(const uf_cancel *cancel);

// Releases a switch. Null is allowed and does nothing. Work that has it goes on and cannot be stopped by it any more.
//
// Threads: any, once no other call uses it.
void uf_cancel_free(uf_cancel *cancel);

// Sets where the log goes, in place of what was set before. When it returns, the callback of before does not run any
// more.
//
// level: one of UF_LOG_: lines of that importance and above. UF_LOG_OFF turns the log off.
// callback: gets the lines; null turns the log off. It must stay callable until another is set.
// user_data: handed to the callback; may be null.
// Threads: any; not from within the callback.
//
// UF_USAGE: `level` is unknown, or this is within the callback. UF_FAILED: the program has another receiver of this
// library's log (only in a Rust program).
uf_status uf_log_set(uint32_t level,
                     uf_log_callback callback,
                     void *user_data);

// Makes options with the defaults.
//
// out: gets them. The caller owns them and releases them with uf_model_options_free; a model that was opened with them
// does not need them any more.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_model_options_new(uf_model_options **out);

// Sets how many layers are computed on a GPU: a number, UF_GPU_LAYERS_AUTO or UF_GPU_LAYERS_ALL.
//
// UF_USAGE: `options` is null, or the number is none of these.
uf_status uf_model_options_set_gpu_layers(uf_model_options *options, int32_t gpu_layers);

// Sets the name that messages and reports call the model by; by default the file's.
//
// name: UTF-8, `name_len` bytes (at most 32,768), copied.
// UF_USAGE: a pointer is null, or the name is empty, too long or not UTF-8.
uf_status uf_model_options_set_name(uf_model_options *options, const char *name, size_t name_len);

// Releases options. Null is allowed and does nothing.
void uf_model_options_free(uf_model_options *options);

// Opens a model. The file is checked, mapped read-only and never changed; it must stay as it is until the model and all
// that was opened on it are freed.
//
// path: name of a GGUF file, UTF-8, `path_len` bytes (at most 32,768), read only during the call.
// options: from uf_model_options_new, or null for the defaults; only borrowed.
// out: gets the model. The caller owns it and releases it with uf_model_free.
// Threads: any.
//
// UF_USAGE: `path` or `out` is null, or the path is empty, too long, not UTF-8 or has a NUL in it.
// UF_NOT_FOUND: there is no such file, or it is of another format or kind, or layers are wanted on a GPU and there is
// none. UF_FAILED: it is damaged, or cannot be loaded.
uf_status uf_model_open(const char *path,
                        size_t path_len,
                        const uf_model_options *options,
                        uf_model **out);

// Opens a model by file descriptor. The descriptor is copied: the caller keeps it, and may close it at once. The file
// needs no name any more, and is read from its beginning.
//
// fd: open for reading, of a regular file.
// The rest is as in uf_model_open. UF_USAGE: also, `fd` is not such a descriptor, or the system has none (Windows).
uf_status uf_model_open_fd(int fd,
                           const uf_model_options *options,
                           uf_model **out);

// Releases a model. Null is allowed and does nothing. Sessions, adapters and all else that was opened on it stay usable;
// the memory is given back with the last of them.
//
// Threads: any, once no other call uses this handle.
void uf_model_free(uf_model *model);

// The model's name: that of the options, or else the file's without its ending.
//
// text, text_len: get the name, which belongs to the model and lives as long as it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_model_name(const uf_model *model, const char **text, size_t *text_len);

// The model's architecture, such as "llama".
//
// As uf_model_name.
uf_status uf_model_architecture(const uf_model *model, const char **text, size_t *text_len);

// sha256 of the model's file, 64 hexadecimal digits: what the model is, whatever its name. The first call reads the
// whole file.
//
// As uf_model_name. UF_FAILED: the file cannot be read any more.
uf_status uf_model_sha256(const uf_model *model,
                          const char **text,
                          size_t *text_len);

// A number that describes the model.
//
// which: one of UF_MODEL_.
// out: gets the number.
// Threads: any.
// UF_USAGE: a pointer is null, or `which` is unknown.
uf_status uf_model_number(const uf_model *model, uint32_t which, uint64_t *out);

// Splits a text into tokens.
//
// string: UTF-8, `string_len` bytes (at most 16 MiB), read only during the call.
// kind: one of UF_TOKENIZE_.
// tokens: gets the tokens, if there are at most `capacity`; null to learn their number alone. A text has at most as
// many tokens as bytes, and four around it.
// n_tokens: gets their number.
// Threads: any.
//
// UF_USAGE: `model`, `string` or `n_tokens` is null, the text is empty, too long or not UTF-8, `kind` is unknown, or
// `capacity` is too small (the message says what is needed).
uf_status uf_model_tokenize(const uf_model *model,
                            const char *string,
                            size_t string_len,
                            uint32_t kind,
                            int32_t *tokens,
                            size_t capacity,
                            size_t *n_tokens);

// The text of tokens, with U+FFFD where they end inside a character. Control tokens have none.
//
// tokens: `n_tokens` numbers of the model's vocabulary, read only during the call.
// string: gets the text, if it has at most `capacity` bytes; null to learn its length alone. No NUL is added.
// string_len: gets its length.
// Threads: any.
//
// UF_USAGE: `model`, `tokens` or `string_len` is null, there are no tokens or more than 16,777,216, one is not of the
// vocabulary, or `capacity` is too small.
uf_status uf_model_detokenize(const uf_model *model,
                              const int32_t *tokens,
                              size_t n_tokens,
                              char *string,
                              size_t capacity,
                              size_t *string_len);

// Loads an adapter for a model: a GGUF file with a LoRA, such as `unforget adapter import` makes. Architecture, shapes
// and numbers are checked. Whether it was made for this base only its maker knows, and what it costs nobody before
// uf_adapter_check.
//
// model: from uf_model_open. The adapter keeps it alive: it may be freed before the adapter.
// path: UTF-8, `path_len` bytes (at most 32,768), read only during the call. The file is not needed afterwards.
// out: gets the adapter. The caller owns it and releases it with uf_adapter_free.
// Threads: any; loading while sessions compute is fine.
//
// UF_USAGE: a pointer is null, or the path is empty, too long, not UTF-8 or has a NUL in it.
// UF_NOT_FOUND: there is no such file, or it is no adapter or does not fit the model. UF_FAILED: it is damaged.
uf_status uf_adapter_open(const uf_model *model,
                          const char *path,
                          size_t path_len,
                          uf_adapter **out);

// Loads an adapter by file descriptor.
//
// fd: open for reading, of a regular file; only borrowed, and not needed afterwards.
// The rest is as in uf_adapter_open.
uf_status uf_adapter_open_fd(const uf_model *model, int fd, uf_adapter **out);

// sha256 of the adapter's file, 64 hexadecimal digits: what the adapter is, whatever its name.
//
// text, text_len: get the digits, which belong to the adapter and live as long as it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_adapter_sha256(const uf_adapter *adapter, const char **text, size_t *text_len);

// The adapter's rank: the largest of its matrices.
//
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_adapter_rank(const uf_adapter *adapter, uint32_t *out);

// Releases an adapter. Null is allowed and does nothing. Sessions that use it go on using it; the memory is given back
// with the last of them.
//
// Threads: any, once no other call uses this handle.
void uf_adapter_free(uf_adapter *adapter);

// Makes a chat without messages.
//
// out: gets it. The caller owns it and releases it with uf_chat_free.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_chat_new(uf_chat **out);

// Adds a message.
//
// role: one of UF_ROLE_.
// content: UTF-8, `content_len` bytes (at most 16 MiB), copied.
//
// UF_USAGE: a pointer is null, `role` is unknown, the content is empty, too long or not UTF-8, or there are 100,000
// messages.
uf_status uf_chat_add(uf_chat *chat,
                      uint32_t role,
                      const char *content,
                      size_t content_len);

// Releases a chat. Null is allowed and does nothing.
void uf_chat_free(uf_chat *chat);

// Makes options with the defaults.
//
// out: gets them. The caller owns them and releases them with uf_session_options_free; what was opened with them does
// not need them any more.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_session_options_new(uf_session_options **out);

// Sets how many tokens fit, prompt and answer together. 0, the default: 4,096, or what the model was trained with if
// that is less. More than it was trained with is possible and seldom good. Memory for all of them is taken when the
// session is opened.
//
// UF_USAGE: `options` is null.
uf_status uf_session_options_set_n_ctx(uf_session_options *options,
                                       uint32_t n_ctx);

// Sets how many tokens of a prompt go to the engine in one call (`n_batch`, 2,048 by default) and are computed at once
// (`n_ubatch`, 512 by default). 0 is the default.
//
// UF_USAGE: `options` is null.
uf_status uf_session_options_set_batch(uf_session_options *options,
                                       uint32_t n_batch,
                                       uint32_t n_ubatch);

// Sets how many threads compute. 0, the default: one a core.
//
// UF_USAGE: `options` is null, or there are more than 4,096.
uf_status uf_session_options_set_n_threads(uf_session_options *options, uint32_t n_threads);

// Releases options. Null is allowed and does nothing.
void uf_session_options_free(uf_session_options *options);

// Opens a session over a model.
//
// model: from uf_model_open. The session keeps it alive: it may be freed before the session.
// options: from uf_session_options_new, or null for the defaults; only borrowed.
// out: gets the session. The caller owns it and releases it with uf_session_free.
// Threads: any.
//
// UF_USAGE: `model` or `out` is null. UF_NOT_FOUND: the model embeds text and cannot answer. UF_FAILED: the memory
// cannot be had.
uf_status uf_session_open(const uf_model *model,
                          const uf_session_options *options,
                          uf_session **out);

// Sets the stack of adapters that a session computes with, in place of those before. An answer in the making ends. What
// was computed is kept only if the new stack computes the same.
//
// adapters: `n` adapters, each loaded for the session's model, read only during the call; they may be freed afterwards.
// Null with `n` 0 is the base alone.
// scales: a scale for each, from -100 to 100; 1 is as trained, 0 has no effect.
//
// UF_USAGE: a pointer is null, there are more than 64 adapters, one is there twice, or a scale is out of range.
// UF_FAILED: an adapter was loaded for another model. Then the stack is as it was.
uf_status uf_session_set_adapters(uf_session *session,
                                  const uf_adapter *const *adapters,
                                  const float *scales,
                                  size_t n);

// Forgets all that a session has computed. An answer in the making ends. Its memory stays taken until uf_session_free.
//
// UF_USAGE: `session` is null.
uf_status uf_session_forget(uf_session *session);

// Releases a session, and the answer that it may be making. Null is allowed and does nothing.
//
// Threads: any, once no other call uses it.
void uf_session_free(uf_session *session);

// Makes options with the defaults: at most 512 tokens, always the likeliest one.
//
// out: gets them. The caller owns them and releases them with uf_generate_options_free; an answer that was started with
// them does not need them any more.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_generate_options_new(uf_generate_options **out);

// Sets the most tokens of an answer; 0 computes the prompt and answers nothing.
//
// UF_USAGE: `options` is null.
uf_status uf_generate_options_set_max_tokens(uf_generate_options *options, uint32_t max_tokens);

// Sets what the logits are divided by: 0, the default, always takes the likeliest token; at most 100.
//
// UF_USAGE: `options` is null.
uf_status uf_generate_options_set_temperature(uf_generate_options *options,
                                              float temperature);

// Sets among which tokens is chosen, where the temperature is above 0: the `top_k` likeliest (40; 0 for all), the
// likeliest that together have probability `top_p` (0.95; 1 for all), and those with at least `min_p` times the
// probability of the likeliest (0.05; 0 for all).
//
// UF_USAGE: `options` is null.
uf_status uf_generate_options_set_choice(uf_generate_options *options,
                                         uint32_t top_k,
                                         float top_p,
                                         float min_p);

// Sets what tokens of the last `last_n` (64) cost: their logits are divided by `repeat` (1 is off), and lose `frequency`
// for each occurrence and `presence` once (0 is off).
//
// UF_USAGE: `options` is null.
uf_status uf_generate_options_set_penalties(uf_generate_options *options,
                                            float repeat,
                                            float frequency,
                                            float presence,
                                            uint32_t last_n);

// Sets the seed of the random choice (0): the same seed gives the same text.
//
// UF_USAGE: `options` is null.
uf_status uf_generate_options_set_seed(uf_generate_options *options, uint32_t seed);

// Sets a grammar that the answer must follow, in llama.cpp's GBNF.
//
// grammar: UTF-8, `grammar_len` bytes (at most 16 MiB), copied.
// UF_USAGE: a pointer is null, or the text is empty, too long or not UTF-8; also from the start of an answer, if the
// grammar does not parse.
uf_status uf_generate_options_set_grammar(uf_generate_options *options,
                                          const char *grammar,
                                          size_t grammar_len);

// Sets a JSON schema that the answer must follow, in place of a grammar.
//
// schema: UTF-8, `schema_len` bytes (at most 16 MiB), read only during the call.
// UF_USAGE: a pointer is null, the text is empty, too long or not UTF-8, or it is no schema that can be followed.
uf_status uf_generate_options_set_json_schema(uf_generate_options *options,
                                              const char *schema,
                                              size_t schema_len);

// Adds a text that ends the answer and is not part of it.
//
// stop: UTF-8, `stop_len` bytes (at most 32,768), copied.
// UF_USAGE: a pointer is null, the text is empty, too long or not UTF-8, or there are 64 already.
uf_status uf_generate_options_add_stop(uf_generate_options *options,
                                       const char *stop,
                                       size_t stop_len);

// Sets the switch that stops the answer from another thread.
//
// cancel: from uf_cancel_new. Answers keep it alive: it may be freed before them.
// UF_USAGE: a pointer is null.
uf_status uf_generate_options_set_cancel(uf_generate_options *options, const uf_cancel *cancel);

// Releases options. Null is allowed and does nothing.
void uf_generate_options_free(uf_generate_options *options);

// Begins an answer to the last message of a chat: puts the chat into the model's own template and computes what of it
// is new. An answer in the making ends. Take the answer with uf_session_next or uf_session_run.
//
// chat: from uf_chat_new; read only during the call.
// options: from uf_generate_options_new, or null for the defaults; only borrowed.
// Threads: calls on one session wait for each other.
//
// UF_USAGE: `session` or `chat` is null, the chat has no message, or an option is out of range or a grammar does not
// parse. UF_INTERRUPTED: the options' switch was raised; what was computed by then is kept. UF_FAILED: the chat does not
// fit into the context, the model has no template or it refuses the chat, or the engine failed.
uf_status uf_session_start_chat(uf_session *session,
                                const uf_chat *chat,
                                const uf_generate_options *options);

// Begins an answer that goes on where a text ends, without any template.
//
// prompt: UTF-8, `prompt_len` bytes (at most 16 MiB), read only during the call.
// The rest is as in uf_session_start_chat.
uf_status uf_session_start_text(uf_session *session,
                                const char *prompt,
                                size_t prompt_len,
                                const uf_generate_options *options);

// Begins an answer that goes on where tokens end.
//
// prompt: `n_tokens` tokens of the model's vocabulary, as uf_model_tokenize gives them, read only during the call.
// The rest is as in uf_session_start_chat.
uf_status uf_session_start_tokens(uf_session *session,
                                  const int32_t *prompt,
                                  size_t n_tokens,
                                  const uf_generate_options *options);

// Gets the next piece of the answer that was started.
//
// text, text_len: get whole UTF-8 characters, which belong to the session and are valid until the next call on it. At
// the end of the answer, and at every call after it, `text_len` is 0.
// Threads: calls on one session wait for each other.
//
// UF_USAGE: a pointer is null, or no answer was started. UF_INTERRUPTED: the options' switch was raised, or the answer
// was ended early. UF_FAILED: the engine failed, and the answer is over.
uf_status uf_session_next(uf_session *session,
                          const char **text,
                          size_t *text_len);

// Hands the rest of the answer that was started to a callback, piece by piece, and returns at its end.
//
// callback: gets the pieces; must not be null.
// user_data: handed to the callback; may be null.
// Threads: calls on one session wait for each other.
//
// UF_USAGE: `session` or `callback` is null, or no answer was started. UF_INTERRUPTED: the callback ended the answer, or
// the options' switch was raised. UF_FAILED: the engine failed.
uf_status uf_session_run(uf_session *session,
                         uf_text_callback callback,
                         void *user_data);

// Ends the answer in the making, between two calls of uf_session_next; without one it does nothing. What was computed is
// kept. From another thread, or during prefill, use a uf_cancel.
//
// UF_USAGE: `session` is null.
uf_status uf_session_stop(uf_session *session);

// Why the last answer of a session ended.
//
// out: gets one of UF_FINISH_.
// Threads: calls on one session wait for each other.
// UF_USAGE: a pointer is null, or no answer has ended since one was last started.
uf_status uf_session_finish_reason(const uf_session *session, uint32_t *out);

// A count of tokens of the last answer of a session.
//
// which: one of UF_COUNT_.
// out: gets the number.
// Threads: calls on one session wait for each other.
// UF_USAGE: a pointer is null, `which` is unknown, or no answer has ended since one was last started.
uf_status uf_session_count(const uf_session *session,
                           uint32_t which,
                           uint64_t *out);

// A timing of the last answer of a session.
//
// which: one of UF_TIMING_.
// out: gets the figure.
// Threads: calls on one session wait for each other.
// UF_USAGE: a pointer is null, `which` is unknown, or no answer has ended since one was last started.
uf_status uf_session_timing(const uf_session *session,
                            uint32_t which,
                            double *out);

// Opens an embedder over a model.
//
// model: from uf_model_open, one that embeds text. The embedder keeps it alive: it may be freed before the embedder.
// options: for the number of threads; null for the defaults; only borrowed.
// cancel: stops whatever the embedder is doing; null for none. The embedder keeps it alive.
// out: gets the embedder. The caller owns it and releases it with uf_embedder_free.
// Threads: any.
//
// UF_USAGE: `model` or `out` is null. UF_NOT_FOUND: the model generates text instead. UF_FAILED: the memory cannot be
// had, or the model's file cannot be read any more.
uf_status uf_embedder_open(const uf_model *model,
                           const uf_session_options *options,
                           const uf_cancel *cancel,
                           uf_embedder **out);

// Length of the vectors.
//
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_embedder_dimension(const uf_embedder *embedder, size_t *out);

// Embeds texts.
//
// texts, text_lens: `n` texts, UTF-8, with their lengths in bytes (each at least 1 and at most 16 MiB), read only during
// the call. What is longer than the model takes is cut.
// vectors: gets `n` vectors, one after the other.
// n_floats: how many numbers `vectors` has room for; exactly `n` times uf_embedder_dimension.
// Threads: calls on one embedder wait for each other.
//
// UF_USAGE: a pointer is null, there are no texts or more than 1,048,576, one is empty, too long or not UTF-8, or
// `n_floats` is another number. UF_INTERRUPTED: the embedder's switch was raised. UF_FAILED: the engine failed.
uf_status uf_embedder_embed(const uf_embedder *embedder,
                            const char *const *texts,
                            const size_t *text_lens,
                            size_t n,
                            float *vectors,
                            size_t n_floats);

// Releases an embedder. Null is allowed and does nothing. Collections that use it go on using it.
//
// Threads: any, once no other call uses this handle.
void uf_embedder_free(uf_embedder *embedder);

// Makes options with the defaults: no tags, nothing redacted.
//
// out: gets them. The caller owns them and releases them with uf_add_options_free.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_add_options_new(uf_add_options **out);

// Adds a tag for all that is at and below the path, what comes later too; uf_search_options_add_tag asks for it.
//
// tag: UTF-8, `tag_len` bytes, read only during the call. At most 64 bytes, or the documents are refused.
//
// UF_USAGE: `options` or `tag` is null, the tag is empty, absurdly long or not UTF-8, or there are 64 already.
uf_status uf_add_options_add_tag(uf_add_options *options,
                                 const char *tag,
                                 size_t tag_len);

// Sets whether e-mail addresses, phone and card numbers, IBANs and keys are replaced before anything is kept (not 0) or
// not (0). A collection that was begun with it keeps to it, whatever is said here.
//
// UF_USAGE: `options` is null.
uf_status uf_add_options_set_redact(uf_add_options *options,
                                    uint32_t redact);

// Releases options. Null is allowed and does nothing.
void uf_add_options_free(uf_add_options *options);

// Opens the collection in a folder, or makes it there.
//
// path: name of the folder, UTF-8, `path_len` bytes (at most 32,768), read only during the call.
// embedder: from uf_embedder_open. The collection keeps it alive: it may be freed before the collection.
// out: gets the collection. The caller owns it and releases it with uf_collection_free.
// Threads: any.
//
// UF_USAGE: a pointer is null, or the path is empty, too long, not UTF-8 or has a NUL in it. UF_NOT_FOUND: the
// collection was made with another embedder. UF_FAILED: its files are damaged or of a newer version.
uf_status uf_collection_open(const char *path,
                             size_t path_len,
                             const uf_embedder *embedder,
                             uf_collection **out);

// Adds a file, or all that is in a folder, and updates what changed since it was added before. What was committed before
// a stop stays.
//
// path: UTF-8, `path_len` bytes (at most 32,768), read only during the call.
// options: from uf_add_options_new, or null for the defaults; only borrowed.
// callback: hears of each file and each batch (bytes done and in all), and can stop; null for none.
// user_data: handed to the callback; may be null.
// out: gets what changed, if it is not null. The caller owns it and releases it with uf_changes_free.
// Threads: calls on one collection wait for each other.
//
// UF_USAGE: `collection` or `path` is null, the path is empty, too long, not UTF-8 or has a NUL in it, or a tag of the
// options is too long or has line breaks. UF_NOT_FOUND: there is nothing at the path. UF_INTERRUPTED: the callback or the embedder's switch stopped it.
// UF_FAILED: another process is writing, the disk is full, or the engine failed.
uf_status uf_collection_add(uf_collection *collection,
                            const char *path,
                            size_t path_len,
                            const uf_add_options *options,
                            uf_progress_callback callback,
                            void *user_data,
                            uf_changes **out);

// Walks everything that was ever added again: takes what is new, updates what changed, removes what is gone. Tags and
// redaction are as they were when it was added.
//
// As uf_collection_add.
uf_status uf_collection_sync(uf_collection *collection,
                             uf_progress_callback callback,
                             void *user_data,
                             uf_changes **out);

// Removes a document. Its file stays; uf_collection_sync adds it again while it is under a path once added.
//
// document: its number, as uf_passages_document gives it.
// Threads: calls on one collection wait for each other.
// UF_USAGE: `collection` is null. UF_NOT_FOUND: there is no such document. UF_FAILED: another process is writing.
uf_status uf_collection_remove(uf_collection *collection,
                               int64_t document);

// How much is in a collection.
//
// which: one of UF_COLLECTION_.
// out: gets the number.
// Threads: calls on one collection wait for each other.
// UF_USAGE: a pointer is null, or `which` is unknown. UF_FAILED: the database failed.
uf_status uf_collection_count(const uf_collection *collection, uint32_t which, uint64_t *out);

// Releases a collection. Null is allowed and does nothing. Its files stay.
//
// Threads: any, once no other call uses it.
void uf_collection_free(uf_collection *collection);

// A count of what changed.
//
// which: one of UF_CHANGES_.
// out: gets the number.
// Threads: any.
// UF_USAGE: a pointer is null, or `which` is unknown.
uf_status uf_changes_count(const uf_changes *changes, uint32_t which, uint64_t *out);

// A file that was not taken, and why.
//
// index: below the count of UF_CHANGES_SKIPPED.
// path, path_len, reason, reason_len: get texts that belong to `changes` and live as long as it.
// Threads: any.
// UF_USAGE: a pointer is null, or there are not so many.
uf_status uf_changes_skipped(const uf_changes *changes,
                             size_t index,
                             const char **path,
                             size_t *path_len,
                             const char **reason,
                             size_t *reason_len);

// Releases what changed. Null is allowed and does nothing.
void uf_changes_free(uf_changes *changes);

// Has the best passages of each search and question read again by a cross-encoder, and put into its order: better, and
// slower. In place of the one before.
//
// model: from uf_model_open, a cross-encoder (a GGUF whose pooling type is RANK). The collection keeps it alive.
// options: for the number of threads; null for the defaults; only borrowed.
// cancel: stops the reading; null for none. The collection keeps it alive.
// Threads: calls on one collection wait for each other.
//
// UF_USAGE: `collection` or `model` is null. UF_NOT_FOUND: the model generates or embeds text instead. UF_FAILED: the
// memory cannot be had.
uf_status uf_collection_set_reranker(uf_collection *collection,
                                     const uf_model *model,
                                     const uf_session_options *options,
                                     const uf_cancel *cancel);

// Makes a file the policy of a collection, which keeps a copy: which documents may be quoted and how fresh they have to be,
// which questions are refused, and what is put under answers. `unforget docs policy --help` says what is in one.
// uf_collection_ask follows it, whoever opens the collection.
//
// path: name of a TOML file, UTF-8, `path_len` bytes (at most 32,768), read only during the call; null for no policy.
// Threads: calls on one collection wait for each other.
//
// UF_USAGE: `collection` is null, the path is empty, too long, not UTF-8 or has a NUL in it, or the policy is not sound;
// the one before stays. UF_NOT_FOUND: there is no such file. UF_FAILED: it cannot be written.
uf_status uf_collection_set_policy(uf_collection *collection,
                                   const char *path,
                                   size_t path_len);

// Makes options with the defaults: five passages, by meaning and words, of all documents.
//
// out: gets them. The caller owns them and releases them with uf_search_options_free.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_search_options_new(uf_search_options **out);

// Sets the most passages to find.
//
// UF_USAGE: `options` is null, or the number is 0 or above 1,000.
uf_status uf_search_options_set_limit(uf_search_options *options, uint32_t limit);

// Sets how passages are found: one of UF_SEARCH_.
//
// UF_USAGE: `options` is null, or `mode` is unknown.
uf_status uf_search_options_set_mode(uf_search_options *options, uint32_t mode);

// Searches in documents only whose path matches this glob, or another that was added: `*.md`, `notes/**`. What does not
// begin at the root matches at any depth. Where documents, tags or a time are set too, all of them have to hold.
//
// glob: UTF-8, `glob_len` bytes (at most 32,768), read only during the call; whether it is a glob shows in the search.
//
// UF_USAGE: `options` or `glob` is null, the glob is empty, too long or not UTF-8, or there are 1,000 already.
uf_status uf_search_options_add_path(uf_search_options *options,
                                     const char *glob,
                                     size_t glob_len);

// Searches in this document only, or another that was added. As uf_search_options_add_path.
//
// document: its number, as uf_passages_document gives it.
//
// UF_USAGE: `options` is null, or there are 1,000 documents already.
uf_status uf_search_options_add_document(uf_search_options *options, int64_t document);

// Searches in documents only that were added with this tag, or another that was added. As uf_search_options_add_path.
//
// tag: UTF-8, `tag_len` bytes (at most 32,768), read only during the call.
//
// UF_USAGE: `options` or `tag` is null, the tag is empty, too long or not UTF-8, or there are 1,000 already.
uf_status uf_search_options_add_tag(uf_search_options *options,
                                    const char *tag,
                                    size_t tag_len);

// Searches in documents only whose file was written at this time or later, in seconds since 1970. As
// uf_search_options_add_path.
//
// UF_USAGE: `options` is null.
uf_status uf_search_options_set_since(uf_search_options *options,
                                      int64_t seconds);

// Releases options. Null is allowed and does nothing.
void uf_search_options_free(uf_search_options *options);

// Finds the passages of a collection that bear on a query.
//
// query: UTF-8, `query_len` bytes (at most 16 MiB), read only during the call.
// options: from uf_search_options_new, or null for the defaults; only borrowed.
// out: gets the passages, best first, perhaps none. The caller owns them and releases them with uf_passages_free; they
// need the collection no more.
// Threads: calls on one collection wait for each other.
//
// UF_USAGE: `collection`, `query` or `out` is null, the query is empty, too long or not UTF-8, or a path of the options is
// no glob. UF_INTERRUPTED: the embedder's or the reranker's switch was raised. UF_FAILED: the engine or the database failed.
uf_status uf_collection_search(uf_collection *collection,
                               const char *query,
                               size_t query_len,
                               const uf_search_options *options,
                               uf_passages **out);

// How many passages there are.
//
// out: gets the number.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_passages_len(const uf_passages *passages, size_t *out);

// What a passage says.
//
// index: below uf_passages_len.
// text, text_len: get a text that belongs to the passages and lives as long as they.
// Threads: any.
// UF_USAGE: a pointer is null, or there are not so many passages.
uf_status uf_passages_text(const uf_passages *passages,
                           size_t index,
                           const char **text,
                           size_t *text_len);

// Absolute path of a passage's file.
//
// As uf_passages_text.
uf_status uf_passages_path(const uf_passages *passages,
                           size_t index,
                           const char **text,
                           size_t *text_len);

// Where a passage stands: from byte `start` to before byte `end`, and what these are bytes of, one of UF_SPAN_.
//
// index: below uf_passages_len.
// Threads: any.
// UF_USAGE: a pointer is null, or there are not so many passages.
uf_status uf_passages_range(const uf_passages *passages,
                            size_t index,
                            uint64_t *start,
                            uint64_t *end,
                            uint32_t *span);

// Where a passage begins, as a person would look for it: page (of a PDF) and line, from 1; 0 where there is none.
//
// index: below uf_passages_len.
// Threads: any.
// UF_USAGE: a pointer is null, or there are not so many passages.
uf_status uf_passages_place(const uf_passages *passages,
                            size_t index,
                            uint32_t *page,
                            uint32_t *line);

// How near a passage is to the query in meaning: the cosine of their vectors.
//
// index: below uf_passages_len.
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null, or there are not so many passages.
uf_status uf_passages_score(const uf_passages *passages, size_t index, float *out);

// The number that an answer cites a passage by, as `[1]` in its text; of a search, its rank from 1.
//
// index: below uf_passages_len.
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null, or there are not so many passages.
uf_status uf_passages_number(const uf_passages *passages, size_t index, uint64_t *out);

// Number of a passage's document in its collection.
//
// index: below uf_passages_len.
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null, or there are not so many passages.
uf_status uf_passages_document(const uf_passages *passages, size_t index, int64_t *out);

// Releases passages from uf_collection_search. Null is allowed and does nothing. Those of an answer belong to it.
void uf_passages_free(uf_passages *passages);

// Makes options with the defaults: three passages, quoted, and the collection's own policy.
//
// out: gets them. The caller owns them and releases them with uf_ask_options_free.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_ask_options_new(uf_ask_options **out);

// Sets the most passages that the model gets to read.
//
// UF_USAGE: `options` is null, or the number is 0 or above 1,000.
uf_status uf_ask_options_set_passages(uf_ask_options *options, uint32_t n_passages);

// Sets in which way to answer: one of UF_STYLE_. With a grammar in the options of generating it is free within that.
//
// UF_USAGE: `options` is null, or `style` is unknown.
uf_status uf_ask_options_set_style(uf_ask_options *options,
                                   uint32_t style);

// Sets how near to the question, as a cosine, the best passage has to be; where none is, the documents do not answer it.
//
// UF_USAGE: `options` is null, or the number is not between -1 and 1.
uf_status uf_ask_options_set_threshold(uf_ask_options *options,
                                       float threshold);

// Sets which documents to answer from: the paths, documents, tags and time of options for searching. Their limit and mode
// have no effect here.
//
// search: from uf_search_options_new; copied as it is now.
//
// UF_USAGE: a pointer is null.
uf_status uf_ask_options_set_filter(uf_ask_options *options,
                                    const uf_search_options *search);

// Sets a policy to follow in place of the collection's own. The file is read now.
//
// path: name of a TOML file, UTF-8, `path_len` bytes (at most 32,768), read only during the call.
//
// UF_USAGE: `options` or `path` is null, the path is empty, too long, not UTF-8 or has a NUL in it, or the policy is not
// sound. UF_NOT_FOUND: there is no such file.
uf_status uf_ask_options_set_policy(uf_ask_options *options,
                                    const char *path,
                                    size_t path_len);

// Sets how to generate: tokens, sampling, grammar, switch.
//
// generate: from uf_generate_options_new; copied as it is now.
//
// UF_USAGE: a pointer is null.
uf_status uf_ask_options_set_generate(uf_ask_options *options, const uf_generate_options *generate);

// Releases options. Null is allowed and does nothing.
void uf_ask_options_free(uf_ask_options *options);

// Answers a question from a collection, with citations, under its policy. Where nothing relevant is found the answer says
// so, and the model is not asked.
//
// session: computes the answer, with its adapters; an answer that it is making ends.
// question: UTF-8, `question_len` bytes (at most 16 MiB), read only during the call.
// options: from uf_ask_options_new, or null for the defaults; only borrowed.
// callback: gets what the model says as it says it, without the numbers of sources, which are known at the end; null for
// none. What it stops is an answer that was cut short.
// user_data: handed to the callback; may be null.
// out: gets the answer. The caller owns it and releases it with uf_answer_free; it needs nothing else any more.
// Threads: calls on one collection or session wait for each other. The callback may use neither of them, nor the
// collection's embedder.
//
// UF_USAGE: `collection`, `session`, `question` or `out` is null, the question is empty, too long or not UTF-8, an option
// is out of range, or the collection's policy is not sound. UF_INTERRUPTED: a switch was raised before the first word of
// the answer; afterwards the answer is cut short, and its finish reason says so. UF_FAILED: not even one passage fits
// into the context, or the engine or the database failed.
uf_status uf_collection_ask(uf_collection *collection,
                            uf_session *session,
                            const char *question,
                            size_t question_len,
                            const uf_ask_options *options,
                            uf_text_callback callback,
                            void *user_data,
                            uf_answer **out);

// What an answer says, with `[1]` and so on where it cites.
//
// text, text_len: get a text that belongs to the answer and lives as long as it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_answer_text(const uf_answer *answer, const char **text, size_t *text_len);

// What an answer cites.
//
// out: gets passages that belong to the answer and live as long as it; do not free them.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_answer_citations(const uf_answer *answer, const uf_passages **out);

// Whether every sentence of an answer is supported by a passage: 1 if so, else 0.
//
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_answer_grounded(const uf_answer *answer, uint32_t *out);

// What came of the question: one of UF_ANSWER_.
//
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_answer_status(const uf_answer *answer, uint32_t *out);

// The whole answer as JSON: besides what the other functions say, each claim with how well it is supported, the passages
// that the model read, and what policies decided.
//
// text, text_len: get a text that belongs to the answer and lives as long as it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_answer_json(const uf_answer *answer,
                         const char **text,
                         size_t *text_len);

// Why an answer ended: one of UF_FINISH_.
//
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_answer_finish_reason(const uf_answer *answer, uint32_t *out);

// A count of an answer: one of UF_COUNT_.
//
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null, or `which` is unknown.
uf_status uf_answer_count(const uf_answer *answer, uint32_t which, uint64_t *out);

// A timing of an answer, the search included: one of UF_TIMING_.
//
// out: gets it.
// Threads: any.
// UF_USAGE: a pointer is null, or `which` is unknown.
uf_status uf_answer_timing(const uf_answer *answer, uint32_t which, double *out);

// Releases an answer with its citations. Null is allowed and does nothing.
void uf_answer_free(uf_answer *answer);

// Makes options with the defaults: tier gate, the suite and the budget that come with the library, nothing kept.
//
// out: gets them. The caller owns them and releases them with uf_check_options_free.
// Threads: any.
// UF_USAGE: `out` is null.
uf_status uf_check_options_new(uf_check_options **out);

// Sets how thorough the check is: one of UF_TIER_.
//
// UF_USAGE: `options` is null, or `tier` is unknown.
uf_status uf_check_options_set_tier(uf_check_options *options, uint32_t tier);

// Sets whether the groups that come with the library are measured: 0 for only those of uf_check_options_set_suite and
// uf_check_options_set_domain.
//
// UF_USAGE: `options` is null.
uf_status uf_check_options_set_builtin_suite(uf_check_options *options,
                                             uint32_t on);

// Sets a folder with groups (*.jsonl) and texts (*.txt) of your own.
//
// path: UTF-8, `path_len` bytes (at most 32,768), copied.
// UF_USAGE: a pointer is null, or the path is empty, too long, not UTF-8 or has a NUL in it.
uf_status uf_check_options_set_suite(uf_check_options *options, const char *path, size_t path_len);

// Sets the file (JSONL) with the task that the adapter was made for: prompts with their right answers.
//
// As uf_check_options_set_suite.
uf_status uf_check_options_set_domain(uf_check_options *options,
                                      const char *path,
                                      size_t path_len);

// Sets the file (TOML) that declares how much may be forgotten.
//
// As uf_check_options_set_suite.
uf_status uf_check_options_set_budget(uf_check_options *options, const char *path, size_t path_len);

// Sets a folder in which what the base scores is kept, so that the next adapter on it costs half. It is made if it is
// not there, and can be deleted at any time.
//
// As uf_check_options_set_suite.
uf_status uf_check_options_set_cache(uf_check_options *options,
                                     const char *path,
                                     size_t path_len);

// Sets how many threads compute. 0, the default: one a core.
//
// UF_USAGE: `options` is null, or there are more than 4,096.
uf_status uf_check_options_set_n_threads(uf_check_options *options, uint32_t n_threads);

// Sets the switch that stops the check from another thread.
//
// cancel: from uf_cancel_new. The check keeps it alive.
// UF_USAGE: a pointer is null.
uf_status uf_check_options_set_cancel(uf_check_options *options, const uf_cancel *cancel);

// Releases options. Null is allowed and does nothing.
void uf_check_options_free(uf_check_options *options);

// Measures what an adapter makes its base forget, and judges it by a budget. Takes a minute or many, see UF_TIER_.
//
// adapter: from uf_adapter_open.
// scale: the largest scale that it will be used at, not 0.
// options: from uf_check_options_new, or null for the defaults; only borrowed.
// callback: hears of each group (items done and in all), and can stop; null for none. A stop by it raises the options'
// switch too.
// user_data: handed to the callback; may be null.
// out: gets the report, whatever its verdict. The caller owns it and releases it with uf_report_free; it needs nothing
// else any more.
// Threads: any; checks and sessions on one model compute side by side.
//
// UF_USAGE: `adapter` or `out` is null, the scale is 0 or out of range, a suite, a domain or a budget has something
// wrong in it, or nothing is left to measure. UF_NOT_FOUND: a file is not there. UF_INTERRUPTED: the callback or the
// options' switch stopped it. UF_FAILED: a file cannot be read, an adapter's numbers overflow, or the engine failed.
uf_status uf_adapter_check(const uf_adapter *adapter,
                           float scale,
                           const uf_check_options *options,
                           uf_progress_callback callback,
                           void *user_data,
                           uf_report **out);

// The verdict: UF_OK if the adapter stays within the budget, UF_REJECTED if it costs the base more than that,
// UF_UNDECIDED if the evidence does not decide.
//
// Threads: any.
// UF_USAGE: `report` is null.
uf_status uf_report_verdict(const uf_report *report);

// The reason of the verdict, one line.
//
// text, text_len: get a text that belongs to the report and lives as long as it.
// Threads: any.
// UF_USAGE: a pointer is null.
uf_status uf_report_reason(const uf_report *report, const char **text, size_t *text_len);

// The whole report for people: a table of at most 100 columns.
//
// As uf_report_reason.
uf_status uf_report_text(const uf_report *report, const char **text, size_t *text_len);

// The whole report as JSON: a certificate, bound by hashes to base, adapter, suite and budget, as `unforget check`
// writes it.
//
// As uf_report_reason.
uf_status uf_report_json(const uf_report *report,
                         const char **text,
                         size_t *text_len);

// Releases a report. Null is allowed and does nothing.
void uf_report_free(uf_report *report);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* UNFORGET_H */
