/* Every function with null, with hostile lengths and numbers, and in the wrong order. A test checks that none is missing
   here. usage: arguments MODEL.gguf EMBEDDER.gguf ADAPTER.gguf PROSE.gguf TRUNCATED.gguf COLLECTION */

#include "test.h"

static const char NUL_INSIDE[] = "a\0b";
static const char MISSING[] = "/nowhere/at-all.gguf";

/* All outputs that a failed call must leave alone. */
static const char *const untouched = "untouched";
static const char *string = untouched;
static size_t len = 77;
static uint32_t number = 77;
static uint64_t big = 77;
static double figure = 77;
static float single = 77;

static void outputs_were_left_alone(void) {
    CHECK(string == untouched && len == 77 && number == 77 && big == 77 && figure == 77 && single == 77);
}

static void frees_nothing(void) {
    uf_model_options_free(NULL);
    uf_model_free(NULL);
    uf_adapter_free(NULL);
    uf_chat_free(NULL);
    uf_session_options_free(NULL);
    uf_session_free(NULL);
    uf_generate_options_free(NULL);
    uf_embedder_free(NULL);
    uf_collection_free(NULL);
    uf_add_options_free(NULL);
    uf_changes_free(NULL);
    uf_search_options_free(NULL);
    uf_passages_free(NULL);
    uf_ask_options_free(NULL);
    uf_answer_free(NULL);
    uf_check_options_free(NULL);
    uf_report_free(NULL);
    uf_cancel_free(NULL);
}

static void makers_want_an_output(void) {
    REFUSES(UF_USAGE, "out", uf_model_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_chat_new(NULL));
    REFUSES(UF_USAGE, "out", uf_session_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_generate_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_add_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_search_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_ask_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_check_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_cancel_new(NULL));
    REFUSES(UF_USAGE, "cancel", uf_cancel_raise(NULL));
    REFUSES(UF_USAGE, "cancel", uf_cancel_lower(NULL));
    REFUSES(UF_USAGE, "level", uf_log_set(6, NULL, NULL));
    CHECK(uf_abi_version() == UF_ABI_VERSION && uf_version() != NULL && uf_last_error() != NULL);
}

/* The texts that no function takes. */
#define WRONG_TEXTS(what, limit, call_with)                                                                            \
    do {                                                                                                               \
        REFUSES(UF_USAGE, what, call_with(NULL, 0));                                                                   \
        REFUSES(UF_USAGE, what, call_with(NULL, 5));                                                                   \
        REFUSES(UF_USAGE, what, call_with("", 0));                                                                     \
        REFUSES(UF_USAGE, "UTF-8", call_with("\xff", 1));                                                              \
        REFUSES(UF_USAGE, "at most " limit, call_with("x", SIZE_MAX));                                                 \
        REFUSES(UF_USAGE, "at most " limit, call_with("x", (size_t)1 << 31));                                          \
    } while (0)

#define WRONG_PATHS(call_with)                                                                                         \
    do {                                                                                                               \
        WRONG_TEXTS("path", "32768", call_with);                                                                       \
        REFUSES(UF_USAGE, "NUL", call_with(NUL_INSIDE, 3));                                                            \
    } while (0)

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

static void documents_builders_check_their_values(const char *prose) {
    uf_add_options *add = NULL;
    uf_search_options *search = NULL;
    uf_ask_options *ask = NULL;
    uf_generate_options *generate = NULL;
    OK(uf_add_options_new(&add));
    OK(uf_search_options_new(&search));
    OK(uf_ask_options_new(&ask));
    OK(uf_generate_options_new(&generate));

    REFUSES(UF_USAGE, "options", uf_add_options_add_tag(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_add_options_set_redact(NULL, 1));
#define ADD_TAG(text, n) uf_add_options_add_tag(add, text, n)
    WRONG_TEXTS("tag", "32768", ADD_TAG);
    for (int i = 0; i < 64; i++) OK(ADD_TAG("x", 1));
    REFUSES(UF_USAGE, "at most 64", ADD_TAG("x", 1));

    REFUSES(UF_USAGE, "options", uf_search_options_set_limit(NULL, 1));
    REFUSES(UF_USAGE, "1 to 1000", uf_search_options_set_limit(search, 0));
    REFUSES(UF_USAGE, "1 to 1000", uf_search_options_set_limit(search, UINT32_MAX));
    REFUSES(UF_USAGE, "options", uf_search_options_set_mode(NULL, 0));
    REFUSES(UF_USAGE, "UF_SEARCH_", uf_search_options_set_mode(search, 3));
    REFUSES(UF_USAGE, "options", uf_search_options_add_path(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_search_options_add_document(NULL, 1));
    REFUSES(UF_USAGE, "options", uf_search_options_add_tag(NULL, "x", 1));
    REFUSES(UF_USAGE, "options", uf_search_options_set_since(NULL, 1));
#define GLOB(text, n) uf_search_options_add_path(search, text, n)
    WRONG_TEXTS("glob", "32768", GLOB);
#define TAG(text, n) uf_search_options_add_tag(search, text, n)
    WRONG_TEXTS("tag", "32768", TAG);
    for (int i = 0; i < 1000; i++) {
        OK(GLOB("x", 1));
        OK(TAG("x", 1));
        OK(uf_search_options_add_document(search, INT64_MIN));
    }
    REFUSES(UF_USAGE, "at most 1000", GLOB("x", 1));
    REFUSES(UF_USAGE, "at most 1000", TAG("x", 1));
    REFUSES(UF_USAGE, "at most 1000", uf_search_options_add_document(search, 1));

    REFUSES(UF_USAGE, "options", uf_ask_options_set_passages(NULL, 1));
    REFUSES(UF_USAGE, "1 to 1000", uf_ask_options_set_passages(ask, 0));
    REFUSES(UF_USAGE, "1 to 1000", uf_ask_options_set_passages(ask, UINT32_MAX));
    REFUSES(UF_USAGE, "options", uf_ask_options_set_style(NULL, 0));
    REFUSES(UF_USAGE, "UF_STYLE_", uf_ask_options_set_style(ask, 2));
    REFUSES(UF_USAGE, "options", uf_ask_options_set_threshold(NULL, 0));
    REFUSES(UF_USAGE, "-1 to 1", uf_ask_options_set_threshold(ask, 0.0f / 0.0f));
    REFUSES(UF_USAGE, "-1 to 1", uf_ask_options_set_threshold(ask, 1.5f));
    REFUSES(UF_USAGE, "options", uf_ask_options_set_generate(NULL, generate));
    REFUSES(UF_USAGE, "generate", uf_ask_options_set_generate(ask, NULL));
    REFUSES(UF_USAGE, "options", uf_ask_options_set_policy(NULL, "x", 1));
#define POLICY(text, n) uf_ask_options_set_policy(ask, text, n)
    WRONG_PATHS(POLICY);
    REFUSES(UF_NOT_FOUND, MISSING, POLICY(MISSING, strlen(MISSING)));
    REFUSES(UF_USAGE, prose, POLICY(prose, strlen(prose)));

    uf_add_options_free(add);
    uf_search_options_free(search);
    uf_ask_options_free(ask);
    uf_generate_options_free(generate);
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

static void documents_check_their_arguments(const uf_model *base, const uf_model *model, const char *folder) {
    uf_embedder *embedder = (uf_embedder *)untouched;
    uf_collection *collection = (uf_collection *)untouched;
    uf_passages *passages = (uf_passages *)untouched;
    uf_changes *changes = (uf_changes *)untouched;
    uf_answer *answer = (uf_answer *)untouched;
    const uf_passages *citations = (uf_passages *)untouched;
    const char *texts[] = {"x", NULL};
    const size_t lens[] = {1, 1}, absurd[] = {SIZE_MAX};
    int64_t document = 0;
    float vector[384];
    REFUSES(UF_USAGE, "model", uf_embedder_open(NULL, NULL, NULL, &embedder));
    REFUSES(UF_USAGE, "out", uf_embedder_open(model, NULL, NULL, NULL));
    CHECK(embedder == (uf_embedder *)untouched);
    OK(uf_embedder_open(model, NULL, NULL, &embedder));
    REFUSES(UF_USAGE, "embedder", uf_embedder_dimension(NULL, &len));
    REFUSES(UF_USAGE, "out", uf_embedder_dimension(embedder, NULL));
    REFUSES(UF_USAGE, "embedder", uf_embedder_embed(NULL, texts, lens, 1, vector, 384));
    REFUSES(UF_USAGE, "texts", uf_embedder_embed(embedder, NULL, lens, 1, vector, 384));
    REFUSES(UF_USAGE, "text_lens", uf_embedder_embed(embedder, texts, NULL, 1, vector, 384));
    REFUSES(UF_USAGE, "vectors", uf_embedder_embed(embedder, texts, lens, 1, NULL, 384));
    REFUSES(UF_USAGE, "text", uf_embedder_embed(embedder, texts, lens, 2, vector, 768));
    REFUSES(UF_USAGE, "invalid n '0'", uf_embedder_embed(embedder, texts, lens, 0, vector, 0));
    REFUSES(UF_USAGE, "invalid n", uf_embedder_embed(embedder, texts, lens, SIZE_MAX, vector, 384));
    REFUSES(UF_USAGE, "at most", uf_embedder_embed(embedder, texts, absurd, 1, vector, 384));
    REFUSES(UF_USAGE, "n_floats", uf_embedder_embed(embedder, texts, lens, 1, vector, 383));
    REFUSES(UF_USAGE, "n_floats", uf_embedder_embed(embedder, texts, lens, 1, vector, SIZE_MAX));

#define FOLDER(text, n) uf_collection_open(text, n, embedder, &collection)
    WRONG_PATHS(FOLDER);
    REFUSES(UF_USAGE, "embedder", uf_collection_open("x", 1, NULL, &collection));
    REFUSES(UF_USAGE, "out", uf_collection_open("x", 1, embedder, NULL));
    CHECK(collection == (uf_collection *)untouched);
    OK(FOLDER(folder, strlen(folder)));
#define ADD(text, n) uf_collection_add(collection, text, n, NULL, NULL, NULL, &changes)
    WRONG_PATHS(ADD);
    REFUSES(UF_USAGE, "collection", uf_collection_add(NULL, "x", 1, NULL, NULL, NULL, &changes));
    REFUSES(UF_USAGE, "collection", uf_collection_sync(NULL, NULL, NULL, &changes));
    REFUSES(UF_USAGE, "collection", uf_collection_remove(NULL, 1));
    REFUSES(UF_NOT_FOUND, "document", uf_collection_remove(collection, INT64_MIN));
    REFUSES(UF_USAGE, "collection", uf_collection_count(NULL, 0, &big));
    REFUSES(UF_USAGE, "out", uf_collection_count(collection, 0, NULL));
    REFUSES(UF_USAGE, "UF_COLLECTION_", uf_collection_count(collection, 2, &big));
    REFUSES(UF_USAGE, "collection", uf_collection_search(NULL, "x", 1, NULL, &passages));
    REFUSES(UF_USAGE, "out", uf_collection_search(collection, "x", 1, NULL, NULL));
#define QUERY(text, n) uf_collection_search(collection, text, n, NULL, &passages)
    WRONG_TEXTS("query", "16777216", QUERY);
    uf_session *session = open_session(base);
    REFUSES(UF_USAGE, "collection", uf_collection_ask(NULL, session, "x", 1, NULL, NULL, NULL, &answer));
    REFUSES(UF_USAGE, "session", uf_collection_ask(collection, NULL, "x", 1, NULL, NULL, NULL, &answer));
    REFUSES(UF_USAGE, "out", uf_collection_ask(collection, session, "x", 1, NULL, NULL, NULL, NULL));
#define ASK(text, n) uf_collection_ask(collection, session, text, n, NULL, NULL, NULL, &answer)
    WRONG_TEXTS("question", "16777216", ASK);
    REFUSES(UF_USAGE, "collection", uf_collection_set_reranker(NULL, model, NULL, NULL));
    REFUSES(UF_USAGE, "model", uf_collection_set_reranker(collection, NULL, NULL, NULL));
    REFUSES(UF_NOT_FOUND, "cross-encoder", uf_collection_set_reranker(collection, model, NULL, NULL));
    REFUSES(UF_USAGE, "collection", uf_collection_set_policy(NULL, "x", 1));
    REFUSES(UF_USAGE, "path", uf_collection_set_policy(collection, "", 0));
    REFUSES(UF_USAGE, "at most 32768", uf_collection_set_policy(collection, "x", SIZE_MAX));
    REFUSES(UF_USAGE, "UTF-8", uf_collection_set_policy(collection, "\xff", 1));
    REFUSES(UF_NOT_FOUND, MISSING, uf_collection_set_policy(collection, MISSING, strlen(MISSING)));
    uf_session_free(session);
    CHECK(passages == (uf_passages *)untouched && changes == (uf_changes *)untouched);
    CHECK(answer == (uf_answer *)untouched);

    /* An empty collection has nothing, and that is no error. */
    OK(QUERY("anything", 8));
    size_t n = 77;
    OK(uf_passages_len(passages, &n));
    CHECK(n == 0);
    REFUSES(UF_USAGE, "passages", uf_passages_len(NULL, &len));
    REFUSES(UF_USAGE, "out", uf_passages_len(passages, NULL));
    REFUSES(UF_USAGE, "less than 0", uf_passages_text(passages, 0, &string, &len));
    REFUSES(UF_USAGE, "passages", uf_passages_text(NULL, 0, &string, &len));
    REFUSES(UF_USAGE, "text", uf_passages_text(passages, 0, NULL, &len));
    REFUSES(UF_USAGE, "less than 0", uf_passages_path(passages, SIZE_MAX, &string, &len));
    REFUSES(UF_USAGE, "passages", uf_passages_path(NULL, 0, &string, &len));
    REFUSES(UF_USAGE, "less than 0", uf_passages_range(passages, 0, &big, &big, &number));
    REFUSES(UF_USAGE, "start", uf_passages_range(passages, 0, NULL, &big, &number));
    REFUSES(UF_USAGE, "end", uf_passages_range(passages, 0, &big, NULL, &number));
    REFUSES(UF_USAGE, "span", uf_passages_range(passages, 0, &big, &big, NULL));
    REFUSES(UF_USAGE, "passages", uf_passages_range(NULL, 0, &big, &big, &number));
    REFUSES(UF_USAGE, "less than 0", uf_passages_place(passages, 0, &number, &number));
    REFUSES(UF_USAGE, "page", uf_passages_place(passages, 0, NULL, &number));
    REFUSES(UF_USAGE, "line", uf_passages_place(passages, 0, &number, NULL));
    REFUSES(UF_USAGE, "passages", uf_passages_place(NULL, 0, &number, &number));
    REFUSES(UF_USAGE, "less than 0", uf_passages_score(passages, 0, &single));
    REFUSES(UF_USAGE, "passages", uf_passages_score(NULL, 0, &single));
    REFUSES(UF_USAGE, "less than 0", uf_passages_number(passages, 0, &big));
    REFUSES(UF_USAGE, "passages", uf_passages_number(NULL, 0, &big));
    REFUSES(UF_USAGE, "less than 0", uf_passages_document(passages, 0, &document));
    REFUSES(UF_USAGE, "out", uf_passages_document(passages, 0, NULL));
    uf_passages_free(passages);

    OK(uf_collection_sync(collection, NULL, NULL, &changes));
    REFUSES(UF_USAGE, "changes", uf_changes_count(NULL, 0, &big));
    REFUSES(UF_USAGE, "out", uf_changes_count(changes, 0, NULL));
    REFUSES(UF_USAGE, "UF_CHANGES_", uf_changes_count(changes, 7, &big));
    REFUSES(UF_USAGE, "changes", uf_changes_skipped(NULL, 0, &string, &len, &string, &len));
    REFUSES(UF_USAGE, "text", uf_changes_skipped(changes, 0, NULL, &len, &string, &len));
    REFUSES(UF_USAGE, "less than 0", uf_changes_skipped(changes, 0, &string, &len, &string, &len));
    uf_changes_free(changes);

    REFUSES(UF_USAGE, "answer", uf_answer_text(NULL, &string, &len));
    REFUSES(UF_USAGE, "answer", uf_answer_citations(NULL, &citations));
    REFUSES(UF_USAGE, "answer", uf_answer_json(NULL, &string, &len));
    REFUSES(UF_USAGE, "answer", uf_answer_status(NULL, &number));
    REFUSES(UF_USAGE, "answer", uf_answer_grounded(NULL, &number));
    REFUSES(UF_USAGE, "answer", uf_answer_finish_reason(NULL, &number));
    REFUSES(UF_USAGE, "answer", uf_answer_count(NULL, 0, &big));
    REFUSES(UF_USAGE, "answer", uf_answer_timing(NULL, 0, &figure));
    CHECK(citations == (uf_passages *)untouched);
    uf_collection_free(collection);
    uf_embedder_free(embedder);
    outputs_were_left_alone();
}

static void uses_models(char **argv) {
    uf_model *model = open_model(argv[1]), *embedder = open_model(argv[2]);
    models_check_their_arguments(model, argv[1], argv[4]);
    sessions_check_their_arguments(model, argv[3]);
    another_models_adapter_is_refused(model, argv[1], argv[3]);
    documents_check_their_arguments(model, embedder, argv[6]);
    uf_model_free(model);
    uf_model_free(embedder);
}

int main(int argc, char **argv) {
    CHECK(argc == 7);
    frees_nothing();
    makers_want_an_output();
    builders_check_their_values();
    documents_builders_check_their_values(argv[4]);
    refuses_what_is_not_a_model(argv[4], argv[5]);
    uses_models(argv);
    return 0;
}
