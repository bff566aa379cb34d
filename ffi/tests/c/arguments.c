/* Every function with null, with hostile lengths and numbers, and in the wrong order; those for documents are in
   document_arguments.c. A test checks that none is missing. usage: arguments MODEL.gguf ADAPTER.gguf PROSE TRUNCATED.gguf */

#include "wrong.h"

static void frees_nothing(void) {
    uf_model_options_free(NULL);
    uf_model_free(NULL);
    uf_adapter_free(NULL);
    uf_chat_free(NULL);
    uf_session_options_free(NULL);
    uf_session_free(NULL);
    uf_generate_options_free(NULL);
    uf_check_options_free(NULL);
    uf_report_free(NULL);
    uf_cancel_free(NULL);
}

static void makers_want_an_output(void) {
    REFUSES(UF_USAGE, "out", uf_model_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_chat_new(NULL));
    REFUSES(UF_USAGE, "out", uf_session_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_generate_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_check_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_cancel_new(NULL));
    REFUSES(UF_USAGE, "cancel", uf_cancel_raise(NULL));
    REFUSES(UF_USAGE, "cancel", uf_cancel_lower(NULL));
    REFUSES(UF_USAGE, "level", uf_log_set(6, NULL, NULL));
    CHECK(uf_abi_version() == UF_ABI_VERSION && uf_version() != NULL && uf_last_error() != NULL);
}

static void builders_check_their_values(void) {
    uf_model_options *model = NULL;
    uf_session_options *session = NULL;
    uf_generate_options *generate = NULL;
    uf_check_options *check = NULL;
    uf_chat *chat = NULL;
    OK(uf_model_options_new(&model));
    OK(uf_session_options_new(&session));
    OK(uf_generate_options_new(&generate));
    OK(uf_check_options_new(&check));
    OK(uf_chat_new(&chat));

    REFUSES(UF_USAGE, "options", uf_model_options_set_gpu_layers(NULL, 0));
    REFUSES(UF_USAGE, "-3", uf_model_options_set_gpu_layers(model, -3));
    REFUSES(UF_USAGE, "options", uf_model_options_set_name(NULL, "x", 1));
#define NAME(text, n) uf_model_options_set_name(model, text, n)
    WRONG_TEXTS("name", "32768", NAME);

    REFUSES(UF_USAGE, "options", uf_session_options_set_n_ctx(NULL, 1));
    REFUSES(UF_USAGE, "options", uf_session_options_set_batch(NULL, 1, 1));
    REFUSES(UF_USAGE, "options", uf_session_options_set_n_threads(NULL, 1));
    REFUSES(UF_USAGE, "at most 4096", uf_session_options_set_n_threads(session, UINT32_MAX));

    REFUSES(UF_USAGE, "options", uf_generate_options_set_max_tokens(NULL, 1));
    REFUSES(UF_USAGE, "options", uf_generate_options_set_temperature(NULL, 1));
    REFUSES(UF_USAGE, "options", uf_generate_options_set_choice(NULL, 1, 1, 1));
    REFUSES(UF_USAGE, "options", uf_generate_options_set_penalties(NULL, 1, 1, 1, 1));
    REFUSES(UF_USAGE, "options", uf_generate_options_set_seed(NULL, 1));
    REFUSES(UF_USAGE, "options", uf_generate_options_set_grammar(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_generate_options_set_json_schema(NULL, "{}", 2));
    REFUSES(UF_USAGE, "options", uf_generate_options_add_stop(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_generate_options_set_cancel(NULL, NULL));
    REFUSES(UF_USAGE, "cancel", uf_generate_options_set_cancel(generate, NULL));
#define GRAMMAR(text, n) uf_generate_options_set_grammar(generate, text, n)
    WRONG_TEXTS("grammar", "16777216", GRAMMAR);
#define SCHEMA(text, n) uf_generate_options_set_json_schema(generate, text, n)
    WRONG_TEXTS("schema", "16777216", SCHEMA);
#define STOP(text, n) uf_generate_options_add_stop(generate, text, n)
    WRONG_TEXTS("stop", "32768", STOP);
    for (int i = 0; i < 64; i++) OK(uf_generate_options_add_stop(generate, "x", 1));
    REFUSES(UF_USAGE, "at most 64", uf_generate_options_add_stop(generate, "x", 1));

    REFUSES(UF_USAGE, "options", uf_check_options_set_tier(NULL, 0));
    REFUSES(UF_USAGE, "UF_TIER_", uf_check_options_set_tier(check, 3));
    REFUSES(UF_USAGE, "options", uf_check_options_set_builtin_suite(NULL, 0));
    REFUSES(UF_USAGE, "options", uf_check_options_set_suite(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_check_options_set_domain(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_check_options_set_budget(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_check_options_set_cache(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_check_options_set_n_threads(NULL, 1));
    REFUSES(UF_USAGE, "at most 4096", uf_check_options_set_n_threads(check, 4097));
    REFUSES(UF_USAGE, "options", uf_check_options_set_cancel(NULL, NULL));
    REFUSES(UF_USAGE, "cancel", uf_check_options_set_cancel(check, NULL));
#define SUITE(text, n) uf_check_options_set_suite(check, text, n)
    WRONG_PATHS(SUITE);
#define DOMAIN_FILE(text, n) uf_check_options_set_domain(check, text, n)
    WRONG_PATHS(DOMAIN_FILE);
#define BUDGET(text, n) uf_check_options_set_budget(check, text, n)
    WRONG_PATHS(BUDGET);
#define CACHE(text, n) uf_check_options_set_cache(check, text, n)
    WRONG_PATHS(CACHE);

    REFUSES(UF_USAGE, "chat", uf_chat_add(NULL, UF_ROLE_USER, "x", 1));
    REFUSES(UF_USAGE, "UF_ROLE_", uf_chat_add(chat, 3, "x", 1));
#define CONTENT(text, n) uf_chat_add(chat, UF_ROLE_USER, text, n)
    WRONG_TEXTS("content", "16777216", CONTENT);

    uf_model_options_free(model);
    uf_session_options_free(session);
    uf_generate_options_free(generate);
    uf_check_options_free(check);
    uf_chat_free(chat);
}

static void refuses_what_is_not_a_model(const char *prose, const char *truncated) {
    uf_model *const before = (uf_model *)untouched;
    uf_model *model = before;
#define OPEN(text, n) uf_model_open(text, n, NULL, &model)
    WRONG_PATHS(OPEN);
    REFUSES(UF_NOT_FOUND, MISSING, OPEN(MISSING, strlen(MISSING)));
    REFUSES(UF_NOT_FOUND, prose, OPEN(prose, strlen(prose)));
    REFUSES(UF_FAILED, truncated, OPEN(truncated, strlen(truncated)));
    REFUSES(UF_USAGE, "out", uf_model_open(prose, strlen(prose), NULL, NULL));
    REFUSES(UF_USAGE, "out", uf_model_open_fd(0, NULL, NULL));
    REFUSES(UF_USAGE, "fd", uf_model_open_fd(-1, NULL, &model));
    CHECK(model == before);
    /* No GPU in this build: an error that says how to get one. */
    uf_model_options *options = NULL;
    OK(uf_model_options_new(&options));
    OK(uf_model_options_set_name(options, "mine", 4));
    OK(uf_model_options_set_gpu_layers(options, UF_GPU_LAYERS_AUTO));
    REFUSES(UF_NOT_FOUND, MISSING, uf_model_open(MISSING, strlen(MISSING), options, &model));
    uf_model_options_free(options);
}

static void models_check_their_arguments(const uf_model *model, const char *model_path, const char *prose) {
    int32_t token = 1;
    char bytes[8];
    uf_adapter *adapter = (uf_adapter *)untouched;
    REFUSES(UF_USAGE, "model", uf_model_name(NULL, &string, &len));
    REFUSES(UF_USAGE, "text", uf_model_name(model, NULL, &len));
    REFUSES(UF_USAGE, "text_len", uf_model_name(model, &string, NULL));
    REFUSES(UF_USAGE, "model", uf_model_architecture(NULL, &string, &len));
    REFUSES(UF_USAGE, "text", uf_model_architecture(model, NULL, &len));
    REFUSES(UF_USAGE, "model", uf_model_sha256(NULL, &string, &len));
    REFUSES(UF_USAGE, "text", uf_model_sha256(model, NULL, &len));
    REFUSES(UF_USAGE, "model", uf_model_number(NULL, UF_MODEL_SIZE, &big));
    REFUSES(UF_USAGE, "out", uf_model_number(model, UF_MODEL_SIZE, NULL));
    REFUSES(UF_USAGE, "UF_MODEL_", uf_model_number(model, UINT32_MAX, &big));

    REFUSES(UF_USAGE, "model", uf_model_tokenize(NULL, "x", 1, UF_TOKENIZE_TEXT, &token, 1, &len));
    REFUSES(UF_USAGE, "out_len", uf_model_tokenize(model, "x", 1, UF_TOKENIZE_TEXT, &token, 1, NULL));
    REFUSES(UF_USAGE, "UF_TOKENIZE_", uf_model_tokenize(model, "x", 1, 3, &token, 1, &len));
    REFUSES(UF_USAGE, "room for", uf_model_tokenize(model, "x", 1, UF_TOKENIZE_TEXT, &token, 0, &len));
#define STRING(text, n) uf_model_tokenize(model, text, n, UF_TOKENIZE_TEXT, NULL, 0, &len)
    WRONG_TEXTS("string", "16777216", STRING);
    REFUSES(UF_USAGE, "model", uf_model_detokenize(NULL, &token, 1, bytes, 8, &len));
    REFUSES(UF_USAGE, "tokens", uf_model_detokenize(model, NULL, 1, bytes, 8, &len));
    REFUSES(UF_USAGE, "n_tokens", uf_model_detokenize(model, &token, 0, bytes, 8, &len));
    REFUSES(UF_USAGE, "n_tokens", uf_model_detokenize(model, &token, SIZE_MAX, bytes, 8, &len));
    REFUSES(UF_USAGE, "out_len", uf_model_detokenize(model, &token, 1, bytes, 8, NULL));
    const int32_t wrong[] = {-1, 49152, INT32_MAX, INT32_MIN};
    for (int i = 0; i < 4; i++)
        REFUSES(UF_USAGE, "0 to 49151", uf_model_detokenize(model, &wrong[i], 1, bytes, 8, &len));

    REFUSES(UF_USAGE, "model", uf_adapter_open(NULL, prose, strlen(prose), &adapter));
    REFUSES(UF_USAGE, "out", uf_adapter_open(model, prose, strlen(prose), NULL));
#define ADAPTER(text, n) uf_adapter_open(model, text, n, &adapter)
    WRONG_PATHS(ADAPTER);
    REFUSES(UF_NOT_FOUND, MISSING, ADAPTER(MISSING, strlen(MISSING)));
    REFUSES(UF_NOT_FOUND, prose, ADAPTER(prose, strlen(prose)));
    CHECK(ADAPTER(model_path, strlen(model_path)) != UF_OK); /* a model is no adapter */
    REFUSES(UF_USAGE, "model", uf_adapter_open_fd(NULL, 0, &adapter));
    REFUSES(UF_USAGE, "out", uf_adapter_open_fd(model, 0, NULL));
    REFUSES(UF_USAGE, "fd", uf_adapter_open_fd(model, -7, &adapter));
    CHECK(adapter == (uf_adapter *)untouched);
    outputs_were_left_alone();
}

static void sessions_check_their_arguments(const uf_model *model, const char *adapter_path) {
    uf_session *session = NULL, *none = (uf_session *)untouched;
    uf_chat *chat = NULL;
    const int32_t wrong = 1 << 30;
    const float scale = 1, nan_scale = 0.0f / 0.0f;
    REFUSES(UF_USAGE, "model", uf_session_open(NULL, NULL, &none));
    REFUSES(UF_USAGE, "out", uf_session_open(model, NULL, NULL));
    CHECK(none == (uf_session *)untouched);
    session = open_session(model);
    OK(uf_chat_new(&chat));

    /* Before any answer. */
    REFUSES(UF_USAGE, "without an answer", uf_session_next(session, &string, &len));
    REFUSES(UF_USAGE, "without an answer", uf_session_run(session, take, NULL));
    REFUSES(UF_USAGE, "without an answer", uf_session_finish_reason(session, &number));
    REFUSES(UF_USAGE, "without an answer", uf_session_count(session, UF_COUNT_PROMPT_TOKENS, &big));
    REFUSES(UF_USAGE, "without an answer", uf_session_timing(session, UF_TIMING_TOTAL_MS, &figure));
    OK(uf_session_stop(session));
    OK(uf_session_forget(session));

    REFUSES(UF_USAGE, "session", uf_session_start_chat(NULL, chat, NULL));
    REFUSES(UF_USAGE, "chat", uf_session_start_chat(session, NULL, NULL));
    REFUSES(UF_USAGE, "at least one message", uf_session_start_chat(session, chat, NULL));
    REFUSES(UF_USAGE, "session", uf_session_start_text(NULL, "x", 1, NULL));
#define PROMPT(text, n) uf_session_start_text(session, text, n, NULL)
    WRONG_TEXTS("prompt", "16777216", PROMPT);
    REFUSES(UF_USAGE, "session", uf_session_start_tokens(NULL, &wrong, 1, NULL));
    REFUSES(UF_USAGE, "tokens", uf_session_start_tokens(session, NULL, 1, NULL));
    REFUSES(UF_USAGE, "n_tokens", uf_session_start_tokens(session, &wrong, SIZE_MAX, NULL));
    REFUSES(UF_USAGE, "0 to 49151", uf_session_start_tokens(session, &wrong, 1, NULL));

    /* In the middle of an answer. */
    OK(start(session, "Hello", 8));
    REFUSES(UF_USAGE, "in the middle", uf_session_finish_reason(session, &number));
    REFUSES(UF_USAGE, "session", uf_session_next(NULL, &string, &len));
    REFUSES(UF_USAGE, "text", uf_session_next(session, NULL, &len));
    REFUSES(UF_USAGE, "text_len", uf_session_next(session, &string, NULL));
    REFUSES(UF_USAGE, "session", uf_session_run(NULL, take, NULL));
    REFUSES(UF_USAGE, "callback", uf_session_run(session, NULL, NULL));
    text to = {0};
    OK(uf_session_run(session, take, &to)); /* none of it did harm */
    CHECK(to.pieces > 0);
    REFUSES(UF_USAGE, "session", uf_session_finish_reason(NULL, &number));
    REFUSES(UF_USAGE, "out", uf_session_finish_reason(session, NULL));
    REFUSES(UF_USAGE, "session", uf_session_count(NULL, 0, &big));
    REFUSES(UF_USAGE, "out", uf_session_count(session, 0, NULL));
    REFUSES(UF_USAGE, "UF_COUNT_", uf_session_count(session, 3, &big));
    REFUSES(UF_USAGE, "session", uf_session_timing(NULL, 0, &figure));
    REFUSES(UF_USAGE, "out", uf_session_timing(session, 0, NULL));
    REFUSES(UF_USAGE, "UF_TIMING_", uf_session_timing(session, 5, &figure));
    REFUSES(UF_USAGE, "session", uf_session_stop(NULL));
    REFUSES(UF_USAGE, "session", uf_session_forget(NULL));

    uf_adapter *adapter = NULL;
    OK(uf_adapter_open(model, adapter_path, strlen(adapter_path), &adapter));
    const uf_adapter *stack[] = {adapter, NULL};
    REFUSES(UF_USAGE, "adapter", uf_adapter_sha256(NULL, &string, &len));
    REFUSES(UF_USAGE, "text", uf_adapter_sha256(adapter, NULL, &len));
    REFUSES(UF_USAGE, "adapter", uf_adapter_rank(NULL, &number));
    REFUSES(UF_USAGE, "out", uf_adapter_rank(adapter, NULL));
    REFUSES(UF_USAGE, "session", uf_session_set_adapters(NULL, stack, &scale, 1));
    REFUSES(UF_USAGE, "adapters", uf_session_set_adapters(session, NULL, &scale, 1));
    REFUSES(UF_USAGE, "scales", uf_session_set_adapters(session, stack, NULL, 1));
    REFUSES(UF_USAGE, "adapter", uf_session_set_adapters(session, stack, (const float[]){1, 1}, 2));
    REFUSES(UF_USAGE, "NaN", uf_session_set_adapters(session, stack, &nan_scale, 1));
    uf_report *report = (uf_report *)untouched;
    REFUSES(UF_USAGE, "adapter", uf_adapter_check(NULL, 1, NULL, NULL, NULL, &report));
    REFUSES(UF_USAGE, "out", uf_adapter_check(adapter, 1, NULL, NULL, NULL, NULL));
    REFUSES(UF_USAGE, "NaN", uf_adapter_check(adapter, nan_scale, NULL, NULL, NULL, &report));
    CHECK(report == (uf_report *)untouched);
    CHECK(uf_report_verdict(NULL) == UF_USAGE);
    REFUSES(UF_USAGE, "report", uf_report_reason(NULL, &string, &len));
    REFUSES(UF_USAGE, "report", uf_report_text(NULL, &string, &len));
    REFUSES(UF_USAGE, "report", uf_report_json(NULL, &string, &len));
    uf_adapter_free(adapter);
    uf_chat_free(chat);
    uf_session_free(session);
    outputs_were_left_alone();
}

static void another_models_adapter_is_refused(const uf_model *model, const char *path, const char *adapter_path) {
    uf_model *other = open_model(path);
    uf_adapter *adapter = NULL;
    const float scale = 1;
    uf_session *session = open_session(model);
    OK(uf_adapter_open(other, adapter_path, strlen(adapter_path), &adapter));
    REFUSES(UF_FAILED, "another instance",
            uf_session_set_adapters(session, (const uf_adapter *const *)&adapter, &scale, 1));
    uf_adapter_free(adapter);
    uf_session_free(session);
    uf_model_free(other);
}

static void uses_models(char **argv) {
    uf_model *model = open_model(argv[1]);
    models_check_their_arguments(model, argv[1], argv[3]);
    sessions_check_their_arguments(model, argv[2]);
    another_models_adapter_is_refused(model, argv[1], argv[2]);
    uf_model_free(model);
}

int main(int argc, char **argv) {
    CHECK(argc == 5);
    frees_nothing();
    makers_want_an_output();
    builders_check_their_values();
    refuses_what_is_not_a_model(argv[3], argv[4]);
    uses_models(argv);
    return 0;
}
