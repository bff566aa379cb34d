/* What the C tests share. Each is a program of its own: it ends with 0 if all is well, and otherwise says what is not. */

#ifndef UNFORGET_TEST_H
#define UNFORGET_TEST_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unforget.h"

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)

/* The call fails with this status, and its message has this part. */
#define REFUSES(status, part, call) refuses((status), (part), (call), #call, __FILE__, __LINE__)

#define OK(call) REFUSES(UF_OK, "", call)

static inline void check(int holds, const char *condition, const char *file, int line) {
    if (holds) return;
    fprintf(stderr, "%s:%d: not true: %s\nlast error: %s\n", file, line, condition, uf_last_error());
    exit(1);
}

static inline void refuses(uf_status wanted, const char *part, uf_status got, const char *call, const char *file,
                           int line) {
    if (got == wanted && (wanted == UF_OK || strstr(uf_last_error(), part) != NULL)) return;
    fprintf(stderr, "%s:%d: %s\nreturned %d, wanted %d with '%s'\nlast error: %s\n", file, line, call, (int)got,
            (int)wanted, part, uf_last_error());
    exit(1);
}

/* A text that grows. */
typedef struct {
    char bytes[8192];
    size_t len;
    int pieces;
    int stop_after; /* pieces; 0 means never */
} text;

static inline int take(const char *bytes, size_t len, void *user_data) {
    text *to = user_data;
    CHECK(len > 0 && len < sizeof to->bytes - to->len);
    memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
    to->bytes[to->len] = '\0';
    to->pieces++;
    return to->pieces == to->stop_after;
}

static inline uf_model *open_model(const char *path) {
    uf_model *model = NULL;
    OK(uf_model_open(path, strlen(path), NULL, &model));
    CHECK(model != NULL);
    return model;
}

/* A session with a small context. */
static inline uf_session *open_session(const uf_model *model) {
    uf_session_options *options = NULL;
    uf_session *session = NULL;
    OK(uf_session_options_new(&options));
    OK(uf_session_options_set_n_ctx(options, 1024));
    OK(uf_session_open(model, options, &session));
    uf_session_options_free(options);
    return session;
}

static inline uf_generate_options *short_answer(uint32_t max_tokens) {
    uf_generate_options *options = NULL;
    OK(uf_generate_options_new(&options));
    OK(uf_generate_options_set_max_tokens(options, max_tokens));
    return options;
}

static inline uf_chat *question(const char *content) {
    uf_chat *chat = NULL;
    OK(uf_chat_new(&chat));
    OK(uf_chat_add(chat, UF_ROLE_USER, content, strlen(content)));
    return chat;
}

/* Starts an answer to a question. */
static inline uf_status start(uf_session *session, const char *content, uint32_t max_tokens) {
    uf_chat *chat = question(content);
    uf_generate_options *options = short_answer(max_tokens);
    uf_status status = uf_session_start_chat(session, chat, options);
    uf_generate_options_free(options);
    uf_chat_free(chat);
    return status;
}

/* The whole answer, pulled. */
static inline void answer(uf_session *session, const char *content, uint32_t max_tokens, text *to) {
    const char *piece = NULL;
    size_t len = 0;
    OK(start(session, content, max_tokens));
    for (;;) {
        OK(uf_session_next(session, &piece, &len));
        if (len == 0) return;
        take(piece, len, to);
    }
}

#endif
