{{/* Labels by which everything of a release is found. */}}
{{- define "driftd.selector" -}}
app.kubernetes.io/name: driftd
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "driftd.labels" -}}
{{ include "driftd.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "driftd.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The groups of roles that this mode runs, by name. */}}
{{- define "driftd.workloads" -}}
{{- if eq .Values.mode "single" }}
{{- dict "all" .Values.workloads.all | toYaml }}
{{- else }}
{{- omit .Values.workloads "all" | toYaml }}
{{- end }}
{{- end }}

{{/* A workload's name: the release alone, or with its group. Takes root and component. */}}
{{- define "driftd.workload" -}}
{{ .root.Release.Name }}{{ if ne .component "all" }}-{{ .component }}{{ end }}
{{- end }}

{{- define "driftd.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "driftd.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* For containers that run once and end. */}}
{{- define "driftd.smallResources" -}}
requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 64Mi}
limits: {memory: 256Mi, ephemeral-storage: 256Mi}
{{- end }}

{{/* What every container of driftd reads and writes. */}}
{{- define "driftd.mounts" -}}
- {name: config, mountPath: /etc/driftd, readOnly: true}
- {name: secrets, mountPath: /run/secrets/driftd, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "driftd.volumes" -}}
- name: config
  configMap: {name: {{ .Release.Name }}-config}
- name: secrets
  secret: {secretName: {{ .Values.secretName }}, defaultMode: 0440}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- end }}
