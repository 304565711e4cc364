{{- define "poplar.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- /* Never changes over a release's life: it stands in Deployments' selectors. Argument: dict root, component. */ -}}
{{- define "poplar.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- /* Several maps as one, in which each key stands once: the last one that has it counts. Argument: a list of dicts. */ -}}
{{- define "poplar.merged" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $key, $value := . -}}
{{- $_ := set $all $key $value -}}
{{- end -}}
{{- end -}}
{{ toYaml $all }}
{{- end -}}

{{- /* Argument: dict root, component, and perhaps labels. */ -}}
{{- define "poplar.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/managed-by" .root.Release.Service
-}}
{{- include "poplar.merged" (list .root.Values.commonLabels (default dict .labels) $own (include "poplar.selector" . | fromYaml)) -}}
{{- end -}}

{{- /* metadata of an object. Argument: dict root, component, suffix, and perhaps labels, annotations. */ -}}
{{- define "poplar.metadata" -}}
name: {{ include "poplar.fullname" .root }}{{ .suffix }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "poplar.labels" . | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "poplar.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "poplar.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "poplar.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "poplar.terminationGrace" -}}
{{ add .Values.drain.preStopSeconds .Values.drain.sessionGraceSeconds .Values.drain.marginSeconds }}
{{- end -}}

{{- define "poplar.proxyRequired" -}}
{{- if eq (toString .Values.proxyProtocol.mode) "required" }}true{{ end -}}
{{- end -}}

{{- define "poplar.certificateSecret" -}}
{{ default (printf "%s-tls" (include "poplar.fullname" .)) .Values.tls.certificate.secretName }}
{{- end -}}

{{- /* The Secrets with certificates, as a JSON list. */ -}}
{{- define "poplar.certificateSecrets" -}}
{{- $names := .Values.tls.secretNames -}}
{{- if .Values.tls.certificate.enabled -}}
{{- $names = append $names (include "poplar.certificateSecret" .) -}}
{{- end -}}
{{ uniq $names | toJson }}
{{- end -}}

{{- /* The Secret of a role's database URL, as JSON. Argument: dict root, role. */ -}}
{{- define "poplar.databaseSecret" -}}
{{- $own := index .root.Values.database .role -}}
{{ ternary $own .root.Values.database.shared (ne $own.secretName "") | toJson }}
{{- end -}}
