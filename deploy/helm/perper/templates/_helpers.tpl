{{- define "perper.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "perper.fabric" -}}
{{ include "perper.fullname" . }}-fabric
{{- end -}}

{{- define "perper.scaler" -}}
{{ include "perper.fullname" . }}-scaler
{{- end -}}

{{/* What a Pod is selected by; given the context and the component. */}}
{{- define "perper.selector" -}}
app.kubernetes.io/name: perper-{{ .component }}
app.kubernetes.io/instance: {{ .context.Release.Name }}
{{- end -}}

{{- define "perper.labels" -}}
{{ include "perper.selector" . }}
app.kubernetes.io/part-of: perper
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_" }}
{{- with .context.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "perper.image" -}}
{{ .image.repository }}:{{ default .context.Chart.AppVersion .image.tag }}
{{- end -}}

{{/* Where clients find the Fabric: the name that its certificate is made out for. */}}
{{- define "perper.endpoint" -}}
{{ ternary "https" "http" .Values.tls.enabled }}://{{ include "perper.fabric" . }}.{{ .Release.Namespace }}.svc:{{ .Values.fabric.service.port }}
{{- end -}}

{{/* Every container's. */}}
{{- define "perper.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Every Pod's; the images run as this user as well. */}}
{{- define "perper.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What is asked for and cannot be had is told before anything is installed. */}}
{{- define "perper.check" -}}
{{- if and .Values.tls.enabled (not .Values.tls.secretName) -}}
{{- fail "tls.enabled needs tls.secretName: a Secret with tls.crt and tls.key" -}}
{{- end -}}
{{- if and .Values.tls.clientCaSecret (not .Values.tls.enabled) -}}
{{- fail "tls.clientCaSecret needs tls.enabled: certificates are shown over TLS only" -}}
{{- end -}}
{{- if and .Values.tls.clientCaSecret .Values.scaler.enabled -}}
{{- fail "tls.clientCaSecret and scaler.enabled exclude each other: the Scaler has no certificate to show; use tokens" -}}
{{- end -}}
{{- if and .Values.tokens.enabled (not .Values.tokens.secretName) -}}
{{- fail "tokens.enabled needs tokens.secretName: a Secret with the file of tokens" -}}
{{- end -}}
{{- if and (ne .Values.fabric.service.type "ClusterIP") (not (or .Values.tokens.enabled .Values.tls.clientCaSecret)) -}}
{{- fail "fabric.service.type lets in whoever reaches the node or the load balancer: it needs tokens.enabled, or tls.clientCaSecret" -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs metrics.enabled" -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes asks over gRPC by itself, but not over TLS. */}}
{{- define "perper.probe" -}}
{{- if .Values.tls.enabled -}}
exec:
  command: [/perper-fabric, health]
{{- else -}}
grpc:
  port: 40400
{{- end -}}
{{- end -}}
