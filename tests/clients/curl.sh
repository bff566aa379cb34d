#!/usr/bin/env bash
# curl, as the documentation shows it, against the server at $BASE_URL.
set -euo pipefail
ask='{"model": "smollm2", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 24'
post() { curl -sS --fail-with-body -H 'Content-Type: application/json' "$BASE_URL$1" -d "$2"; }
post /v1/chat/completions "$ask}" | grep -q Hello
post /v1/chat/completions "$ask, \"stream\": true}" | tail -n 2 | grep -q '^data: \[DONE\]'
curl -sS --fail -T models/documents/super-bowl-50.md "$BASE_URL/v1/collections/clients/files/super-bowl-50.md" | grep -qE '"(added|unchanged)":1'
post /v1/collections/clients/search '{"query": "Who was named Super Bowl MVP?"}' | grep -q Miller
status=$(curl -sS -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' "$BASE_URL/v1/chat/completions" -d '{')
[ "$status" = 400 ]
status=$(curl -sS -o /dev/null -w '%{http_code}' -H 'Host: evil.example' "$BASE_URL/v1/models")
[ "$status" = 421 ]
curl -sS --fail "$BASE_URL/metrics" | grep -q '^unforget_ttft_seconds_count'
curl --version | head -n 1
