{{- define "audio-server.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "audio-server.selector" -}}
app.kubernetes.io/name: audio-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "audio-server.labels" -}}
{{ include "audio-server.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "audio-server.token" -}}
{{- .Values.token.existingSecret | default (printf "%s-http" (include "audio-server.name" .)) -}}
{{- end -}}

{{/* gRPC probes speak no TLS: with a certificate the pages are asked, over HTTPS. */}}
{{- define "audio-server.alive" -}}
{{- if .Values.tls.existingSecret -}}
httpGet:
  path: /healthz
  port: http
  scheme: HTTPS
{{- else -}}
grpc:
  port: 50051
{{- end -}}
{{- end -}}
