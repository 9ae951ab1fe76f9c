#!/bin/sh
# Starts Flink with Sluice, or brings what runs in line with the manifests; run it as often as you like.
#
#   jobmanager/up.sh [OVERLAY]        OVERLAY is sluice (default), dry-run, hpa, keda, or a folder of your own, with
#                                     a slash in it: ./mine
#
#   NAMESPACE=…   where to; by default the namespace that the overlay says, or that of kubectl's context
#   TIMEOUT=300   seconds to wait for each of the things it waits for
#
# The state of the job is kept: a JobManager that has to be replaced goes on from its last checkpoint.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
case ${1:-sluice} in
    */*) overlay=$1 ;;
    *) overlay=$root/deploy/overlays/${1:-sluice} ;;
esac
if [ ! -d "$overlay" ]; then
    echo "up.sh: there is no overlay '$1'; there are: $(ls "$root/deploy/overlays" | tr '\n' ' ')" >&2
    exit 2
fi
timeout=${TIMEOUT:-300}
kubectl() { command kubectl ${NAMESPACE:+-n "$NAMESPACE"} "$@"; }

# What a person would look at first where something does not come.
show() {
    kubectl get pods,pvc -l app=flink -o wide
    kubectl get events --field-selector type=Warning --sort-by=.lastTimestamp | tail -n 8
}

# await WHAT COMMAND…: waits until the command succeeds, and says what for.
await() {
    what=$1
    shift
    deadline=$(($(date +%s) + timeout))
    echo "waiting for $what ..."
    until "$@" >/dev/null 2>&1; do
        if [ "$(date +%s)" -ge "$deadline" ]; then
            echo "up.sh: after $timeout s still waiting for $what. What there is:" >&2
            show >&2
            exit 1
        fi
        sleep 1
    done
}

scheduled() { kubectl get pods -l app=flink,component=jobmanager -o 'jsonpath={.items[*].status.phase}' | grep -q Running; }
leads() { [ "$(kubectl get job flink-jobmanager -o 'jsonpath={.status.ready}')" = 1 ]; }
listens() { [ "$(kubectl get deployment flink-taskmanager -o 'jsonpath={.status.readyReplicas}')" -ge 1 ]; }
has_sluice() { kubectl get job flink-jobmanager -o 'jsonpath={.spec.template.spec.initContainers[*].name}' | grep -qw sluice; }

rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT
command kubectl kustomize "$overlay" >"$rendered"

said=$(sed -n 's/^  namespace: //p' "$rendered" | sort -u)
NAMESPACE=${NAMESPACE:-$said}
if [ -n "${NAMESPACE:-}" ] && ! command kubectl get namespace "$NAMESPACE" >/dev/null 2>&1; then
    command kubectl create namespace "$NAMESPACE"
fi
# An earlier overlay's autoscaler would keep Sluice from acting.
if grep -q 'name: SLUICE_DEPLOYMENT' "$rendered" && ! grep -q 'name: SLUICE_DRY_RUN' "$rendered"; then
    others=$(kubectl get hpa flink-taskmanager keda-hpa-flink-taskmanager --ignore-not-found -o name)
    if [ -n "$others" ]; then
        echo "up.sh: $others scales flink-taskmanager already: delete it, or run down.sh first" >&2
        exit 1
    fi
fi

# The pod template of a Job cannot be changed: where it has to be, the Job is made anew. So it is where Flink's
# settings change, since it reads them at its start; the TaskManagers then start again, too.
restart=
answer=$(kubectl apply --dry-run=server -f "$rendered" 2>&1) || {
    # One object's trouble a line; only the Job's is expected.
    if printf '%s\n' "$answer" | grep -v -e '(server dry run)$' -e '^Warning: ' \
        | grep -qv '^The Job "flink-jobmanager" is invalid: .*field is immutable$'; then
        printf '%s\n' "$answer" >&2
        exit 1
    fi
    restart=jobmanager
}
case $answer in
    *configmap/flink-config\ configured* | *configmap/pravega-stream\ configured*) restart=all ;;
esac
if [ -n "$restart" ]; then
    echo "the JobManager is to change: it is replaced, and goes on from its last checkpoint"
    kubectl delete job flink-jobmanager --ignore-not-found --cascade=foreground --wait
fi
kubectl apply -f "$rendered"
if [ "$restart" = all ]; then
    kubectl rollout restart deployment/flink-taskmanager
fi

await "the JobManager's pod to run" scheduled
await "the JobManager to lead and to answer" leads
await "a TaskManager to listen" listens
kubectl get job/flink-jobmanager deployment/flink-taskmanager
in=${NAMESPACE:+ -n $NAMESPACE}
echo "The job:   kubectl$in port-forward service/flink-jobmanager 8081   # then http://localhost:8081"
if has_sluice; then
    echo "The agent: kubectl$in logs -f job/flink-jobmanager -c sluice"
fi
