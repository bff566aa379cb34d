/* A short life of everything that valgrind can watch in a minute or two.
   usage: brief MODEL.gguf ADAPTER.gguf EMBEDDER.gguf DOCUMENT COLLECTION */

#include "test.h"

int main(int argc, char **argv) {
    CHECK(argc == 6);
    uf_model *model = open_model(argv[1]);
    uf_session *session = open_session(model);
    uf_adapter *adapter = NULL;
    const float one = 1.0f;
    text to = {0};
    OK(uf_adapter_open(model, argv[2], strlen(argv[2]), &adapter));
    OK(uf_session_set_adapters(session, (const uf_adapter *const *)&adapter, &one, 1));
    answer(session, "Hi", 2, &to);
    CHECK(to.pieces > 0);
    uf_model_free(model);
    uf_adapter_free(adapter);
    uf_session_free(session);

    uf_model *small = open_model(argv[3]);
    uf_embedder *embedder = NULL;
    uf_collection *collection = NULL;
    uf_passages *found = NULL;
    size_t n = 0;
    OK(uf_embedder_open(small, NULL, NULL, &embedder));
    OK(uf_collection_open(argv[5], strlen(argv[5]), embedder, &collection));
    OK(uf_collection_add(collection, argv[4], strlen(argv[4]), NULL, NULL, NULL, NULL));
    OK(uf_collection_search(collection, "steam", 5, NULL, &found));
    OK(uf_passages_len(found, &n));
    CHECK(n > 0);
    uf_passages_free(found);
    REFUSES(UF_USAGE, "model", uf_model_name(NULL, NULL, NULL));
    uf_collection_free(collection);
    uf_embedder_free(embedder);
    uf_model_free(small);
    return 0;
}
