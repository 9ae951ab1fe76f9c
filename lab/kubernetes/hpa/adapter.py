#!/usr/bin/env python3
"""adapter.py ADDRESS PORT PROMETHEUS-URL FOLDER: serves external.metrics.k8s.io out of Prometheus.

Stands in for prometheus-adapter, which cannot be had as a Go module, and does for external metrics what that
does: at each request it asks Prometheus for the metric with the labels of the HPA's selector, and answers with
every series that it gets; the HPA adds them up. Certificate and key are made in FOLDER. It checks no caller."""

import datetime
import http.server
import json
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request

address, port, prometheus, folder = sys.argv[1:5]
VERSION = "external.metrics.k8s.io/v1beta1"
ROOT = "/apis/" + VERSION
METRIC = "pravega_controller_segments_count"


def series(selector):
    """The values that Prometheus has for the metric now."""
    labels = [pair.split("=", 1) for pair in selector.split(",") if "=" in pair]
    matchers = ",".join(f"{name}={json.dumps(value)}" for name, value in labels)
    query = urllib.parse.urlencode({"query": f"{METRIC}{{{matchers}}}"})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=5) as answer:
        return json.load(answer)["data"]["result"]


def answer(url):
    """Status and body for one GET."""
    if url.path == ROOT:
        resource = {"name": METRIC, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
        return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": [resource]}
    if url.path.startswith(ROOT + "/namespaces/") and url.path.endswith("/" + METRIC):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        selector = urllib.parse.parse_qs(url.query).get("labelSelector", [""])[0]
        items = [
            {"metricName": METRIC, "metricLabels": found["metric"], "timestamp": now, "value": found["value"][1]}
            for found in series(selector)
        ]
        return 200, {"kind": "ExternalMetricValueList", "apiVersion": VERSION, "metadata": {}, "items": items}
    return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            status, body = answer(urllib.parse.urlsplit(self.path))
        except OSError as error:
            status, body = 500, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": str(error), "code": 500}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


key, certificate = f"{folder}/adapter.key", f"{folder}/adapter.crt"
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=adapter", "-keyout", key, "-out", certificate],
    check=True,
    stderr=subprocess.DEVNULL,
)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
