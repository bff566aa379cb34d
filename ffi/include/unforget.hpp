// unforget from C++17: owners, exceptions and ranges over the C ABI of unforget.h. Header only.
//
// Every object owns its handle and can be moved, not copied. What it was made from may end first. Failures throw
// unforget::error, which carries the uf_status. A callback may throw: its exception stops the work and comes out of the
// call that was given it.

#ifndef UNFORGET_HPP
#define UNFORGET_HPP

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unforget.h"

static_assert(UF_ABI_VERSION == 1, "unforget.hpp and unforget.h are of different versions");

namespace unforget {

/// What went wrong, and what to do about it.
class error : public std::runtime_error {
  public:
    error(uf_status status, const std::string &message) : std::runtime_error(message), status_(status) {}

    uf_status status() const noexcept { return status_; }

  private:
    uf_status status_;
};

namespace detail {

inline void check(uf_status status) {
    if (status != UF_OK) throw error(status, uf_last_error());
}

template <typename T, void (*Free)(T *)> struct deleter {
    void operator()(T *handle) const noexcept { Free(handle); }
};

template <typename T, void (*Free)(T *)> using owner = std::unique_ptr<T, deleter<T, Free>>;

template <typename Owner, typename Make> Owner make(Make make) {
    typename Owner::pointer handle = nullptr;
    check(make(&handle));
    return Owner(handle);
}

template <typename Get> std::string_view view(Get get) {
    const char *text = nullptr;
    std::size_t len = 0;
    check(get(&text, &len));
    return {text, len};
}

template <typename T, typename Get> T value(Get get) {
    T value{};
    check(get(&value));
    return value;
}

/// A callback that may throw, from C: the exception waits until the call has returned.
template <typename Function> struct thrower {
    Function function;
    std::exception_ptr thrown;

    template <typename... Arguments> int operator()(Arguments &&...arguments) noexcept {
        try {
            return function(std::forward<Arguments>(arguments)...) ? 0 : 1;
        } catch (...) {
            thrown = std::current_exception();
            return 1;
        }
    }

    void check(uf_status status) {
        if (thrown) std::rethrow_exception(thrown);
        detail::check(status);
    }
};

using text_thrower = thrower<std::function<bool(std::string_view)>>;

inline int on_text(const char *text, std::size_t len, void *user_data) {
    return (*static_cast<text_thrower *>(user_data))(std::string_view(text, len));
}

} // namespace detail

/// Stops work from another thread, until it is lowered.
class cancel {
  public:
    cancel() : handle_(detail::make<handle>(uf_cancel_new)) {}

    void raise() const { detail::check(uf_cancel_raise(get())); }
    void lower() const { detail::check(uf_cancel_lower(get())); }
    uf_cancel *get() const noexcept { return handle_.get(); }

  private:
    using handle = detail::owner<uf_cancel, uf_cancel_free>;
    handle handle_;
};

/// One GGUF file, checked and mapped. Any number of threads may use it at once.
class model {
  public:
    struct options {
        std::int32_t gpu_layers = UF_GPU_LAYERS_AUTO;
        std::string name;
    };

    explicit model(std::string_view path) : model(path, options()) {}
    model(std::string_view path, const options &chosen) : handle_(detail::make<handle>([&](uf_model **out) {
        return uf_model_open(path.data(), path.size(), build(chosen).get(), out);
    })) {}

    static model of_descriptor(int fd, const options &chosen) {
        return model(detail::make<handle>([&](uf_model **out) { return uf_model_open_fd(fd, build(chosen).get(), out); }));
    }
    static model of_descriptor(int fd) { return of_descriptor(fd, options()); }

    std::string_view name() const {
        return detail::view([&](auto text, auto len) { return uf_model_name(get(), text, len); });
    }
    std::string_view architecture() const {
        return detail::view([&](auto text, auto len) { return uf_model_architecture(get(), text, len); });
    }
    std::string_view sha256() const {
        return detail::view([&](auto text, auto len) { return uf_model_sha256(get(), text, len); });
    }
    /// One of UF_MODEL_.
    std::uint64_t number(std::uint32_t which) const {
        return detail::value<std::uint64_t>([&](auto out) { return uf_model_number(get(), which, out); });
    }

    std::vector<std::int32_t> tokenize(std::string_view text, std::uint32_t kind = UF_TOKENIZE_DOCUMENT) const {
        std::size_t n = 0;
        detail::check(uf_model_tokenize(get(), text.data(), text.size(), kind, nullptr, 0, &n));
        std::vector<std::int32_t> tokens(n);
        if (n > 0) detail::check(uf_model_tokenize(get(), text.data(), text.size(), kind, tokens.data(), n, &n));
        return tokens;
    }
    std::string detokenize(const std::vector<std::int32_t> &tokens) const {
        std::size_t len = 0;
        detail::check(uf_model_detokenize(get(), tokens.data(), tokens.size(), nullptr, 0, &len));
        std::string text(len, '\0');
        if (len > 0) detail::check(uf_model_detokenize(get(), tokens.data(), tokens.size(), text.data(), len, &len));
        return text;
    }

    uf_model *get() const noexcept { return handle_.get(); }

  private:
    using handle = detail::owner<uf_model, uf_model_free>;
    using builder = detail::owner<uf_model_options, uf_model_options_free>;

    explicit model(handle made) : handle_(std::move(made)) {}

    static builder build(const options &chosen) {
        auto made = detail::make<builder>(uf_model_options_new);
        detail::check(uf_model_options_set_gpu_layers(made.get(), chosen.gpu_layers));
        if (!chosen.name.empty())
            detail::check(uf_model_options_set_name(made.get(), chosen.name.data(), chosen.name.size()));
        return made;
    }

    handle handle_;
};

/// The report of a check.
class report {
  public:
    /// UF_OK, UF_REJECTED or UF_UNDECIDED.
    uf_status verdict() const noexcept { return uf_report_verdict(handle_.get()); }
    std::string_view reason() const {
        return detail::view([&](auto text, auto len) { return uf_report_reason(handle_.get(), text, len); });
    }
    std::string_view text() const {
        return detail::view([&](auto text, auto len) { return uf_report_text(handle_.get(), text, len); });
    }
    std::string_view json() const {
        return detail::view([&](auto text, auto len) { return uf_report_json(handle_.get(), text, len); });
    }

  private:
    friend class adapter;
    using handle = detail::owner<uf_report, uf_report_free>;
    explicit report(handle made) : handle_(std::move(made)) {}
    handle handle_;
};

/// How far work has come: what is at hand, done, total; false stops.
using progress = std::function<bool(std::string_view, std::uint64_t, std::uint64_t)>;

namespace detail {

inline int on_progress(const char *label, std::size_t len, std::uint64_t done, std::uint64_t total, void *user_data) {
    return (*static_cast<thrower<progress> *>(user_data))(std::string_view(label, len), done, total);
}

} // namespace detail

/// A LoRA adapter, loaded for one model.
class adapter {
  public:
    struct check_options {
        std::uint32_t tier = UF_TIER_GATE;
        bool builtin_suite = true;
        std::string suite, domain, budget, cache; // paths; empty for none
        std::uint32_t n_threads = 0;
        const unforget::cancel *cancel = nullptr;
    };

    adapter(const model &base, std::string_view path) : handle_(detail::make<handle>([&](uf_adapter **out) {
        return uf_adapter_open(base.get(), path.data(), path.size(), out);
    })) {}

    std::string_view sha256() const {
        return detail::view([&](auto text, auto len) { return uf_adapter_sha256(get(), text, len); });
    }
    std::uint32_t rank() const {
        return detail::value<std::uint32_t>([&](auto out) { return uf_adapter_rank(get(), out); });
    }

    /// What the adapter makes its base forget, measured and judged.
    report check(float scale, const check_options &chosen, progress watch = nullptr) const {
        auto options = build(chosen);
        detail::thrower<progress> thrower{std::move(watch), nullptr};
        uf_report *made = nullptr;
        thrower.check(uf_adapter_check(get(), scale, options.get(), thrower.function ? detail::on_progress : nullptr,
                                       &thrower, &made));
        return report(report::handle(made));
    }

    uf_adapter *get() const noexcept { return handle_.get(); }

  private:
    using handle = detail::owner<uf_adapter, uf_adapter_free>;
    using builder = detail::owner<uf_check_options, uf_check_options_free>;

    static builder build(const check_options &chosen) {
        auto made = detail::make<builder>(uf_check_options_new);
        auto path = [&](auto set, const std::string &value) {
            if (!value.empty()) detail::check(set(made.get(), value.data(), value.size()));
        };
        detail::check(uf_check_options_set_tier(made.get(), chosen.tier));
        detail::check(uf_check_options_set_builtin_suite(made.get(), chosen.builtin_suite));
        detail::check(uf_check_options_set_n_threads(made.get(), chosen.n_threads));
        path(uf_check_options_set_suite, chosen.suite);
        path(uf_check_options_set_domain, chosen.domain);
        path(uf_check_options_set_budget, chosen.budget);
        path(uf_check_options_set_cache, chosen.cache);
        if (chosen.cancel != nullptr) detail::check(uf_check_options_set_cancel(made.get(), chosen.cancel->get()));
        return made;
    }

    handle handle_;
};

/// How to answer.
struct generate_options {
    std::uint32_t max_tokens = 512;
    float temperature = 0;
    std::uint32_t top_k = 40;
    float top_p = 0.95f, min_p = 0.05f;
    float repeat_penalty = 1, frequency_penalty = 0, presence_penalty = 0;
    std::uint32_t repeat_last_n = 64;
    std::uint32_t seed = 0;
    std::string grammar, json_schema; // empty for none
    std::vector<std::string> stop;
    const unforget::cancel *cancel = nullptr;
};

namespace detail {

using generate_builder = owner<uf_generate_options, uf_generate_options_free>;

inline generate_builder build(const generate_options &chosen) {
    auto made = make<generate_builder>(uf_generate_options_new);
    auto *options = made.get();
    check(uf_generate_options_set_max_tokens(options, chosen.max_tokens));
    check(uf_generate_options_set_temperature(options, chosen.temperature));
    check(uf_generate_options_set_choice(options, chosen.top_k, chosen.top_p, chosen.min_p));
    check(uf_generate_options_set_penalties(options, chosen.repeat_penalty, chosen.frequency_penalty,
                                            chosen.presence_penalty, chosen.repeat_last_n));
    check(uf_generate_options_set_seed(options, chosen.seed));
    if (!chosen.grammar.empty())
        check(uf_generate_options_set_grammar(options, chosen.grammar.data(), chosen.grammar.size()));
    if (!chosen.json_schema.empty())
        check(uf_generate_options_set_json_schema(options, chosen.json_schema.data(), chosen.json_schema.size()));
    for (const auto &stop : chosen.stop) check(uf_generate_options_add_stop(options, stop.data(), stop.size()));
    if (chosen.cancel != nullptr) check(uf_generate_options_set_cancel(options, chosen.cancel->get()));
    return made;
}

} // namespace detail

/// The messages of a chat.
class chat {
  public:
    chat() : handle_(detail::make<handle>(uf_chat_new)) {}

    chat &add(std::uint32_t role, std::string_view content) {
        detail::check(uf_chat_add(get(), role, content.data(), content.size()));
        return *this;
    }
    chat &system(std::string_view content) { return add(UF_ROLE_SYSTEM, content); }
    chat &user(std::string_view content) { return add(UF_ROLE_USER, content); }
    chat &assistant(std::string_view content) { return add(UF_ROLE_ASSISTANT, content); }
    uf_chat *get() const noexcept { return handle_.get(); }

  private:
    using handle = detail::owner<uf_chat, uf_chat_free>;
    handle handle_;
};

/// One timeline of tokens over a model.
class session {
  public:
    /// Sizes; 0 chooses well.
    struct options {
        std::uint32_t n_ctx = 0, n_batch = 0, n_ubatch = 0, n_threads = 0;
    };

    /// The pieces of an answer, for `for (std::string_view piece : session.pieces())`.
    class pieces_range {
      public:
        class iterator {
          public:
            explicit iterator(session *from) : from_(from) {
                if (from_ != nullptr) ++*this;
            }
            std::string_view operator*() const { return piece_; }
            iterator &operator++() {
                auto next = from_->next();
                if (next)
                    piece_ = *next;
                else
                    from_ = nullptr;
                return *this;
            }
            bool operator!=(const iterator &other) const { return from_ != other.from_; }

          private:
            session *from_;
            std::string_view piece_;
        };

        iterator begin() const { return iterator(from_); }
        iterator end() const { return iterator(nullptr); }

      private:
        friend class session;
        explicit pieces_range(session *from) : from_(from) {}
        session *from_;
    };

    explicit session(const model &over) : session(over, options()) {}
    session(const model &over, const options &chosen) : handle_(detail::make<handle>([&](uf_session **out) {
        return uf_session_open(over.get(), build(chosen).get(), out);
    })) {}

    /// Adapters with their scales, in place of those before.
    void set_adapters(const std::vector<std::pair<const adapter *, float>> &stack) {
        std::vector<const uf_adapter *> adapters;
        std::vector<float> scales;
        for (const auto &[one, scale] : stack) {
            adapters.push_back(one->get());
            scales.push_back(scale);
        }
        detail::check(uf_session_set_adapters(get(), adapters.data(), scales.data(), stack.size()));
    }

    void start(const chat &messages, const generate_options &chosen = {}) {
        detail::check(uf_session_start_chat(get(), messages.get(), detail::build(chosen).get()));
    }
    void start(std::string_view prompt, const generate_options &chosen = {}) {
        detail::check(uf_session_start_text(get(), prompt.data(), prompt.size(), detail::build(chosen).get()));
    }
    void start(const std::vector<std::int32_t> &tokens, const generate_options &chosen = {}) {
        detail::check(uf_session_start_tokens(get(), tokens.data(), tokens.size(), detail::build(chosen).get()));
    }

    /// The next piece, valid until the next call on this session; nothing at the end.
    std::optional<std::string_view> next() {
        auto piece = detail::view([&](auto text, auto len) { return uf_session_next(get(), text, len); });
        if (piece.empty()) return std::nullopt;
        return piece;
    }
    pieces_range pieces() { return pieces_range(this); }

    /// Hands the rest of the answer to a function, whose false stops it (and throws UF_INTERRUPTED).
    void run(std::function<bool(std::string_view)> on_text) {
        detail::text_thrower thrower{std::move(on_text), nullptr};
        thrower.check(uf_session_run(get(), detail::on_text, &thrower));
    }

    /// The whole answer.
    std::string answer(const chat &messages, const generate_options &chosen = {}) {
        start(messages, chosen);
        std::string all;
        for (auto piece : pieces()) all += piece;
        return all;
    }

    void stop() { detail::check(uf_session_stop(get())); }
    void forget() { detail::check(uf_session_forget(get())); }

    /// One of UF_FINISH_, UF_COUNT_, UF_TIMING_, of the last answer.
    std::uint32_t finish_reason() const {
        return detail::value<std::uint32_t>([&](auto out) { return uf_session_finish_reason(get(), out); });
    }
    std::uint64_t count(std::uint32_t which) const {
        return detail::value<std::uint64_t>([&](auto out) { return uf_session_count(get(), which, out); });
    }
    double timing(std::uint32_t which) const {
        return detail::value<double>([&](auto out) { return uf_session_timing(get(), which, out); });
    }

    uf_session *get() const noexcept { return handle_.get(); }

  private:
    friend class embedder;
    using handle = detail::owner<uf_session, uf_session_free>;
    using builder = detail::owner<uf_session_options, uf_session_options_free>;

    static builder build(const options &chosen) {
        auto made = detail::make<builder>(uf_session_options_new);
        detail::check(uf_session_options_set_n_ctx(made.get(), chosen.n_ctx));
        detail::check(uf_session_options_set_batch(made.get(), chosen.n_batch, chosen.n_ubatch));
        detail::check(uf_session_options_set_n_threads(made.get(), chosen.n_threads));
        return made;
    }

    handle handle_;
};

/// Turns text into vectors of length 1.
class embedder {
  public:
    explicit embedder(const model &over, const cancel *stop = nullptr, std::uint32_t n_threads = 0)
        : handle_(detail::make<handle>([&](uf_embedder **out) {
              session::options sizes;
              sizes.n_threads = n_threads;
              return uf_embedder_open(over.get(), session::build(sizes).get(), stop ? stop->get() : nullptr, out);
          })) {}

    std::size_t dimension() const {
        return detail::value<std::size_t>([&](auto out) { return uf_embedder_dimension(get(), out); });
    }

    /// One vector after the other.
    std::vector<float> embed(const std::vector<std::string> &texts) const {
        std::vector<const char *> pointers;
        std::vector<std::size_t> lens;
        for (const auto &text : texts) {
            pointers.push_back(text.data());
            lens.push_back(text.size());
        }
        std::vector<float> vectors(texts.size() * dimension());
        detail::check(uf_embedder_embed(get(), pointers.data(), lens.data(), texts.size(), vectors.data(), vectors.size()));
        return vectors;
    }

    uf_embedder *get() const noexcept { return handle_.get(); }

  private:
    using handle = detail::owner<uf_embedder, uf_embedder_free>;
    handle handle_;
};

/// A passage of a document.
struct passage {
    std::uint64_t number = 0;
    std::int64_t document = 0;
    std::string path, text;
    std::uint64_t start = 0, end = 0;
    std::uint32_t span = UF_SPAN_EXACT, page = 0, line = 0;
    float score = 0;
};

namespace detail {

inline std::vector<passage> read(const uf_passages *from) {
    std::vector<passage> passages(value<std::size_t>([&](auto out) { return uf_passages_len(from, out); }));
    for (std::size_t i = 0; i < passages.size(); i++) {
        auto &to = passages[i];
        check(uf_passages_number(from, i, &to.number));
        check(uf_passages_document(from, i, &to.document));
        check(uf_passages_range(from, i, &to.start, &to.end, &to.span));
        check(uf_passages_place(from, i, &to.page, &to.line));
        check(uf_passages_score(from, i, &to.score));
        to.path = view([&](auto text, auto len) { return uf_passages_path(from, i, text, len); });
        to.text = view([&](auto text, auto len) { return uf_passages_text(from, i, text, len); });
    }
    return passages;
}

} // namespace detail

/// An answer from documents.
struct cited_answer {
    std::string text;
    std::uint32_t status = UF_ANSWER_GIVEN;
    bool grounded = false;
    std::uint32_t finish_reason = UF_FINISH_STOP;
    std::vector<passage> citations;
    std::string json; // all of it: claims, passages, what policies decided
};

/// How to add documents.
struct add_options {
    std::vector<std::string> tags;
    bool redact = false;
};

/// How to search; what is empty does not narrow it.
struct search_options {
    std::uint32_t limit = 5, mode = UF_SEARCH_HYBRID;
    std::vector<std::string> paths, tags;
    std::vector<std::int64_t> documents;
    std::optional<std::int64_t> since; // seconds since 1970
};

/// How to answer from documents.
struct ask_options {
    std::uint32_t n_passages = 3, style = UF_STYLE_QUOTE;
    std::optional<float> threshold;
    search_options from; // which documents; limit and mode have no effect
    std::string policy; // path; empty for the collection's own
    generate_options generate;
};

/// What came of adding or following documents.
struct changes {
    std::uint64_t added = 0, updated = 0, unchanged = 0, moved = 0, removed = 0, passages = 0;
    std::vector<std::pair<std::string, std::string>> skipped; // path and reason
};

namespace detail {

using add_builder = owner<uf_add_options, uf_add_options_free>;
using search_builder = owner<uf_search_options, uf_search_options_free>;
using ask_builder = owner<uf_ask_options, uf_ask_options_free>;

inline add_builder build(const add_options &chosen) {
    auto made = make<add_builder>(uf_add_options_new);
    check(uf_add_options_set_redact(made.get(), chosen.redact));
    for (const auto &tag : chosen.tags) check(uf_add_options_add_tag(made.get(), tag.data(), tag.size()));
    return made;
}

inline search_builder build(const search_options &chosen) {
    auto made = make<search_builder>(uf_search_options_new);
    auto *options = made.get();
    check(uf_search_options_set_limit(options, chosen.limit));
    check(uf_search_options_set_mode(options, chosen.mode));
    for (const auto &path : chosen.paths) check(uf_search_options_add_path(options, path.data(), path.size()));
    for (const auto &tag : chosen.tags) check(uf_search_options_add_tag(options, tag.data(), tag.size()));
    for (auto document : chosen.documents) check(uf_search_options_add_document(options, document));
    if (chosen.since) check(uf_search_options_set_since(options, *chosen.since));
    return made;
}

inline ask_builder build(const ask_options &chosen) {
    auto made = make<ask_builder>(uf_ask_options_new);
    auto *options = made.get();
    check(uf_ask_options_set_passages(options, chosen.n_passages));
    check(uf_ask_options_set_style(options, chosen.style));
    if (chosen.threshold) check(uf_ask_options_set_threshold(options, *chosen.threshold));
    if (!chosen.policy.empty())
        check(uf_ask_options_set_policy(options, chosen.policy.data(), chosen.policy.size()));
    check(uf_ask_options_set_filter(options, build(chosen.from).get()));
    check(uf_ask_options_set_generate(options, build(chosen.generate).get()));
    return made;
}

} // namespace detail

/// Documents in a folder of their own, searchable.
class collection {
  public:
    collection(std::string_view path, const embedder &with) : handle_(detail::make<handle>([&](uf_collection **out) {
        return uf_collection_open(path.data(), path.size(), with.get(), out);
    })) {}

    changes add(std::string_view path, progress watch = nullptr) { return add(path, add_options(), std::move(watch)); }
    changes add(std::string_view path, const add_options &chosen, progress watch = nullptr) {
        auto options = detail::build(chosen);
        return change(std::move(watch), [&](auto callback, auto data, auto out) {
            return uf_collection_add(get(), path.data(), path.size(), options.get(), callback, data, out);
        });
    }
    changes sync(progress watch = nullptr) {
        return change(std::move(watch), [&](auto callback, auto data, auto out) {
            return uf_collection_sync(get(), callback, data, out);
        });
    }
    void remove(std::int64_t document) { detail::check(uf_collection_remove(get(), document)); }
    /// One of UF_COLLECTION_.
    std::uint64_t count(std::uint32_t which) const {
        return detail::value<std::uint64_t>([&](auto out) { return uf_collection_count(get(), which, out); });
    }

    /// A cross-encoder that reads the best passages again.
    void set_reranker(const model &with, const cancel *stop = nullptr) {
        detail::check(uf_collection_set_reranker(get(), with.get(), nullptr, stop ? stop->get() : nullptr));
    }
    /// A TOML file that the collection keeps a copy of; nothing for no policy.
    void set_policy(std::optional<std::string_view> path) {
        detail::check(uf_collection_set_policy(get(), path ? path->data() : nullptr, path ? path->size() : 0));
    }

    std::vector<passage> search(std::string_view query, const search_options &chosen = {}) {
        auto options = detail::build(chosen);
        auto found = detail::make<found_handle>([&](uf_passages **out) {
            return uf_collection_search(get(), query.data(), query.size(), options.get(), out);
        });
        return detail::read(found.get());
    }

    /// What the model says goes to a function as it is said, if there is one; its false cuts the answer short.
    cited_answer ask(session &with, std::string_view question, const ask_options &chosen = {},
                     std::function<bool(std::string_view)> on_text = nullptr) {
        auto options = detail::build(chosen);
        detail::text_thrower thrower{std::move(on_text), nullptr};
        uf_answer *out = nullptr;
        auto status = uf_collection_ask(get(), with.get(), question.data(), question.size(), options.get(),
                                        thrower.function ? detail::on_text : nullptr, &thrower, &out);
        answer_handle made(out);
        thrower.check(status);
        return read(made.get());
    }

    uf_collection *get() const noexcept { return handle_.get(); }

  private:
    using handle = detail::owner<uf_collection, uf_collection_free>;
    using found_handle = detail::owner<uf_passages, uf_passages_free>;
    using answer_handle = detail::owner<uf_answer, uf_answer_free>;
    using changes_handle = detail::owner<uf_changes, uf_changes_free>;

    static cited_answer read(const uf_answer *from) {
        cited_answer answer;
        answer.text = detail::view([&](auto text, auto len) { return uf_answer_text(from, text, len); });
        answer.json = detail::view([&](auto text, auto len) { return uf_answer_json(from, text, len); });
        detail::check(uf_answer_status(from, &answer.status));
        answer.grounded = detail::value<std::uint32_t>([&](auto out) { return uf_answer_grounded(from, out); }) != 0;
        detail::check(uf_answer_finish_reason(from, &answer.finish_reason));
        answer.citations =
            detail::read(detail::value<const uf_passages *>([&](auto out) { return uf_answer_citations(from, out); }));
        return answer;
    }

    template <typename Call> static changes change(progress watch, Call call) {
        detail::thrower<progress> thrower{std::move(watch), nullptr};
        uf_changes *out = nullptr;
        thrower.check(call(thrower.function ? detail::on_progress : nullptr, &thrower, &out));
        changes_handle made(out);
        auto count = [&](std::uint32_t which) {
            return detail::value<std::uint64_t>([&](auto to) { return uf_changes_count(made.get(), which, to); });
        };
        changes read;
        read.added = count(UF_CHANGES_ADDED);
        read.updated = count(UF_CHANGES_UPDATED);
        read.unchanged = count(UF_CHANGES_UNCHANGED);
        read.moved = count(UF_CHANGES_MOVED);
        read.removed = count(UF_CHANGES_REMOVED);
        read.passages = count(UF_CHANGES_PASSAGES);
        for (std::uint64_t i = 0, n = count(UF_CHANGES_SKIPPED); i < n; i++) {
            const char *path = nullptr, *reason = nullptr;
            std::size_t path_len = 0, reason_len = 0;
            detail::check(uf_changes_skipped(made.get(), i, &path, &path_len, &reason, &reason_len));
            read.skipped.emplace_back(std::string(path, path_len), std::string(reason, reason_len));
        }
        return read;
    }

    handle handle_;
};

} // namespace unforget

#endif
