/* A host with a ggml of its own, of other types and other behaviour, beside the one inside the library. If either side
   saw the other's symbols, this program would crash or give wrong answers. usage: host_ggml MODEL.gguf */

#include "test.h"

/* What the host's ggml does: counts. The library's own functions of these names have other signatures. */
static int calls;

int ggml_init(int x) { return calls++, x + 1; }
int ggml_new_graph(int x) { return calls++, x + 2; }
int ggml_backend_load_all(void) { return ++calls; }
int ggml_graph_compute(int x) { return calls++, x + 3; }
int ggml_time_us(void) { return ++calls; }
int ggml_log_set(int x) { return calls++, x; }
int ggml_free(int x) { return calls++, x; }
int llama_model_load_from_file(int x) { return calls++, x + 4; }
int llama_decode(int x) { return calls++, x + 5; }
int llama_free(int x) { return calls++, x; }
int gguf_init_from_file(int x) { return calls++, x; }
int sqlite3_open_v2(int x) { return calls++, x + 6; }

int main(int argc, char **argv) {
    CHECK(argc == 2);
    uf_model *model = open_model(argv[1]);
    uf_session *session = open_session(model);
    text to = {0};
    answer(session, "Which city is the capital of Germany?", 24, &to);
    CHECK(strstr(to.bytes, "Berlin") != NULL);
    uf_session_free(session);
    uf_model_free(model);
    CHECK(calls == 0); /* the library used none of the host's */
    CHECK(ggml_init(1) == 2 && ggml_new_graph(1) == 3 && ggml_graph_compute(1) == 4);
    CHECK(llama_model_load_from_file(1) == 5 && llama_decode(1) == 6 && sqlite3_open_v2(1) == 7);
    CHECK(ggml_backend_load_all() + ggml_time_us() + ggml_log_set(0) + ggml_free(0) + llama_free(0) > 0);
    CHECK(gguf_init_from_file(0) == 0 && calls == 12);
    return 0;
}
