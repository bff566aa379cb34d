"""LangChain's ChatOpenAI, unmodified, against the server at $BASE_URL."""

import os

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

base = os.environ["BASE_URL"] + "/v1"
chat = ChatOpenAI(base_url=base, api_key="unused", model="smollm2", max_tokens=24, temperature=0)
messages = [SystemMessage("Answer in one sentence."), HumanMessage("Say hello.")]
answer = chat.invoke(messages)
assert answer.content, answer
assert answer.usage_metadata["output_tokens"] > 0
assert "".join(chunk.content for chunk in chat.stream(messages)) == answer.content
assert len(chat.batch([messages, messages, messages])) == 3

# The documents' citations come as an extra chunk, which must not trouble it.
cited = ChatOpenAI(base_url=base, api_key="unused", model="smollm2", max_tokens=24, temperature=0,
                   extra_body={"documents": {"collection": "clients"}})
assert "".join(chunk.content for chunk in cited.stream("Who was named Super Bowl MVP?"))

vectors = OpenAIEmbeddings(base_url=base, api_key="unused", model="minilm", check_embedding_ctx_length=False)
assert len(vectors.embed_query("a library")) == 384
print("langchain")
