/* Checking an adapter, and the log.
   usage: guard MODEL.gguf ADAPTER.gguf SUITE STRICT_BUDGET.toml LENIENT_BUDGET.toml CACHE */

#include "test.h"

static int lines;

static void hear(uint32_t level, const char *bytes, size_t len, void *user_data) {
    (void)user_data;
    CHECK(level >= UF_LOG_ERROR && level <= UF_LOG_DEBUG && bytes != NULL && len > 0);
    /* What the callback may not do is refused. */
    CHECK(uf_log_set(UF_LOG_OFF, NULL, NULL) == UF_USAGE);
    lines++;
}

static int items(const char *label, size_t label_len, uint64_t done, uint64_t total, void *user_data) {
    int *stop = user_data;
    CHECK(label != NULL && label_len > 0 && done <= total);
    return stop != NULL && *stop;
}

static uf_check_options *options_of(char **argv, const char *budget) {
    uf_check_options *options = NULL;
    OK(uf_check_options_new(&options));
    OK(uf_check_options_set_tier(options, UF_TIER_GATE));
    OK(uf_check_options_set_builtin_suite(options, 0));
    OK(uf_check_options_set_suite(options, argv[3], strlen(argv[3])));
    OK(uf_check_options_set_budget(options, budget, strlen(budget)));
    OK(uf_check_options_set_cache(options, argv[6], strlen(argv[6])));
    OK(uf_check_options_set_n_threads(options, 0));
    return options;
}

static void says_what_it_costs(const uf_adapter *adapter, char **argv) {
    uf_check_options *strict = options_of(argv, argv[4]), *lenient = options_of(argv, argv[5]);
    uf_report *report = NULL;
    const char *part = NULL;
    size_t len = 0;
    OK(uf_adapter_check(adapter, 1.0f, strict, items, NULL, &report));
    CHECK(uf_report_verdict(report) == UF_REJECTED);
    OK(uf_report_reason(report, &part, &len));
    text reason = {0};
    take(part, len, &reason);
    CHECK(strstr(reason.bytes, "beyond the budget") != NULL);
    OK(uf_report_text(report, &part, &len));
    CHECK(len > 100 && memcmp(part, "verdict: fail", 13) == 0);
    OK(uf_report_json(report, &part, &len));
    CHECK(len > 100 && part[0] == '{');
    uf_report_free(report);

    OK(uf_adapter_check(adapter, 1.0f, lenient, NULL, NULL, &report));
    CHECK(uf_report_verdict(report) == UF_OK);
    uf_report_free(report);

    int stop = 1;
    uf_cancel *cancel = NULL;
    OK(uf_cancel_new(&cancel));
    OK(uf_check_options_set_cancel(strict, cancel));
    report = NULL;
    REFUSES(UF_INTERRUPTED, "interrupted", uf_adapter_check(adapter, 1.0f, strict, items, &stop, &report));
    CHECK(report == NULL);
    REFUSES(UF_USAGE, "none at a scale", uf_adapter_check(adapter, 0.0f, lenient, NULL, NULL, &report));
    OK(uf_check_options_set_domain(lenient, "/nowhere.jsonl", 14));
    REFUSES(UF_NOT_FOUND, "nowhere", uf_adapter_check(adapter, 1.0f, lenient, NULL, NULL, &report));
    uf_cancel_free(cancel);
    uf_check_options_free(strict);
    uf_check_options_free(lenient);
}

static void checks(char **argv) {
    OK(uf_log_set(UF_LOG_DEBUG, hear, NULL));
    uf_model *model = open_model(argv[1]);
    CHECK(lines > 0); /* the engine says what it loads */
    OK(uf_log_set(UF_LOG_OFF, NULL, NULL));
    int before = lines;
    uf_adapter *adapter = NULL;
    OK(uf_adapter_open(model, argv[2], strlen(argv[2]), &adapter));
    uf_model_free(model); /* the adapter keeps it */
    says_what_it_costs(adapter, argv);
    uf_adapter_free(adapter);
    CHECK(lines == before);
}

int main(int argc, char **argv) {
    CHECK(argc == 7);
    checks(argv);
    return 0;
}
