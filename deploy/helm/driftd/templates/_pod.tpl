{{/* A pod of driftd. Takes root, component and workload. */}}
{{- define "driftd.pod" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
{{- $gpu := and $values.gpu.enabled (eq .component "collect") }}
{{- $api := has "api" .workload.roles }}
{{- $image := include "driftd.image" $root }}
serviceAccountName: {{ $root.Release.Name }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $gpu }}
{{- with $values.gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.gpu.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
securityContext:
  {{- include "driftd.podSecurity" . | nindent 2 }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "driftd.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
initContainers:
  - name: models
    image: {{ $values.models.image }}
    command: [cp, -R, /models/., /target/]
    resources:
      {{- include "driftd.smallResources" . | nindent 6 }}
    securityContext:
      {{- include "driftd.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: models, mountPath: /target}
  - name: migrate
    image: {{ $image }}
    {{- with $values.image.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    args: [migrate]
    resources:
      {{- include "driftd.smallResources" . | nindent 6 }}
    securityContext:
      {{- include "driftd.containerSecurity" . | nindent 6 }}
    volumeMounts:
      {{- include "driftd.mounts" . | nindent 6 }}
containers:
  - name: driftd
    image: {{ $image }}{{ if $gpu }}{{ $values.image.cudaSuffix }}{{ end }}
    {{- with $values.image.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    args: [run, "--roles={{ join "," .workload.roles }}"]
    ports:
      {{- if $api }}
      - {name: api, containerPort: 8080}
      {{- end }}
      - {name: ops, containerPort: 9090}
    startupProbe:
      httpGet: {path: /livez, port: ops}
      periodSeconds: 5
      failureThreshold: 60
    livenessProbe:
      httpGet: {path: /livez, port: ops}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet: {path: /readyz, port: ops}
      periodSeconds: 5
      timeoutSeconds: 4
      failureThreshold: 3
    {{- if $api }}
    lifecycle:
      preStop:
        exec: {command: [sleep, "5"]}
    {{- end }}
    {{- $resources := ternary $values.gpu.resources .workload.resources $gpu }}
    resources:
      requests:
        {{- toYaml $resources.requests | nindent 8 }}
      limits:
        {{- toYaml $resources.limits | nindent 8 }}
        {{- if $gpu }}
        {{ $values.gpu.resourceName }}: "1"
        {{- end }}
    securityContext:
      {{- include "driftd.containerSecurity" . | nindent 6 }}
    volumeMounts:
      {{- include "driftd.mounts" . | nindent 6 }}
      - {name: models, mountPath: /models, readOnly: true}
volumes:
  {{- include "driftd.volumes" $root | nindent 2 }}
  - name: models
    emptyDir: {sizeLimit: {{ $values.models.sizeLimit }}}
{{- end }}
