#!/usr/bin/env bash
# schemathesis against /openapi.json: whatever it thinks of, no answer is a 5xx. $BIN is where it is installed.
# Few and short examples: each one that is valid makes the model work.
set -euo pipefail
# It leaves a folder of its own where it runs.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$BIN/schemathesis" run "$BASE_URL/openapi.json" --checks not_a_server_error --max-examples "${EXAMPLES:-8}" \
    --phases examples,fuzzing --request-timeout 120 --max-time 150 --seed 1 --no-color --continue-on-failure
