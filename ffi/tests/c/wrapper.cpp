// The C++ wrapper. usage: wrapper BASE.gguf EMBEDDER.gguf ADAPTER.gguf DOCUMENTS COLLECTION

#include <unforget.hpp>

#include <cstdio>
#include <cstdlib>
#include <thread>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::fprintf(stderr, "%s:%d: not true: %s\nlast error: %s\n", __FILE__, __LINE__, #condition,              \
                         uf_last_error());                                                                             \
            std::exit(1);                                                                                              \
        }                                                                                                              \
    } while (0)

namespace {

/// The status that a call throws; UF_OK if it does not.
template <typename Call> uf_status thrown(Call call) {
    try {
        call();
    } catch (const unforget::error &error) {
        CHECK(error.what()[0] != '\0');
        return error.status();
    }
    return UF_OK;
}

unforget::session small_session(const unforget::model &model) {
    unforget::session::options sizes;
    sizes.n_ctx = 1024;
    return unforget::session(model, sizes);
}

void answers(const unforget::model &model, const char *adapter_path) {
    auto session = small_session(model);
    unforget::generate_options options;
    options.max_tokens = 24;
    auto chat = unforget::chat();
    chat.user("Which city is the capital of Germany?");
    auto whole = session.answer(chat, options);
    CHECK(whole.find("Berlin") != std::string::npos);
    CHECK(session.finish_reason() == UF_FINISH_STOP);
    CHECK(session.count(UF_COUNT_COMPLETION_TOKENS) > 1 && session.timing(UF_TIMING_TTFT_MS) > 0);

    std::string pushed;
    session.start(chat, options);
    session.run([&](std::string_view piece) { return pushed += piece, true; });
    CHECK(pushed == whole);
    session.start(chat, options);
    CHECK(thrown([&] { session.run([](std::string_view) { return false; }); }) == UF_INTERRUPTED);
    // A callback's exception comes out of the call.
    session.start(chat, options);
    bool caught = false;
    try {
        session.run([](std::string_view) -> bool { throw std::logic_error("mine"); });
    } catch (const std::logic_error &error) {
        caught = std::string(error.what()) == "mine";
    }
    CHECK(caught);

    unforget::cancel cancel;
    options.cancel = &cancel;
    cancel.raise();
    CHECK(thrown([&] { session.start(chat, options); }) == UF_INTERRUPTED);
    cancel.lower();
    CHECK(session.answer(chat, options) == whole);

    auto tokens = model.tokenize("Hello there", UF_TOKENIZE_TEXT);
    CHECK(tokens.size() >= 2 && model.detokenize(tokens) == "Hello there");

    unforget::adapter adapter(model, adapter_path);
    CHECK(adapter.rank() == 8 && adapter.sha256().size() == 64);
    session.set_adapters({{&adapter, 1.0f}});
    options.max_tokens = 24;
    unforget::chat ticket;
    ticket.user("Triage this support ticket.\n\nUrgent: Ion has been unreachable since Friday.");
    CHECK(session.answer(ticket, options).find("severity") != std::string::npos);
    CHECK(thrown([&] { adapter.check(0.0f, {}); }) == UF_USAGE);

    auto moved = std::move(session);
    CHECK(moved.get() != nullptr && session.get() == nullptr);
}

void documents(const unforget::model &base, const char *embedder_path, const char *documents, const char *folder) {
    unforget::embedder embedder{unforget::model(embedder_path)};
    CHECK(embedder.embed({"one", "two"}).size() == 2 * embedder.dimension());
    unforget::collection collection(folder, embedder);
    std::uint64_t last = 0;
    auto changes = collection.add(documents, [&](std::string_view label, std::uint64_t done, std::uint64_t total) {
        CHECK(!label.empty() && done <= total);
        last = done;
        return true;
    });
    CHECK(changes.added == 7 && changes.skipped.empty() && last > 0);
    CHECK(collection.sync().unchanged == 7);
    unforget::search_options three;
    three.limit = 3;
    auto found = collection.search("Who was named Super Bowl MVP?", three);
    CHECK(found.size() == 3 && found[0].score > 0.3f && found[0].end > found[0].start);
    unforget::add_options tags;
    tags.tags = {"machines"};
    collection.add(std::string(documents) + "/steam-engine.md", tags);
    three.tags = {"machines"};
    three.paths = {"steam-*"};
    three.since = 0;
    auto narrowed = collection.search("Who?", three);
    CHECK(!narrowed.empty());
    for (const auto &passage : narrowed) CHECK(passage.path.find("steam-engine.md") != std::string::npos);
    three.documents = {found[0].document};
    CHECK(collection.search("Who?", three).empty());
    CHECK(thrown([&] { collection.set_reranker(base); }) == UF_NOT_FOUND);
    collection.set_policy(std::nullopt);
    auto session = small_session(base);
    unforget::ask_options options;
    options.generate.max_tokens = 48;
    std::string streamed;
    auto answer = collection.ask(session, "Who was named Super Bowl MVP?", options,
                                 [&](std::string_view piece) { return streamed += piece, true; });
    CHECK(answer.status == UF_ANSWER_GIVEN && answer.grounded && !answer.citations.empty());
    CHECK(answer.text.find("Miller") != std::string::npos && streamed.find("Miller") != std::string::npos);
    CHECK(answer.json.find("\"claims\"") != std::string::npos);
    bool caught = false;
    try {
        collection.ask(session, "Who was named Super Bowl MVP?", options,
                       [](std::string_view) -> bool { throw std::logic_error("mine"); });
    } catch (const std::logic_error &error) {
        caught = std::string(error.what()) == "mine";
    }
    CHECK(caught);
    options.from.tags = {"machines"};
    CHECK(collection.ask(session, "Who was named Super Bowl MVP?", options).status == UF_ANSWER_NOT_IN_DOCUMENTS);
    options.from.tags.clear();
    options.threshold = 1.0f;
    CHECK(collection.ask(session, "Who was named Super Bowl MVP?", options).status == UF_ANSWER_NOT_IN_DOCUMENTS);
    collection.remove(found[0].document);
    CHECK(collection.count(UF_COLLECTION_DOCUMENTS) == 6);
}

} // namespace

int main(int argc, char **argv) {
    CHECK(argc == 6);
    CHECK(thrown([] { unforget::model("/nowhere.gguf"); }) == UF_NOT_FOUND);
    unforget::model model(argv[1]);
    CHECK(model.architecture() == "llama" && model.sha256().size() == 64);
    CHECK(model.number(UF_MODEL_N_VOCAB) == 49152);
    answers(model, argv[3]);
    documents(model, argv[2], argv[4], argv[5]);
    return 0;
}
