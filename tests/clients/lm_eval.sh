#!/usr/bin/env bash
# lm-eval's `local-completions`, unmodified, on two tasks of the project's own suites. $BIN is where it is installed.
# Its tokens come from the server (`tokenizer_backend=remote`), so that it needs nothing from a hub.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for task in arithmetic commonsense; do
    head -n "${ITEMS:-12}" "models/suites/$task.jsonl" >"$work/$task.jsonl"
    sed -e "s|@TASK@|$task|" -e "s|@FILE@|$work/$task.jsonl|" "$here/lm_eval_tasks/choice.yaml" >"$work/unforget_$task.yaml"
done
arguments="model=smollm2,base_url=$BASE_URL/v1/completions,tokenizer_backend=remote,num_concurrent=4,max_retries=1"
HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 HF_HOME="$work/hf" "$BIN/lm_eval" --model local-completions --model_args "$arguments" \
    --tasks unforget_arithmetic,unforget_commonsense --include_path "$work" --output_path "$work/out" >"$work/log" 2>&1 || { tail -n 40 "$work/log"; exit 1; }
grep -E '^\|unforget_' "$work/log"
