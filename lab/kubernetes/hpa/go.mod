module sluice.lab/hpa

go 1.22.1

require sigs.k8s.io/prometheus-adapter v0.12.0
