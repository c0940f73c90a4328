# Manifests, models, tokenizers and references as an image; the folder is the build's context:
#   docker build -f deploy/docker/models.Dockerfile -t registry.example.com/driftd-models:1 my-models/
# A pod copies /models from it before driftd starts, and nothing else of it runs.
FROM busybox:1.37.0
COPY . /models
USER 65532:65532
HEALTHCHECK NONE
