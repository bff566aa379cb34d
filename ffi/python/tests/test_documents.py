import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import unforget

QUESTION = "Who was named Super Bowl MVP?"
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_embeddings_are_an_array(embedder: unforget.Embedder) -> None:
    vectors = embedder.embed(["The cat sleeps.", "A kitten is asleep.", "Interest rates rose."])
    assert vectors.shape == (3, 384) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.2
    assert embedder.embed([]).shape == (0, 384)


def test_documents_are_followed_searched_and_cited(
    tmp_path: Path, documents: Path, embedder: unforget.Embedder, model: unforget.Model
) -> None:
    seen: list[tuple[int, int]] = []
    with unforget.Collection(tmp_path / "c", embedder) as collection:
        changes = collection.add(documents, lambda _, done, total: seen.append((done, total)))
        assert (changes.added, changes.skipped, len(collection)) == (7, [], 7)
        assert seen and seen[-1][0] <= seen[-1][1]
        assert collection.sync().unchanged == 7
        found = collection.search(QUESTION, limit=3)
        assert len(found) == 3 and found[0].score > 0.3
        assert collection.search("Broncos", mode="keyword")
        said: list[str] = []
        with model.session(n_ctx=2048) as session:
            answer = collection.ask(QUESTION, session, on_text=said.append, max_tokens=48)
        assert answer.status == "answered" and "Miller" in answer.text and answer.grounded
        assert len(said) > 1 and "Miller" in "".join(said) and "[1]" not in "".join(said)
        assert answer.details["claims"][0]["supported"] is True
        assert answer.outcome.prompt_tokens > 100
        for passage in answer.citations:
            file = Path(passage.path).read_bytes()
            assert passage.span == "exact"
            assert file[passage.start : passage.end].decode() == passage.text
        collection.remove(found[0].document)
        assert len(collection) == 6


def test_a_search_can_be_narrowed(tmp_path: Path, documents: Path, embedder: unforget.Embedder) -> None:
    with unforget.Collection(tmp_path / "c", embedder) as collection:
        collection.add(documents / "steam-engine.md", tags=["machines", "old"])
        collection.add(documents)
        everywhere = {passage.path for passage in collection.search(QUESTION, limit=50)}
        assert len(everywhere) == 7
        steam = str((documents / "steam-engine.md").resolve())
        assert {passage.path for passage in collection.search(QUESTION, tags=["old", "none"])} == {steam}
        by_path = collection.search(QUESTION, paths=["steam-*"])
        assert {passage.path for passage in by_path} == {steam}
        by_number = collection.search(QUESTION, documents=[by_path[0].document])
        assert [passage.text for passage in by_number] == [passage.text for passage in by_path]
        assert collection.search(QUESTION, since=datetime(2999, 1, 1)) == []
        with pytest.raises(unforget.UsageError, match="glob"):
            collection.search(QUESTION, paths=["a["])
        with pytest.raises(unforget.UsageError, match="line breaks"):
            collection.add(documents, tags=["two\nlines"])


def test_an_answer_follows_a_policy(
    tmp_path: Path, documents: Path, embedder: unforget.Embedder, model: unforget.Model
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('version = 1\n[[refuse]]\ntopics = ["salary"]\nreply = "Ask the club."\n')
    question = "How high is the salary of the MVP?"
    with unforget.Collection(tmp_path / "c", embedder) as collection, model.session(n_ctx=2048) as session:
        collection.add(documents / "super-bowl-50.md")
        assert collection.ask(question, session, policy=policy).status == "refused"
        assert collection.ask(question, session, max_tokens=4).status != "refused"
        collection.set_policy(policy)
        refused = collection.ask(question, session)
        assert (refused.text, refused.citations) == ("Ask the club.", [])
        assert "refuse 1" in refused.json
        collection.set_policy(None)
        assert collection.ask(QUESTION, session, threshold=1.0).status == "not_in_documents"
        assert collection.ask(QUESTION, session, paths=["other/*"]).status == "not_in_documents"
        cut = collection.ask(QUESTION, session, style="free", n_passages=1, on_text=lambda _: False)
        assert cut.outcome.finish_reason == "cancelled"

        def fails(piece: str) -> None:
            raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            collection.ask(QUESTION, session, on_text=fails)
        with pytest.raises(unforget.NotFoundError, match="cross-encoder"):
            collection.set_reranker(model)


def test_a_callback_can_stop_and_can_fail(tmp_path: Path, documents: Path, embedder: unforget.Embedder) -> None:
    with unforget.Collection(tmp_path / "c", embedder) as collection:
        with pytest.raises(unforget.StoppedError):
            collection.add(documents, lambda *_: False)

        def fails(label: str, done: int, total: int) -> None:
            raise RuntimeError("mine")

        with pytest.raises(RuntimeError, match="mine"):
            collection.add(documents, fails)


def test_the_example_cites(base_file: Path, embedder_file: Path, documents: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "cited_answer.py"), str(base_file), str(embedder_file)]
    done = subprocess.run([*command, str(documents), QUESTION], capture_output=True, text=True, check=True)
    assert "Miller" in done.stdout and "[" in done.stdout and "super-bowl-50.md, bytes" in done.stdout


def test_the_chat_example(base_file: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "chat.py"), str(base_file)]
    said = "Which city is the capital of Germany?\n"
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=True)
    assert "Berlin" in done.stdout
