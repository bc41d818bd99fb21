#!/bin/sh
# The last step of a deployment: watches the outbox for twenty seconds, and goes back where messages stopped arriving.
#
#   deploy-gate.sh kubectl rollout undo deployment/bots
#
# Which outbox is meant say OUTBOX_CONFIG, or OUTBOX_DSN and OUTBOX_LAYOUT. It ends with what the check ended with.

outbox-exporter --once --window 20s --no-push
status=$?

case $status in
  0) ;;
  1) echo "deploy-gate: a warning is no reason to go back; have a look" >&2 ;;
  2 | 3)
    echo "deploy-gate: going back: $*" >&2
    "$@" || echo "deploy-gate: going back failed with $?" >&2
    ;;
  *) echo "deploy-gate: the check itself is wrong; nothing was done" >&2 ;;
esac
exit $status
