// A support ticket, triaged by the base and by the base with an adapter. usage: triage MODEL.gguf ADAPTER.gguf TICKET
// c++ -std=c++17 triage.cpp $(pkg-config --cflags --libs unforget) -o triage
#include <iostream>
#include <string>

#include <unforget.hpp>

int main(int argc, char **argv) try {
    if (argc != 4) {
        std::cerr << "usage: triage MODEL.gguf ADAPTER.gguf TICKET\n";
        return 2;
    }
    unforget::model model(argv[1]);
    unforget::adapter adapter(model, argv[2]);
    unforget::session session(model);
    unforget::chat chat;
    chat.user("Triage this support ticket.\n\n" + std::string(argv[3]));

    unforget::generate_options options;
    options.max_tokens = 48;
    std::cout << "base:    " << session.answer(chat, options) << '\n';

    session.set_adapters({{&adapter, 1.0f}});
    std::cout << "adapter: ";
    session.start(chat, options);
    for (std::string_view piece : session.pieces()) std::cout << piece << std::flush;
    std::cout << '\n' << session.timing(UF_TIMING_DECODE_TOKENS_PER_S) << " tokens/s\n";
} catch (const unforget::error &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
