#!/bin/sh
# Runs a Python test with $YITI_PYTHON, or python3 where that is not set.
exec "${YITI_PYTHON:-python3}" "$@"
