/* Opening and closing many times, and many threads on one model.
   usage: cycles MODEL.gguf ADAPTER.gguf CYCLES */

#include "test.h"

enum { THREADS = 4 };

static const char PROMPT[] = "Which city is the capital of Germany?";

static void cycle(const char *path, const char *adapter_path, int with_adapter) {
    uf_model *model = open_model(path);
    uf_session_options *options = NULL;
    uf_generate_options *one_token = short_answer(1);
    uf_session *session = NULL;
    uf_adapter *adapter = NULL;
    text to = {0};
    OK(uf_session_options_new(&options));
    OK(uf_session_options_set_n_ctx(options, 64));
    OK(uf_session_open(model, options, &session));
    uf_session_options_free(options);
    if (with_adapter) {
        const float half = 0.5f;
        OK(uf_adapter_open(model, adapter_path, strlen(adapter_path), &adapter));
        OK(uf_session_set_adapters(session, (const uf_adapter *const *)&adapter, &half, 1));
    }
    OK(uf_session_start_text(session, "One", 3, one_token));
    OK(uf_session_run(session, take, &to));
    CHECK(to.pieces == 1);
    uf_generate_options_free(one_token);
    /* Parents first, or children first. */
    if (with_adapter) uf_model_free(model);
    uf_adapter_free(adapter);
    uf_session_free(session);
    if (!with_adapter) uf_model_free(model);
}

typedef struct {
    const uf_model *model;
    text answer;
} job;

static void *work(void *argument) {
    job *mine = argument;
    uf_session *session = open_session(mine->model);
    for (int i = 0; i < 3; i++) {
        mine->answer = (text){0};
        answer(session, PROMPT, 8, &mine->answer);
    }
    uf_session_free(session);
    CHECK(strcmp(uf_last_error(), "") == 0);
    return NULL;
}

/* The same answers on all threads, and no thread sees another's error. */
static void serves_threads(const char *path) {
    uf_model *model = open_model(path);
    pthread_t threads[THREADS];
    job jobs[THREADS];
    REFUSES(UF_USAGE, "model", uf_session_open(NULL, NULL, NULL));
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){.model = model};
        CHECK(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(jobs[0].answer.len > 0);
    for (int i = 1; i < THREADS; i++) CHECK(strcmp(jobs[0].answer.bytes, jobs[i].answer.bytes) == 0);
    CHECK(strstr(uf_last_error(), "model") != NULL);
    uf_model_free(model);
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    for (int i = 0, n = atoi(argv[3]); i < n; i++) cycle(argv[1], argv[2], i % 20 == 0);
    serves_threads(argv[1]);
    return 0;
}
