"""The files under deploy/, each by a tool that others wrote, and against the programs that they are for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from harness import binaries
from harness.daemon import Daemon

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "heapsee-agent.service"
REFERENCE = DEPLOY / "agent" / "CONFIGURATION.md"
RUNBOOK = DEPLOY / "RUNBOOK.md"
ALERTS = DEPLOY / "prometheus" / "heapsee-agent.rules.yml"
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
DASHBOARD = DEPLOY / "grafana" / "heapsee-agent.json"
KUBERNETES = "1.30"
EXPOSURE = "40"
"""systemd's own measure, from 0 to 100: what it calls OK begins here."""


def here(unit: Path, folder: Path) -> Path:
    """The unit as it would be on a machine that has the agent where it was built."""
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace("/usr/bin/heapsee-agent", str(binaries.AGENT)))
    return copy


@pytest.mark.systemd
def test_the_unit_is_verified_by_systemd(tmp_path: Path) -> None:
    done = binaries.run(Path("systemd-analyze"), "verify", "--man=no", here(UNIT, tmp_path))
    assert (done.code, done.out + done.err) == (0, "")


@pytest.mark.systemd
def test_the_unit_is_hardened(tmp_path: Path) -> None:
    unit = here(UNIT, tmp_path)
    done = binaries.run(Path("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE}", unit)
    assert done.code == 0, done.out[-400:]


@pytest.mark.systemd
def test_the_unit_with_its_drop_in(tmp_path: Path) -> None:
    unit = here(UNIT, tmp_path)
    shutil.copytree(DEPLOY / "systemd" / "heapsee-agent.service.d", tmp_path / "heapsee-agent.service.d")
    done = binaries.run(Path("systemd-analyze"), "verify", "--man=no", unit)
    assert (done.code, done.out + done.err) == (0, "")


def manifests() -> list[tuple[str, dict[str, Any]]]:
    """Every Kubernetes object under deploy/."""
    found = []
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        found += [(path.name, document) for document in yaml.safe_load_all(path.read_text())]
    return found


def test_manifests_fit_kubernetes_schemas() -> None:
    objects = manifests()
    assert {document["kind"] for _, document in objects} == {"ConfigMap", "DaemonSet", "Deployment"}
    for _, document in objects:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def containers(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the object of that kind: the pod's specification, and the agent's container in it."""
    (pod,) = (document["spec"]["template"]["spec"] for _, document in manifests() if document["kind"] == kind)
    (container,) = (found for found in pod["containers"] if found["image"].startswith("heapsee-agent:"))
    return pod, container


def test_the_daemonset_has_the_rights_of_the_unit_and_no_others() -> None:
    (line,) = re.findall(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    pod, agent = containers("DaemonSet")
    context = agent["securityContext"]
    assert {f"CAP_{name}" for name in context["capabilities"]["add"]} == set(line.split())
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert pod["hostPID"]


def test_the_sidecar_is_the_user_whose_workers_it_looks_at_and_has_no_rights() -> None:
    pod, agent = containers("Deployment")
    assert pod["shareProcessNamespace"]
    assert pod["securityContext"]["runAsNonRoot"]
    # The kernel lets one user look into processes of the same user that have no more rights than oneself.
    for container in pod["containers"]:
        assert "runAsUser" not in container.get("securityContext", {})
        assert "add" not in container.get("securityContext", {}).get("capabilities", {})
    assert agent["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("kind", ["DaemonSet", "Deployment"])
def test_whatever_the_agent_writes_to_is_a_volume(kind: str) -> None:
    pod, agent = containers(kind)
    mounts = {mount["mountPath"]: mount for mount in agent["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} <= {volume["name"] for volume in pod["volumes"]}
    # What the defaults of the configuration name, which these configurations leave as they are.
    for path in re.findall(r"`\"(/(?:run|var)/[^\"]*)\"`", REFERENCE.read_text()):
        (place,) = (mount for at, mount in mounts.items() if Path(at) in Path(path).parents)
        assert not place.get("readOnly"), path


def configurations() -> list[tuple[str, str]]:
    """Every configuration of the agent under deploy/."""
    maps = [(name, document) for name, document in manifests() if document["kind"] == "ConfigMap"]
    mapped = [(name, document["data"]["agent.toml"]) for name, document in maps]
    examples = re.findall(r"```toml\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    shown = [(f"example-{number}.toml", text) for number, text in enumerate(examples)]
    return [("agent.toml", (DEPLOY / "agent" / "agent.toml").read_text()), *mapped, *shown]


@pytest.mark.parametrize(("name", "text"), configurations(), ids=lambda value: value[:20])
def test_configurations_are_right(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert binaries.run(binaries.AGENT, "check-config", path).check().out.startswith(f"{path} is right")


def test_what_is_commented_out_can_be_had(tmp_path: Path) -> None:
    text = (DEPLOY / "agent" / "agent.toml").read_text()
    shown = re.sub(r"^#(\w+ = )", r"\1", text, flags=re.MULTILINE)
    shown = shown.replace('encrypt_to = ["age1…"]\n', "")
    path = tmp_path / "agent.toml"
    path.write_text(shown)
    assert shown.count("\n[") >= 8
    binaries.run(binaries.AGENT, "check-config", path).check()


def test_the_reference_has_every_key(tmp_path: Path) -> None:
    text = REFERENCE.read_text()
    path = tmp_path / "agent.toml"
    sections = ["agent", "limits", "store", "intake", "retention", "ship", "hook", "metrics"]
    path.write_text("".join(f"[{section}]\nzzzzzzzz = 1\n" for section in sections) + "[[rule]]\nzzzzzzzz = 1\n")
    report = json.loads(binaries.run(binaries.AGENT, "check-config", path, "--json").out)
    known = [problem["fix"] for problem in report["problems"] if "zzzzzzzz" in problem["reason"]]
    assert len(known) == len(sections) + 1
    keys = {key for fix in known for key in fix.removeprefix("known here: ").split(", ")}
    assert len(keys) > 40
    assert not [key for key in keys - {"app"} if f"`{key}`" not in text]


def test_metrics_are_read_by_prometheus_own_parser_and_alerts_use_no_others(tmp_path: Path) -> None:
    with Daemon(tmp_path, "") as daemon:
        text = daemon.metrics()
        with urllib.request.urlopen(f"http://{daemon.status()['metrics']}/healthz", timeout=30) as answer:
            assert answer.read() == b"ok\n"
    families = {family.name for family in text_string_to_metric_families(text)}
    suffixes = ("", "_total", "_info", "_bucket", "_count", "_sum")
    known = {name + suffix for name in families for suffix in suffixes}
    # Of dumps and of what is held there is none yet, and so no line.
    known |= {f"heapsee_agent_{name}" for name in ("dumps_total", "held_total", "last_success_timestamp_seconds")}
    known |= {f"heapsee_agent_{name}" for name in ("workers", "worker_max_rss_bytes")}
    used = set(re.findall(r"heapsee_agent_\w+", ALERTS.read_text() + DASHBOARD.read_text()))
    assert used, "no metric is used"
    assert used <= known, used - known


@pytest.mark.promtool
def test_alerts_say_what_they_are_to_say() -> None:
    tool = Path(os.environ["HEAPSEE_PROMTOOL"])
    binaries.run(tool, "check", "rules", "--lint-fatal", ALERTS).check()
    tested = ALERTS.with_name("heapsee-agent.test.yml")
    done = binaries.run(tool, "test", "rules", tested)
    assert done.code == 0, done.out + done.err
    names = {rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
    fired = {
        case["alertname"] for test in yaml.safe_load(tested.read_text())["tests"] for case in test["alert_rule_test"]
    }
    assert fired == names


@pytest.mark.promtool
def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    targets = [target for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]
    # As Grafana puts in what the person in front of it has chosen.
    asked = [target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*") for target in targets]
    rules = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(asked)]
    path = tmp_path / "asked.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    binaries.run(Path(os.environ["HEAPSEE_PROMTOOL"]), "check", "rules", path).check()


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's, with their arguments."""
    text = CONTAINERFILE.read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], " ".join(line.partition(" ")[2].split())) for line in lines]


def test_the_image_is_built_from_what_its_context_has(tmp_path: Path) -> None:
    """The first stage builds from the repository but for what is ignored: all that cargo needs must be in that."""
    context = tmp_path / "src"
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    left_out = shutil.ignore_patterns(*(pattern.removeprefix("**/") for pattern in ignored))
    shutil.copytree(ROOT, context, symlinks=True, ignore=left_out)
    (command,) = (rest for name, rest in instructions() if name == "RUN" and rest.startswith("cargo"))
    build, strip = command.split(" && ")
    packages = re.findall(r"-p (\S+)", build)
    # Resolves the workspace as a build does, its targets included, and builds nothing.
    tree = ["tree", "--locked", "--offline", *(word for name in packages for word in ("-p", name))]
    done = subprocess.run(["cargo", *tree], cwd=context, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    (copied,) = (rest.split() for name, rest in instructions() if name == "COPY" and rest.startswith("--from=build"))
    programs = {Path(path).name for path in copied[1:-1]}
    assert programs == {"heapsee", "heapsee-agent"} == set(packages)
    assert {Path(path).name for path in strip.split()[1:]} == programs
    assert copied[-1] == "/usr/bin/"


def test_the_image_runs_what_is_there(tmp_path: Path) -> None:
    last = dict(instructions())
    entry, command = json.loads(last["ENTRYPOINT"]), json.loads(last["CMD"])
    assert entry == ["/usr/bin/heapsee-agent"]
    config = tmp_path / "agent.toml"
    config.write_text("[agent]\npoll = 5\n")
    arguments = [argument.replace("/etc/heapsee/agent.toml", str(config)) for argument in command]
    assert str(config) in arguments
    # It gets as far as its configuration.
    assert binaries.run(binaries.AGENT, *arguments).code == 10
    # The second stage has no libraries but those of the C library and of its compiler.
    for program in (binaries.AGENT, binaries.HEAPSEE):
        needed = re.findall(r"^\s*(\S+)", binaries.run(Path("ldd"), program).check().out, re.MULTILINE)
        names = {Path(name).name.split(".so")[0] for name in needed}
        assert names <= {"linux-vdso", "libc", "libgcc_s", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}, names


def test_alerts_have_their_runbook() -> None:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    assert len(rules) >= 5
    headings = {line.lstrip("# ").strip().lower() for line in RUNBOOK.read_text().splitlines() if line.startswith("#")}
    for rule in rules:
        file, anchor = rule["annotations"]["runbook"].split("#")
        assert (file, anchor) == ("deploy/RUNBOOK.md", rule["alert"].lower())
        assert anchor in headings, anchor


def test_the_runbook_knows_every_exit_code() -> None:
    text = binaries.run(binaries.AGENT, "run", "--help").check().out
    codes = re.findall(r"^ +(\d+)  (.*)$", text.partition("Exit codes:")[2], re.MULTILINE)
    assert len(codes) >= 13
    runbook = RUNBOOK.read_text()
    for code, meaning in codes:
        assert f"| {code} |" in runbook, (code, meaning)


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)) >= 8
    assert all(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
