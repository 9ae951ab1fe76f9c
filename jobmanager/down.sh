#!/bin/sh
# Stops Flink and Sluice; run it as often as you like.
#
#   jobmanager/down.sh           keeps the state of the job: up.sh goes on from the last checkpoint
#   jobmanager/down.sh --purge   deletes that, too: the claim flink-state, Flink's ConfigMaps
#                                and the history of Sluice, if it has one in a ConfigMap
#
#   NAMESPACE=…   where; by default the namespace of kubectl's context
set -eu

purge=
case ${1:-} in
    '') ;;
    --purge) purge=yes ;;
    *) echo "down.sh: what is '$1'? There is --purge, and nothing else" >&2; exit 2 ;;
esac
kubectl() { command kubectl ${NAMESPACE:+-n "$NAMESPACE"} "$@"; }
gone() { kubectl delete --ignore-not-found --wait "$@"; }

# What scales goes before what is scaled.
gone hpa flink-taskmanager
if kubectl api-resources --api-group=keda.sh -o name 2>/dev/null | grep -q scaledobjects; then
    gone scaledobjects.keda.sh flink-taskmanager
fi
echo "waiting for Flink's pods to end ..."
# The JobManager first, so that it does not take the TaskManagers' end for a failure to be mended.
gone --cascade=foreground job flink-jobmanager
gone --cascade=foreground deployment flink-taskmanager
gone service/flink-jobmanager networkpolicy/flink configmap/flink-config configmap/pravega-stream
for account in flink-jobmanager flink-taskmanager; do
    gone "rolebinding/$account-ha" "role/$account-ha" "serviceaccount/$account"
done
gone rolebinding/sluice role/sluice lease/sluice-flink-taskmanager
if [ -n "$purge" ]; then
    gone configmap -l app=flink-jobmanager,configmap-type=high-availability
    gone configmap -l app.kubernetes.io/name=sluice
    echo "waiting for the claim flink-state to go ..."
    gone pvc flink-state
elif kubectl get pvc flink-state >/dev/null 2>&1; then
    echo "the state of the job is kept (claim flink-state, and ConfigMaps of Flink): --purge deletes it"
fi
