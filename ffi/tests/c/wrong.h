/* What no function takes, and what a call that fails leaves alone. */

#ifndef UNFORGET_TEST_WRONG_H
#define UNFORGET_TEST_WRONG_H

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

#endif
