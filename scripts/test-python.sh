#!/usr/bin/env bash
# Lints of all the Python here, and the trainer's, the judges' and the writer's own tests, in a Python environment under
# target/. The first run downloads PyTorch.
#
#   scripts/test-python.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

environment=$PWD/target/python
if [[ ! -x $environment/bin/python ]]; then
    python3 -m venv "$environment"
fi
install() {
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
# What is small and fails fast comes first.
install -r tools/requirements-lint.txt
"$environment/bin/ruff" check tools benches/peers
"$environment/bin/ruff" format --check tools benches/peers
install -r tools/train/requirements.txt -r tools/eval/requirements-test.txt
for folder in tools/train tools/eval tools/books; do
    echo "== $folder"
    (cd "$folder" && OMP_NUM_THREADS=2 "$environment/bin/python" -m pytest --quiet)
done
