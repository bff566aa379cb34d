/* Every function for documents with null, with hostile lengths and numbers, and in the wrong order.
   usage: document_arguments MODEL.gguf EMBEDDER.gguf PROSE COLLECTION */

#include "wrong.h"

static void frees_nothing(void) {
    uf_embedder_free(NULL);
    uf_collection_free(NULL);
    uf_add_options_free(NULL);
    uf_changes_free(NULL);
    uf_search_options_free(NULL);
    uf_passages_free(NULL);
    uf_ask_options_free(NULL);
    uf_answer_free(NULL);
}

static void makers_want_an_output(void) {
    REFUSES(UF_USAGE, "out", uf_add_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_search_options_new(NULL));
    REFUSES(UF_USAGE, "out", uf_ask_options_new(NULL));
}

static void builders_check_their_values(const char *prose) {
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
    REFUSES(UF_USAGE, "options", uf_ask_options_set_filter(NULL, search));
    REFUSES(UF_USAGE, "search", uf_ask_options_set_filter(ask, NULL));
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
    uf_model *base = open_model(argv[1]), *embedder = open_model(argv[2]);
    documents_check_their_arguments(base, embedder, argv[4]);
    uf_model_free(base);
    uf_model_free(embedder);
}

int main(int argc, char **argv) {
    CHECK(argc == 5);
    frees_nothing();
    makers_want_an_output();
    builders_check_their_values(argv[3]);
    uses_models(argv);
    return 0;
}
