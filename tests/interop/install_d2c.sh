#!/bin/sh
# Install the operator's own client, dtiot-d2c, into an environment of its own, outside the checkout.
#
#   tests/interop/install_d2c.sh [FOLDER]
#
# FOLDER is $INTEROP_D2C or lwm2m-dtiot-d2c in the folder for temporary files, where the test looks. Uses
# $PYTHON. Prints the folder.
set -eu
folder=${1:-${INTEROP_D2C:-${TMPDIR:-/tmp}/lwm2m-dtiot-d2c}}
if [ ! -x "$folder/bin/d2c" ]; then
    "${PYTHON:-python3}" -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet 'dtiot-d2c==0.9.1' >&2
fi
echo "$folder"
