"""An answer from your documents, with its sources.
usage: python cited_answer.py BASE.gguf EMBEDDER.gguf DOCUMENTS QUESTION"""

import sys
import tempfile

import unforget


def main() -> None:
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    base, embedder_file, documents, question = sys.argv[1:]
    with (
        tempfile.TemporaryDirectory() as folder,
        unforget.Model(embedder_file) as model,
        model.embedder() as embedder,
        unforget.Collection(folder, embedder) as collection,
        unforget.Model(base) as reader,
        reader.session() as session,
    ):
        changes = collection.add(documents)
        print(f"{changes.added} documents, {changes.passages} passages")
        answer = collection.ask(question, session, max_tokens=128)
        print(answer.text)
        for passage in answer.citations:
            print(f"[{passage.number}] {passage.path}, bytes {passage.start}-{passage.end}: {passage.text}")


if __name__ == "__main__":
    main()
