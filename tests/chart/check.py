"""Renders the Helm chart with each of its sets of values and checks what comes out.

check.py CHART COMPOSE OUTPUT: OUTPUT/NAME.gateway.toml and OUTPUT/NAME.env get what the program itself is to be asked
about, for each set of values and for the compose file.
"""

import pathlib
import sys

import helm_python as helm
import kubernetes_validate
import yaml

# The oldest that Chart.yaml allows, and the newest that there are schemas of.
KUBERNETES = ["1.27", kubernetes_validate.latest_version()]
# Of the Prometheus operator, whose schemas are not Kubernetes's.
FOREIGN = {"ServiceMonitor", "PrometheusRule"}

GATEWAY = {"enabled": True, "routes": [{"upstream": "http://api:8000"}]}
DECISIONS = {
    "port": 9001,
    "protocol": "forward_auth",
    "certificate": "traefik",
    "asked_by": {"secret": {"file": "/etc/countersign/secrets/proxies/secret", "header": "x-proxy-secret"}},
}
OPEN = {"networkPolicy": {"enabled": False}}
# Values that are wrong, and what their error must say.
WRONG = [
    ({"controlPlane": {"replicas": 0}}, ["replicas"]),
    ({"controlPlane": {"replica": 3}}, ["replica"]),
    ({"controlPlane": {"settings": {"serve.listen": "0.0.0.0:1"}}}, ["serve.listen"]),
    ({"controlPlane": {"settings": {"database_listen_url": "postgres://a:b@c/d"}}}, ["database_listen_url"]),
    ({"controlPlane": {"settings": {"database_replica_url": "postgres://a:b@c/d"}}}, ["database_replica_url"]),
    ({"controlPlane": {"settings": {"data_dir": "/data"}}}, ["data_dir"]),
    ({"controlPlane": {"mountSecrets": ["Not a name"]}}, ["mountSecrets"]),
    ({"telemetry": {"COUNTERSIGN_LOG_LEVEL": "debug"}}, ["COUNTERSIGN_LOG_LEVEL", "OTEL_"]),
    ({"serviceMonitor": {"enabled": True}}, ["networkPolicy.monitoringFrom", "serviceMonitor.enabled"]),
    ({"gateway": {**GATEWAY, "kind": "StatefulSet"}}, ["kind", "DaemonSet"]),
    ({"gateway": {**GATEWAY, "routes": []}}, ["gateway.routes", "upstream"]),
    ({"gateway": {**GATEWAY, "routes": [{"path": "/v1"}]}}, ["routes", "upstream"]),
    ({"gateway": {**GATEWAY, "routes": [{"upstream": "api:8000"}]}}, ["upstream"]),
    ({"gateway": {**GATEWAY, "settings": {"listen": "0.0.0.0:1"}}}, ["gateway.settings.listen"]),
    ({"gateway": {**GATEWAY, "controlPlane": {"url": "https://plane"}}}, ["url", "/v1"]),
    ({"gateway": {**GATEWAY, "controlPlane": {"url": "http://plane/v1"}}}, ["in the clear"]),
    ({"gateway": {**GATEWAY, "decisions": [DECISIONS]}}, ["networkPolicy.decisionsFrom"]),
    ({**OPEN, "gateway": {**GATEWAY, "decisions": [{**DECISIONS, "port": 8443}]}}, ["gateway.decisions", "8443"]),
    ({**OPEN, "gateway": {**GATEWAY, "decisions": [DECISIONS, DECISIONS]}}, ["gateway.decisions", "9001"]),
    ({"gateway": {**GATEWAY, "decisions": [{**DECISIONS, "listen": "0.0.0.0:1"}]}}, ["decisions", "listen"]),
    ({"gateway": {**GATEWAY, "settings": {"decisions": []}}}, ["gateway.settings.decisions"]),
    ({"controlPlane": {"enabled": False}, "gateway": GATEWAY}, ["gateway.controlPlane.url"]),
    ({"image": {"digest": "sha256:1"}}, ["digest"]),
    ({"gatway": {}}, ["gatway"]),
]


def main(chart_directory, compose_directory, output):
    check_compose(compose_directory, output)
    chart = helm.Chart.load(chart_directory)
    sets = {"default": {}}
    for path in sorted((chart_directory / "ci").glob("*.yaml")):
        sets[path.stem] = yaml.safe_load(path.read_text())
    for name, values in sets.items():
        found = helm.lint(chart_directory, values, strict=True)
        told = [each for each in found["messages"] if each["severity"] > 1]
        assert not told, f"{name}: {told}"
        objects = rendered(chart, values)
        check(objects, chart_directory)
        for_the_program(objects, output / name)
        print(f"{name}: {len(objects)} objects")
    for values, words in WRONG:
        error = refusal(chart, values)
        missing = [word for word in words if word not in error]
        assert not missing, f"{values}: {error}"
    print(f"{len(WRONG)} wrong values are refused")


def rendered(chart, values):
    files = chart.render(values, name="demo", namespace="edge", is_install=True)
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    assert any("Once it is ready" in text or "Clients connect" in text for text in files.values())
    if chart.merge_values(values)["controlPlane"]["enabled"]:
        assert any("gateway-key create" in text for text in files.values())
    objects = [each for text in texts for each in yaml.safe_load_all(text) if each]
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names), names
    return objects


def refusal(chart, values):
    try:
        chart.validate_schema(chart.merge_values(values))
        chart.render(values, name="demo", namespace="edge")
    except helm.HelmError as error:
        return str(error)
    raise AssertionError(f"accepted: {values}")


def check(objects, chart_directory):
    for each in objects:
        kind = each["kind"]
        if kind == "PrometheusRule":
            alerts = chart_directory / "../../prometheus/alerts.yml"
            assert each["spec"] == yaml.safe_load(alerts.read_text())
        if kind not in FOREIGN:
            for version in KUBERNETES:
                kubernetes_validate.validate(each, version, strict=True)
        if kind in ("Deployment", "DaemonSet"):
            check_pods(each["spec"])
    check_selectors(objects)


def check_pods(spec):
    """What Kubernetes calls the restricted pod security standard, a root that cannot be written, and no token."""
    pod = spec["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] == 65532
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    allowed = {"name", "secret", "configMap", "emptyDir"}
    assert all(set(volume) <= allowed for volume in pod["volumes"])
    mounted, ports = {volume["name"] for volume in pod["volumes"]}, set()
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == mounted
        ports |= {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports


def check_selectors(objects):
    """What selects pods finds those that it is for, by ports that they have."""
    pods = [
        (each["spec"]["template"]["metadata"]["labels"], each["spec"]["template"]["spec"])
        for each in objects
        if each["kind"] in ("Deployment", "DaemonSet")
    ]

    def selected(labels):
        return [pod for own, pod in pods if labels.items() <= own.items()]

    services = [each for each in objects if each["kind"] == "Service"]
    for service in services:
        (pod,) = selected(service["spec"]["selector"])
        ports = {port["name"] for port in pod["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for each in objects:
        if each["kind"] in ("PodDisruptionBudget", "Deployment", "DaemonSet"):
            assert len(selected(each["spec"]["selector"]["matchLabels"])) == 1
        if each["kind"] == "NetworkPolicy":
            assert len(selected(each["spec"]["podSelector"]["matchLabels"])) == 1
        if each["kind"] == "ServiceMonitor":
            wanted = each["spec"]["selector"]["matchLabels"].items()
            (service,) = [one for one in services if wanted <= one["metadata"]["labels"].items()]
            assert each["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
            # The alerts' `job=~"countersign.*"`.
            assert service["metadata"]["labels"][each["spec"]["jobLabel"]].startswith("countersign")


def for_the_program(objects, path):
    for each in objects:
        if each["kind"] == "ConfigMap":
            path.with_suffix(".gateway.toml").write_text(each["data"]["gateway.toml"])
        if each["kind"] == "Deployment" and each["metadata"]["name"].endswith("control-plane"):
            (container,) = each["spec"]["template"]["spec"]["containers"]
            lines = [f"{one['name']}={one['value']}\n" for one in container["env"]]
            path.with_suffix(".env").write_text("".join(lines))


def check_compose(directory, output):
    compose = yaml.safe_load((directory / "compose.yaml").read_text())
    services = compose["services"]
    plane = services["control-plane"]["environment"]
    output.joinpath("compose.env").write_text("".join(f"{name}={value}\n" for name, value in plane.items()))
    output.joinpath("compose.gateway.toml").write_text((directory / "gateway.toml").read_text())
    for name, service in services.items():
        for other in service.get("depends_on", []):
            assert other in services, f"{name} depends on {other}"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (directory / source).is_file() if source.startswith("./") else source in compose["volumes"]
            assert known, f"{name} mounts {source}"
    certificate_names = (directory / "set-up.sh").read_text()
    for name in ("control-plane", "gateway"):
        assert f"DNS:{name}" in certificate_names
    gateway = (directory / "gateway.toml").read_text()
    assert "https://control-plane:8085/v1" in gateway and "http://upstream:80" in gateway


main(*map(pathlib.Path, sys.argv[1:4]))
