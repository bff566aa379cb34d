/* Models, adapters, sessions and answers.
   usage: answers MODEL.gguf ADAPTER.gguf */

#include <fcntl.h>
#include <unistd.h>

#include "test.h"

static const char CAPITAL[] = "Which city is the capital of Germany?";
static const char TICKET[] = "Triage this support ticket.\n\nUrgent: Ion has been unreachable since Friday.";

static void knows_its_version(void) {
    CHECK(uf_abi_version() == UF_ABI_VERSION);
    CHECK(strchr(uf_version(), '.') != NULL);
    CHECK(strcmp(uf_last_error(), "") == 0);
}

static void describes_the_model(const uf_model *model) {
    const char *name = NULL, *sha256 = NULL, *architecture = NULL;
    size_t len = 0;
    uint64_t number = 0;
    OK(uf_model_name(model, &name, &len));
    CHECK(len == strlen("SmolLM2-135M-Instruct.Q4_1") && memcmp(name, "SmolLM2-135M-Instruct.Q4_1", len) == 0);
    OK(uf_model_architecture(model, &architecture, &len));
    CHECK(len == 5 && memcmp(architecture, "llama", len) == 0);
    OK(uf_model_sha256(model, &sha256, &len));
    CHECK(len == 64 && memcmp(sha256, "b179c9523d0e", 12) == 0);
    OK(uf_model_number(model, UF_MODEL_N_CTX_TRAIN, &number));
    CHECK(number == 8192);
    OK(uf_model_number(model, UF_MODEL_N_VOCAB, &number));
    CHECK(number == 49152);
    OK(uf_model_number(model, UF_MODEL_IS_EMBEDDER, &number));
    CHECK(number == 0);
}

static void pulls_and_pushes_the_same_answer(const uf_model *model) {
    uf_session *session = open_session(model);
    text pulled = {0}, pushed = {0};
    uint32_t reason = 99;
    uint64_t count = 0;
    double speed = 0;
    answer(session, CAPITAL, 24, &pulled);
    CHECK(strstr(pulled.bytes, "Berlin") != NULL);
    CHECK(pulled.pieces > 1);
    OK(start(session, CAPITAL, 24));
    OK(uf_session_run(session, take, &pushed));
    CHECK(strcmp(pulled.bytes, pushed.bytes) == 0);
    OK(uf_session_finish_reason(session, &reason));
    CHECK(reason == UF_FINISH_STOP);
    OK(uf_session_count(session, UF_COUNT_CACHED_TOKENS, &count));
    CHECK(count > 0); /* the second time, all but the last token of the prompt was there */
    OK(uf_session_count(session, UF_COUNT_COMPLETION_TOKENS, &count));
    CHECK(count >= (uint64_t)pushed.pieces);
    OK(uf_session_timing(session, UF_TIMING_DECODE_TOKENS_PER_S, &speed));
    CHECK(speed > 0);
    /* The end stays the end. */
    OK(uf_session_run(session, take, &pushed));
    CHECK(strcmp(pulled.bytes, pushed.bytes) == 0);
    uf_session_free(session);
}

static void remembers_a_chat(const uf_model *model) {
    uf_session *session = open_session(model);
    uf_chat *chat = question("My name is Ada. Say hello.");
    text first = {0}, second = {0};
    uf_generate_options *options = short_answer(24);
    OK(uf_session_start_chat(session, chat, options));
    OK(uf_session_run(session, take, &first));
    OK(uf_chat_add(chat, UF_ROLE_ASSISTANT, first.bytes, first.len));
    OK(uf_chat_add(chat, UF_ROLE_USER, "What is my name?", 16));
    OK(uf_session_start_chat(session, chat, options));
    OK(uf_session_run(session, take, &second));
    /* What the model makes of its memory is its own affair; that it has one shows in what was not computed again. */
    uint64_t cached = 0;
    OK(uf_session_count(session, UF_COUNT_CACHED_TOKENS, &cached));
    CHECK(second.len > 0 && cached > 8);
    uf_generate_options_free(options);
    uf_chat_free(chat);
    uf_session_free(session);
}

static uint64_t prompt_tokens(uf_session *session, const char *content) {
    text to = {0};
    uint64_t n = 0;
    answer(session, content, 1, &to);
    OK(uf_session_count(session, UF_COUNT_PROMPT_TOKENS, &n));
    return n;
}

/* What somebody types cannot end his message and begin another one: it stays text, which takes many tokens. */
static void a_message_brings_no_control_token(const uf_model *model) {
    uf_session *session = open_session(model);
    CHECK(prompt_tokens(session, "<|im_end|>") > prompt_tokens(session, "x") + 2);
    uf_session_free(session);
}

static int stop_at_once(const char *bytes, size_t len, void *user_data) {
    (void)bytes, (void)len, (void)user_data;
    return -1;
}

static void stops_when_told(const uf_model *model) {
    uf_session *session = open_session(model);
    const char *piece = NULL;
    size_t len = 0;
    uint32_t reason = 99;
    text cut = {.stop_after = 2};
    OK(start(session, CAPITAL, 24));
    REFUSES(UF_INTERRUPTED, "interrupted", uf_session_run(session, take, &cut));
    CHECK(cut.pieces == 2);
    OK(uf_session_finish_reason(session, &reason));
    CHECK(reason == UF_FINISH_CANCELLED);
    OK(start(session, CAPITAL, 24));
    REFUSES(UF_INTERRUPTED, "interrupted", uf_session_run(session, stop_at_once, NULL));
    OK(start(session, CAPITAL, 24));
    OK(uf_session_next(session, &piece, &len));
    OK(uf_session_stop(session));
    REFUSES(UF_INTERRUPTED, "interrupted", uf_session_next(session, &piece, &len));
    OK(uf_session_stop(session));
    uf_session_free(session);
}

/* A callback that uses the session it is called by is told so, and does not wait for ever. */
static int calls_back(const char *bytes, size_t len, void *user_data) {
    (void)bytes, (void)len;
    uint32_t reason = 0;
    REFUSES(UF_USAGE, "called by", uf_session_finish_reason(user_data, &reason));
    REFUSES(UF_USAGE, "called by", uf_session_run(user_data, stop_at_once, NULL));
    return 0;
}

static void a_callback_cannot_use_its_session(const uf_model *model) {
    uf_session *session = open_session(model);
    OK(start(session, CAPITAL, 4));
    OK(uf_session_run(session, calls_back, session));
    uf_session_free(session);
}

static void follows_its_options(const uf_model *model) {
    uf_session *session = open_session(model);
    uf_chat *chat = question(CAPITAL);
    uf_generate_options *options = short_answer(64);
    uint32_t reason = 99;
    text random[2] = {{.len = 0}, {.len = 0}}, stopped = {0}, yes = {0}, object = {0}, nothing = {0};
    const char grammar[] = "root ::= \"yes\" | \"no\"";
    const char schema[] = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"maxLength\":12}},"
                          "\"required\":[\"city\"],\"additionalProperties\":false}";

    OK(uf_generate_options_set_temperature(options, 0.8f));
    OK(uf_generate_options_set_choice(options, 20, 0.9f, 0.05f));
    OK(uf_generate_options_set_penalties(options, 1.1f, 0.1f, 0.1f, 32));
    OK(uf_generate_options_set_seed(options, 7));
    OK(uf_generate_options_set_max_tokens(options, 12));
    for (int i = 0; i < 2; i++) {
        OK(uf_session_start_chat(session, chat, options));
        OK(uf_session_run(session, take, &random[i]));
    }
    CHECK(strcmp(random[0].bytes, random[1].bytes) == 0);
    OK(uf_generate_options_set_temperature(options, -1.0f));
    REFUSES(UF_USAGE, "-1", uf_session_start_chat(session, chat, options));
    uf_generate_options_free(options);

    options = short_answer(64);
    OK(uf_generate_options_add_stop(options, "Berlin", 6));
    OK(uf_session_start_chat(session, chat, options));
    OK(uf_session_run(session, take, &stopped));
    CHECK(stopped.len > 0 && strstr(stopped.bytes, "Berlin") == NULL);
    OK(uf_session_finish_reason(session, &reason));
    CHECK(reason == UF_FINISH_STOP);
    uf_generate_options_free(options);

    options = short_answer(64);
    OK(uf_generate_options_set_grammar(options, grammar, strlen(grammar)));
    OK(uf_session_start_chat(session, chat, options));
    OK(uf_session_run(session, take, &yes));
    CHECK(strcmp(yes.bytes, "yes") == 0 || strcmp(yes.bytes, "no") == 0);
    OK(uf_generate_options_set_json_schema(options, schema, strlen(schema)));
    OK(uf_session_start_chat(session, chat, options));
    OK(uf_session_run(session, take, &object));
    CHECK(object.bytes[0] == '{' && strstr(object.bytes, "\"city\"") != NULL);
    OK(uf_generate_options_set_grammar(options, "root ::= (", 10));
    REFUSES(UF_USAGE, "grammar", uf_session_start_chat(session, chat, options));
    REFUSES(UF_USAGE, "grammar", uf_generate_options_set_json_schema(options, "{\"type\":", 8));
    uf_generate_options_free(options);

    OK(start(session, CAPITAL, 0));
    OK(uf_session_run(session, take, &nothing));
    CHECK(nothing.pieces == 0);
    uf_chat_free(chat);
    uf_session_free(session);
}

/* Texts are read by their length: what follows them in memory is poisoned by the sanitizer. */
static void needs_no_nul(const uf_model *model) {
    uf_session *session = open_session(model);
    size_t len = strlen(CAPITAL), n = 0;
    char *exact = malloc(len);
    CHECK(exact != NULL);
    memcpy(exact, CAPITAL, len);
    uf_chat *chat = NULL;
    OK(uf_chat_new(&chat));
    OK(uf_chat_add(chat, UF_ROLE_USER, exact, len));
    OK(uf_session_start_chat(session, chat, NULL));
    OK(uf_model_tokenize(model, exact, len, UF_TOKENIZE_TEXT, NULL, 0, &n));
    CHECK(n > 0);
    free(exact);
    uf_chat_free(chat);
    uf_session_free(session);
}

static void says_when_the_context_is_full(const uf_model *model) {
    uf_session *session = open_session(model);
    size_t len = 40000;
    char *prompt = malloc(len);
    CHECK(prompt != NULL);
    for (size_t i = 0; i < len; i++) prompt[i] = i % 2 ? 'a' : ' ';
    REFUSES(UF_FAILED, "context is full", uf_session_start_text(session, prompt, len, NULL));
    free(prompt);
    uf_session_free(session);
}

static void tokenizes_both_ways(const uf_model *model) {
    const char *words = "Gr\xc3\xbc\xc3\x9f" "e aus K\xc3\xb6ln";
    int32_t tokens[64];
    char back[64];
    size_t n = 0, exact = 0, len = 0;
    OK(uf_model_tokenize(model, words, strlen(words), UF_TOKENIZE_TEXT, NULL, 0, &n));
    OK(uf_model_tokenize(model, words, strlen(words), UF_TOKENIZE_TEXT, tokens, n, &exact));
    CHECK(n == exact);
    REFUSES(UF_USAGE, "room for", uf_model_tokenize(model, words, strlen(words), UF_TOKENIZE_TEXT, tokens, n - 1, &n));
    OK(uf_model_detokenize(model, tokens, n, back, sizeof back, &len));
    CHECK(len == strlen(words) && memcmp(back, words, len) == 0);
    REFUSES(UF_USAGE, "room for", uf_model_detokenize(model, tokens, n, back, len - 1, &len));
    /* A control token written out is one only in a prompt. */
    size_t as_text = 0, as_prompt = 0;
    OK(uf_model_tokenize(model, "<|im_start|>", 12, UF_TOKENIZE_TEXT, NULL, 0, &as_text));
    OK(uf_model_tokenize(model, "<|im_start|>", 12, UF_TOKENIZE_PROMPT, NULL, 0, &as_prompt));
    CHECK(as_prompt == 1 && as_text > 1);

    uf_session *session = open_session(model);
    uf_generate_options *options = short_answer(4);
    text by_tokens = {0}, by_text = {0};
    OK(uf_model_tokenize(model, "Two and two is", 14, UF_TOKENIZE_DOCUMENT, tokens, 64, &n));
    OK(uf_session_start_tokens(session, tokens, n, options));
    OK(uf_session_run(session, take, &by_tokens));
    OK(uf_session_start_text(session, "Two and two is", 14, options));
    OK(uf_session_run(session, take, &by_text));
    CHECK(by_text.len > 0 && strcmp(by_tokens.bytes, by_text.bytes) == 0);
    uf_generate_options_free(options);
    uf_session_free(session);
}

static void adapters_change_the_answer_and_go_again(const uf_model *model, const char *path) {
    uf_adapter *adapter = NULL;
    uint32_t rank = 0;
    const float one = 1.0f, too_much = 1000.0f;
    text base = {0}, adapted = {0}, again = {0};
    uf_session *session = open_session(model);
    answer(session, TICKET, 24, &base);
    OK(uf_adapter_open(model, path, strlen(path), &adapter));
    OK(uf_adapter_rank(adapter, &rank));
    CHECK(rank == 8);
    const uf_adapter *stack[] = {adapter, adapter};
    OK(uf_session_set_adapters(session, stack, &one, 1));
    REFUSES(UF_USAGE, "once", uf_session_set_adapters(session, stack, (const float[]){1, 1}, 2));
    REFUSES(UF_USAGE, "1000", uf_session_set_adapters(session, stack, &too_much, 1));
    REFUSES(UF_USAGE, "at most 64", uf_session_set_adapters(session, stack, &one, SIZE_MAX));
    uf_adapter_free(adapter); /* the session keeps it */
    answer(session, TICKET, 24, &adapted);
    CHECK(strstr(adapted.bytes, "severity") != NULL);
    OK(uf_session_set_adapters(session, NULL, NULL, 0));
    answer(session, TICKET, 24, &again);
    CHECK(strcmp(base.bytes, again.bytes) == 0 && strcmp(base.bytes, adapted.bytes) != 0);
    uf_session_free(session);
}

/* Opened by descriptor, without a name in the file system, and with the descriptor closed. */
static void opens_by_descriptor(const char *path, const char *adapter_path) {
    char copy[] = "/tmp/unforget-test-XXXXXX";
    int fd = mkstemp(copy), from = open(path, O_RDONLY), adapter_fd = open(adapter_path, O_RDONLY);
    char *buffer = malloc(1 << 20);
    CHECK(fd >= 0 && from >= 0 && adapter_fd >= 0 && buffer != NULL);
    for (ssize_t n; (n = read(from, buffer, 1 << 20)) > 0;) CHECK(write(fd, buffer, (size_t)n) == n);
    free(buffer);
    CHECK(close(from) == 0 && unlink(copy) == 0);
    uf_model *model = NULL;
    uf_adapter *adapter = NULL;
    OK(uf_model_open_fd(fd, NULL, &model));
    CHECK(close(fd) == 0);
    const char *sha256 = NULL;
    size_t len = 0;
    OK(uf_model_sha256(model, &sha256, &len));
    CHECK(memcmp(sha256, "b179c9523d0e", 12) == 0);
    OK(uf_adapter_open_fd(model, adapter_fd, &adapter));
    CHECK(close(adapter_fd) == 0);
    OK(uf_adapter_sha256(adapter, &sha256, &len));
    CHECK(len == 64);
    uf_session *session = open_session(model);
    const float one = 1.0f;
    const uf_adapter *stack[] = {adapter};
    OK(uf_session_set_adapters(session, stack, &one, 1));
    /* Parents first. */
    uf_adapter_free(adapter);
    uf_model_free(model);
    text adapted = {0};
    answer(session, TICKET, 24, &adapted);
    CHECK(strstr(adapted.bytes, "severity") != NULL);
    uf_session_free(session);

    int ends[2];
    CHECK(pipe(ends) == 0);
    REFUSES(UF_USAGE, "regular file", uf_model_open_fd(ends[0], NULL, &model));
    REFUSES(UF_USAGE, "open", uf_model_open_fd(-1, NULL, &model));
    REFUSES(UF_USAGE, "open", uf_model_open_fd(12345, NULL, &model));
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static void *raise_soon(void *cancel) {
    usleep(30000);
    CHECK(uf_cancel_raise(cancel) == UF_OK);
    return NULL;
}

/* Raised from another thread in the middle of a prefill of many seconds; how fast, the bench measures. */
static void cancels_a_prefill(const uf_model *model) {
    uf_session_options *sizes = NULL;
    uf_session *session = NULL;
    uf_cancel *cancel = NULL;
    uf_generate_options *options = short_answer(4);
    pthread_t thread;
    size_t len = 30000;
    char *prompt = malloc(len);
    CHECK(prompt != NULL);
    for (size_t i = 0; i < len; i++) prompt[i] = i % 5 ? 'a' + (char)(i % 23) : ' ';
    OK(uf_session_options_new(&sizes));
    OK(uf_session_options_set_n_ctx(sizes, 32768));
    OK(uf_session_open(model, sizes, &session));
    OK(uf_cancel_new(&cancel));
    OK(uf_generate_options_set_cancel(options, cancel));
    CHECK(pthread_create(&thread, NULL, raise_soon, cancel) == 0);
    REFUSES(UF_INTERRUPTED, "interrupted", uf_session_start_text(session, prompt, len, options));
    CHECK(pthread_join(thread, NULL) == 0);
    /* It stays raised until it is lowered, and the session works on. */
    REFUSES(UF_INTERRUPTED, "interrupted", uf_session_start_text(session, "One two", 7, options));
    OK(uf_cancel_lower(cancel));
    text done = {0};
    OK(uf_session_start_text(session, "One two", 7, options));
    OK(uf_session_run(session, take, &done));
    CHECK(done.pieces > 0);
    uf_cancel_free(cancel);
    free(prompt);
    uf_generate_options_free(options);
    uf_session_options_free(sizes);
    uf_session_free(session);
}

/* In frames of their own: a pointer left in main's would hide a leak from the sanitizer. */
static void uses_a_model(const char *path, const char *adapter) {
    uf_model *model = open_model(path);
    describes_the_model(model);
    pulls_and_pushes_the_same_answer(model);
    remembers_a_chat(model);
    a_message_brings_no_control_token(model);
    stops_when_told(model);
    a_callback_cannot_use_its_session(model);
    follows_its_options(model);
    needs_no_nul(model);
    says_when_the_context_is_full(model);
    tokenizes_both_ways(model);
    adapters_change_the_answer_and_go_again(model, adapter);
    cancels_a_prefill(model);
    uf_model_free(model);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    knows_its_version();
    uses_a_model(argv[1], argv[2]);
    opens_by_descriptor(argv[1], argv[2]);
    return 0;
}
