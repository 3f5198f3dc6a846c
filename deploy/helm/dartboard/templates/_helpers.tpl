{{/* Labels of everything: give the part's name. */}}
{{- define "dartboard.labels" -}}
app.kubernetes.io/name: dartboard
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* What no container needs more than. */}}
{{- define "dartboard.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Of a pod: give its user. */}}
{{- define "dartboard.user" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* A mapping as environment variables. */}}
{{- define "dartboard.environment" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
