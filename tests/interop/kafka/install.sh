#!/bin/sh
# Fetch Apache Kafka from Maven Central, for tests/server/test_kafka.py; 46 MB, outside the checkout.
#
#   tests/interop/kafka/install.sh FOLDER
#
# The tests look into the folder that $INTEROP_KAFKA names.
set -eu
folder=${1:?FOLDER}
if [ ! -d "$folder" ]; then
    fresh=$folder.$$
    mvn -q -B -f "$(dirname "$0")/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$fresh" >&2
    mv "$fresh" "$folder"
fi
echo "$folder"
