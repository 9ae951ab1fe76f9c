#!/bin/sh
# Starts Flink with Sluice, or brings what runs in line with the manifests; run it as often as you like.
#
#   jobmanager/up.sh [OVERLAY]        OVERLAY is sluice (default), dry-run, hpa, keda, or a folder of your own
#
#   NAMESPACE=…   where to; by default the namespace of kubectl's context
#   TIMEOUT=300   seconds to wait for each of the things it waits for
#
# The state of the job is kept: a JobManager that has to be replaced goes on from its last checkpoint.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
overlay=${1:-sluice}
[ -d "$overlay" ] || overlay=$root/deploy/overlays/$overlay
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

if [ -n "${NAMESPACE:-}" ] && ! command kubectl get namespace "$NAMESPACE" >/dev/null 2>&1; then
    command kubectl create namespace "$NAMESPACE"
fi
rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT
command kubectl kustomize "$overlay" >"$rendered"

# The pod template of a Job cannot be changed. Where it has to be, the Job is made anew.
if ! refused=$(kubectl apply --dry-run=server -f "$rendered" 2>&1); then
    case $refused in
        *"field is immutable"*)
            echo "the JobManager is to change: it is replaced, and goes on from its last checkpoint"
            kubectl delete job flink-jobmanager --cascade=foreground --wait ;;
        *)
            printf '%s\n' "$refused" >&2
            exit 1 ;;
    esac
fi
kubectl apply -f "$rendered"

await "the JobManager's pod to run" scheduled
await "the JobManager to lead and to answer" leads
await "a TaskManager to listen" listens
kubectl get job/flink-jobmanager deployment/flink-taskmanager
in=${NAMESPACE:+ -n $NAMESPACE}
echo "The job:   kubectl$in port-forward service/flink-jobmanager 8081   # then http://localhost:8081"
if has_sluice; then
    echo "The agent: kubectl$in logs -f job/flink-jobmanager -c sluice"
fi
