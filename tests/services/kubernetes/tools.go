//go:build tools

// Package kubernetes names the programs that `scripts/with-kubernetes.sh` builds, so that their versions are pinned.
package kubernetes

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
