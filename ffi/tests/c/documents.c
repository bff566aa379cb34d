/* Embedding, collections, citations.
   usage: documents BASE.gguf EMBEDDER.gguf CROSS_ENCODER.gguf DOCUMENTS POLICY.toml COLLECTION */

#include <math.h>

#include "test.h"

static const char QUESTION[] = "Who was named Super Bowl MVP?";

static uf_embedder *open_embedder(const char *path, uf_cancel *cancel) {
    uf_model *model = open_model(path);
    uf_embedder *embedder = NULL;
    uf_session *session = NULL;
    OK(uf_embedder_open(model, NULL, cancel, &embedder));
    REFUSES(UF_NOT_FOUND, "generate text", uf_session_open(model, NULL, &session));
    uf_model_free(model); /* the embedder keeps it */
    return embedder;
}

static float dot(const float *a, const float *b, size_t n) {
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void embeds(uf_embedder *embedder) {
    const char *texts[] = {"The cat sleeps.", "A kitten is asleep.", "Interest rates rose."};
    const size_t lens[] = {15, 19, 20};
    size_t dimension = 0;
    OK(uf_embedder_dimension(embedder, &dimension));
    CHECK(dimension == 384);
    float *vectors = malloc(3 * dimension * sizeof *vectors);
    CHECK(vectors != NULL);
    OK(uf_embedder_embed(embedder, texts, lens, 3, vectors, 3 * dimension));
    CHECK(fabsf(dot(vectors, vectors, dimension) - 1) < 1e-3f);
    CHECK(dot(vectors, vectors + dimension, dimension) > dot(vectors, vectors + 2 * dimension, dimension) + 0.2f);
    REFUSES(UF_USAGE, "3 times 384", uf_embedder_embed(embedder, texts, lens, 3, vectors, 3 * dimension - 1));
    free(vectors);
}

typedef struct {
    int calls;
    int stop_after;
    uint64_t done, total;
} progress;

static int watch(const char *label, size_t label_len, uint64_t done, uint64_t total, void *user_data) {
    progress *to = user_data;
    CHECK(label != NULL && label_len > 0 && done <= total);
    to->calls++;
    to->done = done;
    to->total = total;
    return to->calls == to->stop_after;
}

static uint64_t changed(const uf_changes *changes, uint32_t which) {
    uint64_t n = 0;
    OK(uf_changes_count(changes, which, &n));
    return n;
}

static void adds_and_follows(uf_collection *collection, const char *documents) {
    uf_changes *changes = NULL;
    progress seen = {0}, stopping = {.stop_after = 1};
    uint64_t n = 0;
    REFUSES(UF_INTERRUPTED, "interrupted",
            uf_collection_add(collection, documents, strlen(documents), NULL, watch, &stopping, &changes));
    CHECK(changes == NULL);
    OK(uf_collection_add(collection, documents, strlen(documents), NULL, watch, &seen, &changes));
    CHECK(seen.calls > 1 && seen.total > 0);
    CHECK(changed(changes, UF_CHANGES_ADDED) == 7);
    CHECK(changed(changes, UF_CHANGES_PASSAGES) > 7);
    uf_changes_free(changes);
    OK(uf_collection_sync(collection, NULL, NULL, &changes));
    CHECK(changed(changes, UF_CHANGES_UNCHANGED) == 7 && changed(changes, UF_CHANGES_ADDED) == 0);
    uf_changes_free(changes);
    OK(uf_collection_sync(collection, NULL, NULL, NULL));
    OK(uf_collection_count(collection, UF_COLLECTION_DOCUMENTS, &n));
    CHECK(n == 7);
    REFUSES(UF_NOT_FOUND, "nowhere", uf_collection_add(collection, "/nowhere", 8, NULL, NULL, NULL, NULL));
}

/* The bytes of a citation are in the file. */
static void is_in_its_file(const uf_passages *passages, size_t index) {
    const char *path = NULL, *said = NULL;
    size_t path_len = 0, said_len = 0;
    uint64_t begin = 0, end = 0;
    uint32_t span = 99, page = 99, line = 99;
    char name[4096], bytes[8192];
    OK(uf_passages_path(passages, index, &path, &path_len));
    OK(uf_passages_text(passages, index, &said, &said_len));
    OK(uf_passages_range(passages, index, &begin, &end, &span));
    OK(uf_passages_place(passages, index, &page, &line));
    CHECK(span == UF_SPAN_EXACT && page == 0 && line > 0);
    CHECK(end - begin == said_len && path_len < sizeof name && said_len < sizeof bytes);
    memcpy(name, path, path_len);
    name[path_len] = '\0';
    FILE *file = fopen(name, "rb");
    CHECK(file != NULL && fseek(file, (long)begin, SEEK_SET) == 0);
    CHECK(fread(bytes, 1, said_len, file) == said_len && memcmp(bytes, said, said_len) == 0);
    CHECK(fclose(file) == 0);
}

static void searches(uf_collection *collection) {
    uf_search_options *options = NULL;
    uf_passages *found = NULL;
    size_t n = 0;
    float score[2] = {0};
    uint64_t number = 0;
    int64_t document = 0;
    OK(uf_search_options_new(&options));
    OK(uf_search_options_set_limit(options, 3));
    for (uint32_t mode = UF_SEARCH_HYBRID; mode <= UF_SEARCH_KEYWORD; mode++) {
        OK(uf_search_options_set_mode(options, mode));
        OK(uf_collection_search(collection, QUESTION, strlen(QUESTION), options, &found));
        OK(uf_passages_len(found, &n));
        CHECK(n == 3);
        is_in_its_file(found, 0);
        uf_passages_free(found);
    }
    uf_search_options_free(options);
    OK(uf_collection_search(collection, QUESTION, strlen(QUESTION), NULL, &found));
    OK(uf_passages_len(found, &n));
    CHECK(n == 5);
    OK(uf_passages_score(found, 0, &score[0]));
    OK(uf_passages_score(found, 4, &score[1]));
    CHECK(score[0] > score[1]);
    OK(uf_passages_number(found, 4, &number));
    CHECK(number == 5);
    OK(uf_passages_document(found, 0, &document));
    REFUSES(UF_USAGE, "less than 5", uf_passages_document(found, 5, &document));
    REFUSES(UF_USAGE, "less than 5", uf_passages_score(found, SIZE_MAX, &score[0]));
    uf_passages_free(found);
}

/* The documents that a search with these options finds passages of; all of its passages are of one, or there are none. */
static int64_t only_document(uf_collection *collection, const uf_search_options *options) {
    uf_passages *found = NULL;
    size_t n = 0;
    int64_t document = 0, other = 0;
    OK(uf_collection_search(collection, QUESTION, strlen(QUESTION), options, &found));
    OK(uf_passages_len(found, &n));
    for (size_t i = 0; i < n; i++) {
        OK(uf_passages_document(found, i, &other));
        CHECK(i == 0 || other == document);
        document = other;
    }
    uf_passages_free(found);
    return document;
}

static void filters(uf_collection *collection, const char *documents) {
    uf_add_options *adding = NULL;
    uf_search_options *tagged = NULL, *by_path = NULL, *by_number = NULL, *wrong = NULL;
    char steam[4096];
    CHECK(snprintf(steam, sizeof steam, "%s/steam-engine.md", documents) < (int)sizeof steam);
    OK(uf_add_options_new(&adding));
    OK(uf_add_options_set_redact(adding, 0));
    OK(uf_add_options_add_tag(adding, "machines", 8));
    OK(uf_collection_add(collection, steam, strlen(steam), adding, NULL, NULL, NULL));
    OK(uf_add_options_add_tag(adding, "two\nlines", 9));
    REFUSES(UF_USAGE, "line breaks", uf_collection_add(collection, steam, strlen(steam), adding, NULL, NULL, NULL));
    uf_add_options_free(adding);

    OK(uf_search_options_new(&tagged));
    OK(uf_search_options_add_tag(tagged, "nothing", 7));
    CHECK(only_document(collection, tagged) == 0);
    OK(uf_search_options_add_tag(tagged, "machines", 8));
    int64_t steam_engine = only_document(collection, tagged);
    CHECK(steam_engine != 0);
    OK(uf_search_options_new(&by_path));
    OK(uf_search_options_add_path(by_path, "steam-*.md", 10));
    CHECK(only_document(collection, by_path) == steam_engine);
    OK(uf_search_options_new(&by_number));
    OK(uf_search_options_add_document(by_number, steam_engine));
    CHECK(only_document(collection, by_number) == steam_engine);
    OK(uf_search_options_set_since(by_number, INT64_MAX)); /* no file is of the future */
    CHECK(only_document(collection, by_number) == 0);
    uf_passages *found = NULL;
    OK(uf_search_options_new(&wrong));
    OK(uf_search_options_add_path(wrong, "a[", 2));
    REFUSES(UF_USAGE, "a glob", uf_collection_search(collection, QUESTION, strlen(QUESTION), wrong, &found));
    uf_search_options_free(tagged);
    uf_search_options_free(by_path);
    uf_search_options_free(by_number);
    uf_search_options_free(wrong);
}

static uf_ask_options *asking(uint32_t max_tokens) {
    uf_generate_options *generate = short_answer(max_tokens);
    uf_ask_options *options = NULL;
    OK(uf_ask_options_new(&options));
    OK(uf_ask_options_set_generate(options, generate));
    uf_generate_options_free(generate);
    return options;
}

static uint32_t status_of(const uf_answer *answer) {
    uint32_t status = 99;
    OK(uf_answer_status(answer, &status));
    return status;
}

static void says(const uf_answer *answer, const char *part) {
    const char *said = NULL;
    size_t len = 0;
    text all = {0};
    OK(uf_answer_text(answer, &said, &len));
    take(said, len, &all);
    CHECK(strstr(all.bytes, part) != NULL);
}

static void json_has(const uf_answer *answer, const char *part) {
    const char *json = NULL;
    size_t len = 0;
    OK(uf_answer_json(answer, &json, &len));
    char *copy = malloc(len + 1);
    CHECK(copy != NULL && len > 2 && json[0] == '{' && json[len - 1] == '}');
    memcpy(copy, json, len);
    copy[len] = '\0';
    CHECK(strstr(copy, part) != NULL);
    free(copy);
}

/* A question that another document answers. */
static void answers_from_some(uf_collection *collection, const uf_model *base) {
    uf_session *session = open_session(base);
    uf_search_options *steam = NULL;
    uf_ask_options *options = asking(8);
    uf_answer *answer = NULL;
    OK(uf_search_options_new(&steam));
    OK(uf_search_options_add_tag(steam, "machines", 8));
    OK(uf_ask_options_set_filter(options, steam));
    uf_search_options_free(steam);
    OK(uf_collection_ask(collection, session, QUESTION, strlen(QUESTION), options, NULL, NULL, &answer));
    CHECK(status_of(answer) == UF_ANSWER_NOT_IN_DOCUMENTS);
    uf_answer_free(answer);
    uf_ask_options_free(options);
    uf_session_free(session);
}

static void answers_with_citations(uf_collection *collection, const uf_model *base) {
    uf_session *session = open_session(base);
    uf_answer *answer = NULL;
    uf_ask_options *options = asking(48);
    const uf_passages *citations = NULL;
    size_t n = 0;
    uint32_t grounded = 0, reason = 99;
    uint64_t count = 0;
    double ms = 0;
    text streamed = {0}, cut = {.stop_after = 1};
    OK(uf_collection_ask(collection, session, QUESTION, strlen(QUESTION), options, take, &streamed, &answer));
    CHECK(status_of(answer) == UF_ANSWER_GIVEN);
    says(answer, "Miller");
    CHECK(streamed.pieces > 1 && strstr(streamed.bytes, "Miller") != NULL && strstr(streamed.bytes, "[1]") == NULL);
    json_has(answer, "\"claims\":[{");
    OK(uf_answer_grounded(answer, &grounded));
    CHECK(grounded == 1);
    OK(uf_answer_citations(answer, &citations));
    OK(uf_passages_len(citations, &n));
    CHECK(n > 0);
    for (size_t i = 0; i < n; i++) is_in_its_file(citations, i);
    OK(uf_answer_finish_reason(answer, &reason));
    CHECK(reason == UF_FINISH_STOP || reason == UF_FINISH_LENGTH);
    OK(uf_answer_count(answer, UF_COUNT_PROMPT_TOKENS, &count));
    CHECK(count > 100);
    OK(uf_answer_timing(answer, UF_TIMING_TOTAL_MS, &ms));
    CHECK(ms > 0);
    uf_answer_free(answer);

    OK(uf_ask_options_set_passages(options, 2));
    OK(uf_ask_options_set_style(options, UF_STYLE_FREE));
    OK(uf_collection_ask(collection, session, QUESTION, strlen(QUESTION), options, take, &cut, &answer));
    OK(uf_answer_finish_reason(answer, &reason));
    CHECK(cut.pieces == 1 && reason == UF_FINISH_CANCELLED);
    says(answer, cut.bytes);
    uf_answer_free(answer);

    const char nonsense[] = "zxqv blorp wug fnord?";
    text nothing = {0};
    OK(uf_collection_ask(collection, session, nonsense, strlen(nonsense), NULL, take, &nothing, &answer));
    CHECK(status_of(answer) == UF_ANSWER_NOT_IN_DOCUMENTS && nothing.pieces == 1);
    OK(uf_answer_citations(answer, &citations));
    OK(uf_passages_len(citations, &n));
    CHECK(n == 0);
    uf_answer_free(answer);
    OK(uf_ask_options_set_threshold(options, 1)); /* nothing is so near */
    OK(uf_collection_ask(collection, session, QUESTION, strlen(QUESTION), options, NULL, NULL, &answer));
    CHECK(status_of(answer) == UF_ANSWER_NOT_IN_DOCUMENTS);
    uf_answer_free(answer);
    uf_ask_options_free(options);
    uf_session_free(session);
}

/* A callback that uses what is calling it is told so, and does not wait for ever. */
static int calls_back(const char *bytes, size_t len, void *user_data) {
    (void)bytes, (void)len;
    uint64_t n = 0;
    REFUSES(UF_USAGE, "called by", uf_collection_count(user_data, UF_COLLECTION_DOCUMENTS, &n));
    return 1;
}

static void follows_a_policy(uf_collection *collection, const uf_model *base, const char *policy) {
    uf_session *session = open_session(base);
    uf_ask_options *options = asking(8);
    uf_answer *answer = NULL;
    const char salary[] = "How high is the salary of the MVP?";
    REFUSES(UF_NOT_FOUND, "nowhere", uf_collection_set_policy(collection, "/nowhere.toml", 13));
    OK(uf_collection_set_policy(collection, policy, strlen(policy)));
    OK(uf_collection_ask(collection, session, salary, strlen(salary), options, NULL, NULL, &answer));
    CHECK(status_of(answer) == UF_ANSWER_REFUSED);
    says(answer, "Ask the club.");
    json_has(answer, "\"rule\":\"refuse 1\"");
    uf_answer_free(answer);
    OK(uf_collection_set_policy(collection, NULL, 0));
    OK(uf_collection_ask(collection, session, salary, strlen(salary), options, calls_back, collection, &answer));
    CHECK(status_of(answer) != UF_ANSWER_REFUSED);
    uf_answer_free(answer);
    OK(uf_ask_options_set_policy(options, policy, strlen(policy)));
    OK(uf_collection_ask(collection, session, salary, strlen(salary), options, NULL, NULL, &answer));
    CHECK(status_of(answer) == UF_ANSWER_REFUSED);
    uf_answer_free(answer);
    uf_ask_options_free(options);
    uf_session_free(session);
}

static void order(uf_collection *collection, uint64_t starts[5]) {
    uf_passages *found = NULL;
    uint64_t end = 0;
    uint32_t span = 99;
    OK(uf_collection_search(collection, QUESTION, strlen(QUESTION), NULL, &found));
    for (size_t i = 0; i < 5; i++) OK(uf_passages_range(found, i, &starts[i], &end, &span));
    uf_passages_free(found);
}

static void reads_again(uf_collection *collection, const uf_model *base, const char *path) {
    uf_model *model = open_model(path);
    uf_cancel *cancel = NULL;
    uf_passages *found = NULL;
    uint64_t before[5], after[5];
    OK(uf_cancel_new(&cancel));
    order(collection, before);
    REFUSES(UF_NOT_FOUND, "cross-encoder", uf_collection_set_reranker(collection, base, NULL, NULL));
    OK(uf_collection_set_reranker(collection, model, NULL, cancel));
    uf_model_free(model); /* the collection keeps it */
    order(collection, after);
    CHECK(memcmp(before, after, sizeof before) != 0);
    OK(uf_cancel_raise(cancel));
    REFUSES(UF_INTERRUPTED, "interrupted", uf_collection_search(collection, QUESTION, strlen(QUESTION), NULL, &found));
    uf_cancel_free(cancel);
}

static void forgets(uf_collection *collection) {
    uf_passages *found = NULL;
    int64_t document = 0;
    uint64_t n = 0;
    OK(uf_collection_search(collection, QUESTION, strlen(QUESTION), NULL, &found));
    OK(uf_passages_document(found, 0, &document));
    uf_passages_free(found);
    OK(uf_collection_remove(collection, document));
    REFUSES(UF_NOT_FOUND, "unknown document", uf_collection_remove(collection, document));
    OK(uf_collection_count(collection, UF_COLLECTION_DOCUMENTS, &n));
    CHECK(n == 6);
    OK(uf_collection_count(collection, UF_COLLECTION_PASSAGES, &n));
    CHECK(n > 0);
}

static void stops_by_its_switch(uf_collection *collection, uf_cancel *cancel) {
    uf_passages *found = NULL;
    OK(uf_cancel_raise(cancel));
    REFUSES(UF_INTERRUPTED, "interrupted", uf_collection_search(collection, QUESTION, strlen(QUESTION), NULL, &found));
    OK(uf_cancel_lower(cancel));
    OK(uf_collection_search(collection, QUESTION, strlen(QUESTION), NULL, &found));
    uf_passages_free(found);
}

static void uses_documents(char **argv) {
    const char *documents = argv[4], *folder = argv[6];
    uf_model *base = open_model(argv[1]);
    uf_cancel *cancel = NULL;
    OK(uf_cancel_new(&cancel));
    uf_embedder *embedder = open_embedder(argv[2], cancel), *none = NULL;
    uf_collection *collection = NULL, *again = NULL;
    REFUSES(UF_NOT_FOUND, "embed text", uf_embedder_open(base, NULL, NULL, &none));
    embeds(embedder);
    OK(uf_collection_open(folder, strlen(folder), embedder, &collection));
    uf_embedder_free(embedder); /* the collection keeps it */
    adds_and_follows(collection, documents);
    searches(collection);
    filters(collection, documents);
    stops_by_its_switch(collection, cancel);
    answers_with_citations(collection, base);
    answers_from_some(collection, base);
    follows_a_policy(collection, base, argv[5]);
    forgets(collection);
    reads_again(collection, base, argv[3]);
    uf_collection_free(collection);
    uf_cancel_free(cancel);

    embedder = open_embedder(argv[2], NULL);
    OK(uf_collection_open(folder, strlen(folder), embedder, &again));
    uint64_t n = 0;
    OK(uf_collection_count(again, UF_COLLECTION_DOCUMENTS, &n));
    CHECK(n == 6);
    uf_collection_free(again);
    uf_embedder_free(embedder);
    uf_model_free(base);
}

int main(int argc, char **argv) {
    CHECK(argc == 7);
    uses_documents(argv);
    return 0;
}
