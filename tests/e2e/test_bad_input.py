"""Each mistake gets one clear error that names the place; exit code 2; nothing changed."""
import os

import pytest

GOOD = "name: x\nrun: 'true'\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(8)) + GOOD

CASES = {
    "unknown key, nearest suggested": (GOOD + "machnies: 2\n", ["buoy.yaml:3", "machnies", "machines"]),
    "wrong type": (GOOD + "machines: [1]\n", ["buoy.yaml:3", "machines"]),
    "negative size": (GOOD + "resources: {memory: -1GiB}\n", ["buoy.yaml:3", "resources.memory", "negative"]),
    "absurd size": (GOOD + "resources: {memory: 99999999999TiB}\n", ["buoy.yaml:3", "resources.memory"]),
    "absurd count": (GOOD + "machines: 1000000000\n", ["buoy.yaml:3", "machines"]),
    "missing run": ("name: x\n", ["buoy.yaml", "run"]),
    "missing script": ("name: x\nrun: python3 trian.py\n", ["buoy.yaml:2", "trian.py"]),
    "unknown pool": (GOOD + "pools: [lokal]\n", ["lokal", "local"]),
    "unknown queue": (GOOD + "queue: defualt\n", ["defualt", "default"]),
    "missing input": (GOOD + "inputs: {data: ./nowhere}\n", ["buoy.yaml:3", "inputs.data", "nowhere"]),
    "cyclic input": (GOOD + "inputs: {data: ./loop}\n", ["buoy.yaml:3", "inputs.data", "loop"]),
    "YAML bomb": (BOMB, ["buoy.yaml"]),
    "deep nesting": ("a: " + "[" * 5000 + "]" * 5000 + "\n" + GOOD, ["buoy.yaml"]),
    "not YAML": ("name: [x\n", ["buoy.yaml"]),
    "pattern that is none": (GOOD + "metrics: {loss: 'loss=([0-9'}\n", ["buoy.yaml:3", "metrics.loss"]),
    "pattern that backtracks": (GOOD + "metrics: {loss: '(a+)+\\1$'}\n", ["buoy.yaml:3", "metrics.loss"]),
    "checkpoint outside": (GOOD + "checkpoint: {dir: ../../etc}\n", ["buoy.yaml:3", "checkpoint.dir"]),
    "keep of zero": (GOOD + "checkpoint: {keep: 0}\n", ["buoy.yaml:3", "checkpoint.keep"]),
    "no such signal": (GOOD + "checkpoint: {signal: SIGFOO}\n", ["buoy.yaml:3", "checkpoint.signal"]),
    "10 MiB environment": (GOOD + "env: {BIG: '" + "x" * (10 << 20) + "'}\n", ["buoy.yaml"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_job_file(buoy, name):
    text, expected = CASES[name]
    (buoy.project / "loop").symlink_to("loop")
    buoy.write("buoy.yaml", text)
    done = buoy.run("submit")
    assert done.returncode == 2, done.stdout + done.stderr
    for part in expected:
        assert part in done.stderr, done.stderr
    assert len(done.stderr) < 2000, "one clear error"
    assert buoy.json("ps", "--all")["jobs"] == [], "nothing changed"


def test_a_bad_configuration_is_told_to_whoever_needs_the_server(make_buoy):
    buoy = make_buoy(config="pools:\n  - {name: a, provder: local}\n")
    for words in (["ps"], ["server", "start"]):
        done = buoy.run(*words)
        assert done.returncode == 2 and "did you mean 'provider'" in done.stderr, done.stderr
        assert done.stderr.count("provder") == 2, "once, not again with every start"
    buoy.environment["BUOY_CONFIG"] += ".not-there"
    done = buoy.run("ps")
    assert done.returncode == 3 and "config.yaml.not-there" in done.stderr


def test_invalid_utf8(buoy):
    (buoy.project / "buoy.yaml").write_bytes(b"name: \xff\xfe\nrun: 'true'\n")
    done = buoy.run("submit")
    assert done.returncode == 2 and "UTF-8" in done.stderr


def test_environment_too_large_by_flags(buoy):
    buoy.write("env", "".join(f"K{n}={'x' * 1000}\n" for n in range(10_000)))
    done = buoy.run("submit", "--env-file", "env", "--", "true")
    assert done.returncode == 2 and "environment" in done.stderr.lower()


def test_a_checkpoint_with_a_symbolic_link_out_of_its_directory(buoy):
    job = buoy.submit("--checkpoint", "checkpoints", "--", "sh", "-c", "mkdir -p checkpoints; ln -s /etc/passwd checkpoints/stolen; echo linked; sleep 1")
    view = buoy.wait_phase(job, "succeeded", "failed")
    assert view["last_version"] == 0, "such a directory is never committed"
    assert "stolen" in buoy.run("why", job).stdout, "and the link is named"


def test_usage_errors(buoy):
    assert buoy.run("nonsense").returncode == 2
    assert buoy.run("submit", "--machines", "-1", "--", "true").returncode == 2
    assert buoy.run("show", "j999").returncode == 3
    missing = buoy.run("run", "nothere.yaml")
    assert missing.returncode == 2 and "nothere.yaml" in missing.stderr
