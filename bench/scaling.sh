#!/bin/sh
# Tokens a second of a training step by the size of the model, the context, the batch and the threads: the tables of
# docs/performance.md, as lines of JSON. About a quarter of an hour on two cores.
set -e
cd "$(dirname "$0")/.."

step() {
    name=$1
    shift
    for dtype in f32 bf16; do
        printf '%s\t' "$name"
        ./deckle bench train --json --dtype $dtype "$@"
    done
}

step 'size 1M' --hidden-size 128 --layers 5
step 'size 11M'
step 'size 58M' --preset 58m
step 'size 121M' --preset 58m --hidden-size 768 --layers 10
step 'size 300M' --preset 58m --hidden-size 1024 --layers 19 --batch-size 2
for context in 64 256 1024 4096 8192; do
    batch=$((3072 / context))
    step "context $context" --context $context --batch-size $((batch > 0 ? batch : 1))
done
for batch in 1 3 48; do
    step "batch $batch" --batch-size $batch
done
step 'threads 1' --threads 1
