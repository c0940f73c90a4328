"""The image has all that its build copies and runs: no Docker engine is needed to see that."""

import json
import re
import tomllib
from fnmatch import fnmatch

import pytest
from rendering import DEPLOY, ROOT

FOLDER = DEPLOY / "docker"
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())


def instructions(name):
    """The instructions of a Dockerfile, with continued lines joined and heredocs unused."""
    text = (FOLDER / name).read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def stages(name):
    """The stages by name: what they are built from and their instructions."""
    arguments, found, last = {}, {}, None
    for word, rest in instructions(name):
        if word == "FROM":
            image, _, stage = re.sub(r"\$\{(\w+)\}", lambda m: arguments[m[1]], rest).partition(" AS ")
            last = stage or image
            found[last] = (image, [])
        elif word == "ARG" and last is None:
            key, _, value = rest.partition("=")
            arguments[key] = value
        else:
            found[last][1].append((word, rest))
    return found


def all_of(stage, found):
    """A stage's instructions, those of the stages below it first."""
    image, own = found[stage]
    return (all_of(image, found) if image in found else []) + own


def copied(name="Dockerfile"):
    """What the stages take from the repository."""
    for _, own in stages(name).values():
        for word, rest in own:
            if word == "COPY" and not rest.startswith("--from="):
                yield from rest.split()[:-1]


def is_sent(path):
    """Whether the build's context holds a path: the last rule that fits decides, as with BuildKit."""
    sent = True
    for rule in (FOLDER / "Dockerfile.dockerignore").read_text().split():
        pattern = rule.removeprefix("!")
        parents = ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 2)]
        if any(fnmatch(parent, pattern) for parent in parents):
            sent = rule.startswith("!")
    return sent


def test_what_is_copied_is_there_and_sent():
    sources = list(copied())
    assert len(sources) >= 7
    for source in sources:
        assert (ROOT / source).exists(), f"COPY {source}: there is no such thing"
        assert is_sent(source), f"COPY {source}: Dockerfile.dockerignore keeps it out"
    assert not is_sent("dashboards/web/node_modules/vite") and not is_sent("target/release/driftd")


def test_what_is_compiled_in_is_copied():
    sources = [source.rstrip("/") for source in copied()] + ["dashboards/web/dist"]
    embedded = {"Cargo.toml", "Cargo.lock", "build.rs"}
    for file in (ROOT / "src").rglob("*.rs"):
        # Tests are not compiled into the image.
        text = re.split(r"#\[cfg\(test\)\]\n(?:pub(?:\([^)]*\))? )?mod \w+ \{", file.read_text())[0]
        embedded |= set(re.findall(r'(?:migrate!\(|#\[folder = )"([^"]+)"', text))
        for included in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', text):
            embedded.add(str((file.parent / included).resolve().relative_to(ROOT)))
    assert {"migrations/postgres", "dashboards/web/dist"} <= embedded
    for path in embedded:
        assert any(path == source or path.startswith(f"{source}/") for source in sources), f"{path} is not copied"
    # Targets that Cargo.toml names by path would have to be copied too.
    assert not {"bin", "example", "test", "bench"} & set(CARGO)


def test_every_path_leads_from_one_stage_to_the_next():
    found = stages("Dockerfile")
    written = {
        "daemon": [f"/out/{CARGO['package']['name']}"],
        "dashboard": ["/src/dist"],
        "onnxruntime-cpu": ["/out"],
        "onnxruntime-cuda": ["/out"],
    }
    for stage, own in ((stage, own) for stage, (_, own) in found.items()):
        for word, rest in own:
            if word == "COPY" and rest.startswith("--from="):
                source, path = rest.removeprefix("--from=").split()[:2]
                assert path in written[source], f"{stage} copies {path} from {source}"
    script = " ".join(rest for word, rest in found["daemon"][1] if word == "RUN")
    assert "install -D target/release/driftd /out/driftd" in script
    for variant in ("cpu", "cuda"):
        runtime = " ".join(rest for word, rest in found[f"onnxruntime-{variant}"][1] if word == "RUN")
        assert "/out/libonnxruntime.so" in runtime


@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_what_is_run_was_copied(variant):
    own = all_of(variant, stages("Dockerfile"))
    targets = {rest.split()[-1] for word, rest in own if word == "COPY"}
    said = {}
    for word, rest in own:
        said[word] = rest
        if word == "ENV":
            said.update(pair.split("=", 1) for pair in rest.split())
    assert json.loads(said["ENTRYPOINT"])[0] in targets
    assert said["ORT_DYLIB_PATH"].rpartition("/")[0] in targets
    user, group = said["USER"].split(":")
    assert int(user) > 0 and int(group) > 0
    ports = {str(port) for port in (8080, 9090)}
    assert set(said["EXPOSE"].split()) == ports and "/readyz" in said["HEALTHCHECK"]


def arguments():
    return dict(rest.split("=", 1) for word, rest in instructions("Dockerfile") if word == "ARG")


def version(text):
    return tuple(int(part) for part in re.match(r"[\d.]+", text)[0].strip(".").split("."))


def test_versions_are_those_of_the_repository():
    setup = (ROOT / "scripts/setup.sh").read_text()
    found = arguments()
    assert found["ONNXRUNTIME"] == re.search(r"^ort_version=(.+)$", setup, re.M)[1]
    assert found["NODE"].startswith(re.search(r"^node_version=(.+)$", setup, re.M)[1])
    assert version(found["RUST"]) >= version(CARGO["package"]["rust-version"])
    # A binary runs on the release whose libraries it was linked with.
    release = {"12": "bookworm"}[found["DEBIAN"].partition(".")[0]]
    assert all(release in found[image] for image in ("NODE", "PYTHON", "RUST"))


@pytest.mark.parametrize("name", ["Dockerfile", "models.Dockerfile"])
def test_what_it_is_built_from_is_pinned(name):
    found = stages(name)
    for stage, (image, _) in found.items():
        assert image in found or re.search(r":\d+\.\d+", image), f"{stage} is built from {image}"
