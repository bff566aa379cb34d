/* The C ABI from C, with a real model, under AddressSanitizer.
   usage: smoke MODEL.gguf PROSE.gguf TRUNCATED.gguf */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unforget.h"

static const char PROMPT[] = "Which city is the capital of Germany?";

#define CHECK(condition) check((condition), #condition, __LINE__)

static void check(int holds, const char *condition, int line) {
    if (holds) return;
    fprintf(stderr, "smoke.c:%d: not true: %s\nlast error: %s\n", line, condition, uf_last_error());
    exit(1);
}

/* An answer as it comes in. */
typedef struct {
    char text[4096];
    size_t len;
    int pieces;
    int stop_after; /* pieces; 0 means never */
} answer;

static int take(const char *text, size_t len, void *user_data) {
    answer *to = user_data;
    CHECK(len > 0 && len < sizeof to->text - to->len);
    memcpy(to->text + to->len, text, len);
    to->len += len;
    to->text[to->len] = '\0';
    to->pieces++;
    return to->pieces == to->stop_after;
}

static int stop_at_once(const char *text, size_t len, void *user_data) {
    (void)text, (void)len, (void)user_data;
    return -1;
}

static uf_status ask(const uf_model *model, uint32_t max_tokens, answer *to) {
    return uf_generate(model, PROMPT, strlen(PROMPT), max_tokens, take, to);
}

static int says(const char *part) { return strstr(uf_last_error(), part) != NULL; }

static void knows_its_version(void) {
    CHECK(uf_abi_version() == UF_ABI_VERSION);
    CHECK(strchr(uf_version(), '.') != NULL);
    CHECK(strcmp(uf_last_error(), "") == 0);
}

/* A failed open says why and leaves its output alone. */
static void refuses_to_open(const char *path, size_t len, uf_status status, const char *reason) {
    uf_model *const before = (uf_model *)&status;
    uf_model *model = before;
    CHECK(uf_model_open(path, len, &model) == status);
    CHECK(says(reason));
    CHECK(model == before);
}

static void refuses_what_is_not_a_model(const char *prose, const char *truncated) {
    const char *missing = "/nowhere/at-all.gguf";
    refuses_to_open(NULL, 0, UF_USAGE, "path");
    refuses_to_open("", 0, UF_USAGE, "path");
    refuses_to_open("\xff", 1, UF_USAGE, "UTF-8");
    refuses_to_open("a.gguf", 7, UF_USAGE, "NUL");
    refuses_to_open("a.gguf", SIZE_MAX, UF_USAGE, "at most");
    refuses_to_open(missing, strlen(missing), UF_NOT_FOUND, missing);
    refuses_to_open(prose, strlen(prose), UF_NOT_FOUND, prose);
    refuses_to_open(truncated, strlen(truncated), UF_FAILED, truncated);
    CHECK(uf_model_open(prose, strlen(prose), NULL) == UF_USAGE);
    CHECK(says("out"));
}

static void refuses_wrong_arguments(const uf_model *model) {
    answer none = {0};
    CHECK(ask(NULL, 8, &none) == UF_USAGE && says("model"));
    CHECK(uf_generate(model, NULL, 3, 8, take, &none) == UF_USAGE && says("prompt"));
    CHECK(uf_generate(model, PROMPT, 0, 8, take, &none) == UF_USAGE && says("prompt"));
    CHECK(uf_generate(model, "\xc3", 1, 8, take, &none) == UF_USAGE && says("UTF-8"));
    CHECK(uf_generate(model, PROMPT, SIZE_MAX, 8, take, &none) == UF_USAGE && says("at most"));
    CHECK(uf_generate(model, PROMPT, strlen(PROMPT), 8, NULL, &none) == UF_USAGE && says("callback"));
    CHECK(none.pieces == 0);
}

static void answers(const uf_model *model) {
    answer first = {0}, second = {0};
    CHECK(ask(model, 24, &first) == UF_OK);
    CHECK(strstr(first.text, "Berlin") != NULL);
    CHECK(first.pieces > 1);
    CHECK(ask(model, 24, &second) == UF_OK);
    CHECK(strcmp(first.text, second.text) == 0);

    answer nothing = {0};
    CHECK(ask(model, 0, &nothing) == UF_OK);
    CHECK(nothing.pieces == 0);
}

static void stops_when_told(const uf_model *model) {
    answer cut = {.stop_after = 2};
    CHECK(ask(model, 24, &cut) == UF_INTERRUPTED);
    CHECK(cut.pieces == 2);
    CHECK(says("interrupted"));
    CHECK(uf_generate(model, PROMPT, strlen(PROMPT), 24, stop_at_once, NULL) == UF_INTERRUPTED);
}

/* The prompt is read by its length: what follows it in memory is poisoned by the sanitizer. */
static void needs_no_nul(const uf_model *model) {
    size_t len = strlen(PROMPT);
    char *exact = malloc(len);
    CHECK(exact != NULL);
    memcpy(exact, PROMPT, len);
    answer to = {0};
    CHECK(uf_generate(model, exact, len, 4, take, &to) == UF_OK);
    CHECK(to.pieces > 0);
    free(exact);
}

static void says_when_the_context_is_full(const uf_model *model) {
    size_t len = 40000;
    char *long_prompt = malloc(len);
    CHECK(long_prompt != NULL);
    for (size_t i = 0; i < len; i++) long_prompt[i] = i % 2 ? 'a' : ' ';
    answer none = {0};
    CHECK(uf_generate(model, long_prompt, len, 8, take, &none) == UF_FAILED);
    CHECK(says("context is full"));
    free(long_prompt);
}

typedef struct {
    const uf_model *model;
    answer answer;
} job;

static void *work(void *argument) {
    job *mine = argument;
    CHECK(ask(mine->model, 8, &mine->answer) == UF_OK);
    CHECK(strcmp(uf_last_error(), "") == 0);
    return NULL;
}

/* Two threads, one model: the same answers, and no thread sees another's error. */
static void serves_two_threads(const uf_model *model) {
    pthread_t threads[2];
    job jobs[2] = {{.model = model}, {.model = model}};
    CHECK(ask(NULL, 8, &jobs[0].answer) == UF_USAGE);
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(jobs[0].answer.len > 0);
    CHECK(strcmp(jobs[0].answer.text, jobs[1].answer.text) == 0);
    CHECK(says("model"));
}

/* In a frame of its own: a pointer left in main's would hide a leak from the sanitizer. */
static void uses_a_model(const char *path) {
    uf_model *model = NULL;
    CHECK(uf_model_open(path, strlen(path), &model) == UF_OK);
    CHECK(model != NULL);
    refuses_wrong_arguments(model);
    answers(model);
    stops_when_told(model);
    needs_no_nul(model);
    says_when_the_context_is_full(model);
    serves_two_threads(model);
    uf_model_free(model);
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    knows_its_version();
    refuses_what_is_not_a_model(argv[2], argv[3]);
    uf_model_free(NULL);
    uses_a_model(argv[1]);
    puts("smoke: all is well");
    return 0;
}
