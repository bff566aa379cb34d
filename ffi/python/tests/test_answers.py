import gc
import os
import threading
from pathlib import Path

import pytest
import unforget

CAPITAL = "Which city is the capital of Germany?"
TICKET = "Triage this support ticket.\n\nUrgent: Ion has been unreachable since Friday."


def test_it_is_the_installed_wheel() -> None:
    here = Path(__file__).resolve().parents[1]
    assert here not in Path(unforget.__file__).resolve().parents
    assert unforget.abi_version() == 1
    assert unforget.__version__.count(".") == 2


def test_a_model_describes_itself(model: unforget.Model) -> None:
    assert model.name == "SmolLM2-135M-Instruct.Q4_1"
    assert model.architecture == "llama"
    assert model.sha256.startswith("b179c9523d0e")
    assert (model.n_ctx_train, model.n_vocab, model.is_embedder) == (8192, 49152, False)
    assert model.n_params > 130_000_000


def test_an_answer_streams(model: unforget.Model) -> None:
    with model.session(n_ctx=1024) as session, unforget.Chat() as chat:
        pieces = list(session.stream(chat.user(CAPITAL), max_tokens=24))
        assert len(pieces) > 1 and "Berlin" in "".join(pieces)
        outcome = session.outcome
        assert outcome.finish_reason == "stop"
        assert outcome.completion_tokens >= len(pieces) and outcome.ttft_ms > 0
        assert session.answer(chat, max_tokens=24) == "".join(pieces)
        assert session.outcome.cached_tokens > 0


def test_leaving_the_loop_ends_the_answer(model: unforget.Model) -> None:
    with model.session(n_ctx=1024) as session:
        for _ in session.stream(unforget.Chat().user(CAPITAL), max_tokens=24):
            break
        gc.collect()
        assert session.outcome.finish_reason == "cancelled"


def test_options_are_followed(model: unforget.Model) -> None:
    with model.session(n_ctx=1024) as session:
        chat = unforget.Chat().user(CAPITAL)
        yes = session.answer(chat, grammar='root ::= "yes" | "no"')
        assert yes in ("yes", "no")
        assert "Berlin" not in session.answer(chat, stop=["Berlin"], max_tokens=24)
        random = [session.answer(chat, temperature=0.9, seed=3, max_tokens=8) for _ in range(2)]
        assert random[0] == random[1]
        with pytest.raises(unforget.UsageError, match="-2"):
            session.answer(chat, temperature=-2.0)
        with pytest.raises(TypeError, match="max_token"):
            session.answer(chat, max_token=1)  # type: ignore[call-arg]


def test_tokens_go_both_ways(model: unforget.Model) -> None:
    tokens = model.tokenize("Grüße aus Köln", "text")
    assert model.detokenize(tokens) == "Grüße aus Köln"
    assert len(model.tokenize("<|im_start|>", "prompt")) == 1 < len(model.tokenize("<|im_start|>", "text"))
    assert model.tokenize("") == [] and model.detokenize([]) == ""
    with pytest.raises(unforget.UsageError, match="49152"):
        model.detokenize([49152])
    with model.session(n_ctx=256) as session:
        prompt = "Two and two is"
        by_tokens = session.answer(model.tokenize(prompt), max_tokens=4)
        assert by_tokens == session.answer(prompt, max_tokens=4) != ""


def test_adapters_stack_and_go(model: unforget.Model, adapter_file: Path) -> None:
    with model.session(n_ctx=1024) as session:
        chat = unforget.Chat().user(TICKET)
        base = session.answer(chat, max_tokens=24)
        adapter = model.adapter(adapter_file)
        assert adapter.rank == 8
        session.set_adapters((adapter, 1.0))
        adapter.close()
        assert "severity" in session.answer(chat, max_tokens=24)
        session.set_adapters()
        assert session.answer(chat, max_tokens=24) == base


def test_another_thread_can_stop_a_prefill(model: unforget.Model) -> None:
    with model.session(n_ctx=32768) as session, unforget.Cancel() as cancel:
        threading.Timer(0.05, cancel.stop).start()
        with pytest.raises(unforget.StoppedError):
            session.answer("a bit of text " * 2000, cancel=cancel)
        cancel.lower()
        assert session.answer("One two", cancel=cancel, max_tokens=2)


def test_sessions_on_threads(model: unforget.Model) -> None:
    answers: list[str] = []

    def work() -> None:
        with model.session(n_ctx=512) as session:
            answers.append(session.answer(unforget.Chat().user(CAPITAL), max_tokens=8))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4 and len(set(answers)) == 1


def test_a_file_descriptor_will_do(base_file: Path) -> None:
    descriptor = os.open(base_file, os.O_RDONLY)
    model = unforget.Model(descriptor, name="mine")
    os.close(descriptor)
    session = model.session(n_ctx=256)
    assert model.name == "mine"
    model.close()
    assert session.answer("One two three", max_tokens=2)
    session.close()


def test_what_is_closed_says_so(base_file: Path) -> None:
    model = unforget.Model(base_file)
    model.close()
    model.close()
    with pytest.raises(ValueError, match="Model is closed"):
        model.name


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(unforget.NotFoundError, match="nowhere.gguf") as caught:
        unforget.Model(tmp_path / "nowhere.gguf")
    assert caught.value.status == 5
    prose = tmp_path / "prose.gguf"
    prose.write_text("It was a dark and stormy night.")
    with pytest.raises(unforget.Error, match="prose.gguf"):
        unforget.Model(prose)
