#!/usr/bin/env bash
# adapter.sh: prints where prometheus-adapter is; the first time it is built from its Go module.
set -euo pipefail
for part in places build; do
  # shellcheck source=/dev/null
  . "$(dirname "${BASH_SOURCE[0]}")/../$part.sh"
done
MODULE=sigs.k8s.io/prometheus-adapter
ADAPTER=$CACHE/prometheus-adapter-$(version_in hpa $MODULE)

if [[ ! -x $ADAPTER/adapter ]]; then
  source=$(source_of hpa $MODULE)
  build "$source" "$ADAPTER" '' ./cmd/adapter
fi
echo "$ADAPTER/adapter"
