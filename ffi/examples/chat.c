// A chat in the terminal. usage: chat MODEL.gguf
// cc chat.c $(pkg-config --cflags --libs unforget) -o chat
#include <stdio.h>
#include <string.h>

#include "unforget.h"

// What the model says in one turn, to give it back in the next.
typedef struct {
    char text[16384];
    size_t len;
} answer;

static int say(const char *text, size_t len, void *user_data) {
    answer *said = user_data;
    fwrite(text, 1, len, stdout);
    fflush(stdout);
    if (len > sizeof said->text - said->len) return 1;
    memcpy(said->text + said->len, text, len);
    said->len += len;
    return 0;
}

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, uf_last_error());
    return 1;
}

int main(int argc, char **argv) {
    uf_model *model = NULL;
    uf_session *session = NULL;
    uf_chat *chat = NULL;
    char line[4096];
    if (argc != 2) {
        fputs("usage: chat MODEL.gguf\n", stderr);
        return 2;
    }
    if (uf_model_open(argv[1], strlen(argv[1]), NULL, &model) != UF_OK) return fail("cannot open the model");
    if (uf_session_open(model, NULL, &session) != UF_OK) return fail("cannot open a session");
    if (uf_chat_new(&chat) != UF_OK) return fail("cannot begin a chat");

    while (fputs("> ", stdout), fflush(stdout), fgets(line, sizeof line, stdin) != NULL) {
        answer said = {.len = 0};
        size_t len = strcspn(line, "\n");
        if (len == 0) continue;
        if (uf_chat_add(chat, UF_ROLE_USER, line, len) != UF_OK) return fail("cannot read that");
        // Only the new message is computed: the session still has the rest.
        if (uf_session_start_chat(session, chat, NULL) != UF_OK) return fail("cannot answer");
        if (uf_session_run(session, say, &said) != UF_OK) return fail("\nstopped");
        if (said.len > 0 && uf_chat_add(chat, UF_ROLE_ASSISTANT, said.text, said.len) != UF_OK) return fail("lost");
        putchar('\n');
    }

    uf_chat_free(chat);
    uf_session_free(session);
    uf_model_free(model);
    return 0;
}
