#!/bin/sh
# Generates the C sources from protos/ with protoc-c (Debian: apt-get install protobuf-c-compiler).
# The output is committed; the test "the generated C is what protoc-c makes of the protos" compares the two.
# Usage: generate.sh [TARGET-DIRECTORY]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=${1:-$here}
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
cd "$here/protos"
find . -name '*.proto' | sed 's|^\./||' | LC_ALL=C sort | xargs protoc-c --proto_path=. --c_out="$staging"
# Headers are public, sources are not: SwiftPM wants them in different folders.
rm -rf "$out/generated" "$out/include/google" "$out/include/opentelemetry"
mkdir -p "$out/generated" "$out/include"
cp -R "$staging/." "$out/generated"
cp -R "$staging/." "$out/include"
find "$out/generated" -name '*.h' -exec rm {} +
find "$out/include" -name '*.c' -exec rm {} +
