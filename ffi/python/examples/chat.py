"""A chat. usage: python chat.py MODEL.gguf [ADAPTER.gguf]"""

import sys

import unforget


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    with unforget.Model(sys.argv[1]) as model, model.session() as session, unforget.Chat() as chat:
        if len(sys.argv) > 2:
            session.set_adapters(model.adapter(sys.argv[2]))
        while True:
            try:
                said = input("> ")
            except EOFError:
                return
            if not said:
                continue
            answer = ""
            for piece in session.stream(chat.user(said), max_tokens=256):
                print(piece, end="", flush=True)
                answer += piece
            print()
            if answer:
                chat.assistant(answer)


if __name__ == "__main__":
    main()
