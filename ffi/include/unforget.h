// unforget: local models with adapters, from C.
//
// Every function that can fail returns a uf_status. On success (UF_OK) its outputs are written; otherwise they are
// left alone, and uf_last_error() says what happened and what to do about it. Text is UTF-8, given by pointer and
// length in bytes, and need not end in NUL. No function prints, exits, or lets a panic out.
//
// A handle is owned by whoever opened it and released by the matching _free. Unless a function says otherwise, any
// thread may call it, and a handle may be used by several threads at once, but not during or after its _free.

#ifndef UNFORGET_H
#define UNFORGET_H

// Made from ffi/src by `make header`; a test fails when the two differ. Do not edit.

#include <stddef.h>
#include <stdint.h>

// Version of the interface that this header declares. It rises when a function or a type changes in a way that
// breaks compiled programs; new functions and new status numbers do not raise it.
#define UF_ABI_VERSION 1

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

// A model: one GGUF file, checked and mapped. Opaque. Any number of threads may use it at once.
typedef struct uf_model uf_model;

// Gets a piece of an answer as soon as it is certain: `len` bytes of whole UTF-8 characters, at least one, without
// a NUL at the end. `text` is valid only during the call. `user_data` is what uf_generate was given.
//
// Return 0 to go on, anything else to stop. It runs on the thread that called uf_generate, and must return to it: no
// longjmp and no C++ exception may leave it. It may call any function of this library except uf_model_free of the model
// that is answering.
typedef int (*uf_text_callback)(const char *text, size_t len, void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Answers a prompt, choosing the likeliest token each time, so that the same prompt gets the same answer. Returns when
// the answer is complete.
//
// model: from uf_model_open; only borrowed.
// prompt: the user's message, UTF-8, `prompt_len` bytes (at most 16 MiB), read only during the call. It is put into the
// model's own chat template; a model without one continues the text.
// max_tokens: most tokens of the answer; 0 computes the prompt and answers nothing.
// callback: gets the answer; must not be null.
// user_data: handed to the callback; may be null.
//
// UF_USAGE: `model`, `prompt` or `callback` is null, or the prompt is empty, too long or not UTF-8.
// UF_INTERRUPTED: the callback stopped the answer. UF_NOT_FOUND: the model embeds text and cannot answer.
// UF_FAILED: the prompt does not fit into the model's context, or the engine failed.
//
// # Safety
// `model` is null or came from uf_model_open and is not released before this returns; `prompt` is null or valid for
// reading `prompt_len` bytes that nobody changes meanwhile; `callback` keeps the rules of uf_text_callback.
uf_status uf_generate(const uf_model *model,
                      const char *prompt,
                      size_t prompt_len,
                      uint32_t max_tokens,
                      uf_text_callback callback,
                      void *user_data);

// What went wrong in the last call on this thread that did not return UF_OK, and what to do about it: one line of
// UTF-8, ending in NUL; empty if nothing has. Calls that succeed leave it alone.
//
// The library owns the string. It is valid until the next call on this thread that fails, or until the thread ends;
// copy it to keep it.
const char *uf_last_error(void);

// Opens a model. The file is checked, mapped read-only and never changed; it must stay as it is until uf_model_free.
//
// path: name of a GGUF file, UTF-8, `path_len` bytes (at most 32,768), read only during the call.
// out: gets the model on UF_OK. The caller owns it and releases it with uf_model_free.
//
// UF_USAGE: a pointer is null, or the path is empty, too long, not UTF-8 or has a NUL in it.
// UF_NOT_FOUND: there is no such file, or it is of another format or kind. UF_FAILED: it is damaged, or cannot be loaded.
//
// # Safety
// `path` is null or valid for reading `path_len` bytes; `out` is null or valid for writing a pointer.
uf_status uf_model_open(const char *path,
                        size_t path_len,
                        uf_model **out);

// Releases a model. Null is allowed and does nothing. No call may be using the model, nor use it later.
//
// # Safety
// `model` is null or came from uf_model_open and was not released before.
void uf_model_free(uf_model *model);

// Version of the library, such as "0.1.0". The string lives as long as the library is loaded; do not free it.
const char *uf_version(void);

// The library's UF_ABI_VERSION. If it is not the header's, do not call anything else.
uint32_t uf_abi_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* UNFORGET_H */
